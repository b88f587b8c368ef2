// The wasm product: stage rows of A, let the threads multiply blocks of rows with panels of B, copy C out.
import { FtError, type Fault, type Product, type Tensor } from '@ft/core'
import {
  addBias,
  applyGelu,
  applyRelu,
  descriptorBytes,
  fieldAKind,
  fieldA,
  fieldAStride,
  fieldB,
  fieldBias,
  fieldC,
  fieldCStride,
  fieldEventCount,
  fieldEvents,
  fieldFlags,
  fieldFolds,
  fieldFoldStride,
  fieldK,
  fieldM,
  fieldN,
  fieldPanels,
  fieldRowChecksum,
  fieldScratch,
  fieldSteps,
  fieldThreads,
  eventBytes,
  stripColumns,
} from '../../assembly/fields.ts'
import { strikeChecksum } from '../problem/checksum-faults.ts'
import type { Conv2dProblem } from '../problem/conv2d.ts'
import { assertFaults, type FaultContext } from '../problem/faults.ts'
import type { MatmulProblem } from '../problem/matmul.ts'
import { planNextChecksum } from '../problem/next-checksum.ts'
import { encodeEvents, strikeWeights } from './events.ts'
import { rowsPerBlock, type Kernels } from './kernels.ts'
import { bytesAt, floatsAt, rawBytes, wordsAt, type Staging } from './staging.ts'
import { createSums } from './sums.ts'
import { foldWeights, type PackedWeights, type Reserve } from './weights.ts'

export interface Engine {
  readonly kernels: Kernels
  readonly staging: Staging
  /** The threads' scratch. */
  readonly scratch: number
}

/** Where A comes from. */
export interface Operand {
  /** One of the kernels' kinds of A. */
  readonly kind: number
  /** Bytes from row to row. */
  readonly stride: number
  /** Bytes that bringing a row into wasm memory takes; 0 when all are there. */
  readonly rowBytes: number
  /** Brings rows [from, to) of product `item` into wasm memory; returns the address that row 0 would have. */
  rows(item: number, from: number, to: number): number
  /** Further words of the descriptor. */
  readonly fields?: readonly (readonly [field: number, value: number])[]
}

/** Where C goes. */
export interface Target {
  readonly stride: number
  /** Bytes that a row takes until it is copied out; 0 when it is computed in place. */
  readonly rowBytes: number
  /** Room for rows [from, to) of product `item`; returns the address that row 0 would have. */
  rows(item: number, from: number, to: number): number
  /** Takes finished rows. */
  done(item: number, from: number, to: number): void
}

export interface ProductRequest {
  readonly problem: MatmulProblem | Conv2dProblem
  readonly weights: PackedWeights
  /** Memory for folds that live as long as the weights. */
  readonly reserve: Reserve
  readonly operand: Operand
  readonly target: Target
  readonly output: Tensor
  readonly faults: readonly Fault[]
  readonly context: FaultContext
}

export function multiply(engine: Engine, request: ProductRequest): Product {
  const { kernels, staging } = engine
  const { problem, weights, faults, context } = request
  const { emit, count, m } = problem
  if (faults.length > 0 && !kernels.instrumented)
    throw new FtError(
      'UNSUPPORTED',
      `${context.where}: \`options.faults\` need an engine created with { instrumented: true }`,
    )
  assertFaults(faults, context)
  const next = emit.nextChecksum === undefined ? undefined : planNextChecksum(problem, emit.nextChecksum)
  if (emit.tileSums !== undefined) weights.folds ??= foldWeights(kernels, weights, request.reserve)

  const perBlock = rowsPerBlock(weights.arithmetic, m)
  const blocks = Math.ceil(m / perBlock)
  const { n, k } = problem
  const sums = createSums({ kernels, staging, weights, emit, next, blocks, count, m, n, k })
  const restore = strikeWeights(kernels, weights, faults)
  try {
    for (let item = 0; item < count; item++) {
      const descriptor = describe(engine, request, { item, flags: sums.flags })
      sums.begin(descriptor)
      multiplyItem(engine, request, { item, descriptor, perBlock, blocks })
      sums.collect(item)
    }
  } finally {
    restore()
  }
  const product = { output: request.output, ...sums.result() }
  for (const { site, effect } of faults)
    if (site.kind === 'checksum') strikeChecksum(product, { site, effect, context })
  return product
}

/** Writes the descriptor of one product and returns its address. */
function describe(engine: Engine, request: ProductRequest, o: { item: number; flags: number }): number {
  const { kernels, staging, scratch } = engine
  const { problem, weights, operand, target, faults, context } = request
  const weightItem = weights.count === 1 ? 0 : o.item
  const events = encodeEvents(faults, context, o.item)
  const eventsAddress = staging.reserve('events', events.length)
  bytesAt(kernels.runtime, eventsAddress, events.length).set(events)
  const bias = stageBias(engine, request, o.item)
  const activation = problem.activation === 'relu' ? applyRelu : problem.activation === 'gelu' ? applyGelu : 0

  const address = staging.reserve('descriptor', descriptorBytes)
  const words = wordsAt(kernels.runtime, address, descriptorBytes / 4)
  const set = (field: number, value: number): void => {
    words[field / 4] = value
  }
  set(fieldFlags, o.flags | activation | (bias === 0 ? 0 : addBias))
  set(fieldScratch, scratch)
  set(fieldThreads, kernels.threadCounter)
  set(fieldAKind, operand.kind)
  set(fieldAStride, operand.stride)
  set(fieldK, Math.max(1, problem.k))
  set(fieldSteps, weights.steps)
  set(fieldN, problem.n)
  set(fieldM, problem.m)
  set(fieldB, weights.panelsAddress + weightItem * weights.itemBytes)
  set(fieldPanels, weights.panels)
  set(fieldCStride, target.stride)
  set(fieldRowChecksum, weights.checksumAddress + weightItem * weights.checksumBytes)
  if (weights.folds !== undefined) {
    set(fieldFolds, weights.folds.address + weightItem * weights.folds.itemBytes)
    set(fieldFoldStride, weights.folds.stride)
  }
  set(fieldBias, bias)
  set(fieldEvents, eventsAddress)
  set(fieldEventCount, events.length / eventBytes)
  for (const [field, value] of operand.fields ?? []) set(field, value)
  return address
}

/** The bias of product `item`: a convolution's groups have their own part. 0 when there is none. */
function stageBias({ kernels, staging }: Engine, { problem, weights }: ProductRequest, item: number): number {
  const { bias, n } = problem
  if (bias === undefined) return 0
  const room = weights.panels * weights.arithmetic.tileColumns
  const address = staging.reserve('bias', room * 4)
  const own = problem.kind === 'conv2d' ? bias.data.subarray(item * n, (item + 1) * n) : bias.data
  if (problem.integer) wordsAt(kernels.runtime, address, n).set(own)
  else floatsAt(kernels.runtime, address, n).set(own)
  return address
}

/** Bytes of A and C that are staged at a time: with one thread so few that they stay in cache. */
const stagedBytes = { one: 1 << 20, several: 1 << 26 }
/** Multiply-adds below which waking threads costs more than they bring: about twice the time of a fork. */
const worthForking = 1 << 20

interface Item {
  readonly item: number
  readonly descriptor: number
  readonly perBlock: number
  readonly blocks: number
}

function multiplyItem(engine: Engine, request: ProductRequest, { item, descriptor, perBlock, blocks }: Item): void {
  const { runtime, module } = engine.kernels
  const { problem, weights, operand, target } = request
  const { m, n, k } = problem
  const threads = m * n * k < worthForking ? 1 : runtime.threads
  const rowBytes = operand.rowBytes + target.rowBytes
  const budget = threads === 1 ? stagedBytes.one : stagedBytes.several
  const blocksAtOnce = rowBytes === 0 ? blocks : Math.max(1, Math.floor(budget / (rowBytes * perBlock)))
  for (let block = 0; block < blocks; block += blocksAtOnce) {
    const last = Math.min(blocks, block + blocksAtOnce)
    const from = block * perBlock
    const to = Math.min(m, last * perBlock)
    const [a, c] = [operand.rows(item, from, to), target.rows(item, from, to)]
    const words = wordsAt(runtime, descriptor, descriptorBytes / 4)
    words[fieldA / 4] = a
    words[fieldC / 4] = c
    const tasks: number[][] = []
    const chunks = panelChunks(weights, { threads, blocks: last - block })
    for (const [panel0, panel1] of chunks)
      for (let b = block; b < last; b++)
        tasks.push([descriptor, b, b * perBlock, Math.min(m, (b + 1) * perBlock), panel0, panel1])
    const fn = `multiply${weights.arithmetic.suffix}`
    if (threads === 1) for (const task of tasks) runtime.fork(module, fn, [task])
    else runtime.fork(module, fn, tasks)
    target.done(item, from, to)
  }
}

/** Cuts the panels so that there are a few tasks a thread, at strips of columns. */
function panelChunks(weights: PackedWeights, o: { threads: number; blocks: number }): [number, number][] {
  const { panels, arithmetic } = weights
  const strip = stripColumns / arithmetic.tileColumns
  const wanted = o.threads === 1 ? 1 : Math.ceil((4 * o.threads) / o.blocks)
  const strips = Math.ceil(panels / strip)
  const perChunk = Math.max(1, Math.ceil(strips / wanted)) * strip
  const chunks: [number, number][] = []
  for (let panel = 0; panel < panels; panel += perChunk) chunks.push([panel, Math.min(panels, panel + perChunk)])
  return chunks
}

/** C as a plain matrix a product: computed in wasm memory and copied, or computed where the output lies. */
export function matrixTarget(engine: Engine, o: { output: Tensor; m: number; n: number; address: number | undefined }): Target {
  const { output, m, n, address } = o
  const { kernels, staging } = engine
  const stride = n * 4
  if (address !== undefined)
    return { stride, rowBytes: 0, rows: (item) => address + item * m * stride, done: () => undefined }
  const destination = rawBytes(output.data)
  return {
    stride,
    rowBytes: stride,
    rows: (_item, from, to) => staging.reserve('C', (to - from) * stride) - from * stride,
    done(item, from, to) {
      const source = staging.reserve('C', (to - from) * stride)
      destination.set(bytesAt(kernels.runtime, source, (to - from) * stride), (item * m + from) * stride)
    },
  }
}

// One product of the wasm engine: what it is asked for, its descriptor in wasm memory, and its run: stage rows of A, let the threads
// multiply blocks of rows with panels of B, copy C out.
import type { Fault } from '@ft/core'
import {
  addBias,
  applyGelu,
  applyRelu,
  descriptorBytes,
  eventBytes,
  fieldA,
  fieldAKind,
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
  fieldRanges,
  fieldRowChecksum,
  fieldRowChecksumStride,
  fieldScratch,
  fieldSteps,
  fieldThreads,
  stripColumns,
} from '../../assembly/fields.ts'
import type { Conv2dProblem } from '../problem/conv2d.ts'
import type { FaultContext } from '../problem/faults.ts'
import type { MatmulProblem } from '../problem/matmul.ts'
import { encodeEvents } from './events.ts'
import type { Kernels } from './kernels.ts'
import type { Output } from './output.ts'
import type { Staging } from './staging.ts'
import type { SumsRequest } from './sums.ts'
import type { PackedWeights, Reserve } from './weights.ts'

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
  readonly where: FaultContext['where']
  readonly problem: MatmulProblem | Conv2dProblem
  readonly weights: PackedWeights
  /** Memory for folds that live as long as the weights. */
  readonly reserve: Reserve
  readonly operand: Operand
  readonly target: Target
  readonly output: Output
  readonly faults: readonly Fault[] | undefined
  /** What the product is to be judged by: see `Judging`. */
  readonly limits: Float64Array | undefined
}

/** A product's sums and blocks. */
export interface Wanted {
  readonly next: SumsRequest['next']
  readonly perBlock: number
  readonly blocks: number
  readonly flags: number
}

export function sumsRequest(
  { kernels, staging }: Engine,
  { problem, weights }: ProductRequest,
  o: Wanted,
): SumsRequest {
  return { kernels, staging, weights, sizes: problem, emit: problem.emit, next: o.next, blocks: o.blocks }
}

export const contextOf = (request: ProductRequest): FaultContext =>
  faultContext({ ...request, ownWeights: request.weights.count > 1 })

export function faultContext({
  where,
  problem,
  ownWeights,
}: Pick<ProductRequest, 'where' | 'problem'> & { ownWeights: boolean }): FaultContext {
  const { count, m, n, k, integer } = problem
  const operand = problem.kind === 'matmul' && integer ? (problem.a.dtype as 'int8' | 'uint8') : 'float32'
  const sums = integer ? 'int32' : 'float64'
  return { where, integer, ownWeights, operand, sums, count, m, n, k }
}

/** Writes the descriptor of one product and returns its address. */
export function describe(engine: Engine, request: ProductRequest, o: { item: number; flags: number }): number {
  const { kernels, staging, scratch } = engine
  const { problem, weights, operand, target } = request
  const weightItem = weights.count === 1 ? 0 : o.item
  const bias = stageBias(staging, request, o.item)
  const [events, eventCount] = stageEvents(staging, request, o.item)
  const activation = problem.activation === 'relu' ? applyRelu : problem.activation === 'gelu' ? applyGelu : 0

  const address = staging.reserve('descriptor', descriptorBytes)
  const words = staging.words
  const base = address >>> 2
  words[base + fieldFlags / 4] = o.flags | activation | (bias === 0 ? 0 : addBias)
  words[base + fieldScratch / 4] = scratch
  words[base + fieldThreads / 4] = kernels.threadCounter
  words[base + fieldAKind / 4] = operand.kind
  words[base + fieldAStride / 4] = operand.stride
  words[base + fieldK / 4] = Math.max(1, problem.k)
  words[base + fieldSteps / 4] = weights.steps
  words[base + fieldN / 4] = problem.n
  words[base + fieldM / 4] = problem.m
  words[base + fieldB / 4] = weights.panelsAddress + weightItem * weights.itemBytes
  words[base + fieldPanels / 4] = weights.panels
  words[base + fieldCStride / 4] = target.stride
  words[base + fieldRowChecksum / 4] =
    weights.checksumAddress + weightItem * weights.split.ranges * weights.checksumBytes
  words[base + fieldRowChecksumStride / 4] = weights.checksumBytes
  words[base + fieldRanges / 4] = weights.split.ranges
  if (weights.folds !== undefined) {
    words[base + fieldFolds / 4] = weights.folds.address + weightItem * weights.folds.itemBytes
    words[base + fieldFoldStride / 4] = weights.folds.stride
  }
  words[base + fieldBias / 4] = bias
  words[base + fieldEvents / 4] = events
  words[base + fieldEventCount / 4] = eventCount
  if (operand.fields !== undefined) for (const [field, value] of operand.fields) words[base + field / 4] = value
  return address
}

/** The bias of product `item`: a convolution's groups have their own part. 0 when there is none. */
function stageBias(staging: Staging, { problem, weights }: ProductRequest, item: number): number {
  const { bias, n } = problem
  if (bias === undefined) return 0
  const address = staging.reserve('bias', weights.panels * weights.arithmetic.tileColumns * 4)
  staging.write(address, problem.kind === 'conv2d' ? bias.data.subarray(item * n, (item + 1) * n) : bias.data)
  return address
}

function stageEvents(staging: Staging, request: ProductRequest, item: number): [address: number, count: number] {
  if (request.faults === undefined || request.faults.length === 0) return [0, 0]
  const events = encodeEvents(request.faults, contextOf(request), item)
  const address = staging.reserve('events', events.length)
  staging.write(address, events)
  return [address, events.length / eventBytes]
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

export function multiplyItem(
  engine: Engine,
  request: ProductRequest,
  { item, descriptor, perBlock, blocks }: Item,
): void {
  const { kernels, staging } = engine
  const { problem, weights, operand, target } = request
  const { m, n, k } = problem
  const threads = m * n * k < worthForking ? 1 : kernels.runtime.threads
  const fn = weights.arithmetic.integer ? 'multiplyIntegers' : 'multiplyFloats'
  const rowBytes = operand.rowBytes + target.rowBytes
  const budget = threads === 1 ? stagedBytes.one : stagedBytes.several
  const blocksAtOnce = rowBytes === 0 ? blocks : Math.max(1, Math.floor(budget / (rowBytes * perBlock)))
  for (let block = 0; block < blocks; block += blocksAtOnce) {
    const last = Math.min(blocks, block + blocksAtOnce)
    const from = block * perBlock
    const to = Math.min(m, last * perBlock)
    const a = operand.rows(item, from, to)
    const c = target.rows(item, from, to)
    const words = staging.words
    words[(descriptor + fieldA) >>> 2] = a
    words[(descriptor + fieldC) >>> 2] = c
    const tasks: number[][] = []
    const perChunk = panelsPerChunk(weights, { threads, blocks: last - block })
    for (let panel = 0; panel < weights.panels; panel += perChunk)
      for (let b = block; b < last; b++) {
        const [row0, row1] = [b * perBlock, Math.min(m, (b + 1) * perBlock)]
        tasks.push([descriptor, b, row0, row1, panel, Math.min(weights.panels, panel + perChunk)])
      }
    if (threads > 1) kernels.runtime.fork(kernels.module, fn, tasks)
    else for (const task of tasks) kernels.runtime.fork(kernels.module, fn, [task])
    target.done(item, from, to)
  }
}

/** Cuts the panels so that there are a few tasks a thread, at strips of columns. */
function panelsPerChunk(weights: PackedWeights, o: { threads: number; blocks: number }): number {
  if (o.threads === 1) return weights.panels
  const strip = stripColumns / weights.arithmetic.tileColumns
  const strips = Math.ceil(weights.panels / strip)
  return Math.ceil(strips / Math.ceil((4 * o.threads) / o.blocks)) * strip
}

/** C as a plain matrix a product: computed in wasm memory and copied, or computed where the output lies. */
export function matrixTarget(staging: Staging, o: { output: Output; m: number; n: number }): Target {
  const { output, m, n } = o
  const { address } = output
  const stride = n * 4
  if (address !== undefined)
    return { stride, rowBytes: 0, rows: (item) => address + item * m * stride, done: () => undefined }
  return {
    stride,
    rowBytes: stride,
    rows: (_item, from, to) => staging.reserve('C', (to - from) * stride) - from * stride,
    done(item, from, to) {
      const source = staging.reserve('C', (to - from) * stride)
      output.take(source, (item * m + from) * n, (to - from) * n)
    },
  }
}

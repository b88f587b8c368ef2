// Products that are judged as soon as they are done, by limits that come with them: see `Judging`. Of one that passes no sums leave.
import {
  aFloats,
  emitColumnActual,
  emitColumnOfA,
  emitExtrema,
  emitReplica,
  emitRowActual,
  emitRowExpected,
  emitScreen,
  emitStatistics,
  fieldA,
  fieldColumnActual,
  fieldFlags,
  fieldScreen,
  screenBytes,
  stripColumns,
} from '../../assembly/fields.ts'
import { assertLimits, limitsLength, type JudgedProduct } from '../problem/judging.ts'
import { describe, multiplyItem, sumsRequest, type Engine, type ProductRequest, type Wanted } from './product.ts'
import type { Staging } from './staging.ts'
import { layoutFor, placeSums, Sums } from './sums.ts'
import { hasExactReplica } from './weights.ts'

/** Judges a product that can be; undefined for others. */
export function multiplyJudged(engine: Engine, request: ProductRequest, wanted: Wanted): JudgedProduct | undefined {
  const { limits, problem, weights, operand } = request
  if (limits === undefined || problem.count !== 1 || problem.n === 0 || weights.arithmetic.integer) return undefined
  const { next, perBlock, blocks, flags } = wanted
  // Not spread: a copy of that kind costs microseconds
  const given = { next, perBlock, blocks, flags, limits }
  const replica = hasExactReplica(weights)
  if (wanted.flags === rowsToJudge || (wanted.flags === emitReplica && replica))
    return multiplyRows(engine, request, given)
  if (wanted.flags === columnsToJudge && replica && operand.kind === aFloats && problem.k > 0)
    return multiplyColumns(engine, request, given)
  return undefined
}

/** What is emitted where rows are judged. */
const rowsToJudge = emitRowActual | emitRowExpected | emitStatistics | emitExtrema

/** What is emitted where columns are judged. */
const columnsToJudge = emitColumnOfA | emitColumnActual | emitStatistics | emitExtrema

/** Most rows of a product whose C is summed in a pass of its own, since its kernel stays as it is without checks. */
const thinRows = 8

/** Whether `judgeThin` can judge a product's rows: outputs have to be those of the product. */
function isThin({ problem: { m, bias, activation } }: ProductRequest): boolean {
  return m <= thinRows && !bias && !activation
}

/** Rows, or an exact replica, judged as soon as the product is done; extrema of A's rows are for those who judge what does not pass. */
function multiplyRows(
  engine: Engine,
  request: ProductRequest,
  wanted: Wanted & { readonly limits: Float64Array },
): JudgedProduct {
  const { staging } = engine
  const { problem, weights } = request
  const { perBlock, blocks, next, limits } = wanted
  const rows = wanted.flags === rowsToJudge
  const flags = wanted.flags & ~emitExtrema
  const limitsAt = rows ? stageLimits(staging, request, limits) : 0
  const thin = rows && isThin(request)
  const descriptor = describe(engine, request, { item: 0, flags: thin ? flags & ~emitRowActual : flags })
  const layout = layoutFor({ weights, sizes: problem, next, blocks }, flags)
  const base = placeSums(staging, layout, { n: problem.n, descriptor })
  multiplyItem(engine, request, { item: 0, descriptor, perBlock, blocks })
  const { judgeRows, judgeThin, judgeTiles } = engine.kernels
  const stripsPerRange = weights.split.ranges === 1 ? layout.strips : weights.split.rangeColumns / stripColumns
  const largest = rows
    ? (thin ? judgeThin : judgeRows)(descriptor, limitsAt, layout.strips, stripsPerRange)
    : judgeTiles(descriptor, layout.grid[0] * layout.grid[1])
  if (largest >= 0) return { output: request.output.tensor(), passed: rows ? Math.sqrt(largest) : largest }

  if (rows) measureOperand(engine, request, { descriptor, perBlock, flags: emitExtrema })
  const sums = new Sums(sumsRequest(engine, request, wanted), flags, base)
  sums.collect(0)
  return sums.result(request.output.tensor())
}

/** Limits in wasm memory, written when they are others than those of the last product with these weights. */
function stageLimits(staging: Staging, { where, weights, reserve }: ProductRequest, limits: Float64Array): number {
  const known = weights.limits
  if (known?.given === limits) return known.address
  assertLimits(limits, limitsLength(weights.split), where)
  const address = known?.address ?? reserve('limits', limits.byteLength)
  staging.doubles.set(limits, address / 8)
  weights.limits = { given: limits, address }
  return address
}

/** What `flags` want to be known of A's rows, a block at a time. */
function measureOperand(
  { kernels, staging }: Engine,
  { problem: { m }, operand }: ProductRequest,
  { descriptor, perBlock, flags }: { readonly descriptor: number; readonly perBlock: number; readonly flags: number },
): void {
  for (let from = 0, block = 0; from < m; from += perBlock, block++) {
    const to = Math.min(m, from + perBlock)
    const a = operand.rows(0, from, to)
    const words = staging.words
    words[(descriptor + fieldA) >>> 2] = a
    words[(descriptor + fieldFlags) >>> 2] = flags
    kernels.measureOperand(descriptor, block, from, to)
  }
}

/**
 * A product of few columns that were judged, block by block of rows, from what packing A and finishing C tell. Where one does not
 * pass, what predicts its columns is summed from A again, and A's rows are measured.
 */
function multiplyColumns(
  engine: Engine,
  request: ProductRequest,
  { perBlock, blocks, next, limits }: Wanted & { readonly limits: Float64Array },
): JudgedProduct {
  const { kernels, staging } = engine
  const { weights, output } = request
  const limitsAt = stageLimits(staging, request, limits)
  const screen = staging.reserve('screen', blocks * screenBytes)
  const descriptor = describe(engine, request, { item: 0, flags: emitScreen })
  staging.words[(descriptor + fieldScreen) >>> 2] = screen
  multiplyItem(engine, request, { item: 0, descriptor, perBlock, blocks })
  const largest = kernels.judgeColumns(descriptor, limitsAt, blocks)
  if (largest >= 0) return { output: output.tensor(), passed: Math.sqrt(largest) }

  const sums = new Sums(sumsRequest(engine, request, { next, perBlock, blocks, flags: columnsToJudge }), columnsToJudge)
  sums.begin(descriptor)
  measureOperand(engine, request, { descriptor, perBlock, flags: columnsToJudge & ~emitColumnActual })
  const { doubles, words } = staging
  const actual = (words[(descriptor + fieldColumnActual) >>> 2] as number) / 8
  const columns = weights.panels * weights.arithmetic.tileColumns
  for (let block = 0; block < blocks; block++)
    for (let j = 0; j < weights.n; j++)
      doubles[actual + block * columns + j] = doubles[(screen + block * screenBytes + j * 32) / 8] as number
  sums.collect(0)
  return sums.result(output.tensor())
}

// Sums of rows of an embedding table, checked against stored sums of the rows (Li et al., "Low-precision DLRM", 2021).
import { applyEffect } from '@ft/core/faults'
import { assertTensor, FtError, invalidArgument, type Fault, type Tensor } from '@ft/core'
import { passes } from './checks.ts'
import { gamma } from './rounding.ts'
import { assertOnFault, faultDetected, type OnFault } from './settle.ts'
import { statusOf, type Detection, type Outcome, type Report } from './report.ts'

/** A table with the offline sums of its rows: a row that changes later no longer agrees with its sum. */
export interface ProtectedTable {
  readonly table: Tensor
  readonly rows: number
  readonly width: number
  /** Sum of each row, and of its absolute values, in float64. */
  readonly sums: Float64Array
  readonly absolute: Float64Array
}

export interface EmbeddingBagOptions {
  /** First position of each bag in `ids`, ascending from 0; default one bag of all ids. */
  readonly offsets?: Int32Array
  /** One factor an id; default 1. */
  readonly weights?: Float32Array
  readonly onFault?: OnFault
  /** Faults at ids as they are read (site 'index') and at outputs (site 'output', row = bag). */
  readonly faults?: readonly Fault[]
}

/**
 * Takes the sums of a table's rows.
 *
 * Shapes: table `[rows, width]`, float32. Cost: one pass, 16 bytes a row.
 *
 * @throws FtError `INVALID_ARGUMENT` for values that are not finite
 */
export function protectTable(table: Tensor): ProtectedTable {
  assertTensor(table, { where: 'protectTable', argument: 'table', dtype: 'float32', rank: 2 })
  const [rows = 0, width = 0] = table.shape
  const [sums, absolute] = [new Float64Array(rows), new Float64Array(rows)]
  for (let row = 0; row < rows; row++) {
    for (let j = row * width; j < (row + 1) * width; j++) {
      const value = table.data[j] as number
      if (!Number.isFinite(value))
        throw invalidArgument({ where: 'protectTable', argument: 'table' }, 'finite', `${value} in row ${row}`)
      sums[row] = (sums[row] as number) + value
      absolute[row] = (absolute[row] as number) + Math.abs(value)
    }
  }
  return { table, rows, width, sums, absolute }
}

/**
 * Adds up the rows of each bag and checks each bag's sum.
 *
 * Shapes: ids int32; output `[bags, width]`. Terms are added in float64 and rounded once, so that only storing rounds: the
 * threshold is a bound, u sum |c|, and no clean bag alarms. A bag whose table rows have changed since they were summed is
 * 'uncorrectable', one whose sums exceed float32 'input'; everything else is corrected by adding up again.
 *
 * @throws FtError `INVALID_ARGUMENT` for ids outside the table, `SHAPE_MISMATCH` for offsets or weights that do not fit
 */
export function embeddingBag(
  table: ProtectedTable,
  ids: Int32Array,
  options: EmbeddingBagOptions = {},
): { output: Tensor; report: Report } {
  const { offsets = Int32Array.of(0), weights, onFault = 'correct', faults = [] } = options
  assertOnFault(onFault, 'embeddingBag')
  checkIds(table, ids, { offsets, weights })
  const { width } = table
  const bags = offsets.length
  const output: Tensor = { data: new Float32Array(bags * width), shape: [bags, width], dtype: 'float32' }
  const read = struckIds(ids, faults)
  const detections: Detection[] = []
  let [largest, recomputed] = [0, 0]
  for (let bag = 0; bag < bags; bag++) {
    const range: Range = {
      from: offsets[bag] as number,
      to: bag + 1 < bags ? (offsets[bag + 1] as number) : ids.length,
    }
    const out = (output.data as Float32Array).subarray(bag * width, (bag + 1) * width)
    addUp(table, read, { ...range, weights, out })
    strikeOutputs(out, bag, faults)
    const { residual, threshold } = check(table, ids, { ...range, weights, out })
    largest = Math.max(largest, threshold)
    if (passes(residual, threshold)) continue
    recomputed += width
    const outcome = settleBag(table, ids, { ...range, weights, out, correct: onFault === 'correct' })
    detections.push({ item: 0, region: { kind: 'row', row: bag }, residual, threshold, outcome })
  }
  const report: Report = {
    status: statusOf(detections),
    scheme: 'row',
    checks: bags,
    threshold: { kind: 'hard', largest, falseAlarmProbability: 0, smallestDetectable: 2 * largest },
    detections,
    recomputed,
  }
  if (onFault === 'throw' && report.status !== 'clean') throw faultDetected('embeddingBag', report)
  return { output, report }
}

interface Range {
  readonly from: number
  readonly to: number
}

interface Bag extends Range {
  readonly weights: Float32Array | undefined
  readonly out: Float32Array
}

/** An id outside the table reads nothing, as a struck id may be. */
function addUp({ table, rows, width }: ProtectedTable, ids: Int32Array, { from, to, weights, out }: Bag): void {
  const sums = new Float64Array(width)
  for (let position = from; position < to; position++) {
    const id = ids[position] as number
    if (id < 0 || id >= rows) continue
    const factor = weights?.[position] ?? 1
    for (let j = 0; j < width; j++) sums[j] = (sums[j] as number) + factor * (table.data[id * width + j] as number)
  }
  out.set(sums)
}

function check(
  { sums, absolute, width }: ProtectedTable,
  ids: Int32Array,
  { from, to, weights, out }: Bag,
): { residual: number; threshold: number } {
  let [expected, terms, actual, size] = [0, 0, 0, 0]
  for (let position = from; position < to; position++) {
    const id = ids[position] as number
    const factor = weights?.[position] ?? 1
    expected += factor * (sums[id] as number)
    terms += Math.abs(factor) * (absolute[id] as number)
  }
  for (const value of out) {
    actual += value
    size += Math.abs(value)
  }
  // Each output was rounded once, to within u of itself (or half the smallest number); the sums are float64.
  const u = 2 ** -24
  const threshold = u * size * (1 + u) + width * 2 ** -150 + gamma(to - from + width + 2, 2 ** -53) * (terms + size)
  return { residual: Math.abs(actual - expected), threshold }
}

function settleBag(table: ProtectedTable, ids: Int32Array, o: Bag & { correct: boolean }): Outcome {
  const again = new Float32Array(o.out.length)
  addUp(table, ids, { ...o, out: again })
  const { residual, threshold } = check(table, ids, { ...o, out: again })
  // The rows themselves no longer have the sums that they had, or what they add up to is too large for the output.
  if (!passes(residual, threshold)) return rowsIntact(table, ids, o) ? 'input' : 'uncorrectable'
  if (again.every((value, j) => Object.is(value, o.out[j]))) return 'check-fault'
  if (!o.correct) return 'reported'
  o.out.set(again)
  return 'corrected'
}

/** Whether the rows of a bag add up to what they did, to the last bit. */
function rowsIntact({ table, sums, width }: ProtectedTable, ids: Int32Array, { from, to }: Range): boolean {
  for (let position = from; position < to; position++) {
    const id = ids[position] as number
    let sum = 0
    for (let j = id * width; j < (id + 1) * width; j++) sum += table.data[j] as number
    if (sum !== sums[id]) return false
  }
  return true
}

function struckIds(ids: Int32Array, faults: readonly Fault[]): Int32Array {
  const struck = ids.slice()
  for (const { site, effect } of faults) {
    if (site.kind === 'output') continue
    if (site.kind !== 'index' || site.position >= ids.length)
      throw new FtError(
        'INVALID_ARGUMENT',
        `embeddingBag: no fault at site '${site.kind}' here, or beyond ${ids.length} ids`,
      )
    struck[site.position] = applyEffect(effect, { value: struck[site.position] as number, dtype: 'int32' })
  }
  return struck
}

function strikeOutputs(out: Float32Array, bag: number, faults: readonly Fault[]): void {
  for (const { site, effect } of faults)
    if (site.kind === 'output' && site.row === bag)
      out[site.column] = applyEffect(effect, { value: out[site.column] as number, dtype: 'float32' })
}

function checkIds(
  { rows }: ProtectedTable,
  ids: Int32Array,
  { offsets, weights }: { offsets: Int32Array; weights: Float32Array | undefined },
): void {
  const at = (argument: string) => ({ where: 'embeddingBag', argument })
  const ascending = offsets.every(
    (offset, i) => offset >= (i === 0 ? 0 : (offsets[i - 1] as number)) && offset <= ids.length,
  )
  if (offsets[0] !== 0 || !ascending)
    throw invalidArgument(at('options.offsets'), 'ascending from 0, within the ids', offsets)
  if (weights && weights.length !== ids.length)
    throw new FtError('SHAPE_MISMATCH', `embeddingBag: ${ids.length} ids need as many weights, got ${weights.length}`)
  if (weights && !weights.every(Number.isFinite))
    throw invalidArgument(at('options.weights'), 'finite', 'NaN or infinity')
  const outside = ids.findIndex((id) => id < 0 || id >= rows)
  if (outside >= 0) throw invalidArgument(at('ids'), `below ${rows}`, `${ids[outside]} at ${outside}`)
}

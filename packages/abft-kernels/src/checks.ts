// The checks: both sides of each scheme's sums against their thresholds.
import { applyEffect } from '@ft/core/faults'
import type { CheckSums, Emit, FaultEffect, Product, ProtectionScheme, TileSums } from '@ft/core'
import { rowFigures, type RowFigures } from './thresholds/rows.ts'
import {
  hardRow,
  kappaFor,
  noiseOf,
  noisePerUnit,
  rowScale,
  type Noise,
  type ThresholdKind,
  type ThresholdPolicy,
} from './thresholds/policy.ts'
import type { Calibration } from './calibrate.ts'
import { gamma, type Rounding } from './rounding.ts'
import type { Region } from './report.ts'
import type { WeightNorms } from './weights.ts'

/** What a scheme needs from the engine besides the product. */
export function emitFor(scheme: ProtectionScheme): Emit {
  const rowStatistics = true
  switch (scheme) {
    case 'none':
      return {}
    case 'global':
      return { total: true, rowStatistics }
    case 'row':
      return { rowSums: true, rowStatistics }
    case 'column':
      return { columnSums: true, rowStatistics }
    case 'row-column':
      return { rowSums: true, columnSums: true, rowStatistics }
    case 'thread-one-sided':
      return { tileSums: 'one-sided', rowStatistics }
    case 'thread-two-sided':
      return { tileSums: 'two-sided', rowStatistics }
    case 'replication':
      return { replica: true, rowStatistics }
  }
}

/** One product's sizes, and what is known of its operands. */
export interface Judged {
  readonly product: Product
  readonly scheme: ProtectionScheme
  /** Products in the batch, or groups of a convolution. */
  readonly items: number
  readonly m: number
  readonly n: number
  readonly k: number
  readonly norms: readonly WeightNorms[]
  /** 'exact' for integers: thresholds are 0. */
  readonly rounding: Rounding | 'exact'
  readonly calibration: Calibration | undefined
  /** Wanted chance of a first-stage alarm of a clean product. */
  readonly falseAlarmProbability: number
  /** Squares of the norms of C's rows, where the stored output is C itself (no bias, no activation). */
  readonly rowSquares?: Float64Array | undefined
  /** Instead of the rows' statistics, for the global check of one-column products. */
  readonly itemFigures?: ItemFigures | undefined
  /** The global check's prediction, one an item: activation checksum times weight checksum. */
  readonly expectedTotal?: Float64Array | Int32Array | undefined
  /** What happens to the first threshold, in campaigns. */
  readonly thresholdFault?: FaultEffect | undefined
}

/** Of each product's A as a whole: bounds of what its rows' statistics would add up to. */
export interface ItemFigures {
  /** At least the sum over rows of their mean squares. */
  readonly squares: Float64Array
  readonly largest: Float64Array
}

export interface Alarm {
  readonly item: number
  readonly region: Region
  readonly residual: number
  readonly threshold: number
}

export interface Judgement {
  readonly alarms: readonly Alarm[]
  readonly checks: number
  readonly policy: ThresholdPolicy
  readonly largest: number
  /** Smallest change of one output that is surely found. */
  readonly smallest: number
}

/** Compares every check. A residual that is not a number fails: the comparison is `!(d <= T)`. */
export function judge(input: Judged): Judgement {
  const { scheme, product } = input
  if (scheme === 'none')
    return {
      alarms: [],
      checks: 0,
      policy: { kind: 'hard', kappa: 0, falseAlarmProbability: 0 },
      largest: 0,
      smallest: Infinity,
    }
  const thresholds = struck(thresholdsOf(input), input.thresholdFault)
  const found: { alarms: Alarm[]; checks: number; largest: number }[] = []
  if (product.rowSums) found.push(compare(product.rowSums, input.m, thresholds.row, (row) => ({ kind: 'row', row })))
  if (product.columnSums)
    found.push(compare(product.columnSums, input.n, thresholds.column, (column) => ({ kind: 'column', column })))
  if (product.total && input.expectedTotal) {
    found.push(
      compare({ actual: product.total, expected: input.expectedTotal }, 1, thresholds.total, () => ({
        kind: 'product',
      })),
    )
  }
  for (const tiles of [product.tileSums, product.replica]) if (tiles) found.push(compareTiles(tiles, input, thresholds))
  const alarms = found.flatMap((item) => item.alarms)
  const largest = Math.max(0, ...found.map((item) => item.largest))
  return {
    alarms: scheme === 'row-column' ? intersect(alarms) : alarms,
    checks: found.reduce((sum, item) => sum + item.checks, 0),
    policy: thresholds.policy,
    largest,
    smallest: smallestOf(input, largest),
  }
}

/** Integers differ by 1 at least; of sums that are equal when clean, whatever float64 holds of a change is seen. */
function smallestOf({ product: { replica }, rounding }: Judged, largest: number): number {
  if (rounding === 'exact') return 1
  if (replica?.exact !== true) return 2 * largest
  let size = 0
  for (const sum of replica.actual) size = Math.max(size, Math.abs(sum))
  return size * 2 ** -52
}

interface Thresholds {
  readonly policy: ThresholdPolicy
  row(item: number, row: number): number
  column(item: number, column: number): number
  total(item: number): number
  tile(item: number, rows: readonly [number, number], columns: readonly [number, number]): number
}

function checksOf({ scheme, items, m, n, product }: Judged): number {
  const tiles = product.tileSums ?? product.replica
  if (tiles) return tiles.actual.length
  return items * (scheme === 'global' ? 1 : scheme === 'row' ? m : scheme === 'column' ? n : m + n)
}

/** Thresholds of which the first that is asked for is wrong, as float32 holds it. */
function struck(thresholds: Thresholds, effect: FaultEffect | undefined): Thresholds {
  if (effect === undefined) return thresholds
  let done = false
  const once = (value: number): number => {
    if (done) return value
    done = true
    return applyEffect(effect, { value, dtype: 'float32' })
  }
  return {
    policy: thresholds.policy,
    row: (item, row) => once(thresholds.row(item, row)),
    column: (item, column) => once(thresholds.column(item, column)),
    total: (item) => once(thresholds.total(item)),
    tile: (item, rows, columns) => once(thresholds.tile(item, rows, columns)),
  }
}

const none = () => 0

const exactThresholds: Thresholds = {
  policy: { kind: 'exact', kappa: 0, falseAlarmProbability: 0 },
  row: none,
  column: none,
  total: none,
  tile: none,
}

/** The thresholds of every kind of check of a product. */
export function thresholdsOf(input: Judged): Thresholds {
  const { product, k, n, m, norms, rounding, calibration } = input
  if (rounding === 'exact' || product.replica?.exact === true) return exactThresholds
  const figures = rowFigures(
    product.rowStatistics ?? { sum: new Float64Array(), min: new Float64Array(), max: new Float64Array() },
    k,
  )
  const noise = rounding.wide ? undefined : noisePerUnit(calibration, k)
  const kind: ThresholdKind = rounding.wide ? 'storage' : noise === undefined ? 'hard' : 'v-abft'
  const kappa = kind === 'hard' ? 0 : kappaFor(checksOf(input), input.falseAlarmProbability)
  const policy = { kind, kappa, falseAlarmProbability: kind === 'hard' ? 0 : input.falseAlarmProbability }
  // Storing rounds once, uniformly: standard deviation u |c| / sqrt(3). rowScale bounds |c_i|.
  const stored = rounding.stored / Math.sqrt(3)
  const unit: Noise = noise ?? { centred: stored, aligned: stored }
  const at = (item: number, row: number) => item * m + row
  const normsOf = (item: number) => norms[item % norms.length] as WeightNorms
  const slack = (item: number, row: number) => floor(figures, at(item, row), normsOf(item), k, n)
  const row = (item: number, i: number): number => {
    const index = at(item, i)
    if (kind === 'hard') return hardRow(figures.largest[index] as number, normsOf(item), rounding, k, n)
    // Only storing rounds, and what was stored is known: its norm is the noise's scale, with nothing to bound.
    const known = kind === 'storage' ? input.rowSquares?.[index] : undefined
    const deviation =
      known === undefined
        ? noiseOf(rowScale(figures.mean[index] as number, figures.variance[index] as number, normsOf(item)), unit)
        : stored * Math.sqrt(known)
    return kappa * deviation + slack(item, i)
  }
  const rowsTogether = (
    item: number,
    [first, last]: readonly [number, number],
    add: (sum: number, value: number) => number,
  ) => {
    let sum = 0
    for (let i = first; i < last; i++) sum = add(sum, row(item, i))
    return sum
  }
  // Independent rows add as squares; hard bounds add.
  const combine = (item: number, rows: readonly [number, number]) =>
    kind === 'hard'
      ? rowsTogether(item, rows, (sum, value) => sum + value)
      : Math.sqrt(rowsTogether(item, rows, (sum, value) => sum + value * value))
  const totalOf = ({ squares, largest }: ItemFigures, item: number): number => {
    const weights = normsOf(item)
    const [square, reach] = [squares[item] as number, largest[item] as number]
    const exact = m * gamma(k + n + 2 + m, 2 ** -53) * reach * weights.absolute
    if (kind === 'hard') return m * hardRow(reach, weights, rounding, k, n) + exact
    const scale = { centred: square * weights.squares, aligned: square * weights.columnSumSquares }
    return kappa * noiseOf(scale, unit) + exact
  }
  return {
    policy,
    row,
    // Predictions from column sums of A add up m more terms in float64.
    total: (item) =>
      input.itemFigures
        ? totalOf(input.itemFigures, item)
        : combine(item, [0, m]) +
          gamma(m, 2 ** -53) * absoluteTotal(figures, normsOf(item), [item * m, (item + 1) * m]),
    column: (item, j) => columnThreshold({ ...input, rounding, figures, kind, kappa, unit }, item, j),
    tile: (item, rows, columns) => {
      const share = (columns[1] - columns[0]) / n
      // A tile's columns may be the matrix's largest: their share of its norm is bounded by the tile's own columns.
      const part = columnShare(normsOf(item), columns, kind)
      return (
        combine(item, rows) * Math.max(kind === 'hard' ? share : Math.sqrt(share), part) +
        tilePrediction({ ...input, rounding }, figures, item, rows, columns)
      )
    },
  }
}

/** Upper bound of sum |a| |b| over a product. */
function absoluteTotal(figures: RowFigures, norms: WeightNorms, [first, last]: readonly [number, number]): number {
  let total = 0
  for (let i = first; i < last; i++) total += (figures.largest[i] as number) * norms.absolute
  return total
}

/** What the float64 sums of both sides may differ by, whatever the kernel does. */
function floor(figures: RowFigures, index: number, norms: WeightNorms, k: number, n: number): number {
  return gamma(k + n + 2, 2 ** -53) * (figures.largest[index] as number) * norms.absolute
}

function columnShare(norms: WeightNorms, [first, last]: readonly [number, number], kind: ThresholdKind): number {
  const values = kind === 'hard' ? norms.columnAbsolute : norms.columnSquares
  let part = 0
  for (let j = first; j < last; j++) part += values[j] ?? 0
  // Weights of nothing but zeros have no share to give, and every threshold is 0.
  const share = part / ((kind === 'hard' ? norms.absolute : norms.squares) || 1)
  return kind === 'hard' ? share : Math.sqrt(share)
}

/**
 * Tiles predict from operands folded in float32 and accumulate in float32: the prediction rounds too. Its error is bounded
 * like an output's, with the fold's additions before it.
 */
function tilePrediction(
  { k, norms, rounding, m }: Judged & { readonly rounding: Rounding },
  figures: RowFigures,
  item: number,
  [first, last]: readonly [number, number],
  [from, to]: readonly [number, number],
): number {
  if (rounding.wide) return 0
  const weights = norms[item % norms.length] as WeightNorms
  let columns = 0
  for (let j = from; j < to; j++) columns += weights.columnAbsolute[j] ?? 0
  let largest = 0
  for (let i = first; i < last; i++) largest += figures.largest[item * m + i] ?? 0
  return gamma(rounding.chain(k) + (to - from) + (last - first), rounding.accumulated) * largest * columns
}

interface ColumnInput extends Judged {
  readonly rounding: Rounding
  readonly figures: RowFigures
  readonly kind: ThresholdKind
  readonly kappa: number
  readonly unit: Noise
}

/** Column j by symmetry: the norm of C's column from the rows' figures and B's column. */
function columnThreshold(
  { figures, kind, kappa, unit, norms, rounding, k, m }: ColumnInput,
  item: number,
  j: number,
): number {
  const weights = norms[item % norms.length] as WeightNorms
  const [square = 0, sum = 0, absolute = 0] = [
    weights.columnSquares[j],
    weights.columnSums[j],
    weights.columnAbsolute[j],
  ]
  let [largest, centred, aligned] = [0, 0, 0]
  for (let i = item * m; i < (item + 1) * m; i++) {
    const mean = figures.mean[i] as number
    largest += figures.largest[i] as number
    centred += (mean * mean + (figures.variance[i] as number)) * square
    aligned += mean * mean * sum * sum
  }
  const exact = gamma(k + m + 2, 2 ** -53) * largest * absolute
  if (kind === 'hard')
    return (gamma(rounding.chain(k) + 1, rounding.accumulated) + rounding.stored) * largest * absolute + exact
  return kappa * noiseOf({ centred, aligned }, unit) + exact
}

function compare(
  { actual, expected }: CheckSums,
  perItem: number,
  threshold: (item: number, index: number) => number,
  region: (index: number) => Region,
): { alarms: Alarm[]; checks: number; largest: number } {
  const alarms: Alarm[] = []
  let largest = 0
  for (let at = 0; at < actual.length; at++) {
    const [item, index] = [Math.floor(at / perItem), at % perItem]
    const residual = Math.abs((actual[at] as number) - (expected[at] as number))
    const limit = threshold(item, index)
    largest = Math.max(largest, limit)
    if (!(residual <= limit)) alarms.push({ item, region: region(index), residual, threshold: limit })
  }
  return { alarms, checks: actual.length, largest }
}

function compareTiles(
  tiles: TileSums,
  { m, n }: Judged,
  thresholds: Thresholds,
): { alarms: Alarm[]; checks: number; largest: number } {
  const [down, across] = tiles.grid
  const bounds = (tile: number) => {
    const [r, c] = [Math.floor(tile / across), tile % across]
    const rows = [r * tiles.tileRows, Math.min(m, (r + 1) * tiles.tileRows)] as const
    const columns = [c * tiles.tileColumns, Math.min(n, (c + 1) * tiles.tileColumns)] as const
    return { rows, columns }
  }
  return compare(
    tiles,
    down * across,
    (item, tile) => {
      const { rows, columns } = bounds(tile)
      return thresholds.tile(item, rows, columns)
    },
    (tile) => ({ kind: 'tile', ...bounds(tile) }),
  )
}

/** A row and a column that alarm together name an element; what crosses nothing stays as it is. */
function intersect(alarms: readonly Alarm[]): Alarm[] {
  const rows = alarms.filter((alarm) => alarm.region.kind === 'row')
  const columns = alarms.filter((alarm) => alarm.region.kind === 'column')
  const crossed = rows.flatMap((row) =>
    columns.flatMap((column) => {
      if (row.item !== column.item || row.region.kind !== 'row' || column.region.kind !== 'column') return []
      return [{ ...row, region: { kind: 'element' as const, row: row.region.row, column: column.region.column } }]
    }),
  )
  const lone = (alarm: Alarm, others: readonly Alarm[]) => !others.some((other) => other.item === alarm.item)
  return [...crossed, ...rows.filter((row) => lone(row, columns)), ...columns.filter((column) => lone(column, rows))]
}

// The thresholds of every check of a product, as one vector a kind of check.
import type { FaultEffect, Product, ProtectionScheme, RowStatistics, TileSums } from '@ft/core'
import type { ColumnRanges } from '@ft/tensor-core'
import type { Calibration } from '../calibrate.ts'
import { gamma, type Rounding } from '../rounding.ts'
import type { WeightNorms } from '../weights.ts'
import {
  hardFactor,
  noiseOf,
  policyOf,
  type Noise,
  type Prediction,
  type ThresholdKind,
  type ThresholdPolicy,
} from './policy.ts'
import { clamped, largestOf, meanSquareOf, momentsOf, reachOf, reachOfRow } from './rows.ts'
import { scalesOf, type RangeScale } from './scales.ts'

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
  /** Squares of the norms of C's rows in each range, where the stored output is C itself (no bias, no activation). */
  readonly rowSquares?: ((split: ColumnRanges) => Float64Array) | undefined
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

/** How tiles lie: `grid` of them, down and across. */
export type TileGrid = Pick<TileSums, 'grid' | 'tileRows' | 'tileColumns' | 'exact'>

/** An array for so many limits, whatever it holds: all of them are written. */
export type Room = (length: number) => Float64Array

/** Limits of residuals, item by item, in the order of the sums that they judge. */
export interface Thresholds {
  readonly policy: ThresholdPolicy
  /** One a row of each item, in each range of columns. */
  rows(): Float64Array
  /** One a column of each item. */
  columns(): Float64Array
  /** One an item. */
  totals(): Float64Array
  /** One a tile of each item. */
  tiles(tiles: TileGrid): Float64Array
}

/**
 * The thresholds of a product. Vectors are made where they are asked for, in arrays that `room` gives.
 *
 * Cost: O(m) an item, and O(n) for columns, O(tiles) for tiles.
 */
export function thresholdsOf(input: Judged, room: Room = (length) => new Float64Array(length)): Thresholds {
  const { product, rounding } = input
  if (rounding === 'exact' || isExact(product)) return zeros(input, room)
  return new RoundingThresholds(input, rounding, room)
}

/** Methods, and the rule that they work by: behind a product that streamed its weights, whatever has to be fetched again is dear. */
class RoundingThresholds implements Rule, Thresholds {
  readonly policy: ThresholdPolicy
  readonly input: Judged
  readonly room: Room
  readonly rounding: Rounding
  readonly statistics: RowStatistics
  readonly kind: ThresholdKind
  readonly kappa: number
  readonly unit: Noise
  /** Limits of whole rows, once they are made. */
  #whole: Float64Array | undefined

  constructor(input: Judged, rounding: Rounding, room: Room) {
    const { product, items, k, m, calibration, falseAlarmProbability } = input
    const checks = checksOf(input)
    const { policy, unit } = policyOf({ rounding, calibration, k, checks, falseAlarmProbability })
    this.policy = policy
    this.input = input
    this.room = room
    this.rounding = rounding
    // Rows of no elements have no extrema: figures of none stand for them.
    this.statistics = k === 0 ? nothing(items * m) : (product.rowStatistics ?? nothing(0))
    this.kind = policy.kind
    this.kappa = policy.kappa
    this.unit = unit
  }

  rows(): Float64Array {
    return rowLimits(this, this.input.product.rowSums ?? this.#wholeRow(), 'kernel')
  }

  /** Limits of sums that somebody else predicts. */
  #wholeRows(): Float64Array {
    return (this.#whole ??= rowLimits(this, this.#wholeRow(), 'float64'))
  }

  #wholeRow(): ColumnRanges {
    return { ranges: 1, rangeColumns: this.input.n }
  }

  columns(): Float64Array {
    return perItem(this, this.input.n, (item, out) => columnLimits(this, item, out))
  }

  totals(): Float64Array {
    const { itemFigures } = this.input
    return perItem(this, 1, (item, out) => {
      out[0] = itemFigures ? totalOfItem(this, itemFigures, item) : totalOfRows(this, this.#wholeRows(), item)
    })
  }

  tiles(tiles: TileGrid): Float64Array {
    const { items, m } = this.input
    const count = tiles.grid[0] * tiles.grid[1]
    if (tiles.exact === true) return this.room(items * count).fill(0)
    const rows = this.#wholeRows()
    return perItem(this, count, (item, out) =>
      tileLimits(this, { tiles, item, rows: rows.subarray(item * m, (item + 1) * m) }, out),
    )
  }
}

/** Whether nothing rounds in a product's checks: an exact replica, and no other sums. */
export function isExact({ replica, rowSums, columnSums, total, tileSums }: Product): boolean {
  return replica?.exact === true && (rowSums ?? columnSums ?? total ?? tileSums) === undefined
}

/** Everything that limits are made of. */
interface Rule {
  /** Held, not spread: a copy of so many fields a product would be dear where the product is small. */
  readonly input: Judged
  readonly room: Room
  readonly rounding: Rounding
  readonly statistics: RowStatistics
  readonly kind: ThresholdKind
  readonly kappa: number
  readonly unit: Noise
}

function nothing(rows: number): RowStatistics {
  return { sum: new Float64Array(rows), min: new Float64Array(rows), max: new Float64Array(rows) }
}

function zeros({ items, m, n, product }: Judged, room: Room): Thresholds {
  const none = (length: number) => room(length).fill(0)
  return {
    policy: { kind: 'exact', kappa: 0, falseAlarmProbability: 0 },
    rows: () => none(items * m * (product.rowSums?.ranges ?? 1)),
    columns: () => none(items * n),
    totals: () => none(items),
    tiles: ({ grid }) => none(items * grid[0] * grid[1]),
  }
}

function checksOf({ scheme, items, m, n, product }: Judged): number {
  const tiles = product.tileSums ?? product.replica
  if (tiles) return tiles.actual.length
  const rows = product.rowSums?.actual.length ?? items * m
  return scheme === 'global' ? items : scheme === 'row' ? rows : scheme === 'column' ? items * n : rows + items * n
}

function perItem(
  { input: { items }, room }: Rule,
  length: number,
  fill: (item: number, out: Float64Array) => void,
): Float64Array {
  const all = room(items * length)
  for (let item = 0; item < items; item++) fill(item, all.subarray(item * length, (item + 1) * length))
  return all
}

function normsOf({ norms }: Judged, item: number): WeightNorms {
  return norms[item % norms.length] as WeightNorms
}

/** kappa standard deviations of a row's rounding (`rowScale`, `noiseOf`) and what the float64 sums of both sides may differ by. */
function rowLimits(rule: Rule, split: ColumnRanges, prediction: Prediction): Float64Array {
  const { input, kind, rounding, unit } = rule
  const { items, m, k, n, rowSquares } = input
  const limits = rule.room(split.ranges * items * m)
  const outputs = kind === 'storage' ? rowSquares?.(split) : undefined
  for (let item = 0; item < items; item++) {
    const scales = scalesOf(normsOf(input, item), { k, n, split, rounding, unit, prediction })
    if (kind === 'hard') hardLimits(rule, limits, { scales, item })
    else if (outputs !== undefined) storedLimits(rule, limits, { scales, item, outputs })
    else noisyLimits(rule, limits, { scales, item })
  }
  return limits
}

interface ItemScales {
  readonly scales: readonly RangeScale[]
  readonly item: number
}

function hardLimits({ input, statistics }: Rule, limits: Float64Array, o: ItemScales): void {
  const { items, m } = input
  o.scales.forEach(({ hard, reach }, range) => {
    let to = (range * items + o.item) * m
    for (let i = o.item * m; i < (o.item + 1) * m; i++) limits[to++] = hard * reachAt(statistics, i, reach)
  })
}

function reachAt({ min, max, squares }: RowStatistics, i: number, reach: RangeScale['reach']): number {
  const square = squares === undefined ? NaN : (squares[i] as number)
  return reachOfRow(largestOf(min[i] as number, max[i] as number), square, reach)
}

/** Only storing rounds, and what was stored is known: its norm is the noise's scale, with nothing to bound. */
function storedLimits(
  { input, rounding, kappa, statistics }: Rule,
  limits: Float64Array,
  { scales, item, outputs }: ItemScales & { readonly outputs: Float64Array },
): void {
  const { items, m } = input
  const deviation = kappa * rounding.storing.centred
  scales.forEach(({ slack, reach }, range) => {
    let to = (range * items + item) * m
    for (let i = item * m; i < (item + 1) * m; i++, to++)
      limits[to] = deviation * Math.sqrt(outputs[to] as number) + slack * reachAt(statistics, i, reach)
  })
}

/** The loop is plain, with one counter, and divides outside: a network's layer may have ten thousand rows. */
function noisyLimits({ input, kappa, statistics }: Rule, limits: Float64Array, { scales, item }: ItemScales): void {
  const { items, m, k } = input
  const { sum, min, max, squares } = statistics
  const [first, end, share] = [item * m, (item + 1) * m, 1 / (k || 1)]
  for (let range = 0; range < scales.length; range++) {
    const { centred, aligned, slack, reach } = scales[range] as RangeScale
    const shift = range * items * m
    for (let i = first; i < end; i++) {
      const low = min[i] as number
      const high = max[i] as number
      const mean = clamped((sum[i] as number) * share, low, high)
      const square = squares === undefined ? NaN : (squares[i] as number)
      const noise = centred * meanSquareOf(square * share, mean, low, high) + aligned * mean * mean
      limits[i + shift] = kappa * Math.sqrt(noise) + slack * reachOfRow(largestOf(low, high), square, reach)
    }
  }
}

/** Limits of rows first..last together: independent rows add as squares, hard bounds add. */
function together(kind: ThresholdKind, rows: Float64Array, first: number, last: number): number {
  let sum = 0
  if (kind === 'hard') for (let i = first; i < last; i++) sum += rows[i] as number
  else for (let i = first; i < last; i++) sum += (rows[i] as number) * (rows[i] as number)
  return kind === 'hard' ? sum : Math.sqrt(sum)
}

/** Predictions from column sums of A add up m more terms in float64. */
function totalOfRows(rule: Rule, rows: Float64Array, item: number): number {
  const { input, kind, statistics } = rule
  const { m } = input
  const [first, last] = [item * m, (item + 1) * m]
  const reach = reachOf(statistics, first, last)
  return together(kind, rows, first, last) + gamma(m, 2 ** -53) * reach * normsOf(input, item).absolute
}

function totalOfItem(rule: Rule, { squares, largest }: ItemFigures, item: number): number {
  const { input, kind, kappa, unit, rounding } = rule
  const { m, n, k } = input
  const weights = normsOf(input, item)
  const [square, reach] = [squares[item] as number, largest[item] as number]
  const exact = m * gamma(k + n + 2 + m, 2 ** -53) * reach * weights.absolute
  if (kind === 'hard') return m * hardFactor(rounding, k, n, 'float64') * reach * weights.absolute + exact
  return (
    kappa * noiseOf({ centred: square * weights.squares, aligned: square * weights.columnSumSquares }, unit) + exact
  )
}

/** Column j by symmetry with rows: the norm of C's column from the rows' figures and B's column. */
function columnLimits(rule: Rule, item: number, out: Float64Array): void {
  const { input, statistics, kind, kappa, unit, rounding } = rule
  const { m, k } = input
  const weights = normsOf(input, item)
  const [first, last] = [item * m, (item + 1) * m]
  const reach = reachOf(statistics, first, last)
  const { means, squares } = momentsOf(statistics, k, [first, last])
  const exact = gamma(k + m + 2, 2 ** -53)
  const hard = gamma(rounding.chain(k) + 1, rounding.accumulated) + rounding.stored
  for (let j = 0; j < out.length; j++) {
    const bound = reach * (weights.columnAbsolute[j] ?? 0)
    const sum = weights.columnSums[j] ?? 0
    const scale = { centred: squares * (weights.columnSquares[j] ?? 0), aligned: means * sum * sum }
    out[j] = (kind === 'hard' ? hard * bound : kappa * noiseOf(scale, unit)) + exact * bound
  }
}

/**
 * A tile's rows together, times its columns' share of the matrix. Tiles predict from operands folded in float32 and accumulate in float32,
 * so that the prediction rounds too: its error is bounded like an output's, with the fold's additions before it.
 */
function tileLimits(
  { input, statistics, kind, rounding }: Rule,
  { tiles, item, rows }: { readonly tiles: TileGrid; readonly item: number; readonly rows: Float64Array },
  out: Float64Array,
): void {
  const { m, n, k } = input
  const { grid, tileRows, tileColumns } = tiles
  const [down, across] = grid
  const weights = normsOf(input, item)
  const shares = new Float64Array(across)
  const absolutes = new Float64Array(across)
  for (let c = 0; c < across; c++) {
    const [from, to] = [c * tileColumns, Math.min(n, (c + 1) * tileColumns)]
    const share = (to - from) / n
    // A tile's columns may be the matrix's largest: their share of its norm is bounded by the tile's own columns.
    shares[c] = Math.max(kind === 'hard' ? share : Math.sqrt(share), columnShare(weights, [from, to], kind))
    absolutes[c] = sumOf(weights.columnAbsolute, from, Math.min(to, weights.columnAbsolute.length))
  }
  for (let r = 0; r < down; r++) {
    const [first, last] = [r * tileRows, Math.min(m, (r + 1) * tileRows)]
    const size = together(kind, rows, first, last)
    const reach = rounding.wide ? 0 : reachOf(statistics, item * m + first, item * m + last)
    const chain = rounding.chain(k) + (last - first)
    for (let c = 0; c < across; c++) {
      const width = Math.min(n, (c + 1) * tileColumns) - c * tileColumns
      const predicted = rounding.wide
        ? 0
        : gamma(chain + width, rounding.accumulated) * reach * (absolutes[c] as number)
      out[r * across + c] = size * (shares[c] as number) + predicted
    }
  }
}

function columnShare(norms: WeightNorms, [first, last]: readonly [number, number], kind: ThresholdKind): number {
  const values = kind === 'hard' ? norms.columnAbsolute : norms.columnSquares
  const part = sumOf(values, first, Math.min(last, values.length))
  // Weights of nothing but zeros have no share to give, and every threshold is 0.
  const share = part / ((kind === 'hard' ? norms.absolute : norms.squares) || 1)
  return kind === 'hard' ? share : Math.sqrt(share)
}

function sumOf(values: Float64Array, first: number, last: number): number {
  let sum = 0
  for (let i = first; i < last; i++) sum += values[i] as number
  return sum
}

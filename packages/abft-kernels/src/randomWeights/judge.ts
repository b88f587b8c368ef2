// The checks of random weights: passes over A, B and the stored C, judged like sums with ones of diag(v) C diag(w).
import type { FaultEffect, Product, ProtectionScheme, RowStatistics, Tensor } from '@ft/core'
import type { ColumnRanges } from '@ft/tensor-core'
import type { Calibration } from '../calibrate.ts'
import { intersect, judge, type Judgement } from '../checks.ts'
import type { Rounding } from '../rounding.ts'
import type { Judged } from '../thresholds/thresholdsOf.ts'
import type { WeightNorms } from '../weights.ts'
import type { RandomChecksums } from './checksums.ts'
import { acrossRows, alongRows, timesVectors, type Rows } from './passes.ts'

/** Rows of the operands and of the product, by batch item or group. */
export interface ProductRows {
  readonly a: (item: number) => Rows
  readonly b: (item: number) => Rows
  readonly c: (item: number) => Rows
}

export interface RandomlyJudged {
  readonly scheme: ProtectionScheme
  readonly checksums: RandomChecksums
  readonly rows: ProductRows
  readonly items: number
  readonly m: number
  readonly n: number
  readonly k: number
  /** Norms of B itself. */
  readonly norms: readonly WeightNorms[]
  readonly output: Tensor
  readonly statistics: RowStatistics | undefined
  readonly rounding: Rounding
  readonly calibration: Calibration | undefined
  readonly falseAlarmProbability: number
  readonly thresholdFault: FaultEffect | undefined
}

/**
 * Compares every check, v over the rows and w over the columns of C:
 *
 * row: C w with A (B w); column: v^T C with (v^T A) B; global: v^T C w with (v^T A)(B w).
 */
export function judgeRandomly(input: RandomlyJudged): Judgement {
  const { scheme, falseAlarmProbability } = input
  if (scheme === 'global') return judgeTotals(input)
  if (scheme === 'row') return judgeRows(input)
  if (scheme === 'column') return judgeColumns(input)
  // Both, each with half of the chance of an alarm.
  const half = { ...input, falseAlarmProbability: falseAlarmProbability / 2 }
  const rows = judgeRows(half)
  const columns = judgeColumns({ ...half, thresholdFault: undefined })
  return {
    alarms: intersect([...rows.alarms, ...columns.alarms]),
    checks: rows.checks + columns.checks,
    policy: { ...rows.policy, falseAlarmProbability: 2 * rows.policy.falseAlarmProbability },
    largest: Math.max(rows.largest, columns.largest),
    smallest: Math.max(rows.smallest, columns.smallest),
  }
}

function judgeRows(input: RandomlyJudged): Judgement {
  const { checksums, rows, items, m } = input
  const { vectors, split, sums } = checksums
  const { ranges, rangeColumns } = split
  const actual = new Float64Array(ranges * items * m)
  const expected = new Float64Array(ranges * items * m)
  for (let item = 0; item < items; item++) {
    const own = alongRows(rows.c(item), vectors.columns, split)
    const predicted = timesVectors(rows.a(item), sums[item % sums.length] as Float64Array, ranges)
    for (let range = 0; range < ranges; range++) {
      const [from, to] = [range * m, (range * items + item) * m]
      actual.set(own.subarray(from, from + m), to)
      expected.set(predicted.subarray(from, from + m), to)
    }
  }
  return judged(input, {
    product: { rowSums: { actual, expected, ranges, rangeColumns } },
    norms: checksums.norms,
    least: leastOf(vectors.columns),
    rowSquares: weightedSquares(input, undefined),
  })
}

function judgeColumns(input: RandomlyJudged): Judgement {
  const { checksums, rows, items, m, n } = input
  const weights = checksums.vectors.rows(m)
  const actual = new Float64Array(items * n)
  const expected = new Float64Array(items * n)
  for (let item = 0; item < items; item++) {
    actual.set(acrossRows(rows.c(item), weights), item * n)
    expected.set(acrossRows(rows.b(item), acrossRows(rows.a(item), weights)), item * n)
  }
  return judged(input, {
    product: { columnSums: { actual, expected } },
    norms: input.norms,
    rowWeights: weights,
    least: leastOf(weights),
  })
}

/** float64 rounds the products with v once more than sums with ones; the rounding of what is stored is bounded by more than that. */
function judgeTotals(input: RandomlyJudged): Judgement {
  const { checksums, rows, items, m, n } = input
  const { vectors } = checksums
  const weights = vectors.rows(m)
  const whole: ColumnRanges = { ranges: 1, rangeColumns: n }
  const total = new Float64Array(items)
  const expectedTotal = new Float64Array(items)
  for (let item = 0; item < items; item++) {
    total[item] = sumOf(alongRows(rows.c(item), vectors.columns, whole), weights)
    expectedTotal[item] = sumOf(acrossRows(rows.a(item), weights), totalOfRanges(checksums, { item, k: input.k }))
  }
  return judged(input, {
    product: { total },
    expectedTotal,
    norms: checksums.norms,
    rowWeights: weights,
    least: leastOf(vectors.columns) * leastOf(weights),
    rowSquares: weightedSquares(input, weights),
  })
}

/** B w over all columns. */
function totalOfRanges({ sums, split }: RandomChecksums, { item, k }: { item: number; k: number }): Float64Array {
  const own = sums[item % sums.length] as Float64Array
  if (split.ranges === 1) return own
  const ones = new Float64Array(split.ranges).fill(1)
  return acrossRows({ count: split.ranges, length: k, data: own, at: (range) => range * k }, ones)
}

function sumOf(values: Float64Array, weights: Float64Array): number {
  return acrossRows({ count: values.length, length: 1, data: values, at: (i) => i }, weights)[0] as number
}

/** An error counts for at least so much of itself. */
function leastOf(weights: Float64Array): number {
  let least = 1
  for (let i = 0; i < weights.length; i++) least = Math.min(least, Math.abs(weights[i] as number))
  return least
}

interface Sums {
  readonly product: Omit<Product, 'output'>
  readonly norms: readonly WeightNorms[]
  /** v, where rows of C are weighted. */
  readonly rowWeights?: Float64Array
  readonly least: number
  readonly expectedTotal?: Float64Array
  readonly rowSquares?: Judged['rowSquares']
}

function judged(input: RandomlyJudged, sums: Sums): Judgement {
  const { items, m, n, k, output, statistics, rounding, calibration, falseAlarmProbability, thresholdFault } = input
  const { product, norms, rowWeights, least, expectedTotal, rowSquares } = sums
  const scheme = product.rowSums ? 'row' : product.columnSums ? 'column' : 'global'
  const rowStatistics = statistics && rowWeights ? weighted(statistics, rowWeights) : statistics
  const judgement = judge({
    product: { ...product, output, ...(rowStatistics && { rowStatistics }) },
    ...{ scheme, items, m, n, k, norms, rounding, calibration, falseAlarmProbability, thresholdFault, expectedTotal },
    rowSquares: rounding.wide ? rowSquares : undefined,
  })
  return { ...judgement, smallest: judgement.smallest / least }
}

/** What is known of the rows of diag(v) A from what is known of those of A, item by item. */
function weighted({ sum, min, max, squares }: RowStatistics, weights: Float64Array): RowStatistics {
  const rows = sum.length
  const [sums, low, high] = [new Float64Array(rows), new Float64Array(rows), new Float64Array(rows)]
  const own = squares && new Float64Array(rows)
  for (let i = 0; i < rows; i++) {
    const weight = weights[i % weights.length] as number
    sums[i] = weight * (sum[i] as number)
    low[i] = weight * ((weight > 0 ? min[i] : max[i]) as number)
    high[i] = weight * ((weight > 0 ? max[i] : min[i]) as number)
    if (own) own[i] = weight * weight * (squares[i] as number)
  }
  return { sum: sums, min: low, max: high, ...(own && { squares: own }) }
}

/** Squares of the norms of the rows of diag(v) C diag(w) in each range of columns, for builds of which only storing rounds. */
function weightedSquares(
  { rows, items, m, n, checksums }: RandomlyJudged,
  rowWeights: Float64Array | undefined,
): NonNullable<Judged['rowSquares']> {
  const { columns } = checksums.vectors
  return ({ ranges, rangeColumns }) => {
    const squares = new Float64Array(ranges * items * m)
    for (let item = 0; item < items; item++) {
      const own = rows.c(item)
      for (let row = 0; row < m; row++) {
        const at = own.at(row)
        for (let j = 0; j < n; j++) {
          const value = (rowWeights?.[row] ?? 1) * (columns[j] as number) * (own.data[at + j] as number)
          const to = (Math.floor(j / rangeColumns) * items + item) * m + row
          squares[to] = (squares[to] as number) + value * value
        }
      }
    }
    return squares
  }
}

// Weighted sums over the rows of a matrix, in float64 of exact products: the passes of checksums with random weights.
//
// Both ways of summing take four terms at a time, so that no number passes through more than chain(n) = ceil(n / 4) + 1
// additions, nor through more than n - 1. With that 2 chain(n) + chain(k) + 1 <= n + k + 1: what the sums over C and the sums
// predicted of them may differ by in float64 stays within the gamma_(n + k + 2) that thresholds have for it anyway.
import type { ColumnRanges } from '@ft/tensor-core'

/** Rows of a matrix, wherever they lie. */
export interface Rows {
  readonly count: number
  readonly length: number
  readonly data: ArrayLike<number>
  /** Where row `row` begins in `data`; what was got for the fourth row before may then be gone. */
  at(row: number): number
}

/** Elements of a row, and weights of them, each from a place on. */
interface Places {
  readonly from: number
  readonly weightsFrom: number
  readonly length: number
}

function dot(data: ArrayLike<number>, weights: Float64Array, { from, weightsFrom, length }: Places): number {
  let s0 = 0
  let s1 = 0
  let s2 = 0
  let s3 = 0
  let x = from
  let y = weightsFrom
  const whole = from + length - (length % 4)
  for (; x < whole; x += 4, y += 4) {
    s0 += (data[x] as number) * (weights[y] as number)
    s1 += (data[x + 1] as number) * (weights[y + 1] as number)
    s2 += (data[x + 2] as number) * (weights[y + 2] as number)
    s3 += (data[x + 3] as number) * (weights[y + 3] as number)
  }
  const rest = length % 4
  if (rest > 0) s0 += (data[x] as number) * (weights[y] as number)
  if (rest > 1) s1 += (data[x + 1] as number) * (weights[y + 1] as number)
  if (rest > 2) s2 += (data[x + 2] as number) * (weights[y + 2] as number)
  return s0 + s1 + (s2 + s3)
}

/**
 * X w, over one range of columns after the other: `[ranges * rows]`.
 *
 * Cost: a multiply-add an element.
 */
export function alongRows(rows: Rows, weights: Float64Array, { ranges, rangeColumns }: ColumnRanges): Float64Array {
  const { count, length, data } = rows
  const sums = new Float64Array(ranges * count)
  for (let row = 0; row < count; row++) {
    const at = rows.at(row)
    for (let range = 0; range < ranges; range++) {
      const first = range * rangeColumns
      const own = Math.min(length, first + rangeColumns) - first
      sums[range * count + row] = dot(data, weights, { from: at + first, weightsFrom: first, length: own })
    }
  }
  return sums
}

/**
 * X V, where V has several vectors of a row's length, one after the other: `[vectors * rows]`.
 *
 * Cost: a multiply-add an element and vector; every row is read once.
 */
export function timesVectors(rows: Rows, vectors: Float64Array, ranges: number): Float64Array {
  const { count, length, data } = rows
  const sums = new Float64Array(ranges * count)
  for (let row = 0; row < count; row++) {
    const at = rows.at(row)
    for (let range = 0; range < ranges; range++)
      sums[range * count + row] = dot(data, vectors, { from: at, weightsFrom: range * length, length })
  }
  return sums
}

/**
 * w^T X: `[columns]`.
 *
 * Cost: a multiply-add an element.
 */
export function acrossRows(rows: Rows, weights: Float64Array): Float64Array {
  const { count, length, data } = rows
  const sums = new Float64Array(length)
  let row = 0
  for (; row + 4 <= count; row += 4) {
    const [a, b, c, d] = [rows.at(row), rows.at(row + 1), rows.at(row + 2), rows.at(row + 3)]
    const [u, v] = [weights[row] as number, weights[row + 1] as number]
    const [w, z] = [weights[row + 2] as number, weights[row + 3] as number]
    for (let j = 0; j < length; j++) {
      const first = u * (data[a + j] as number) + v * (data[b + j] as number)
      const second = w * (data[c + j] as number) + z * (data[d + j] as number)
      sums[j] = (sums[j] as number) + (first + second)
    }
  }
  if (row < count) addRest(rows, weights, { row, sums })
  return sums
}

/** Up to three rows that are left, added to each other before they are to the sums. */
function addRest(rows: Rows, weights: Float64Array, { row, sums }: { row: number; sums: Float64Array }): void {
  const { count, length, data } = rows
  const terms = Array.from({ length: count - row }, (_, i) => ({
    from: rows.at(row + i),
    weight: weights[row + i] as number,
  }))
  for (let j = 0; j < length; j++) {
    let sum = 0
    for (const { from, weight } of terms) sum += weight * (data[from + j] as number)
    sums[j] = (sums[j] as number) + sum
  }
}

// What is known of each row of A when its product is judged: from sum, minimum, maximum and sum of squares, which the engine
// takes while it packs the row. All figures are bounds, or sums of float32 squares right to 66 x 2^-24 of themselves.
//
// Rows of no elements (k = 0) have no extrema, the engine says infinite ones: a product of length 0 is 0, and rounds nothing.
import type { RowStatistics } from '@ft/core'

/** Mean of a row, within its extrema though its sum rounds. */
export function clamped(mean: number, low: number, high: number): number {
  return mean < low ? low : mean > high ? high : mean
}

/** Upper bound of a row's variance: (max - mean)(mean - min), by Bhatia and Davis. */
export function varianceOf(mean: number, low: number, high: number): number {
  return (high - mean) * (mean - low)
}

/**
 * Mean of a row's squares: as the engine summed them, or from the bound of the variance where it did not (NaN: a number in any
 * case, since what may be undefined is an object a row to the compiler), and where float32 squares overflow or vanish.
 */
export function meanSquareOf(summed: number, mean: number, low: number, high: number): number {
  const bound = mean * mean + varianceOf(mean, low, high)
  return summed < bound && largestOf(low, high) > VANISHING ? summed : bound
}

/** Elements a million times smaller than this have float32 squares of 0, and count for nothing beside it. */
const VANISHING = 1e-13

/** Largest absolute value of a row; NaN where there is one. */
export function largestOf(low: number, high: number): number {
  return Math.max(-low, high)
}

/** Above this factor no float32 sum of squares is too small: 66 roundings, and those of elements that vanish. */
export const SQUARES_SLACK = 1 + 2 ** -16

/**
 * Bound of a row's sum_k |a_k| r_k, for r >= 0 of which sum and norm are known: by the row's largest element, and by its own
 * norm (Cauchy and Schwarz), where its squares did not vanish. The second is smaller where elements are of different size.
 */
export function reachOfRow(
  largest: number,
  squares: number,
  r: { readonly sum: number; readonly norm: number },
): number {
  const byLargest = largest * r.sum
  const byNorm = largest > VANISHING ? Math.sqrt(squares * SQUARES_SLACK) * r.norm : Infinity
  return byNorm < byLargest ? byNorm : byLargest
}

/** Sum over rows first..last of each one's largest absolute value. */
export function reachOf({ min, max }: RowStatistics, first: number, last: number): number {
  let reach = 0
  for (let i = first; i < last; i++) reach += largestOf(min[i] as number, max[i] as number)
  return reach
}

/** Sums over rows first..last of the squared mean, and of the mean square. */
export function momentsOf(
  { sum, min, max, squares: summed }: RowStatistics,
  k: number,
  [first, last]: readonly [number, number],
): { means: number; squares: number } {
  const share = 1 / (k || 1)
  let means = 0
  let squares = 0
  for (let i = first; i < last; i++) {
    const low = min[i] as number
    const high = max[i] as number
    const mean = clamped((sum[i] as number) * share, low, high)
    means += mean * mean
    squares += meanSquareOf(summed === undefined ? NaN : (summed[i] as number) * share, mean, low, high)
  }
  return { means, squares }
}

// Sample quantiles by linear interpolation between order statistics (Hyndman and Fan's type 7), from all the values:
// no histogram, no binning error.
import { assertNumber } from '../guards.ts'
import { checkSample } from './check.ts'

/**
 * One quantile; see `quantiles`.
 *
 * @example
 * ```ts
 * quantile([4, 1, 3, 2], 0.5) // => 2.5
 * ```
 */
export function quantile(values: ArrayLike<number>, p: number): number {
  return quantiles(values, [p])[0] as number
}

/**
 * Several quantiles of one sample, sorting it once. The sample is not changed.
 *
 * Cost: one sort of a copy.
 *
 * @param ps - probabilities in [0, 1]: 0 gives the smallest value, 1 the largest
 * @throws FtError `INVALID_ARGUMENT` for an empty sample, a value that is not finite or a probability outside [0, 1]
 */
export function quantiles(values: ArrayLike<number>, ps: readonly number[]): number[] {
  checkSample(values, { where: 'quantiles' })
  const sorted = Float64Array.from(values).sort()
  return ps.map((p) => {
    assertNumber(p, { where: 'quantiles', argument: 'p', min: 0, max: 1 })
    return quantileOfSorted(sorted, p)
  })
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: ArrayLike<number>): number {
  return quantile(values, 0.5)
}

/** The quantile of a sorted, non-empty sample. */
export function quantileOfSorted(sorted: Float64Array, p: number): number {
  const position = p * (sorted.length - 1)
  const index = Math.floor(position)
  const below = sorted[index] as number
  const above = sorted[Math.min(index + 1, sorted.length - 1)] as number
  return below + (position - index) * (above - below)
}

// Sums, means, variances and the interval of a mean.
import type { Interval } from '../types/common.ts'
import { checkConfidence, checkSample } from './check.ts'
import { studentQuantile } from './student.ts'

/** A compensated sum: error about one rounding, whatever the length (Neumaier 1974). */
export function sum(values: ArrayLike<number>): number {
  let total = 0
  let lost = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    const next = total + value
    lost += Math.abs(total) >= Math.abs(value) ? total - next + value : value - next + total
    total = next
  }
  return Number.isFinite(total) ? total + lost : total
}

/** @throws FtError `INVALID_ARGUMENT` for an empty sample or a value that is not finite */
export function mean(values: ArrayLike<number>): number {
  checkSample(values, { where: 'mean' })
  return sum(values) / values.length
}

/** The sample variance, with divisor n - 1; needs two values. Two passes, so that a large mean costs no digits. */
export function variance(values: ArrayLike<number>): number {
  checkSample(values, { where: 'variance', min: 2 })
  const centre = sum(values) / values.length
  let squares = 0
  let rest = 0
  for (let i = 0; i < values.length; i++) {
    const distance = (values[i] as number) - centre
    squares += distance * distance
    rest += distance
  }
  return (squares - (rest * rest) / values.length) / (values.length - 1)
}

/** The square root of `variance`. */
export function standardDeviation(values: ArrayLike<number>): number {
  return Math.sqrt(variance(values))
}

/** The standard deviation of the mean of independent values. */
export function standardError(values: ArrayLike<number>): number {
  return Math.sqrt(variance(values) / values.length)
}

/**
 * The mean of independent values with Student's interval: exact for normal values, good for many of any kind. For a
 * paired comparison pass the differences.
 *
 * @param options.confidence - default 0.95
 * @throws FtError `INVALID_ARGUMENT` for fewer than two values
 * @example
 * ```ts
 * meanInterval([1, 2, 3]).high // => ~4.484
 * ```
 */
export function meanInterval(values: ArrayLike<number>, { confidence = 0.95 }: { confidence?: number } = {}): Interval {
  checkConfidence(confidence, 'meanInterval')
  const half = standardError(values) * studentQuantile((1 + confidence) / 2, values.length - 1)
  const value = mean(values)
  return { value, low: value - half, high: value + half, confidence, n: values.length }
}

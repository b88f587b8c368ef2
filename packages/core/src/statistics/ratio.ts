// Ratios of paired measurements, such as the time of a protected and an unprotected run taken one after the other:
// what both share (a busy machine, a warm cache) cancels in each pair.
import { assertInteger, invalidArgument } from '../guards.ts'
import type { Interval } from '../types/common.ts'
import { checkConfidence } from './check.ts'
import { quantileOfSorted } from './quantiles.ts'

export interface RatioPair {
  readonly value: number
  readonly baseline: number
}

/**
 * The median of the ratios value / baseline with its distribution-free interval: two of the sorted ratios, by the sign
 * test. Coverage is at least the confidence for independent pairs of any distribution; a few wild pairs do not matter.
 *
 * @param options.confidence - default 0.95, which needs at least 6 pairs
 * @throws FtError `INVALID_ARGUMENT` for too few pairs or a measurement that is not positive and finite
 * @see Conover, "Practical Nonparametric Statistics", section 3.2
 * @example
 * ```ts
 * const pairs = [1.1, 1.2, 1.3, 1.1, 1.2, 1.25].map((value) => ({ value, baseline: 1 }))
 * ratioInterval(pairs) // => { value: 1.2, low: 1.1, high: 1.3, confidence: 0.95, n: 6 }
 * ```
 */
export function ratioInterval(
  pairs: readonly RatioPair[],
  { confidence = 0.95 }: { confidence?: number } = {},
): Interval {
  checkConfidence(confidence, 'ratioInterval')
  const ratios = Float64Array.from(pairs, ({ value, baseline }, i) => {
    if (value > 0 && value < Infinity && baseline > 0 && baseline < Infinity) return value / baseline
    const at = { where: 'ratioInterval', argument: `pairs[${i}]` }
    throw invalidArgument(at, 'positive and finite', [value, baseline])
  }).sort()
  const n = ratios.length
  const rank = n === 0 ? 0 : binomialMedianRank({ n, confidence })
  if (rank === 0) {
    throw invalidArgument({ where: 'ratioInterval', argument: 'pairs' }, `enough for confidence ${confidence}`, n)
  }
  return {
    value: quantileOfSorted(ratios, 0.5),
    low: ratios[rank - 1] as number,
    high: ratios[n - rank] as number,
    confidence,
    n,
  }
}

/**
 * The largest r for which the r-th smallest and r-th largest of n independent values enclose their median with at
 * least this confidence; 0 when not even the extremes do.
 *
 * Cost: n / 2 multiplications, and O(sqrt(n)) steps from the middle outwards.
 */
export function binomialMedianRank({ n, confidence }: { n: number; confidence: number }): number {
  assertInteger(n, { where: 'binomialMedianRank', argument: 'n', min: 1, max: 2 ** 32 })
  checkConfidence(confidence, 'binomialMedianRank')
  // P(X = floor(n / 2)) for X ~ Binomial(n, 1/2) is that of the even number n or n + 1: prod (1 - 1 / (2 i))
  let probability = 1
  for (let i = 1; i <= Math.ceil(n / 2); i++) probability *= 1 - 1 / (2 * i)
  // X in r .. n - r encloses: widen from the middle until the mass is enough
  let r = Math.floor(n / 2)
  let mass = n % 2 === 0 ? probability : 2 * probability
  // A mass short by rounding alone counts as enough: at most n roundings of 2^-53 each
  while (mass < confidence - n * 2 ** -52 && r > 0) {
    probability *= r / (n - r + 1)
    r -= 1
    mass += 2 * probability
  }
  return mass < confidence - n * 2 ** -52 ? 0 : r
}

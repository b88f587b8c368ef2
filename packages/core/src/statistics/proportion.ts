// Intervals of rates: detections, false alarms, critical faults.
import { exp, log } from '../math.ts'
import { assertInteger, assertNumber, invalidArgument } from '../guards.ts'
import type { Interval } from '../types/common.ts'
import { checkConfidence } from './check.ts'
import { normalQuantile } from './normal.ts'

/**
 * A rate with Wilson's score interval: sensible also for no and for all successes.
 *
 * @param counts.confidence - default 0.95
 * @throws FtError `INVALID_ARGUMENT` unless 0 <= successes <= trials and trials >= 1
 * @see Wilson 1927; Brown, Cai and DasGupta 2001 on why
 * @example
 * ```ts
 * wilson({ successes: 0, trials: 1000 }).high // => ~0.00383
 * ```
 */
export function wilson(counts: { successes: number; trials: number; confidence?: number }): Interval {
  const { successes, trials, confidence = 0.95 } = counts
  assertInteger(trials, { where: 'wilson', argument: 'trials', min: 1 })
  assertInteger(successes, { where: 'wilson', argument: 'successes', min: 0, max: trials })
  checkConfidence(confidence, 'wilson')
  const z = normalQuantile((1 - confidence) / 2, { tail: 'upper' })
  const value = successes / trials
  const scale = 1 + (z * z) / trials
  const centre = (value + (z * z) / (2 * trials)) / scale
  const half = (z / scale) * Math.sqrt((value * (1 - value)) / trials + (z * z) / (4 * trials * trials))
  // Both ends are exact where rounding would leave a trace: no successes, or all of them.
  const low = successes === 0 ? 0 : centre - half
  const high = successes === trials ? 1 : centre + half
  return { value, low, high, confidence, n: trials }
}

/**
 * The largest rate that `trials` without a single event leave plausible: 1 - (1 - confidence)^(1/trials), about
 * 3 / trials at 95 % (the rule of three).
 *
 * @param options.confidence - one-sided; default 0.95
 */
export function zeroEventsUpperBound(options: { trials: number; confidence?: number }): number {
  const { trials, confidence = 0.95 } = options
  assertInteger(trials, { where: 'zeroEventsUpperBound', argument: 'trials', min: 1 })
  checkConfidence(confidence, 'zeroEventsUpperBound')
  return 1 - exp(log(1 - confidence) / trials)
}

/** Counts of one stratum and its share of the population. */
export interface StratumCount {
  readonly successes: number
  readonly trials: number
  /** Any non-negative number: shares are taken relative to their sum. */
  readonly share: number
}

/**
 * The population's rate from a stratified sample: sum of share times rate, with a normal interval.
 *
 * The variance takes (successes + 1/2) / (trials + 1) as each stratum's rate, so that strata without successes (or
 * without failures) still count as uncertain; the interval is cut to [0, 1].
 *
 * @param options.confidence - default 0.95
 * @throws FtError `INVALID_ARGUMENT` for no strata, one without trials, or shares that sum to 0
 * @see Cochran, "Sampling Techniques", section 5.10
 */
export function stratifiedProportion(
  strata: readonly StratumCount[],
  { confidence = 0.95 }: { confidence?: number } = {},
): Interval {
  checkConfidence(confidence, 'stratifiedProportion')
  const total = strata.reduce((all, { share }) => all + share, 0)
  if (!(total > 0 && total < Infinity)) {
    throw invalidArgument({ where: 'stratifiedProportion', argument: 'share' }, 'of positive finite sum', total)
  }
  let value = 0
  let spread = 0
  let n = 0
  for (const { successes, trials, share } of strata) {
    assertInteger(trials, { where: 'stratifiedProportion', argument: 'trials', min: 1 })
    assertInteger(successes, { where: 'stratifiedProportion', argument: 'successes', min: 0, max: trials })
    assertNumber(share, { where: 'stratifiedProportion', argument: 'share', min: 0 })
    const part = share / total
    const smooth = (successes + 0.5) / (trials + 1)
    value += part * (successes / trials)
    spread += part * part * ((smooth * (1 - smooth)) / trials)
    n += trials
  }
  const half = normalQuantile((1 - confidence) / 2, { tail: 'upper' }) * Math.sqrt(spread)
  return { value, low: Math.max(0, value - half), high: Math.min(1, value + half), confidence, n }
}

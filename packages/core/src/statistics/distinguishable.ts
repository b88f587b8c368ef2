// The guard before a claim: does the interval allow it?
import { invalidArgument } from '../guards.ts'
import type { Interval } from '../types/common.ts'

export type Verdict = 'higher' | 'lower' | 'not distinguishable'

/**
 * Says whether an estimate differs from a reference: only when its whole interval lies on one side.
 *
 * Against another interval both must be apart, which is stricter than their confidence; for measurements taken in
 * pairs, compare the interval of their ratio with 1 or of their difference with 0 instead.
 *
 * @throws FtError `INVALID_ARGUMENT` when an end is NaN
 * @example
 * ```ts
 * distinguishable({ value: 1.03, low: 0.99, high: 1.07, confidence: 0.95, n: 20 }, 1) // => 'not distinguishable'
 * ```
 */
export function distinguishable(interval: Interval, reference: number | Interval): Verdict {
  const { low, high } = typeof reference === 'number' ? { low: reference, high: reference } : reference
  for (const end of [interval.low, interval.high, low, high]) {
    if (Number.isNaN(end)) throw invalidArgument({ where: 'distinguishable', argument: 'interval' }, 'numbers', end)
  }
  if (interval.low > high) return 'higher'
  return interval.high < low ? 'lower' : 'not distinguishable'
}

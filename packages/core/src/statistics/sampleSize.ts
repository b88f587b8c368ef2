// How many trials a claim needs.
import { log, log1p } from '../math.ts'
import { assertNumber } from '../guards.ts'
import { checkConfidence } from './check.ts'
import { normalQuantile } from './normal.ts'

/**
 * Faults to inject for a rate within +-margin, from a finite population of faults:
 * n = P t^2 p (1 - p) / (e^2 (P - 1) + t^2 p (1 - p)).
 *
 * @param options.population - all possible faults P; default without end
 * @param options.margin - half width e of the interval, such as 0.01
 * @param options.confidence - default 0.95
 * @param options.rate - expected rate p; default 0.5, the worst case
 * @see Leveugle et al., "Statistical Fault Injection: Quantified Error and Confidence", DATE'09, equation 1
 * @example
 * ```ts
 * faultSampleSize({ population: 1e9, margin: 0.01 }) // => 9604
 * ```
 */
export function faultSampleSize(options: {
  population?: number
  margin: number
  confidence?: number
  rate?: number
}): number {
  const { population = Infinity, margin, confidence = 0.95, rate = 0.5 } = options
  const where = 'faultSampleSize'
  assertNumber(margin, { where, argument: 'margin', min: 1e-9, max: 1 })
  assertNumber(rate, { where, argument: 'rate', min: 0, max: 1 })
  checkConfidence(confidence, where)
  const t = normalQuantile((1 - confidence) / 2, { tail: 'upper' })
  const spread = t * t * rate * (1 - rate)
  if (population === Infinity) return Math.ceil(spread / (margin * margin))
  assertNumber(population, { where, argument: 'population', min: 1 })
  return Math.ceil((population * spread) / (margin * margin * (population - 1) + spread))
}

/** Trials for a rate within +-margin when trials never run out; see `faultSampleSize`. */
export function proportionSampleSize(options: { margin: number; confidence?: number; rate?: number }): number {
  return faultSampleSize(options)
}

/**
 * Trials without an event that are needed to claim a rate below `rate`: about 3 / rate at 95 %.
 *
 * @param options.confidence - one-sided; default 0.95
 * @example
 * ```ts
 * trialsForUpperBound({ rate: 1e-5 }) // => 299572
 * ```
 */
export function trialsForUpperBound(options: { rate: number; confidence?: number }): number {
  const { rate, confidence = 0.95 } = options
  assertNumber(rate, { where: 'trialsForUpperBound', argument: 'rate', min: 1e-15, max: 1 - 2 ** -53 })
  checkConfidence(confidence, 'trialsForUpperBound')
  return Math.ceil(log(1 - confidence) / log1p(-rate))
}

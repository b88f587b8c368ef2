// The normal distribution, accurate in its tails: thresholds ask for false-alarm rates of 1e-9 and below.
import { exp, log } from '../math.ts'
import { assertNumber } from '../guards.ts'

const SQRT_PI = 1.772453850905516
const SQRT_2PI = 2.5066282746310002

/**
 * The complementary error function, 2/sqrt(pi) times the integral of exp(-t^2) from x to infinity.
 *
 * Guarantees: relative error below 1e-14 for x < 26 (beyond, results are subnormal or 0).
 *
 * @see Abramowitz and Stegun 7.1.6 (series) and 7.1.14 (continued fraction)
 */
export function erfc(x: number): number {
  if (x < 1) return x > -1 ? 1 - erfSeries(x) : 2 - erfc(-x)
  if (!(x < 28)) return x !== x ? x : 0
  // Backward evaluation of x + (1/2)/(x + 1/(x + (3/2)/(x + ...))); 180 / x^2 terms leave less than 1e-17
  let fraction = x
  for (let i = Math.ceil(180 / (x * x)) + 20; i > 0; i--) fraction = x + (0.5 * i) / fraction
  // exp(-x^2) with x = near + rest, so that the square of `near` is exact
  const near = Math.floor(x * 16) / 16
  return (exp(-near * near) * exp(-(x - near) * (x + near))) / (fraction * SQRT_PI)
}

/** erf for |x| < 1, as exp(-x^2) times a series of terms of one sign. */
function erfSeries(x: number): number {
  const square = x * x
  let term = x
  let total = x
  for (let i = 1; i < 40; i++) {
    term *= (2 * square) / (2 * i + 1)
    total += term
  }
  return ((2 * total) / SQRT_PI) * exp(-square)
}

/** P(Z <= x) for a standard normal Z; relative error below 1e-14 + x^2 2^-52 down to x = -36. */
export function normalCdf(x: number): number {
  return 0.5 * erfc(-x / Math.SQRT2)
}

/** P(Z > x) for a standard normal Z, without the cancellation of `1 - normalCdf(x)`. */
export function normalUpperTail(x: number): number {
  return 0.5 * erfc(x / Math.SQRT2)
}

/**
 * The x with P(Z <= x) = p, or with `tail: 'upper'` the x with P(Z > x) = p.
 *
 * Guarantees: error below 1e-13 relative to max(1, |x|) for p >= 1e-300. Ask for small upper tails as such: 1 - 1e-17
 * is 1. A threshold for V checks at a false-alarm probability p has kappa = normalQuantile(p / (2 V), { tail: 'upper' }).
 *
 * @throws FtError `INVALID_ARGUMENT` unless 0 < p < 1
 * @example
 * ```ts
 * normalQuantile(0.975) // => ~1.959964
 * ```
 */
export function normalQuantile(p: number, { tail = 'lower' }: { tail?: 'lower' | 'upper' } = {}): number {
  assertNumber(p, { where: 'normalQuantile', argument: 'p', min: Number.MIN_VALUE, max: 1 - 2 ** -53 })
  if (p === 0.5) return 0
  const small = Math.min(p, 1 - p)
  // Abramowitz and Stegun 26.2.22, error below 3e-3; Halley's method triples the correct digits each time
  const t = Math.sqrt(-2 * log(small))
  let x = (2.30753 + 0.27061 * t) / (1 + t * (0.99229 + 0.04481 * t)) - t
  for (let i = 0; i < 4; i++) {
    const step = (normalCdf(x) - small) * SQRT_2PI * exp(0.5 * x * x)
    x -= step / (1 + 0.5 * x * step)
  }
  return p < 0.5 === (tail === 'lower') ? x : -x
}

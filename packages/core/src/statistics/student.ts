// Student's t: intervals of means over few runs, such as three seeds, where the normal's would be far too narrow.
import { exp, log, log1p } from '../math.ts'
import { assertNumber } from '../guards.ts'

const HALF_LOG_2PI = 0.9189385332046728

/**
 * P(T > t) for Student's t with `degrees` of freedom; relative error below 1e-11.
 *
 * @see Abramowitz and Stegun 26.7.1
 */
export function studentUpperTail(t: number, degrees: number): number {
  assertNumber(degrees, { where: 'studentUpperTail', argument: 'degrees', min: 0.5, max: 1e9 })
  if (t < 0) return 1 - studentUpperTail(-t, degrees)
  const x = degrees / (degrees + t * t)
  return 0.5 * incompleteBeta(x, degrees / 2)
}

/**
 * The t with P(T <= t) = p.
 *
 * @throws FtError `INVALID_ARGUMENT` unless 0 < p < 1 and degrees >= 0.5
 * @example
 * ```ts
 * studentQuantile(0.975, 2) // => ~4.302653
 * ```
 */
export function studentQuantile(p: number, degrees: number): number {
  assertNumber(p, { where: 'studentQuantile', argument: 'p', min: 2 ** -53, max: 1 - 2 ** -53 })
  if (p < 0.5) return -studentQuantile(1 - p, degrees)
  const tail = 1 - p
  let high = 1
  for (let i = 0; i < 200 && studentUpperTail(high, degrees) > tail; i++) high *= 2
  let low = high === 1 ? 0 : high / 2
  for (let i = 0; i < 100; i++) {
    const middle = 0.5 * (low + high)
    if (middle === low || middle === high) break
    if (studentUpperTail(middle, degrees) > tail) low = middle
    else high = middle
  }
  return 0.5 * (low + high)
}

/** The regularised incomplete beta function I_x(a, 1/2). */
function incompleteBeta(x: number, a: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  const b = 0.5
  const logFront = logGamma(a + b) - logGamma(a) - logGamma(b) + a * log(x) + b * log1p(-x)
  // The continued fraction converges quickly on one side of the mean only; the other is its complement.
  if (x < (a + 1) / (a + b + 2)) return (exp(logFront) * betaFraction(x, a, b)) / a
  return 1 - (exp(logFront) * betaFraction(1 - x, b, a)) / b
}

/** Abramowitz and Stegun 26.5.8, evaluated forwards (Lentz). */
function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300
  let c = 1
  let d = 1 / (1 - ((a + b) * x) / (a + 1) || tiny)
  let value = d
  for (let i = 1; i < 500; i++) {
    const even = (i * (b - i) * x) / ((a + 2 * i - 1) * (a + 2 * i))
    d = 1 / (1 + even * d || tiny)
    c = 1 + even / c || tiny
    value *= d * c
    const odd = (-(a + i) * (a + b + i) * x) / ((a + 2 * i) * (a + 2 * i + 1))
    d = 1 / (1 + odd * d || tiny)
    c = 1 + odd / c || tiny
    value *= d * c
    if (Math.abs(d * c - 1) < 1e-16) break
  }
  return value
}

/** log Gamma(x) for x > 0: Stirling's series after moving x above 12 (Abramowitz and Stegun 6.1.41). */
function logGamma(x: number): number {
  let shift = 1
  let y = x
  for (; y < 12; y++) shift *= y
  const z = 1 / (y * y)
  const series = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z * (1 / 1188))))) / y
  return (y - 0.5) * log(y) - y + HALF_LOG_2PI + series - log(shift)
}

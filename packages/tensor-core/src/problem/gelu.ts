// GELU by its definition, x * P(N(0,1) <= x), in float64.

/**
 * `x (1 + erf(x / sqrt 2)) / 2`.
 *
 * Guarantees: relative error below 1e-12 where the result is a normal number.
 * @see Hendrycks and Gimpel 2016, "Gaussian error linear units", section 2: the exact form, not the tanh one
 */
export function gelu(x: number): number {
  // Both limits, where the formula would multiply infinity by zero.
  if (x === -Infinity) return 0
  return (x / 2) * erfc(-x / Math.SQRT2)
}

/** 1 - erf(x). */
function erfc(x: number): number {
  if (x !== x) return x
  if (x < 2.2) return 1 - erf(x)
  if (x > 28) return 0
  // Continued fraction (Abramowitz and Stegun 7.1.14), from the inside out; 60 steps give full precision from 2.2 on.
  let fraction = 0
  for (let i = 60; i >= 1; i--) fraction = i / 2 / (x + fraction)
  return Math.exp(-x * x) / (Math.sqrt(Math.PI) * (x + fraction))
}

/** By a series without cancellation (Abramowitz and Stegun 7.1.6): terms all have the sign of x. */
function erf(x: number): number {
  if (x < -6) return -1
  let term = x
  let sum = x
  for (let i = 1; i < 120 && Math.abs(term) > 1e-18 * Math.abs(sum); i++) {
    term *= (2 * x * x) / (2 * i + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

// GELU of four float32 values: x P(N(0,1) <= x), by a formula with absolute error below 2e-7 max(1, |x|).

/** e^-y for y in [0, 100]: 2^n e^r, Taylor to r^6 on |r| <= ln 2 / 2 (remainder below 1.3e-7 relative). */
// @ts-ignore: decorator
@inline
function expNegative(y: v128): v128 {
  const n = f32x4.nearest(f32x4.mul(y, f32x4.splat(-1.4426950408889634)))
  // y + n ln 2, ln 2 in two parts so that n times the first is exact.
  let r = f32x4.add(y, f32x4.mul(n, f32x4.splat(0.693359375)))
  r = f32x4.neg(f32x4.add(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4))))
  let p = f32x4.splat(1.0 / 720)
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 120))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 24))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 6))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.5))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1))
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1))
  // n >= -126 keeps 2^n normal.
  const exponent = i32x4.trunc_sat_f32x4_s(f32x4.max(n, f32x4.splat(-126)))
  return f32x4.mul(p, i32x4.shl(i32x4.add(exponent, i32x4.splat(127)), 23))
}

/** Abramowitz and Stegun 7.1.26 for the error function, absolute error 1.5e-7. */
export function gelu(value: v128): v128 {
  // Below -14 the result rounds to zero; the bound keeps 0 * infinity out.
  const x = f32x4.max(value, f32x4.splat(-14))
  const z = f32x4.mul(f32x4.abs(f32x4.min(x, f32x4.splat(14))), f32x4.splat(0.7071067811865476))
  const t = f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), f32x4.mul(z, f32x4.splat(0.3275911))))
  let p = f32x4.splat(1.061405429)
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-1.453152027))
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(1.421413741))
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(-0.284496736))
  p = f32x4.add(f32x4.mul(p, t), f32x4.splat(0.254829592))
  const complement = f32x4.mul(f32x4.mul(p, t), expNegative(f32x4.mul(z, z)))
  // 1 + erf is the complement itself for negative x and 2 less the complement for others.
  const negative = f32x4.lt(x, f32x4.splat(0))
  const twice = v128.bitselect(complement, f32x4.sub(f32x4.splat(2), complement), negative)
  return f32x4.mul(f32x4.mul(x, f32x4.splat(0.5)), twice)
}

// Gradients of the logistic loss. The exponential is computed here, with operations that round the same everywhere.

const LOG2E: f64 = 1.4426950408889634
const LN2_HIGH: f64 = 6.93147180369123816490e-1
const LN2_LOW: f64 = 1.90821492927058770002e-10
/** 1.5 x 2^52: added to a whole number it leaves that number in the low bits. */
const WHOLE: f64 = 6755399441055744.0

/** e^x for |x| <= 700, two at a time, within 1 ulp or so: range reduction by ln 2 and a Taylor polynomial of degree 13. */
@inline
function exponential(x: v128): v128 {
  const n = f64x2.nearest(f64x2.mul(x, f64x2.splat(LOG2E)))
  const r = f64x2.sub(f64x2.sub(x, f64x2.mul(n, f64x2.splat(LN2_HIGH))), f64x2.mul(n, f64x2.splat(LN2_LOW)))
  let p = f64x2.splat(1.0 / 6227020800.0)
  p = step(p, r, 1.0 / 479001600.0)
  p = step(p, r, 1.0 / 39916800.0)
  p = step(p, r, 1.0 / 3628800.0)
  p = step(p, r, 1.0 / 362880.0)
  p = step(p, r, 1.0 / 40320.0)
  p = step(p, r, 1.0 / 5040.0)
  p = step(p, r, 1.0 / 720.0)
  p = step(p, r, 1.0 / 120.0)
  p = step(p, r, 1.0 / 24.0)
  p = step(p, r, 1.0 / 6.0)
  p = step(p, r, 0.5)
  p = step(p, r, 1.0)
  p = step(p, r, 1.0)
  const bits = i64x2.add(f64x2.add(n, f64x2.splat(WHOLE)), i64x2.splat(1023))
  return f64x2.mul(p, i64x2.shl(bits, 52))
}

@inline
function step(p: v128, r: v128, c: f64): v128 {
  return f64x2.add(f64x2.mul(p, r), f64x2.splat(c))
}

/**
 * p = 1 / (1 + e^-s); gradient = w (p - y), hessian = w max(p (1 - p), 1e-16). `weights` may be 0. Two rows a step; an odd
 * last one is computed beside a copy of itself, so that a row's bits do not depend on where a range begins.
 */
export function logistic(scores: usize, labels: usize, weights: usize, start: u32, end: u32, gradients: usize, hessians: usize): void {
  for (let i = <usize>start; i < <usize>end; i += 2) {
    const at = i << 3
    const pair = i + 1 < <usize>end
    const w = weights == 0 ? f64x2.splat(1.0) : two(weights + at, pair)
    const s = f64x2.min(f64x2.max(two(scores + at, pair), f64x2.splat(-500.0)), f64x2.splat(500.0))
    const one = f64x2.splat(1.0)
    const p = f64x2.div(one, f64x2.add(one, exponential(f64x2.neg(s))))
    const g = f64x2.mul(w, f64x2.sub(p, two(labels + at, pair)))
    const h = f64x2.mul(w, f64x2.max(f64x2.mul(p, f64x2.sub(one, p)), f64x2.splat(1e-16)))
    if (pair) {
      v128.store(gradients + at, g)
      v128.store(hessians + at, h)
    } else {
      store<f64>(gradients + at, f64x2.extract_lane(g, 0))
      store<f64>(hessians + at, f64x2.extract_lane(h, 0))
    }
  }
}

@inline
function two(at: usize, pair: bool): v128 {
  return pair ? v128.load(at) : f64x2.splat(load<f64>(at))
}

/** Squared loss: gradient = w (s - y), hessian = w. */
export function squared(scores: usize, labels: usize, weights: usize, start: u32, end: u32, gradients: usize, hessians: usize): void {
  for (let i = <usize>start; i < <usize>end; i++) {
    const at = i << 3
    const w: f64 = weights == 0 ? 1.0 : load<f64>(weights + at)
    store<f64>(gradients + at, w * (load<f64>(scores + at) - load<f64>(labels + at)))
    store<f64>(hessians + at, w)
  }
}

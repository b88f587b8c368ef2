// Gradients of the logistic loss. The exponential is computed here, with operations that round the same everywhere.

const LOG2E: f64 = 1.4426950408889634
const LN2_HIGH: f64 = 6.93147180369123816490e-1
const LN2_LOW: f64 = 1.90821492927058770002e-10

/** e^x for |x| <= 700, within 1 ulp or so: range reduction by ln 2 and a Taylor polynomial of degree 13. */
@inline
function exponential(x: f64): f64 {
  const n = nearest(x * LOG2E)
  const r = x - n * LN2_HIGH - n * LN2_LOW
  let p: f64 = 1.0 / 6227020800.0
  p = p * r + 1.0 / 479001600.0
  p = p * r + 1.0 / 39916800.0
  p = p * r + 1.0 / 3628800.0
  p = p * r + 1.0 / 362880.0
  p = p * r + 1.0 / 40320.0
  p = p * r + 1.0 / 5040.0
  p = p * r + 1.0 / 720.0
  p = p * r + 1.0 / 120.0
  p = p * r + 1.0 / 24.0
  p = p * r + 1.0 / 6.0
  p = p * r + 0.5
  p = p * r + 1.0
  p = p * r + 1.0
  return p * reinterpret<f64>((<i64>n + 1023) << 52)
}

/** p = 1 / (1 + e^-s); gradient = w (p - y), hessian = w max(p (1 - p), 1e-16). `weights` may be 0. */
export function logistic(scores: usize, labels: usize, weights: usize, start: u32, end: u32, gradients: usize, hessians: usize): void {
  for (let i = <usize>start; i < <usize>end; i++) {
    const at = i << 3
    const s = min(max(load<f64>(scores + at), -500.0), 500.0)
    const p = 1.0 / (1.0 + exponential(-s))
    const w: f64 = weights == 0 ? 1.0 : load<f64>(weights + at)
    store<f64>(gradients + at, w * (p - load<f64>(labels + at)))
    store<f64>(hessians + at, w * max(p * (1.0 - p), 1e-16))
  }
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

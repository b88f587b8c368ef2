// What a split gains and what its leaves say, by Newton's second-order formula, with L1 as soft thresholding and clipped values.

@inline
function shrink(g: f64, l1: f64): f64 {
  return l1 == 0 ? g : max(abs(g) - l1, 0.0)
}

/** Gain of two children, clipped to their bounds; without G^2/(H + l2) of the node itself. */
@inline
export function gainOf(gl: f64, dl: f64, gr: f64, dr: f64, l1: f64, low: f64, high: f64): f64 {
  if (low == -Infinity && high == Infinity) {
    const nl = shrink(gl, l1)
    const nr = shrink(gr, l1)
    return (nl * nl * dr + nr * nr * dl) / (dl * dr)
  }
  const vl = min(max(leafValue(gl, dl, l1), low), high)
  const vr = min(max(leafValue(gr, dr, l1), low), high)
  return scoreAt(gl, dl, l1, vl) + scoreAt(gr, dr, l1, vr)
}

@inline
export function leafValue(g: f64, d: f64, l1: f64): f64 {
  const n = shrink(g, l1)
  return g > 0 ? -n / d : n / d
}

/** What a leaf of a given (clipped) value gains: -(2 g v + d v^2 + 2 l1 |v|). */
@inline
function scoreAt(g: f64, d: f64, l1: f64, v: f64): f64 {
  return -(2.0 * g * v + d * v * v + 2.0 * l1 * abs(v))
}

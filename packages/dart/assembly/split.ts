// Split search over histograms: for every feature the cut with the largest gain, by Newton's second-order formula
// (gain = GL^2/(HL + l2) + GR^2/(HR + l2) - G^2/(H + l2), with L1 as soft thresholding).

/** Doubles of one feature's best split: gain, bin, missing left, left gradient, left hessian, left count. */
const OUT: usize = 48

@inline
function shrink(g: f64, l1: f64): f64 {
  return l1 == 0 ? g : max(abs(g) - l1, 0.0)
}

/**
 * Best cut of features first..last. `hist` holds packed sums, `counts` 32-bit rows a bin (0 when minRows is not asked
 * for), `binsOf` the number of bins a feature (u32), `allowed` one byte a feature. Bin 0 is missing.
 * `low` and `high` bound the children's values, `monotone` is one signed byte a feature.
 */
export function bestSplits(
  hist: usize,
  counts: usize,
  first: u32,
  last: u32,
  binsOf: usize,
  allowed: usize,
  monotone: usize,
  unitG: f64,
  unitH: f64,
  totalG: f64,
  totalH: f64,
  totalRows: f64,
  l1: f64,
  l2: f64,
  minHessian: f64,
  minRows: f64,
  low: f64,
  high: f64,
  out: usize,
): void {
  for (let f = first; f < last; f++) {
    const at = out + <usize>f * OUT
    store<f64>(at, -Infinity)
    if (load<u8>(allowed + f) == 0) continue
    const cells = hist + ((<usize>f) << 11)
    const rows: usize = counts == 0 ? <usize>0 : counts + ((<usize>f) << 10)
    const bins = load<u32>(binsOf + ((<usize>f) << 2))
    const direction = monotone == 0 ? 0 : <i32>load<i8>(monotone + f)
    const missing = load<u64>(cells)
    const missingRows: f64 = rows == 0 ? 0 : <f64>load<u32>(rows)
    let best: f64 = -Infinity
    // Missing to the right first; to the left only where there are missing values.
    const passes = missing != 0 || missingRows != 0 ? 2 : 1
    for (let pass = 0; pass < passes; pass++) {
      let sumG: i64 = pass == 0 ? 0 : <i64>missing >> 32
      let sumH: u64 = pass == 0 ? 0 : missing & 0xffffffff
      let left: f64 = pass == 0 ? 0 : missingRows
      for (let bin: u32 = 1; bin < bins; bin++) {
        const cell = load<u64>(cells + ((<usize>bin) << 3))
        sumG += <i64>cell >> 32
        sumH += cell & 0xffffffff
        if (rows != 0) left += <f64>load<u32>(rows + ((<usize>bin) << 2))
        if (cell == 0 && bin > 1) continue
        // The last bin leaves the right side to the missing rows alone, or empty.
        if (bin == bins - 1 && (pass == 1 || passes == 1)) break
        const gl = <f64>sumG * unitG
        const hl = <f64>sumH * unitH
        const gr = totalG - gl
        const hr = totalH - hl
        if (hl < minHessian || hr < minHessian) continue
        if (rows != 0 && (left < minRows || totalRows - left < minRows)) continue
        const dl = hl + l2
        const dr = hr + l2
        if (dl <= 0 || dr <= 0) continue
        let gain: f64
        if (direction == 0 && low == -Infinity && high == Infinity) {
          const nl = shrink(gl, l1)
          const nr = shrink(gr, l1)
          gain = (nl * nl * dr + nr * nr * dl) / (dl * dr)
        } else {
          const vl = min(max(leafValue(gl, dl, l1), low), high)
          const vr = min(max(leafValue(gr, dr, l1), low), high)
          if ((direction > 0 && vl > vr) || (direction < 0 && vl < vr)) continue
          gain = scoreAt(gl, dl, l1, vl) + scoreAt(gr, dr, l1, vr)
        }
        if (gain > best) {
          best = gain
          store<f64>(at, gain)
          store<f64>(at, <f64>bin, 8)
          store<f64>(at, <f64>pass, 16)
          store<f64>(at, gl, 24)
          store<f64>(at, hl, 32)
          store<f64>(at, left, 40)
        }
      }
    }
  }
}

/**
 * Best cut where there are no counts, bounds, directions or L1: two bins a step. Works in the packed integers' own units
 * (`l2`, `minHessian`, `totalH` in units of the hessian, `totalG` of the gradient, all exact), so that a step is two
 * conversions, one division and one comparison. Writes the same fields as bestSplits, gains and sums in real units.
 */
export function bestSplitsPlain(
  hist: usize,
  first: u32,
  last: u32,
  binsOf: usize,
  allowed: usize,
  unitG: f64,
  unitH: f64,
  totalG: f64,
  totalH: f64,
  l2: f64,
  minHessian: f64,
  out: usize,
): void {
  const none = f64x2.splat(-Infinity)
  const vTotalG = f64x2.splat(totalG)
  const vTotalH = f64x2.splat(totalH)
  const vL2 = f64x2.splat(l2)
  const vMin = f64x2.splat(minHessian)
  for (let f = first; f < last; f++) {
    const at = out + <usize>f * OUT
    store<f64>(at, -Infinity)
    if (load<u8>(allowed + f) == 0) continue
    const cells = hist + ((<usize>f) << 11)
    const bins = load<u32>(binsOf + ((<usize>f) << 2))
    const missing = load<u64>(cells)
    const passes = missing != 0 ? 2 : 1
    for (let pass = 0; pass < passes; pass++) {
      // Without missing values, or with them on the left, the last bin would leave the right side empty.
      const end = passes == 2 && pass == 0 ? bins : bins - 1
      let below: u64 = pass == 0 ? 0 : missing
      let bestGain = none
      let bestSum = i64x2.splat(0)
      let bestBin = i64x2.splat(0)
      let bin: u32 = 1
      for (; bin < end; bin += 2) {
        const one = below + load<u64>(cells + ((<usize>bin) << 3))
        // Past the end the second lane repeats the first: equal gains never replace an earlier best.
        const two = bin + 1 < end ? one + load<u64>(cells + ((<usize>bin + 1) << 3)) : one
        below = two
        const sums = i64x2.replace_lane(i64x2.splat(<i64>one), 1, <i64>two)
        const g = f64x2.convert_low_i32x4_s(v128.shuffle<i32>(sums, sums, 1, 3, 1, 3))
        const h = f64x2.convert_low_i32x4_u(v128.shuffle<i32>(sums, sums, 0, 2, 0, 2))
        const gr = f64x2.sub(vTotalG, g)
        const hr = f64x2.sub(vTotalH, h)
        const dl = f64x2.add(h, vL2)
        const dr = f64x2.add(hr, vL2)
        const top = f64x2.add(f64x2.mul(f64x2.mul(g, g), dr), f64x2.mul(f64x2.mul(gr, gr), dl))
        const gain = f64x2.div(top, f64x2.mul(dl, dr))
        const fits = v128.and(f64x2.ge(h, vMin), f64x2.ge(hr, vMin))
        const better = v128.and(fits, f64x2.gt(gain, bestGain))
        if (v128.any_true(better)) {
          bestGain = v128.bitselect(gain, bestGain, better)
          bestSum = v128.bitselect(sums, bestSum, better)
          bestBin = v128.bitselect(i64x2.splat(<i64>bin), bestBin, better)
        }
      }
      const g0 = f64x2.extract_lane(bestGain, 0)
      const g1 = f64x2.extract_lane(bestGain, 1)
      // The earlier bin wins a tie, as in bestSplits.
      const second = g1 > g0 || (g1 == g0 && i64x2.extract_lane(bestBin, 1) < i64x2.extract_lane(bestBin, 0))
      const gain = (second ? g1 : g0) * (unitG * unitG / unitH)
      if (gain > load<f64>(at)) {
        const sum = second ? i64x2.extract_lane(bestSum, 1) : i64x2.extract_lane(bestSum, 0)
        store<f64>(at, gain)
        store<f64>(at, <f64>(second ? i64x2.extract_lane(bestBin, 1) + 1 : i64x2.extract_lane(bestBin, 0)), 8)
        store<f64>(at, <f64>pass, 16)
        store<f64>(at, <f64>(sum >> 32) * unitG, 24)
        store<f64>(at, <f64>(<u64>sum & 0xffffffff) * unitH, 32)
        store<f64>(at, 0, 40)
      }
    }
  }
}

@inline
function leafValue(g: f64, d: f64, l1: f64): f64 {
  const n = shrink(g, l1)
  return g > 0 ? -n / d : n / d
}

/** What a leaf of a given (clipped) value gains: -(2 g v + d v^2 + 2 l1 |v|). */
@inline
function scoreAt(g: f64, d: f64, l1: f64, v: f64): f64 {
  return -(2.0 * g * v + d * v * v + 2.0 * l1 * abs(v))
}

// Split search over histograms: for every feature the cut with the largest gain, by Newton's second-order formula
// (gain = GL^2/(HL + l2) + GR^2/(HR + l2) - G^2/(H + l2), with L1 as soft thresholding).
import { gainOf, leafValue } from './gain'
import { MEMBER, combine, combineCounts, sumOf, unbundle, unbundleRows } from './histograms'

/** Bytes of one feature's best split: gain, bin, missing left, left gradient, hessian and count (f64), set of bins (256 bits). */
const OUT: usize = 80
const SET: usize = 48

/** Bytes of a node's record, all f64: histogram, counts, allowed, gradient, hessian, rows, low, high, out. */
const RECORD: usize = 72

/**
 * For columns first..last: adds the threads' partial histograms to `built`, takes it off `parent`, which becomes the other
 * sibling's, and searches the best split of each of the `nodes` records.
 *
 * Features of column c are the records starts[c]..starts[c + 1] of `members`; those that share one have histograms of their own
 * made from the column's, exactly: what is in none of a feature's other bins is in its default bin.
 *
 * `parts` partial histograms of all `columns` lie behind each other at `partials`, row counts likewise; `parent` 0: none.
 * `categorical` is one byte a feature, or 0 for none. `plain`: no counts, bounds, directions or L1 in any node.
 * `scratch` are 4 KiB of this thread's own.
 */
export function searchNodes(
  built: usize,
  builtCounts: usize,
  partials: usize,
  partialCounts: usize,
  parts: u32,
  parent: usize,
  parentCounts: usize,
  columns: u32,
  first: u32,
  last: u32,
  starts: usize,
  members: usize,
  records: usize,
  nodes: u32,
  binsOf: usize,
  categorical: usize,
  monotone: usize,
  plain: u32,
  unitG: f64,
  unitH: f64,
  l1: f64,
  l2: f64,
  minHessian: f64,
  minRows: f64,
  categorySmooth: f64,
  categoryL2: f64,
  mostCategories: u32,
  scratch: usize,
): void {
  combine(built, partials, parts, parent, (<usize>columns) << 11, (<usize>first) << 11, (<usize>last) << 11)
  if (builtCounts != 0) {
    combineCounts(builtCounts, partialCounts, parts, parentCounts, (<usize>columns) << 10, (<usize>first) << 10, (<usize>last) << 10)
  }
  for (let node: usize = 0; node < <usize>nodes; node++) {
    const r = records + node * RECORD
    const hist = <usize>load<f64>(r)
    const counts = <usize>load<f64>(r, 8)
    const allowed = <usize>load<f64>(r, 16)
    const totalG = load<f64>(r, 24)
    const totalH = load<f64>(r, 32)
    const rows = load<f64>(r, 40)
    const low = load<f64>(r, 48)
    const high = load<f64>(r, 56)
    const out = <usize>load<f64>(r, 64)
    for (let c = first; c < last; c++) {
      const column = hist + ((<usize>c) << 11)
      const columnRows: usize = counts == 0 ? <usize>0 : counts + ((<usize>c) << 10)
      const end = load<u32>(starts + ((<usize>c) << 2), 4)
      const isShared = load<u32>(members + <usize>load<u32>(starts + ((<usize>c) << 2)) * MEMBER, 4) != 0
      const total = isShared ? sumOf(column) : 0
      for (let m = load<u32>(starts + ((<usize>c) << 2)); m < end; m++) {
        const member = members + <usize>m * MEMBER
        const f = load<u32>(member)
        store<f64>(out + <usize>f * OUT, -Infinity)
        if (load<u8>(allowed + <usize>f) == 0) continue
        let cells = column
        let cellRows = columnRows
        if (isShared) {
          cells = scratch
          unbundle(column, member, total, load<u32>(binsOf + ((<usize>f) << 2)), cells)
          if (columnRows != 0) {
            cellRows = scratch + 2048
            unbundleRows(columnRows, member, <u32>rows, load<u32>(binsOf + ((<usize>f) << 2)), cellRows)
          }
        }
        if (categorical != 0 && load<u8>(categorical + <usize>f)) {
          bestSet(cells, cellRows, f, binsOf, unitG, unitH, totalG, totalH, rows, l1, l2, minHessian, minRows, low, high, categorySmooth, categoryL2, mostCategories, scratch, out)
        } else if (plain) {
          bestSplitsPlain(cells, f, binsOf, unitG, unitH, totalG / unitG, totalH / unitH, l2 / unitH, minHessian / unitH, out)
        } else {
          bestSplits(cells, cellRows, f, binsOf, monotone, unitG, unitH, totalG, totalH, rows, l1, l2, minHessian, minRows, low, high, out)
        }
      }
    }
  }
}

/**
 * Best subset of a categorical feature's bins to go left. Categories are sorted by gradient / (hessian + smoothing), where
 * the best of all subsets is a prefix (Fisher, 1958), and prefixes of at most `most` categories are tried from both ends;
 * of up to four categories each is tried alone, without `extraL2`. Missing (bin 0) is a category like any other.
 */
function bestSet(
  cells: usize,
  rows: usize,
  f: u32,
  binsOf: usize,
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
  smooth: f64,
  extraL2: f64,
  most: u32,
  scratch: usize,
  out: usize,
): void {
  const at = out + <usize>f * OUT
  const bins = load<u32>(binsOf + ((<usize>f) << 2))
  const keys = scratch
  const order = scratch + 2048
  let used: u32 = 0
  for (let bin: u32 = 0; bin < bins; bin++) {
    const cell = load<u64>(cells + ((<usize>bin) << 3))
    if (cell == 0 && (rows == 0 || load<u32>(rows + ((<usize>bin) << 2)) == 0)) continue
    const key = (<f64>(<i64>cell >> 32) * unitG) / (<f64>(cell & 0xffffffff) * unitH + smooth)
    // Insertion into the sorted list; equal keys keep the order of their bins.
    let place = used++
    while (place > 0 && load<f64>(keys + ((<usize>place - 1) << 3)) > key) {
      store<f64>(keys + ((<usize>place) << 3), load<f64>(keys + ((<usize>place - 1) << 3)))
      store<u8>(order + <usize>place, load<u8>(order + <usize>place - 1))
      place--
    }
    store<f64>(keys + ((<usize>place) << 3), key)
    store<u8>(order + <usize>place, <u8>bin)
  }
  if (used < 2) return
  const alone = used <= 4
  const penalty = alone ? l2 : l2 + extraL2
  let best: f64 = -Infinity
  let bestDirection: u32 = 0
  let bestLength: u32 = 0
  const directions: u32 = alone ? 1 : 2
  for (let direction: u32 = 0; direction < directions; direction++) {
    let sumG: i64 = 0
    let sumH: u64 = 0
    let left: f64 = 0
    const longest = alone ? used : min(used - 1, most)
    for (let length: u32 = 1; length <= longest; length++) {
      const place = direction == 0 ? length - 1 : used - length
      const bin = <usize>load<u8>(order + <usize>place)
      const cell = load<u64>(cells + (bin << 3))
      sumG = (alone ? 0 : sumG) + (<i64>cell >> 32)
      sumH = (alone ? 0 : sumH) + (cell & 0xffffffff)
      if (rows != 0) left = (alone ? 0.0 : left) + <f64>load<u32>(rows + (bin << 2))
      const gl = <f64>sumG * unitG
      const hl = <f64>sumH * unitH
      const gr = totalG - gl
      const hr = totalH - hl
      if (hl < minHessian || hr < minHessian) continue
      if (rows != 0 && (left < minRows || totalRows - left < minRows)) continue
      const dl = hl + penalty
      const dr = hr + penalty
      if (dl <= 0 || dr <= 0) continue
      const gain = gainOf(gl, dl, gr, dr, l1, low, high)
      if (gain > best) {
        best = gain
        bestDirection = direction
        bestLength = length
        store<f64>(at, gain)
        store<f64>(at, gl, 24)
        store<f64>(at, hl, 32)
        store<f64>(at, left, 40)
      }
    }
  }
  if (bestLength == 0) return
  const set = at + SET
  memory.fill(set, 0, 32)
  for (let i: u32 = alone ? bestLength - 1 : 0; i < bestLength; i++) {
    const bin = <u32>load<u8>(order + <usize>(bestDirection == 0 ? i : used - 1 - i))
    const word = set + ((bin >> 5) << 2)
    store<u32>(word, load<u32>(word) | (<u32>1 << (bin & 31)))
  }
  store<f64>(at, 0, 8)
  store<f64>(at, <f64>(load<u32>(set) & 1), 16)
}

/**
 * Best cut of feature f. `cells` holds packed sums, `rows` 32-bit rows a bin (0 when minRows is not asked for), `binsOf`
 * the number of bins a feature (u32). Bin 0 is missing. `low` and `high` bound the children's values, `monotone` is one
 * signed byte a feature.
 */
function bestSplits(
  cells: usize,
  rows: usize,
  f: u32,
  binsOf: usize,
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
  const at = out + <usize>f * OUT
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
      if (direction != 0) {
        const vl = min(max(leafValue(gl, dl, l1), low), high)
        const vr = min(max(leafValue(gr, dr, l1), low), high)
        if ((direction > 0 && vl > vr) || (direction < 0 && vl < vr)) continue
      }
      const gain = gainOf(gl, dl, gr, dr, l1, low, high)
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

/**
 * Best cut of feature f where there are no counts, bounds, directions or L1: two bins a step. Works in the packed integers' own units
 * (`l2`, `minHessian`, `totalH` in units of the hessian, `totalG` of the gradient, all exact), so that a step is two
 * conversions, one division and one comparison. Writes the same fields as bestSplits, gains and sums in real units.
 */
function bestSplitsPlain(
  cells: usize,
  f: u32,
  binsOf: usize,
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
  const at = out + <usize>f * OUT
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

// A panel with few columns: rows of A take the lanes instead, so that no lane works for nothing. The same additions in
// the same order for every element as in wide tiles. A product that has no other panel has an exact replica: every element
// once more with the weights' signs turned, from the same loads. Signs are exact, so it is the first one turned, bit for
// bit, and a compiler cannot share the products.
import { add, madd } from './arithmetic'
import { narrowColumns, panelColumns, rowStride } from './fields'

/** Bytes of a row of the replica. */
export const turnedStride: usize = narrowColumns << 2

/** Computes the first `valid` columns of a panel of C. */
export function narrowPanel<T>(
  a: usize,
  b: usize,
  steps: i32,
  c: usize,
  stride: usize,
  rows: i32,
  accumulate: bool,
  valid: i32,
): void {
  for (; rows > 0; rows -= 8) {
    for (let j = 0; j < valid; j++) eightRows<T>(a, b + (j << 2), steps, c + (j << 2), stride, min(rows, 8), accumulate, false, 0)
    a += 8 * rowStride
    c += 8 * stride
  }
}

/** The same of float32, and its replica, turned, `turnedStride` bytes from row to row. */
export function narrowPanelTwice(
  a: usize,
  b: usize,
  steps: i32,
  c: usize,
  stride: usize,
  rows: i32,
  accumulate: bool,
  valid: i32,
  turned: usize,
): void {
  for (; rows > 0; rows -= 8) {
    for (let j = 0; j < valid; j++) {
      const at: usize = j << 2
      eightRows<f32>(a, b + at, steps, c + at, stride, min(rows, 8), accumulate, true, turned + at)
    }
    a += 8 * rowStride
    c += 8 * stride
    turned += 8 * turnedStride
  }
}

/** One column of eight rows; rows that are not there are computed from what the scratch holds, and dropped. */
// @ts-ignore: decorator
@inline
function eightRows<T>(
  a: usize,
  b: usize,
  steps: i32,
  c: usize,
  stride: usize,
  rows: i32,
  accumulate: bool,
  twice: bool,
  turned: usize,
): void {
  let x = i32x4.splat(0)
  let y = i32x4.splat(0)
  let u = x
  let v = x
  const end = a + (<usize>steps << 2)
  const whole = a + (<usize>(steps & ~3) << 2)
  for (; a < whole; a += 16) {
    const p0 = v128.load(a)
    const p1 = v128.load(a, rowStride)
    const p2 = v128.load(a, 2 * rowStride)
    const p3 = v128.load(a, 3 * rowStride)
    const q0 = v128.load(a, 4 * rowStride)
    const q1 = v128.load(a, 5 * rowStride)
    const q2 = v128.load(a, 6 * rowStride)
    const q3 = v128.load(a, 7 * rowStride)
    const p01 = v128.shuffle<i32>(p0, p1, 0, 4, 1, 5)
    const p23 = v128.shuffle<i32>(p2, p3, 0, 4, 1, 5)
    const q01 = v128.shuffle<i32>(q0, q1, 0, 4, 1, 5)
    const q23 = v128.shuffle<i32>(q2, q3, 0, 4, 1, 5)
    const b0 = v128.load32_splat(b)
    const b1 = v128.load32_splat(b, panelColumns * 4)
    const s0 = v128.shuffle<i64>(p01, p23, 0, 2)
    const t0 = v128.shuffle<i64>(q01, q23, 0, 2)
    x = madd<T>(s0, b0, x)
    y = madd<T>(t0, b0, y)
    if (twice) {
      u = madd<T>(s0, f32x4.neg(b0), u)
      v = madd<T>(t0, f32x4.neg(b0), v)
    }
    const s1 = v128.shuffle<i64>(p01, p23, 1, 3)
    const t1 = v128.shuffle<i64>(q01, q23, 1, 3)
    x = madd<T>(s1, b1, x)
    y = madd<T>(t1, b1, y)
    if (twice) {
      u = madd<T>(s1, f32x4.neg(b1), u)
      v = madd<T>(t1, f32x4.neg(b1), v)
    }
    const r01 = v128.shuffle<i32>(p0, p1, 2, 6, 3, 7)
    const r23 = v128.shuffle<i32>(p2, p3, 2, 6, 3, 7)
    const s01 = v128.shuffle<i32>(q0, q1, 2, 6, 3, 7)
    const s23 = v128.shuffle<i32>(q2, q3, 2, 6, 3, 7)
    const b2 = v128.load32_splat(b, panelColumns * 8)
    const b3 = v128.load32_splat(b, panelColumns * 12)
    const s2 = v128.shuffle<i64>(r01, r23, 0, 2)
    const t2 = v128.shuffle<i64>(s01, s23, 0, 2)
    x = madd<T>(s2, b2, x)
    y = madd<T>(t2, b2, y)
    if (twice) {
      u = madd<T>(s2, f32x4.neg(b2), u)
      v = madd<T>(t2, f32x4.neg(b2), v)
    }
    const s3 = v128.shuffle<i64>(r01, r23, 1, 3)
    const t3 = v128.shuffle<i64>(s01, s23, 1, 3)
    x = madd<T>(s3, b3, x)
    y = madd<T>(t3, b3, y)
    if (twice) {
      u = madd<T>(s3, f32x4.neg(b3), u)
      v = madd<T>(t3, f32x4.neg(b3), v)
    }
    b += panelColumns * 16
  }
  for (; a < end; a += 4) {
    const bs = v128.load32_splat(b)
    const s = column(a)
    const t = column(a + 4 * rowStride)
    x = madd<T>(s, bs, x)
    y = madd<T>(t, bs, y)
    if (twice) {
      u = madd<T>(s, f32x4.neg(bs), u)
      v = madd<T>(t, f32x4.neg(bs), v)
    }
    b += panelColumns * 4
  }
  finishFour<T>(x, c, stride, rows, accumulate)
  finishFour<T>(y, c + 4 * stride, stride, rows - 4, accumulate)
  if (!twice) return
  finishFour<T>(u, turned, turnedStride, rows, accumulate)
  finishFour<T>(v, turned + 4 * turnedStride, turnedStride, rows - 4, accumulate)
}

/** One step of four rows. */
// @ts-ignore: decorator
@inline
function column(a: usize): v128 {
  let x = i32x4.splat(load<i32>(a))
  x = i32x4.replace_lane(x, 1, load<i32>(a, rowStride))
  x = i32x4.replace_lane(x, 2, load<i32>(a, 2 * rowStride))
  return i32x4.replace_lane(x, 3, load<i32>(a, 3 * rowStride))
}

// @ts-ignore: decorator
@inline
function finishFour<T>(sums: v128, c: usize, stride: usize, rows: i32, accumulate: bool): void {
  if (rows > 0) finishOne<T>(i32x4.extract_lane(sums, 0), c, accumulate)
  if (rows > 1) finishOne<T>(i32x4.extract_lane(sums, 1), c + stride, accumulate)
  if (rows > 2) finishOne<T>(i32x4.extract_lane(sums, 2), c + 2 * stride, accumulate)
  if (rows > 3) finishOne<T>(i32x4.extract_lane(sums, 3), c + 3 * stride, accumulate)
}

// @ts-ignore: decorator
@inline
function finishOne<T>(pattern: i32, c: usize, accumulate: bool): void {
  const sum = i32x4.splat(pattern)
  store<i32>(c, accumulate ? i32x4.extract_lane(add<T>(i32x4.splat(load<i32>(c)), sum), 0) : pattern)
}

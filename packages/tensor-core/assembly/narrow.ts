// A panel with few columns: rows of A take the lanes instead, so that no lane works for nothing. The same additions in
// the same order for every element as in wide tiles.
import { add, madd } from './arithmetic'
import { panelColumns, rowStride } from './fields'

/** Most columns for which this is faster than a wide tile. */
export const narrowColumns = 4

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
    for (let j = 0; j < valid; j++) eightRows<T>(a, b + (j << 2), steps, c + (j << 2), stride, min(rows, 8), accumulate)
    a += 8 * rowStride
    c += 8 * stride
  }
}

/** One column of eight rows; rows that are not there are computed from what the scratch holds, and dropped. */
// @ts-ignore: decorator
@inline
function eightRows<T>(a: usize, b: usize, steps: i32, c: usize, stride: usize, rows: i32, accumulate: bool): void {
  let x = i32x4.splat(0)
  let y = i32x4.splat(0)
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
    x = madd<T>(v128.shuffle<i64>(p01, p23, 0, 2), b0, x)
    y = madd<T>(v128.shuffle<i64>(q01, q23, 0, 2), b0, y)
    x = madd<T>(v128.shuffle<i64>(p01, p23, 1, 3), b1, x)
    y = madd<T>(v128.shuffle<i64>(q01, q23, 1, 3), b1, y)
    const r01 = v128.shuffle<i32>(p0, p1, 2, 6, 3, 7)
    const r23 = v128.shuffle<i32>(p2, p3, 2, 6, 3, 7)
    const s01 = v128.shuffle<i32>(q0, q1, 2, 6, 3, 7)
    const s23 = v128.shuffle<i32>(q2, q3, 2, 6, 3, 7)
    const b2 = v128.load32_splat(b, panelColumns * 8)
    const b3 = v128.load32_splat(b, panelColumns * 12)
    x = madd<T>(v128.shuffle<i64>(r01, r23, 0, 2), b2, x)
    y = madd<T>(v128.shuffle<i64>(s01, s23, 0, 2), b2, y)
    x = madd<T>(v128.shuffle<i64>(r01, r23, 1, 3), b3, x)
    y = madd<T>(v128.shuffle<i64>(s01, s23, 1, 3), b3, y)
    b += panelColumns * 16
  }
  for (; a < end; a += 4) {
    const bs = v128.load32_splat(b)
    x = madd<T>(column(a), bs, x)
    y = madd<T>(column(a + 4 * rowStride), bs, y)
    b += panelColumns * 4
  }
  finishFour<T>(x, c, stride, rows, accumulate)
  finishFour<T>(y, c + 4 * stride, stride, rows - 4, accumulate)
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

// The micro-kernels: register tiles of C = A B over one block of k.
//
// A: packed rows, `rowStride` bytes apart. B: a panel, `panelColumns` values for each step. Every element of C is a
// chain of its own, in the order of k: its bits depend on its row of A and its column of B only, wherever the tile lies.
//
// V8 hoists all loads of a basic block to its top, so a step may hold few of them, and unrolled steps are kept apart by
// exits: otherwise the hoisted values spill. Measured on Zen 4 (GFLOP/s): strict, Node 20: 2x16 with four steps 47, 4x8
// with two steps 45, 4x8 as plain loop 42, and with four steps that are not kept apart 27; relaxed, Node 24: 6x8 58,
// 2x16 54, 4x12 and 3x16, which do not fit in registers, 35 and 27.
import { add, madd } from './arithmetic'
import { rowStride } from './fields'
import { addRow, addToRow } from './row-sums'

/** Accumulators begin at zero, or (`resume`: how the instrumented build stops between two steps) at what C holds. */
// @ts-ignore: decorator
@inline
function start(c: usize, offset: usize, resume: bool): v128 {
  return resume ? v128.load(c + offset) : i32x4.splat(0)
}

// @ts-ignore: decorator
@inline
function finish<T>(sum: v128, c: usize, offset: usize, accumulate: bool): v128 {
  const total = accumulate ? add<T>(v128.load(c + offset), sum) : sum
  v128.store(c + offset, total)
  return total
}

// @ts-ignore: decorator
@inline
function strictTile<T>(rows: i32, a: usize, b: usize, steps: i32, c: usize, stride: usize, resume: bool, accumulate: bool, sums: usize): void {
  const d = c + stride
  let c0 = start(c, 0, resume)
  let c1 = start(c, 16, resume)
  let c2 = start(c, 32, resume)
  let c3 = start(c, 48, resume)
  let d0 = rows > 1 ? start(d, 0, resume) : i32x4.splat(0)
  let d1 = rows > 1 ? start(d, 16, resume) : i32x4.splat(0)
  let d2 = rows > 1 ? start(d, 32, resume) : i32x4.splat(0)
  let d3 = rows > 1 ? start(d, 48, resume) : i32x4.splat(0)
  const end = b + ((<usize>steps) << 6)
  const end1 = end - 64
  const end2 = end - 128
  const end3 = end - 192
  while (true) {
    const x0 = v128.load32_splat(a)
    const p0 = v128.load(b)
    const q0 = v128.load(b, 16)
    const r0 = v128.load(b, 32)
    const s0 = v128.load(b, 48)
    c0 = madd<T>(x0, p0, c0)
    c1 = madd<T>(x0, q0, c1)
    c2 = madd<T>(x0, r0, c2)
    c3 = madd<T>(x0, s0, c3)
    if (rows > 1) {
      const y0 = v128.load32_splat(a, rowStride)
      d0 = madd<T>(y0, p0, d0)
      d1 = madd<T>(y0, q0, d1)
      d2 = madd<T>(y0, r0, d2)
      d3 = madd<T>(y0, s0, d3)
    }
    if (b >= end1) break

    const x1 = v128.load32_splat(a, 4)
    const p1 = v128.load(b, 64)
    const q1 = v128.load(b, 80)
    const r1 = v128.load(b, 96)
    const s1 = v128.load(b, 112)
    c0 = madd<T>(x1, p1, c0)
    c1 = madd<T>(x1, q1, c1)
    c2 = madd<T>(x1, r1, c2)
    c3 = madd<T>(x1, s1, c3)
    if (rows > 1) {
      const y1 = v128.load32_splat(a, rowStride + 4)
      d0 = madd<T>(y1, p1, d0)
      d1 = madd<T>(y1, q1, d1)
      d2 = madd<T>(y1, r1, d2)
      d3 = madd<T>(y1, s1, d3)
    }
    if (b >= end2) break

    const x2 = v128.load32_splat(a, 8)
    const p2 = v128.load(b, 128)
    const q2 = v128.load(b, 144)
    const r2 = v128.load(b, 160)
    const s2 = v128.load(b, 176)
    c0 = madd<T>(x2, p2, c0)
    c1 = madd<T>(x2, q2, c1)
    c2 = madd<T>(x2, r2, c2)
    c3 = madd<T>(x2, s2, c3)
    if (rows > 1) {
      const y2 = v128.load32_splat(a, rowStride + 8)
      d0 = madd<T>(y2, p2, d0)
      d1 = madd<T>(y2, q2, d1)
      d2 = madd<T>(y2, r2, d2)
      d3 = madd<T>(y2, s2, d3)
    }
    if (b >= end3) break

    const x3 = v128.load32_splat(a, 12)
    const p3 = v128.load(b, 192)
    const q3 = v128.load(b, 208)
    const r3 = v128.load(b, 224)
    const s3 = v128.load(b, 240)
    c0 = madd<T>(x3, p3, c0)
    c1 = madd<T>(x3, q3, c1)
    c2 = madd<T>(x3, r3, c2)
    c3 = madd<T>(x3, s3, c3)
    if (rows > 1) {
      const y3 = v128.load32_splat(a, rowStride + 12)
      d0 = madd<T>(y3, p3, d0)
      d1 = madd<T>(y3, q3, d1)
      d2 = madd<T>(y3, r3, d2)
      d3 = madd<T>(y3, s3, d3)
    }
    a += 16
    b += 256
    if (b >= end) break
  }
  c0 = finish<T>(c0, c, 0, accumulate)
  c1 = finish<T>(c1, c, 16, accumulate)
  c2 = finish<T>(c2, c, 32, accumulate)
  c3 = finish<T>(c3, c, 48, accumulate)
  if (rows > 1) {
    d0 = finish<T>(d0, d, 0, accumulate)
    d1 = finish<T>(d1, d, 16, accumulate)
    d2 = finish<T>(d2, d, 32, accumulate)
    d3 = finish<T>(d3, d, 48, accumulate)
  }
  if (!sums) return
  addToRow<T>(sums, add<T>(add<T>(c0, c1), add<T>(c2, c3)))
  if (rows > 1) addToRow<T>(sums + 16, add<T>(add<T>(d0, d1), add<T>(d2, d3)))
}

// @ts-ignore: decorator
@inline
function relaxedTile<T>(rows: i32, a: usize, b: usize, steps: i32, c: usize, stride: usize, resume: bool, accumulate: bool): void {
  const d = c + stride
  const e = d + stride
  const f = e + stride
  const g = f + stride
  const h = g + stride
  const zero = i32x4.splat(0)
  let c0 = start(c, 0, resume)
  let c1 = start(c, 16, resume)
  let d0 = rows > 1 ? start(d, 0, resume) : zero
  let d1 = rows > 1 ? start(d, 16, resume) : zero
  let e0 = rows > 2 ? start(e, 0, resume) : zero
  let e1 = rows > 2 ? start(e, 16, resume) : zero
  let f0 = rows > 3 ? start(f, 0, resume) : zero
  let f1 = rows > 3 ? start(f, 16, resume) : zero
  let g0 = rows > 4 ? start(g, 0, resume) : zero
  let g1 = rows > 4 ? start(g, 16, resume) : zero
  let h0 = rows > 5 ? start(h, 0, resume) : zero
  let h1 = rows > 5 ? start(h, 16, resume) : zero
  const end = b + ((<usize>steps) << 6)
  while (b < end) {
    const p = v128.load(b)
    const q = v128.load(b, 16)
    let x = v128.load32_splat(a)
    c0 = madd<T>(x, p, c0)
    c1 = madd<T>(x, q, c1)
    if (rows > 1) {
      x = v128.load32_splat(a, rowStride)
      d0 = madd<T>(x, p, d0)
      d1 = madd<T>(x, q, d1)
    }
    if (rows > 2) {
      x = v128.load32_splat(a, 2 * rowStride)
      e0 = madd<T>(x, p, e0)
      e1 = madd<T>(x, q, e1)
    }
    if (rows > 3) {
      x = v128.load32_splat(a, 3 * rowStride)
      f0 = madd<T>(x, p, f0)
      f1 = madd<T>(x, q, f1)
    }
    if (rows > 4) {
      x = v128.load32_splat(a, 4 * rowStride)
      g0 = madd<T>(x, p, g0)
      g1 = madd<T>(x, q, g1)
    }
    if (rows > 5) {
      x = v128.load32_splat(a, 5 * rowStride)
      h0 = madd<T>(x, p, h0)
      h1 = madd<T>(x, q, h1)
    }
    a += 4
    b += 64
  }
  finish<T>(c0, c, 0, accumulate)
  finish<T>(c1, c, 16, accumulate)
  if (rows > 1) {
    finish<T>(d0, d, 0, accumulate)
    finish<T>(d1, d, 16, accumulate)
  }
  if (rows > 2) {
    finish<T>(e0, e, 0, accumulate)
    finish<T>(e1, e, 16, accumulate)
  }
  if (rows > 3) {
    finish<T>(f0, f, 0, accumulate)
    finish<T>(f1, f, 16, accumulate)
  }
  if (rows > 4) {
    finish<T>(g0, g, 0, accumulate)
    finish<T>(g1, g, 16, accumulate)
  }
  if (rows > 5) {
    finish<T>(h0, h, 0, accumulate)
    finish<T>(h1, h, 16, accumulate)
  }
}

/** Six rows at most of half a panel, then of the other half. */
// @ts-ignore: decorator
@inline
function relaxedHalves<T>(rows: i32, a: usize, b: usize, steps: i32, c: usize, stride: usize, resume: bool, accumulate: bool): void {
  for (let half: usize = 0; half < 64; half += 32)
    relaxedTile<T>(rows, a, b + half, steps, c + half, stride, resume, accumulate)
}

/** Adds up the rows of a finished tile, which the first cache still holds. */
// @ts-ignore: decorator
@inline
function sumTile<T>(sums: usize, rows: i32, c: usize, stride: usize): void {
  if (!sums) return
  for (let row: usize = 0; row < <usize>rows; row++) addRow<T>(sums + (row << 4), c + row * stride)
}

/** The tiles of `rows` rows of C, one below the other, against one panel of B. */
// @ts-ignore: decorator
@inline
function tiles<T>(a: usize, b: usize, steps: i32, c: usize, stride: usize, rows: i32, resume: bool, accumulate: bool, sums: usize): void {
  const next: usize = sums ? 16 : 0
  if (isFloat<T>() && ASC_FEATURE_RELAXED_SIMD) {
    for (; rows >= 6; rows -= 6, a += 6 * rowStride, c += 6 * stride, sums += 6 * next) {
      relaxedHalves<T>(6, a, b, steps, c, stride, resume, accumulate)
      sumTile<T>(sums, 6, c, stride)
    }
    if (rows == 5) relaxedHalves<T>(5, a, b, steps, c, stride, resume, accumulate)
    if (rows == 4) relaxedHalves<T>(4, a, b, steps, c, stride, resume, accumulate)
    if (rows == 3) relaxedHalves<T>(3, a, b, steps, c, stride, resume, accumulate)
    // One or two rows alone would wait for each addition before the next: a whole panel gives them more to do.
    if (rows == 2) strictTile<T>(2, a, b, steps, c, stride, resume, accumulate, sums)
    if (rows == 1) strictTile<T>(1, a, b, steps, c, stride, resume, accumulate, sums)
    if (rows > 2) sumTile<T>(sums, rows, c, stride)
    return
  }
  for (; rows >= 2; rows -= 2, a += 2 * rowStride, c += 2 * stride, sums += 2 * next) {
    strictTile<T>(2, a, b, steps, c, stride, resume, accumulate, sums)
  }
  if (rows > 0) strictTile<T>(1, a, b, steps, c, stride, resume, accumulate, sums)
}

/**
 * Computes a panel of C (`rows` x `panelColumns`), added to what C holds when `accumulate` is set; its rows' sums are added
 * to those at `sums`, unless that is 0.
 */
export function panel<T>(a: usize, b: usize, steps: i32, c: usize, stride: usize, rows: i32, accumulate: bool, sums: usize): void {
  tiles<T>(a, b, steps, c, stride, rows, false, accumulate, sums)
}

/** Goes on with a panel of C from where it stands: the same additions, in pieces. */
export function resumePanel<T>(a: usize, b: usize, steps: i32, c: usize, stride: usize, rows: i32): void {
  tiles<T>(a, b, steps, c, stride, rows, true, false, 0)
}

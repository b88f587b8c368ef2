// The predicted side of register-tile checks (SC'21, section 4.2): each tile of C once more, from folded operands or
// product by product. Loops of their own that read the operands again, so that the micro-kernel stays as it is and the
// compiler cannot share its products. Within a block of k sums are kept in lanes of type T; across blocks of float
// products in float64.
import { add, madd, sumIntegers, sumLanes, sumShift } from './arithmetic'
import {
  emitOneSided,
  emitReplica,
  emitTwoSided,
  fieldFolds,
  fieldFoldStride,
  fieldPanels,
  fieldReplicaExpected,
  fieldTileExpected,
  panelColumns,
  rowStride,
  tileRows,
} from './fields'

/** Folds the rows of each tile of a packed block of A, for two-sided checks. */
export function foldRows<T>(a: usize, rows: i32, steps: i32, to: usize): void {
  for (let row = 0; row < rows; row += tileRows) {
    const own = min(tileRows, rows - row)
    for (let s: usize = 0; s < <usize>steps << 2; s += 16) {
      let sum = v128.load(a + s)
      for (let r = 1; r < own; r++) {
        const x = v128.load(a + <usize>r * rowStride + s)
        sum = isFloat<T>() ? f32x4.add(sum, x) : i16x8.add(sum, x)
      }
      v128.store(to + s, sum)
    }
    a += <usize>tileRows * rowStride
    to += rowStride
  }
}

/** Predicts the tiles of one panel, rows [row0, row0 + rows), over one block of k, as the flags `checks` say. */
export function checkTiles<T>(
  d: usize,
  checks: i32,
  a: usize,
  folds: usize,
  b: usize,
  row0: i32,
  rows: i32,
  panel: i32,
  step: i32,
  steps: i32,
): void {
  const foldB = <usize>load<u32>(d, fieldFolds) + <usize>panel * load<u32>(d, fieldFoldStride) + (<usize>step << 2)
  const across: usize = load<u32>(d, fieldPanels)
  const tile = (<usize>(row0 / tileRows) * across + panel) << sumShift<T>()
  const next = across << sumShift<T>()
  const expected = <usize>load<u32>(d, fieldTileExpected) + tile
  const first = step == 0
  if (checks & emitOneSided)
    for (let row = 0, to = expected; row < rows; row += tileRows, to += next)
      addLanes<T>(to, oneSided<T>(a + <usize>row * rowStride, foldB, min(tileRows, rows - row), steps), first)
  if (checks & emitTwoSided)
    for (let row = 0, to = expected; row < rows; row += tileRows, to += next) {
      addLanes<T>(to, twoSided<T>(folds, foldB, steps), first)
      folds += rowStride
    }
  if (checks & emitReplica) {
    let to = <usize>load<u32>(d, fieldReplicaExpected) + tile
    for (let row = 0; row < rows; row += tileRows, to += next) {
      const from = a + <usize>row * rowStride
      const own = min(tileRows, rows - row)
      addLanes<T>(to, replica<T>(from, b, own, steps), first)
    }
  }
}

// @ts-ignore: decorator
@inline
function addLanes<T>(at: usize, lanes: v128, first: bool): void {
  if (isFloat<T>()) store<f64>(at, first ? sumLanes(lanes) : load<f64>(at) + sumLanes(lanes))
  else store<i32>(at, first ? sumIntegers(lanes) : load<i32>(at) + sumIntegers(lanes))
}

/** Rows of A against the fold of B, three or two at a time; two accumulators a row hide the latency of additions. */
// @ts-ignore: decorator
@inline
function oneSided<T>(a: usize, fold: usize, rows: i32, steps: i32): v128 {
  let x0 = i32x4.splat(0)
  let x1 = x0
  let y0 = x0
  let y1 = x0
  let z0 = x0
  let z1 = x0
  const end = fold + (<usize>steps << 2)
  for (; rows >= 3; rows -= 3, a += 3 * rowStride) {
    let p = a
    let f = fold
    for (; f + 32 <= end; f += 32) {
      const f0 = v128.load(f)
      const f1 = v128.load(f, 16)
      x0 = madd<T>(v128.load(p), f0, x0)
      x1 = madd<T>(v128.load(p, 16), f1, x1)
      y0 = madd<T>(v128.load(p, rowStride), f0, y0)
      y1 = madd<T>(v128.load(p, rowStride + 16), f1, y1)
      z0 = madd<T>(v128.load(p, 2 * rowStride), f0, z0)
      z1 = madd<T>(v128.load(p, 2 * rowStride + 16), f1, z1)
      p += 32
    }
    for (; f < end; f += 16) {
      const f0 = v128.load(f)
      x0 = madd<T>(v128.load(p), f0, x0)
      y0 = madd<T>(v128.load(p, rowStride), f0, y0)
      z0 = madd<T>(v128.load(p, 2 * rowStride), f0, z0)
      p += 16
    }
  }
  for (; rows >= 2; rows -= 2, a += 2 * rowStride) {
    let p = a
    let f = fold
    for (; f + 32 <= end; f += 32) {
      const f0 = v128.load(f)
      const f1 = v128.load(f, 16)
      x0 = madd<T>(v128.load(p), f0, x0)
      x1 = madd<T>(v128.load(p, 16), f1, x1)
      y0 = madd<T>(v128.load(p, rowStride), f0, y0)
      y1 = madd<T>(v128.load(p, rowStride + 16), f1, y1)
      p += 32
    }
    for (; f < end; f += 16) {
      const f0 = v128.load(f)
      x0 = madd<T>(v128.load(p), f0, x0)
      y0 = madd<T>(v128.load(p, rowStride), f0, y0)
      p += 16
    }
  }
  if (rows > 0) {
    let p = a
    for (let f = fold; f < end; f += 16) {
      x0 = madd<T>(v128.load(p), v128.load(f), x0)
      p += 16
    }
  }
  return add<T>(add<T>(add<T>(x0, x1), add<T>(y0, y1)), add<T>(z0, z1))
}

// @ts-ignore: decorator
@inline
function twoSided<T>(a: usize, b: usize, steps: i32): v128 {
  let s0 = i32x4.splat(0)
  let s1 = i32x4.splat(0)
  let s2 = i32x4.splat(0)
  let s3 = i32x4.splat(0)
  const end = b + (<usize>steps << 2)
  for (; b + 64 <= end; b += 64) {
    s0 = madd<T>(v128.load(a), v128.load(b), s0)
    s1 = madd<T>(v128.load(a, 16), v128.load(b, 16), s1)
    s2 = madd<T>(v128.load(a, 32), v128.load(b, 32), s2)
    s3 = madd<T>(v128.load(a, 48), v128.load(b, 48), s3)
    a += 64
  }
  for (; b < end; b += 16) {
    s0 = madd<T>(v128.load(a), v128.load(b), s0)
    a += 16
  }
  return add<T>(add<T>(s0, s1), add<T>(s2, s3))
}

/** Every product of the tile again, two rows at a time, into one accumulator per vector of columns. */
// @ts-ignore: decorator
@inline
function replica<T>(a: usize, b: usize, rows: i32, steps: i32): v128 {
  let p = i32x4.splat(0)
  let q = p
  let r = p
  let s = p
  for (; rows >= 2; rows -= 2, a += 2 * rowStride) {
    let at = a
    let from = b
    for (let i = 0; i < steps; i++) {
      const x = v128.load32_splat(at)
      const y = v128.load32_splat(at, rowStride)
      p = madd<T>(y, v128.load(from), madd<T>(x, v128.load(from), p))
      q = madd<T>(y, v128.load(from, 16), madd<T>(x, v128.load(from, 16), q))
      r = madd<T>(y, v128.load(from, 32), madd<T>(x, v128.load(from, 32), r))
      s = madd<T>(y, v128.load(from, 48), madd<T>(x, v128.load(from, 48), s))
      at += 4
      from += 64
    }
  }
  if (rows > 0)
    for (let i = 0; i < steps; i++) {
      const x = v128.load32_splat(a)
      p = madd<T>(x, v128.load(b), p)
      q = madd<T>(x, v128.load(b, 16), q)
      r = madd<T>(x, v128.load(b, 32), r)
      s = madd<T>(x, v128.load(b, 48), s)
      a += 4
      b += 64
    }
  return add<T>(add<T>(p, q), add<T>(r, s))
}

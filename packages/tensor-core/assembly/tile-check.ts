// The predicted side of register-tile checks (SC'21, section 4.2): each tile of C once more, from folded operands or
// product by product. Loops of their own that read the operands again, so that the micro-kernel stays as it is and the
// compiler cannot share its products. Within a block of k sums are kept in lanes of type T; across blocks of float
// products in float64.
import { add, madd, sumIntegers, sumLanes, sumShift, tileColumns, tileRows } from './arithmetic'
import {
  emitOneSided,
  emitReplica,
  emitTwoSided,
  fieldFlags,
  fieldFolds,
  fieldFoldStride,
  fieldPanels,
  fieldReplicaExpected,
  fieldTileExpected,
  rowStride,
} from './fields'

/** Folds the rows of each tile of a packed block of A, for two-sided checks. */
export function foldRows<T>(a: usize, rows: i32, steps: i32, to: usize): void {
  for (let row = 0; row < rows; row += tileRows<T>()) {
    const own = min(tileRows<T>(), rows - row)
    for (let s: usize = 0; s < <usize>steps << 2; s += 16) {
      let sum = v128.load(a + s)
      for (let r = 1; r < own; r++) {
        const x = v128.load(a + <usize>r * rowStride + s)
        sum = isFloat<T>() ? f32x4.add(sum, x) : i16x8.add(sum, x)
      }
      v128.store(to + s, sum)
    }
    a += <usize>tileRows<T>() * rowStride
    to += rowStride
  }
}

/** Predicts the tiles of one panel, rows [row0, row0 + rows), over one block of k. */
export function checkTiles<T>(
  d: usize,
  a: usize,
  folds: usize,
  b: usize,
  row0: i32,
  rows: i32,
  panel: i32,
  step: i32,
  steps: i32,
): void {
  const flags = load<i32>(d, fieldFlags)
  const foldB = <usize>load<u32>(d, fieldFolds) + <usize>panel * load<u32>(d, fieldFoldStride) + (<usize>step << 2)
  const across = load<i32>(d, fieldPanels)
  for (let row = 0; row < rows; row += tileRows<T>()) {
    const own = min(tileRows<T>(), rows - row)
    const from = a + <usize>row * rowStride
    const tile = <usize>(((row0 + row) / tileRows<T>()) * across + panel) << sumShift<T>()
    if (flags & emitOneSided) addLanes<T>(<usize>load<u32>(d, fieldTileExpected) + tile, oneSided<T>(from, foldB, own, steps), step)
    if (flags & emitTwoSided) {
      const foldA = folds + <usize>(row / tileRows<T>()) * rowStride
      addLanes<T>(<usize>load<u32>(d, fieldTileExpected) + tile, twoSided<T>(foldA, foldB, steps), step)
    }
    if (flags & emitReplica) {
      const sum = tileColumns<T>() == 16 ? replicaStrict<T>(from, b, own, steps) : replicaRelaxed<T>(from, b, own, steps)
      addLanes<T>(<usize>load<u32>(d, fieldReplicaExpected) + tile, sum, step)
    }
  }
}

// @ts-ignore: decorator
@inline
function addLanes<T>(at: usize, lanes: v128, step: i32): void {
  if (isFloat<T>()) store<f64>(at, step == 0 ? sumLanes(lanes) : load<f64>(at) + sumLanes(lanes))
  else store<i32>(at, step == 0 ? sumIntegers(lanes) : load<i32>(at) + sumIntegers(lanes))
}

/** Rows of A against the fold of B, two at a time. */
// @ts-ignore: decorator
@inline
function oneSided<T>(a: usize, fold: usize, rows: i32, steps: i32): v128 {
  let x = i32x4.splat(0)
  let y = i32x4.splat(0)
  for (; rows >= 2; rows -= 2, a += 2 * rowStride)
    for (let s: usize = 0; s < <usize>steps << 2; s += 16) {
      const f = v128.load(fold + s)
      x = madd<T>(v128.load(a + s), f, x)
      y = madd<T>(v128.load(a + s, rowStride), f, y)
    }
  if (rows > 0)
    for (let s: usize = 0; s < <usize>steps << 2; s += 16) x = madd<T>(v128.load(a + s), v128.load(fold + s), x)
  return add<T>(x, y)
}

// @ts-ignore: decorator
@inline
function twoSided<T>(a: usize, b: usize, steps: i32): v128 {
  let x = i32x4.splat(0)
  let y = i32x4.splat(0)
  const end = <usize>steps << 2
  let s: usize = 0
  for (; s + 32 <= end; s += 32) {
    x = madd<T>(v128.load(a + s), v128.load(b + s), x)
    y = madd<T>(v128.load(a + s, 16), v128.load(b + s, 16), y)
  }
  for (; s < end; s += 16) x = madd<T>(v128.load(a + s), v128.load(b + s), x)
  return add<T>(x, y)
}

/** Every product of the tile again, into one accumulator per vector of columns. */
// @ts-ignore: decorator
@inline
function replicaStrict<T>(a: usize, b: usize, rows: i32, steps: i32): v128 {
  let p = i32x4.splat(0)
  let q = i32x4.splat(0)
  let r = i32x4.splat(0)
  let s = i32x4.splat(0)
  const two = rows > 1
  for (let i = 0; i < steps; i++) {
    const x = v128.load32_splat(a)
    p = madd<T>(x, v128.load(b), p)
    q = madd<T>(x, v128.load(b, 16), q)
    r = madd<T>(x, v128.load(b, 32), r)
    s = madd<T>(x, v128.load(b, 48), s)
    if (two) {
      const y = v128.load32_splat(a, rowStride)
      p = madd<T>(y, v128.load(b), p)
      q = madd<T>(y, v128.load(b, 16), q)
      r = madd<T>(y, v128.load(b, 32), r)
      s = madd<T>(y, v128.load(b, 48), s)
    }
    a += 4
    b += 64
  }
  return add<T>(add<T>(p, q), add<T>(r, s))
}

/** The same for tiles of two vectors of columns: three rows at a time, one accumulator each. */
// @ts-ignore: decorator
@inline
function replicaRelaxed<T>(a: usize, b: usize, rows: i32, steps: i32): v128 {
  let p = i32x4.splat(0)
  let q = i32x4.splat(0)
  let r = i32x4.splat(0)
  for (; rows >= 3; rows -= 3, a += 3 * rowStride) {
    let from = b
    for (let s: usize = 0; s < <usize>steps << 2; s += 4) {
      const u = v128.load(from)
      const v = v128.load(from, 16)
      const x = v128.load32_splat(a + s)
      p = madd<T>(x, v, madd<T>(x, u, p))
      const y = v128.load32_splat(a + s, rowStride)
      q = madd<T>(y, v, madd<T>(y, u, q))
      const z = v128.load32_splat(a + s, 2 * rowStride)
      r = madd<T>(z, v, madd<T>(z, u, r))
      from += 32
    }
  }
  for (; rows > 0; rows--, a += rowStride) {
    let from = b
    for (let s: usize = 0; s < <usize>steps << 2; s += 4) {
      const x = v128.load32_splat(a + s)
      p = madd<T>(x, v128.load(from), p)
      q = madd<T>(x, v128.load(from, 16), q)
      from += 32
    }
  }
  return add<T>(add<T>(p, q), r)
}


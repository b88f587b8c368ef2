// Column checks of products of few columns, a block of rows at a time. Such a product is little more than reading A: what is known
// of it here comes from the one pass that copies it. Rows are added up while they are packed, in float32, and their sum is
// multiplied once; how far both sums may differ is told by C and by that product, so that A is not measured.
//
// Of each block and column four float64: the sum over C, the predicted sum, the sum of C's squares, and that of the squared
// products that the prediction adds up, times the block's rows: of the size of what adding rows up rounds.
import { copyFloats } from './copy'
import {
  fieldA,
  fieldAStride,
  fieldB,
  fieldN,
  fieldPanels,
  fieldScreen,
  fieldSteps,
  panelColumns,
  rowStride,
  screenBytes,
} from './fields'
import { padRow } from './pack-rows'
import { panelAddress } from './pack-weights'

/** Packs steps [step, step + steps) of rows [row0, row1) of a matrix, and adds the rows up: in their order, each step by itself. */
export function packAndAdd(d: usize, to: usize, row0: i32, row1: i32, step: i32, steps: i32, sums: usize): void {
  const stride: usize = load<u32>(d, fieldAStride)
  let from = <usize>load<u32>(d, fieldA) + (<usize>step << 2) + <usize>row0 * stride
  memory.fill(sums, 0, rowStride)
  const whole = steps & ~15
  const done: usize = <usize>whole << 2
  let left = row1 - row0
  for (; left >= 8; left -= 8) {
    packEight(to, from, stride, to + done, sums)
    if (whole < steps) for (let row: usize = 0; row < 8; row++) packRow(to + row * rowStride, from + row * stride, whole, steps, sums)
    to += 8 * rowStride
    from += 8 * stride
  }
  for (; left > 0; left--) {
    packRow(to, from, 0, steps, sums)
    to += rowStride
    from += stride
  }
}

/** Sixteen steps at a time, whose sums stay in registers: stores are what packing waits for. */
// @ts-ignore: decorator
@inline
function packEight(to: usize, from: usize, stride: usize, end: usize, sums: usize): void {
  for (; to < end; to += 64, from += 64, sums += 64) {
    let p = from
    let x = v128.load(sums)
    let y = v128.load(sums, 16)
    let z = v128.load(sums, 32)
    let w = v128.load(sums, 48)
    for (let q = to, stop = to + 8 * rowStride; q < stop; q += 2 * rowStride) {
      let a = v128.load(p)
      let b = v128.load(p, 16)
      let c = v128.load(p, 32)
      let e = v128.load(p, 48)
      v128.store(q, a)
      v128.store(q, b, 16)
      v128.store(q, c, 32)
      v128.store(q, e, 48)
      x = f32x4.add(x, a)
      y = f32x4.add(y, b)
      z = f32x4.add(z, c)
      w = f32x4.add(w, e)
      p += stride
      a = v128.load(p)
      b = v128.load(p, 16)
      c = v128.load(p, 32)
      e = v128.load(p, 48)
      v128.store(q, a, rowStride)
      v128.store(q, b, rowStride + 16)
      v128.store(q, c, rowStride + 32)
      v128.store(q, e, rowStride + 48)
      x = f32x4.add(x, a)
      y = f32x4.add(y, b)
      z = f32x4.add(z, c)
      w = f32x4.add(w, e)
      p += stride
    }
    v128.store(sums, x)
    v128.store(sums, y, 16)
    v128.store(sums, z, 32)
    v128.store(sums, w, 48)
  }
}

/** Steps [first, steps) of one row; `first` is a multiple of four. */
function packRow(to: usize, from: usize, first: i32, steps: i32, sums: usize): void {
  const at: usize = <usize>first << 2
  copyFloats(to + at, from + at, steps - first)
  padRow(to, steps)
  for (let s = at; s < <usize>steps << 2; s += 16)
    v128.store(sums + s, f32x4.add(v128.load(sums + s), v128.load(to + s)))
}

/** Multiplies the rows' sum of one block of k with every column. */
export function expectBlock(d: usize, sums: usize, block: i32, rows: i32, step: i32, steps: i32): void {
  const n = load<i32>(d, fieldN)
  const b = panelAddress<f32>(load<u32>(d, fieldB), load<i32>(d, fieldPanels), load<i32>(d, fieldSteps), 0, step)
  let at = <usize>load<u32>(d, fieldScreen) + <usize>block * screenBytes
  for (let j = 0; j < n; j++, at += 32) {
    let weight = b + (<usize>j << 2)
    let sum0: f64 = 0
    let sum1: f64 = 0
    let squares0: f64 = 0
    let squares1: f64 = 0
    // The last packed step may be a zero.
    for (let s = sums, end = sums + (<usize>steps << 2); s < end; s += 8, weight += 2 * (panelColumns << 2)) {
      const x = <f64>load<f32>(s) * <f64>load<f32>(weight)
      sum0 += x
      squares0 += x * x
      if (s + 4 == end) break
      const y = <f64>load<f32>(s, 4) * <f64>load<f32>(weight, panelColumns << 2)
      sum1 += y
      squares1 += y * y
    }
    const squares = (squares0 + squares1) * <f64>rows
    store<f64>(at, step == 0 ? sum0 + sum1 : load<f64>(at, 8) + (sum0 + sum1), 8)
    store<f64>(at, step == 0 ? squares : load<f64>(at, 24) + squares, 24)
  }
}

/** Adds up the columns of a finished block of C, before bias and activation, and their squares. */
export function sumBlock(d: usize, c: usize, stride: usize, block: i32, rows: i32): void {
  const n = load<i32>(d, fieldN)
  let at = <usize>load<u32>(d, fieldScreen) + <usize>block * screenBytes
  for (let j = 0; j < n; j++, at += 32) {
    let sum0: f64 = 0
    let sum1: f64 = 0
    let squares0: f64 = 0
    let squares1: f64 = 0
    let p = c + (<usize>j << 2)
    for (let row = rows; row > 1; row -= 2, p += 2 * stride) {
      const x = <f64>load<f32>(p)
      const y = <f64>load<f32>(p + stride)
      sum0 += x
      squares0 += x * x
      sum1 += y
      squares1 += y * y
    }
    if (rows & 1) {
      const x = <f64>load<f32>(p)
      sum0 += x
      squares0 += x * x
    }
    store<f64>(at, sum0 + sum1)
    store<f64>(at, squares0 + squares1, 16)
  }
}

/**
 * Compares both sums of every column in each of `blocks` blocks. A check's limit is the root of the first of `limits` times the sum
 * of squares plus the second times what the prediction says of itself. Returns the largest limit's square, or -1 where a check
 * fails or its squares may have vanished.
 */
export function judgeColumns(d: usize, limits: usize, blocks: i32): f64 {
  const n = load<i32>(d, fieldN)
  const ofSquares = load<f64>(limits)
  const ofPrediction = load<f64>(limits, 8)
  let block: usize = load<u32>(d, fieldScreen)
  let largest: f64 = 0
  for (; blocks > 0; blocks--, block += screenBytes)
    for (let j = 0, at = block; j < n; j++, at += 32) {
      const residual = load<f64>(at) - load<f64>(at, 8)
      const squares = load<f64>(at, 16)
      const limit = ofSquares * squares + ofPrediction * load<f64>(at, 24)
      // NaN compares as false.
      if (!(residual * residual <= limit && limit < Infinity && (squares >= 1e-24 || squares == 0))) return -1
      largest = max(largest, limit)
    }
  return largest
}

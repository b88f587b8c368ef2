// Weights in the kernels' layout: blocks of k, in each of them panels of `panelColumns` columns, in each of them the
// steps one after the other. Missing columns are zeros. Products with few rows read it once from end to end.
import { blockSteps, panelColumns } from './fields'

/** Elements along k in a step. */
// @ts-ignore: decorator
@inline
export function elementsPerStep<T>(): i32 {
  return isFloat<T>() ? 1 : 2
}

/** Address of step `step` of a panel. */
// @ts-ignore: decorator
@inline
export function panelAddress<T>(b: usize, panels: i32, steps: i32, panel: i32, block: i32): usize {
  const own = min(blockSteps, steps - block)
  return b + (((<usize>block * panels + <usize>panel * own) * panelColumns) << 2)
}

/** Packs panels [panel0, panel1) of row-major weights [k, n], `stride` bytes from row to row; no columns make one panel. */
export function packWeights<T>(
  from: usize,
  stride: usize,
  to: usize,
  k: i32,
  n: i32,
  panel0: i32,
  panel1: i32,
): void {
  const columns = panelColumns
  const panels = max(1, (n + columns - 1) / columns)
  const steps = (k + elementsPerStep<T>() - 1) / elementsPerStep<T>()
  for (let block = 0; block < steps; block += blockSteps) {
    const own = min(blockSteps, steps - block)
    for (let panel = panel0; panel < panel1; panel++) {
      const valid = min(columns, n - panel * columns)
      let at = panelAddress<T>(to, panels, steps, panel, block)
      for (let s = block; s < block + own; s++) {
        if (isFloat<T>()) packFloats(at, from + <usize>s * stride + (<usize>(panel * columns) << 2), valid, columns)
        else packPairs(at, from + <usize>(2 * s) * stride + <usize>(panel * columns), stride, valid, columns, 2 * s + 1 < k)
        at += columns << 2
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function packFloats(to: usize, from: usize, valid: i32, columns: i32): void {
  if (valid == columns) {
    for (let j = 0; j < columns; j += 4) v128.store(to + (j << 2), v128.load(from + (j << 2)))
    return
  }
  for (let j = 0; j < columns; j++) store<u32>(to + (j << 2), j < valid ? load<u32>(from + (j << 2)) : 0)
}

/** Two rows of int8, interleaved column by column and widened to int16. */
// @ts-ignore: decorator
@inline
function packPairs(to: usize, from: usize, stride: usize, valid: i32, columns: i32, two: bool): void {
  for (let j = 0; j < columns; j++) {
    const first: i32 = j < valid ? load<i8>(from + j) : 0
    const second: i32 = j < valid && two ? load<i8>(from + stride + j) : 0
    store<i32>(to + (j << 2), (first & 0xffff) | (second << 16))
  }
}

/**
 * `B e` of rows [row0, row1) of row-major weights: int32 sums of int8; of float32 float64 sums, rounded to float32, and what that
 * left, at `rest`.
 */
export function sumRows<T>(from: usize, stride: usize, n: i32, row0: i32, row1: i32, to: usize, rest: usize): void {
  for (let s = row0; s < row1; s++) {
    const row = from + <usize>s * stride
    if (isFloat<T>()) {
      const sum = sumFloats(row, n)
      const rounded = <f32>sum
      store<f32>(to + (<usize>s << 2), rounded)
      store<f32>(rest + (<usize>s << 2), <f32>(sum - <f64>rounded))
    } else store<i32>(to + (<usize>s << 2), sumBytes(row, n))
  }
}

function sumFloats(row: usize, n: i32): f64 {
  let x = f64x2.splat(0)
  let y = f64x2.splat(0)
  let j = 0
  for (; j + 4 <= n; j += 4) {
    const values = v128.load(row + (<usize>j << 2))
    x = f64x2.add(x, f64x2.promote_low_f32x4(values))
    y = f64x2.add(y, f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 1)))
  }
  const pairs = f64x2.add(x, y)
  let sum = f64x2.extract_lane(pairs, 0) + f64x2.extract_lane(pairs, 1)
  for (; j < n; j++) sum += <f64>load<f32>(row + (<usize>j << 2))
  return sum
}

function sumBytes(row: usize, n: i32): i32 {
  let sum = 0
  for (let j = 0; j < n; j++) sum += <i32>load<i8>(row + j)
  return sum
}

/**
 * Folds each panel over its columns, step by step: float32 sums rounded once, or int16 pairs (16 int8 values fit).
 * `foldStride` bytes from panel to panel; steps beyond the last are zeros.
 */
export function foldPanels<T>(
  b: usize,
  panels: i32,
  steps: i32,
  to: usize,
  foldStride: usize,
  panel0: i32,
  panel1: i32,
): void {
  const columns = panelColumns
  for (let panel = panel0; panel < panel1; panel++) {
    const out = to + <usize>panel * foldStride
    for (let block = 0; block < steps; block += blockSteps) {
      const own = min(blockSteps, steps - block)
      const from = panelAddress<T>(b, panels, steps, panel, block)
      for (let s = 0; s < own; s++) foldStep<T>(out + (<usize>(block + s) << 2), from + (<usize>(s * columns) << 2))
    }
    for (let s = <usize>steps << 2; s < foldStride; s += 4) store<u32>(out + s, 0)
  }
}

// @ts-ignore: decorator
@inline
function foldStep<T>(to: usize, from: usize): void {
  if (isFloat<T>()) {
    let sum: f64 = 0
    for (let j = 0; j < panelColumns; j++) sum += <f64>load<f32>(from + (j << 2))
    store<f32>(to, <f32>sum)
    return
  }
  let first = 0
  let second = 0
  for (let j = 0; j < panelColumns; j++) {
    first += <i32>load<i16>(from + (j << 2))
    second += <i32>load<i16>(from + (j << 2) + 2)
  }
  store<i32>(to, (first & 0xffff) | (second << 16))
}

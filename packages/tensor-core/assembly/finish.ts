// What follows the last block of k, strip by strip of columns while C is in cache: check sums over C, then bias and
// activation, then sums for the next layer.
import { add, addElementTo, addVectorTo, high, low, sumIntegers, sumShift } from './arithmetic'
import {
  addBias,
  applyGelu,
  applyRelu,
  emitColumnActual,
  emitNext,
  emitOneSided,
  emitReplica,
  emitRowActual,
  emitScreen,
  emitTwoSided,
  fieldBias,
  fieldClasses,
  fieldClassOfRow,
  fieldColumnActual,
  fieldFlags,
  fieldM,
  fieldN,
  fieldNext,
  fieldPanels,
  fieldReplicaExpected,
  fieldRowActual,
  fieldTileActual,
  narrowColumns,
  panelColumns,
  scratchRowSums,
  scratchTurned,
  stripColumns,
  tileRows,
} from './fields'
import { gelu } from './gelu'
import { turnedStride } from './narrow'
import { storeRowSums } from './row-sums'

/** Whether anything is left to do once C is computed. */
// @ts-ignore: decorator
@inline
export function needsFinish(flags: i32): bool {
  const sums = emitRowActual | emitColumnActual | emitNext | emitOneSided | emitTwoSided | emitReplica | emitScreen
  return (flags & (sums | addBias | applyRelu | applyGelu)) != 0
}

/**
 * Finishes columns [j0, j1) (of one strip) of rows [row0, row0 + rows); `c` is the address of the first of them. Scratch has
 * their rows' sums and their replica.
 */
export function finishStrip<T>(
  d: usize,
  scratch: usize,
  c: usize,
  stride: usize,
  block: i32,
  row0: i32,
  rows: i32,
  j0: i32,
  j1: i32,
): void {
  const flags = load<i32>(d, fieldFlags)
  const columns = j1 - j0
  if (flags & emitRowActual) {
    const first = <usize>(j0 / stripColumns) * load<u32>(d, fieldM) + <usize>row0
    storeRowSums<T>(<usize>load<u32>(d, fieldRowActual) + (first << sumShift<T>()), scratch + scratchRowSums, rows)
  }
  if (flags & (emitOneSided | emitTwoSided | emitReplica)) storeTileSums<T>(d, c, stride, row0, rows, j0, columns)
  if (isFloat<T>() && hasExactReplica(d)) storeReplica(d, scratch + scratchTurned, row0, rows, columns)
  if (flags & emitColumnActual) {
    const to = <usize>load<u32>(d, fieldColumnActual) + columnOffset<T>(d, block, j0)
    for (let row = 0; row < rows; row++) addColumns<T>(to, c + <usize>row * stride, columns)
  }
  if (flags & (addBias | applyRelu | applyGelu)) {
    const bias = <usize>load<u32>(d, fieldBias) + (<usize>j0 << 2)
    for (let row = 0; row < rows; row++) {
      const at = c + <usize>row * stride
      if (flags & addBias) addBiasTo<T>(at, bias, columns)
      if (flags & applyRelu) rectify<T>(at, columns)
      if (isFloat<T>() && flags & applyGelu) applyGeluTo(at, columns)
    }
  }
  if (flags & emitNext) {
    const classes = load<i32>(d, fieldClasses)
    const classOf: usize = load<u32>(d, fieldClassOfRow)
    const to: usize = load<u32>(d, fieldNext)
    for (let row = 0; row < rows; row++) {
      const own = classOf ? load<i32>(classOf + (<usize>(row0 + row) << 2)) : 0
      addColumns<T>(to + columnOffset<T>(d, block * classes + own, j0), c + <usize>row * stride, columns)
    }
  }
}

/** Whether a float product's replica is computed beside it, bit for bit. */
// @ts-ignore: decorator
@inline
export function hasExactReplica(d: usize): bool {
  return (load<i32>(d, fieldFlags) & emitReplica) != 0 && load<i32>(d, fieldN) <= narrowColumns
}

/** Sums of the replica's tiles: those of C's turned, in the same order. */
function storeReplica(d: usize, turned: usize, row0: i32, rows: i32, columns: i32): void {
  let to = <usize>load<u32>(d, fieldReplicaExpected) + (<usize>(row0 / tileRows) << 3)
  for (let row = 0; row < rows; row += tileRows, to += 8) {
    storeTileSum<f32>(to, turned + <usize>row * turnedStride, turnedStride, min(tileRows, rows - row), columns)
    store<f64>(to, -load<f64>(to))
  }
}

/** Where column j0 lies in the `index`-th vector of column sums. */
// @ts-ignore: decorator
@inline
function columnOffset<T>(d: usize, index: i32, j0: i32): usize {
  return (<usize>index * load<u32>(d, fieldPanels) * panelColumns + <usize>j0) << sumShift<T>()
}

/** Stores the sum of neighbouring elements. */
// @ts-ignore: decorator
@inline
function storeSum<T>(to: usize, c: usize, columns: i32): void {
  if (isFloat<T>()) store<f64>(to, sumFloats(c, columns))
  else store<i32>(to, sumWords(c, columns))
}

/** Sum of neighbouring elements of a tile. */
// @ts-ignore: decorator
@inline
function sumFloats(c: usize, columns: i32): f64 {
  let s0 = f64x2.splat(0)
  let s1 = s0
  const end = c + (<usize>columns << 2)
  for (; c + 16 <= end; c += 16) {
    const x = v128.load(c)
    s0 = f64x2.add(s0, low(x))
    s1 = f64x2.add(s1, high(x))
  }
  const pair = f64x2.add(s0, s1)
  let sum = f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1)
  for (; c < end; c += 4) sum += <f64>load<f32>(c)
  return sum
}

/** Four vectors in float32: a row of a tile, as if each element had rounded twice more. */
// @ts-ignore: decorator
@inline
function addFour(c: usize): v128 {
  return f32x4.add(f32x4.add(v128.load(c), v128.load(c, 16)), f32x4.add(v128.load(c, 32), v128.load(c, 48)))
}

// @ts-ignore: decorator
@inline
function sumWords(c: usize, columns: i32): i32 {
  let lanes = i32x4.splat(0)
  const end = c + (<usize>columns << 2)
  for (; c + 16 <= end; c += 16) lanes = i32x4.add(lanes, v128.load(c))
  let sum = sumIntegers(lanes)
  for (; c < end; c += 4) sum += load<i32>(c)
  return sum
}

function storeTileSums<T>(d: usize, c: usize, stride: usize, row0: i32, rows: i32, j0: i32, columns: i32): void {
  const across = load<i32>(d, fieldPanels)
  for (let row = 0; row < rows; row += tileRows) {
    const own = min(tileRows, rows - row)
    const first = ((row0 + row) / tileRows) * across + j0 / panelColumns
    let to = <usize>load<u32>(d, fieldTileActual) + (<usize>first << sumShift<T>())
    for (let j = 0; j < columns; j += panelColumns) {
      storeTileSum<T>(to, c + <usize>row * stride + (j << 2), stride, own, min(panelColumns, columns - j))
      to += 1 << sumShift<T>()
    }
  }
}

// @ts-ignore: decorator
@inline
function storeTileSum<T>(to: usize, c: usize, stride: usize, rows: i32, columns: i32): void {
  if (columns < panelColumns) {
    if (isFloat<T>()) {
      let sum = sumFloats(c, columns)
      for (let r = 1; r < rows; r++)
        for (let j = 0; j < columns; j++) sum += <f64>load<f32>(c + <usize>r * stride + (j << 2))
      store<f64>(to, sum)
      return
    }
    storeSum<T>(to, c, columns)
    for (let r = 1; r < rows; r++)
      for (let j = 0; j < columns; j++) addElementTo<T>(to, c + <usize>r * stride + (j << 2))
    return
  }
  if (isFloat<T>()) {
    let s0 = f64x2.splat(0)
    let s1 = s0
    for (let r = 0; r < rows; r++, c += stride) {
      const x = addFour(c)
      s0 = f64x2.add(s0, low(x))
      s1 = f64x2.add(s1, high(x))
    }
    const pair = f64x2.add(s0, s1)
    store<f64>(to, f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1))
    return
  }
  let lanes = i32x4.splat(0)
  for (let r = 0; r < rows; r++, c += stride)
    for (let j = 0; j < panelColumns; j += 4) lanes = add<T>(lanes, v128.load(c + (j << 2)))
  store<i32>(to, sumIntegers(lanes))
}

// @ts-ignore: decorator
@inline
function addColumns<T>(to: usize, c: usize, columns: i32): void {
  let j = 0
  for (; j + 4 <= columns; j += 4) addVectorTo<T>(to + (<usize>j << sumShift<T>()), v128.load(c + (j << 2)))
  for (; j < columns; j++) addElementTo<T>(to + (<usize>j << sumShift<T>()), c + (j << 2))
}

function addBiasTo<T>(c: usize, bias: usize, columns: i32): void {
  const end = c + (<usize>columns << 2)
  for (; c + 16 <= end; c += 16, bias += 16) v128.store(c, add<T>(v128.load(c), v128.load(bias)))
  for (; c < end; c += 4, bias += 4) store<T>(c, load<T>(c) + load<T>(bias))
}

/** x < 0 ? 0 : x, which passes NaN on; the maximum that treats NaN specially costs eight instructions. */
function rectify<T>(c: usize, columns: i32): void {
  const zero = i32x4.splat(0)
  const end = c + (<usize>columns << 2)
  for (; c + 32 <= end; c += 32) {
    const x = v128.load(c)
    const y = v128.load(c, 16)
    v128.store(c, isFloat<T>() ? f32x4.pmax(x, zero) : i32x4.max_s(x, zero))
    v128.store(c, isFloat<T>() ? f32x4.pmax(y, zero) : i32x4.max_s(y, zero), 16)
  }
  for (; c < end; c += 4) if (load<T>(c) < 0) store<T>(c, 0)
}

function applyGeluTo(c: usize, columns: i32): void {
  const end = c + (<usize>columns << 2)
  for (; c + 16 <= end; c += 16) v128.store(c, gelu(v128.load(c)))
  for (; c < end; c += 4) v128.store_lane<f32>(c, gelu(v128.load32_zero(c)), 0)
}

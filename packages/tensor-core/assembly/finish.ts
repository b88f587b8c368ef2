// What follows the last block of k, panel by panel while the tiles are in cache: check sums over C, then bias and
// activation, then sums for the next layer.
import { addElementTo, addLanesTo, addVectorTo, high, low, sumShift, tileColumns, tileRows } from './arithmetic'
import {
  addBias,
  applyGelu,
  applyRelu,
  emitColumnActual,
  emitNext,
  emitOneSided,
  emitReplica,
  emitRowActual,
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
  fieldRowActual,
  fieldTileActual,
  stripColumns,
} from './fields'
import { gelu } from './gelu'

/** Whether anything is left to do once C is computed. */
// @ts-ignore: decorator
@inline
export function needsFinish(flags: i32): bool {
  return (
    (flags &
      (emitRowActual |
        emitColumnActual |
        emitNext |
        emitOneSided |
        emitTwoSided |
        emitReplica |
        addBias |
        applyRelu |
        applyGelu)) !=
    0
  )
}

/** Finishes rows [row0, row0 + rows) of a panel of C at `c`, `stride` bytes from row to row. */
export function finishPanel<T>(d: usize, c: usize, stride: usize, block: i32, row0: i32, rows: i32, panel: i32): void {
  const flags = load<i32>(d, fieldFlags)
  const valid = min(tileColumns<T>(), load<i32>(d, fieldN) - panel * tileColumns<T>())
  if (flags & emitRowActual) addRowSums<T>(d, c, stride, row0, rows, panel, valid)
  if (flags & (emitOneSided | emitTwoSided | emitReplica)) storeTileSums<T>(d, c, stride, row0, rows, panel, valid)
  if (flags & emitColumnActual) {
    const to = <usize>load<u32>(d, fieldColumnActual) + columnOffset<T>(d, block, panel)
    for (let row = 0; row < rows; row++) addColumns<T>(to, c + <usize>row * stride, valid)
  }
  if (flags & (addBias | applyRelu | applyGelu)) {
    const bias = <usize>load<u32>(d, fieldBias) + (<usize>(panel * tileColumns<T>()) << 2)
    for (let row = 0; row < rows; row++) activate<T>(c + <usize>row * stride, bias, flags, valid)
  }
  if (flags & emitNext) {
    const classes = load<i32>(d, fieldClasses)
    const classOf: usize = load<u32>(d, fieldClassOfRow)
    const to: usize = load<u32>(d, fieldNext)
    for (let row = 0; row < rows; row++) {
      const own = classOf ? load<i32>(classOf + (<usize>(row0 + row) << 2)) : 0
      addColumns<T>(to + columnOffset<T>(d, block * classes + own, panel), c + <usize>row * stride, valid)
    }
  }
}

/** Where the columns of a panel begin in the `index`-th vector of column sums. */
// @ts-ignore: decorator
@inline
function columnOffset<T>(d: usize, index: i32, panel: i32): usize {
  return (<usize>index * load<u32>(d, fieldPanels) + panel) * tileColumns<T>() << sumShift<T>()
}

function addRowSums<T>(d: usize, c: usize, stride: usize, row0: i32, rows: i32, panel: i32, valid: i32): void {
  const strip = (panel * tileColumns<T>()) / stripColumns
  let to =
    <usize>load<u32>(d, fieldRowActual) + ((<usize>strip * load<u32>(d, fieldM) + <usize>row0) << sumShift<T>())
  for (let row = 0; row < rows; row++) {
    addRowSum<T>(to, c, valid)
    c += stride
    to += 1 << sumShift<T>()
  }
}

/** Adds the valid columns of one row of a panel to a check sum. */
// @ts-ignore: decorator
@inline
function addRowSum<T>(to: usize, c: usize, valid: i32): void {
  if (valid < tileColumns<T>()) {
    for (let j = 0; j < valid; j++) addElementTo<T>(to, c + (j << 2))
    return
  }
  if (isFloat<T>()) {
    const x = v128.load(c)
    const y = v128.load(c, 16)
    let sum = f64x2.add(f64x2.add(low(x), high(x)), f64x2.add(low(y), high(y)))
    if (tileColumns<T>() == 16) {
      const z = v128.load(c, 32)
      const w = v128.load(c, 48)
      sum = f64x2.add(sum, f64x2.add(f64x2.add(low(z), high(z)), f64x2.add(low(w), high(w))))
    }
    store<f64>(to, load<f64>(to) + (f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)))
    return
  }
  for (let j = 0; j < tileColumns<T>(); j += 4) addLanesTo<T>(to, v128.load(c + (j << 2)))
}

function storeTileSums<T>(d: usize, c: usize, stride: usize, row0: i32, rows: i32, panel: i32, valid: i32): void {
  const across = load<i32>(d, fieldPanels)
  const tiles: usize = load<u32>(d, fieldTileActual)
  for (let row = 0; row < rows; row += tileRows<T>()) {
    const own = min(tileRows<T>(), rows - row)
    const to = tiles + (<usize>(((row0 + row) / tileRows<T>()) * across + panel) << sumShift<T>())
    if (isFloat<T>()) store<f64>(to, 0)
    else store<i32>(to, 0)
    for (let r = 0; r < own; r++) addRowSum<T>(to, c + <usize>(row + r) * stride, valid)
  }
}

// @ts-ignore: decorator
@inline
function addColumns<T>(to: usize, c: usize, valid: i32): void {
  let j = 0
  for (; j + 4 <= valid; j += 4) addVectorTo<T>(to + (<usize>j << sumShift<T>()), v128.load(c + (j << 2)))
  for (; j < valid; j++) addElementTo<T>(to + (<usize>j << sumShift<T>()), c + (j << 2))
}

// @ts-ignore: decorator
@inline
function activate<T>(c: usize, bias: usize, flags: i32, valid: i32): void {
  let j = 0
  for (; j + 4 <= valid; j += 4)
    v128.store(c + (j << 2), activated<T>(v128.load(c + (j << 2)), flags & addBias ? v128.load(bias + (j << 2)) : i32x4.splat(0), flags))
  for (; j < valid; j++) {
    const x = v128.load32_zero(c + (j << 2))
    const y = activated<T>(x, flags & addBias ? v128.load32_zero(bias + (j << 2)) : i32x4.splat(0), flags)
    v128.store_lane<f32>(c + (j << 2), y, 0)
  }
}

// @ts-ignore: decorator
@inline
function activated<T>(x: v128, bias: v128, flags: i32): v128 {
  if (!isFloat<T>()) {
    if (flags & addBias) x = i32x4.add(x, bias)
    return flags & applyRelu ? i32x4.max_s(x, i32x4.splat(0)) : x
  }
  if (flags & addBias) x = f32x4.add(x, bias)
  if (flags & applyRelu) return f32x4.max(x, f32x4.splat(0))
  return flags & applyGelu ? gelu(x) : x
}

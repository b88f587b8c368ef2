// What checks need of A, taken while its packed rows are in cache: products with the row sums of B, sums, extrema.
// Products and sums of float32 are float64: exact products, additions rounded to 2^-53.
import { high, low, sumShift } from './arithmetic'
import {
  emitColumnOfA,
  emitRowExpected,
  emitStatistics,
  fieldColumnOfA,
  fieldFlags,
  fieldK,
  fieldRowChecksum,
  fieldRowExpected,
  fieldRowMax,
  fieldRowMin,
  fieldRowSum,
  rowStride,
} from './fields'

/** For packed rows [row0, row1), steps [step, step + steps) of A. */
export function rowPass<T>(d: usize, a: usize, block: i32, row0: i32, row1: i32, step: i32, steps: i32): void {
  const flags = load<i32>(d, fieldFlags)
  if (flags & emitRowExpected) {
    const checksum: usize = load<u32>(d, fieldRowChecksum)
    const expected: usize = load<u32>(d, fieldRowExpected)
    if (isFloat<T>()) expectRows(a, checksum + (<usize>step << 3), expected, row0, row1, step, steps)
    else expectIntegerRows(a, checksum + (<usize>step << 3), expected, row0, row1, step, integerCount(d, step, steps))
  }
  if (flags & emitStatistics) {
    const sum: usize = load<u32>(d, fieldRowSum)
    const min: usize = load<u32>(d, fieldRowMin)
    const max: usize = load<u32>(d, fieldRowMax)
    for (let row = row0; row < row1; row++) {
      const from = a + <usize>(row - row0) * rowStride
      if (isFloat<T>()) rowStatistics(from, steps, row, sum, min, max, step == 0)
      else integerStatistics(from, integerCount(d, step, steps), row, sum, min, max, step == 0)
    }
  }
  if (flags & emitColumnOfA) {
    const to = <usize>load<u32>(d, fieldColumnOfA) + <usize>block * columnStride<T>(d)
    if (isFloat<T>()) addColumns(a, row1 - row0, steps, to + (<usize>step << 3))
    else addIntegerColumns(a, row1 - row0, integerCount(d, step, steps), to + (<usize>step << 3))
  }
}

/** Bytes of one block's column sums of A: k rounded up to a multiple of 8. */
// @ts-ignore: decorator
@inline
export function columnStride<T>(d: usize): usize {
  const k = load<i32>(d, fieldK)
  return <usize>((k + 7) & ~7) << sumShift<T>()
}

/** Elements of a block of int8 steps, without the zero that fills the last pair. */
// @ts-ignore: decorator
@inline
function integerCount(d: usize, step: i32, steps: i32): i32 {
  return min(2 * steps, load<i32>(d, fieldK) - 2 * step)
}

/** Two rows at a time share the loads of the checksum. */
function expectRows(a: usize, checksum: usize, expected: usize, row0: i32, row1: i32, step: i32, steps: i32): void {
  const first = step == 0
  let row = row0
  for (; row + 2 <= row1; row += 2) {
    expectTwo(a, checksum, expected + (<usize>row << 3), steps, first)
    a += 2 * rowStride
  }
  if (row < row1) expectOne(a, checksum, expected + (<usize>row << 3), steps, first)
}

function expectTwo(a: usize, checksum: usize, expected: usize, steps: i32, first: bool): void {
  let s0 = f64x2.splat(0)
  let s1 = s0
  let t0 = s0
  let t1 = s0
  const end = a + (<usize>steps << 2)
  for (; a < end; a += 16) {
    const b0 = v128.load(checksum)
    const b1 = v128.load(checksum, 16)
    const x = v128.load(a)
    const y = v128.load(a, rowStride)
    s0 = f64x2.add(s0, f64x2.mul(low(x), b0))
    s1 = f64x2.add(s1, f64x2.mul(high(x), b1))
    t0 = f64x2.add(t0, f64x2.mul(low(y), b0))
    t1 = f64x2.add(t1, f64x2.mul(high(y), b1))
    checksum += 32
  }
  addExpected(expected, f64x2.add(s0, s1), first)
  addExpected(expected + 8, f64x2.add(t0, t1), first)
}

/** The same additions for one row, so that a row's sum does not depend on the rows beside it. */
function expectOne(a: usize, checksum: usize, expected: usize, steps: i32, first: bool): void {
  let s0 = f64x2.splat(0)
  let s1 = s0
  const end = a + (<usize>steps << 2)
  for (; a < end; a += 16) {
    const x = v128.load(a)
    s0 = f64x2.add(s0, f64x2.mul(low(x), v128.load(checksum)))
    s1 = f64x2.add(s1, f64x2.mul(high(x), v128.load(checksum, 16)))
    checksum += 32
  }
  addExpected(expected, f64x2.add(s0, s1), first)
}

// @ts-ignore: decorator
@inline
function addExpected(at: usize, pair: v128, first: bool): void {
  const sum = f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1)
  store<f64>(at, first ? sum : load<f64>(at) + sum)
}

function expectIntegerRows(
  a: usize,
  checksum: usize,
  expected: usize,
  row0: i32,
  row1: i32,
  step: i32,
  count: i32,
): void {
  for (let row = row0; row < row1; row++) {
    let sum = 0
    for (let i = 0; i < count; i++) sum += <i32>load<i16>(a + (i << 1)) * load<i32>(checksum + (<usize>i << 2))
    const at = expected + (<usize>row << 2)
    store<i32>(at, step == 0 ? sum : load<i32>(at) + sum)
    a += rowStride
  }
}

/** NaN shows in the sum; extrema are of the other elements, as comparisons pass it over. */
function rowStatistics(a: usize, steps: i32, row: i32, sum: usize, low0: usize, high0: usize, first: bool): void {
  let s = f64x2.splat(0)
  let least = f32x4.splat(Infinity)
  let most = f32x4.splat(-Infinity)
  let i = 0
  for (; i + 4 <= steps; i += 4) {
    const x = v128.load(a + (i << 2))
    s = f64x2.add(f64x2.add(s, low(x)), high(x))
    least = f32x4.pmin(least, x)
    most = f32x4.pmax(most, x)
  }
  let total = f64x2.extract_lane(s, 0) + f64x2.extract_lane(s, 1)
  let smallest = min(
    min(f32x4.extract_lane(least, 0), f32x4.extract_lane(least, 1)),
    min(f32x4.extract_lane(least, 2), f32x4.extract_lane(least, 3)),
  )
  let largest = max(
    max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
    max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
  )
  for (; i < steps; i++) {
    const x = load<f32>(a + (i << 2))
    total += <f64>x
    if (x < smallest) smallest = x
    if (x > largest) largest = x
  }
  storeStatistics(row, total, smallest, largest, sum, low0, high0, first)
}

function integerStatistics(a: usize, count: i32, row: i32, sum: usize, low0: usize, high0: usize, first: bool): void {
  let total = 0
  let smallest: i32 = i32.MAX_VALUE
  let largest: i32 = i32.MIN_VALUE
  for (let i = 0; i < count; i++) {
    const x: i32 = load<i16>(a + (i << 1))
    total += x
    smallest = min(smallest, x)
    largest = max(largest, x)
  }
  storeStatistics(row, <f64>total, <f32>smallest, <f32>largest, sum, low0, high0, first)
}

// @ts-ignore: decorator
@inline
function storeStatistics(
  row: i32,
  total: f64,
  smallest: f32,
  largest: f32,
  sum: usize,
  low0: usize,
  high0: usize,
  first: bool,
): void {
  const at = <usize>row
  store<f64>(sum + (at << 3), first ? total : load<f64>(sum + (at << 3)) + total)
  store<f32>(low0 + (at << 2), first ? smallest : min(load<f32>(low0 + (at << 2)), smallest))
  store<f32>(high0 + (at << 2), first ? largest : max(load<f32>(high0 + (at << 2)), largest))
}

/** Adds packed rows to the column sums, which the caller has cleared. */
function addColumns(a: usize, rows: i32, steps: i32, to: usize): void {
  for (let row = 0; row < rows; row++) {
    for (let s: usize = 0; s < <usize>steps << 2; s += 16) {
      const x = v128.load(a + s)
      const at = to + (s << 1)
      v128.store(at, f64x2.add(v128.load(at), low(x)))
      v128.store(at, f64x2.add(v128.load(at, 16), high(x)), 16)
    }
    a += rowStride
  }
}

function addIntegerColumns(a: usize, rows: i32, count: i32, to: usize): void {
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < count; i++) {
      const at = to + (<usize>i << 2)
      store<i32>(at, load<i32>(at) + <i32>load<i16>(a + (i << 1)))
    }
    a += rowStride
  }
}

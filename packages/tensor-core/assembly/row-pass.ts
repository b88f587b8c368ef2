// What checks need of A, taken while its packed rows are in cache: products with the row sums of B, sums, squares, extrema.
// Products and sums of float32 are float64: exact products, additions rounded to 2^-53.
import { high, low, madd, madd64, sumLanes, sumShift } from './arithmetic'
import {
  emitColumnOfA,
  emitRowExpected,
  emitStatistics,
  fieldColumnOfA,
  fieldFlags,
  fieldK,
  fieldM,
  fieldRanges,
  fieldRowChecksum,
  fieldRowChecksumStride,
  fieldRowExpected,
  fieldRowMax,
  fieldRowMin,
  fieldRowSquares,
  fieldRowSum,
  rowStride,
} from './fields'

/** For packed rows [row0, row1), steps [step, step + steps) of A. */
export function rowPass<T>(d: usize, a: usize, block: i32, row0: i32, row1: i32, step: i32, steps: i32): void {
  const flags = load<i32>(d, fieldFlags)
  const checksum = <usize>load<u32>(d, fieldRowChecksum) + (<usize>step << 3)
  if (isFloat<T>()) {
    // Statistics are taken in the pass of the first range.
    if (flags & emitStatistics) measureRows(d, a, checksum, row0, row1, steps, step == 0)
    if (flags & emitRowExpected)
      for (let range = flags & emitStatistics ? 1 : 0; range < load<i32>(d, fieldRanges); range++) {
        const own = checksum + <usize>range * load<u32>(d, fieldRowChecksumStride)
        const to = <usize>load<u32>(d, fieldRowExpected) + ((<usize>range * load<u32>(d, fieldM)) << 3)
        expectRows(a, own, to, row0, row1, steps, step == 0)
      }
  } else {
    const count = integerCount(d, step, steps)
    if (flags & emitRowExpected) expectIntegerRows(a, checksum, load<u32>(d, fieldRowExpected), row0, row1, step, count)
    if (flags & emitStatistics) measureIntegerRows(d, a, row0, row1, count, step == 0)
  }
  if (flags & emitColumnOfA) {
    const to = <usize>load<u32>(d, fieldColumnOfA) + <usize>block * columnStride<T>(d) + (<usize>step << 3)
    if (isFloat<T>()) addColumns(a, row1 - row0, steps, to)
    else addIntegerColumns(a, row1 - row0, integerCount(d, step, steps), to)
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

/** Two rows at a time share the loads of the checksum; each row's additions are the same as when it is alone. */
function expectRows(a: usize, checksum: usize, expected: usize, row0: i32, row1: i32, steps: i32, first: bool): void {
  let row = row0
  for (; row + 2 <= row1; row += 2) {
    expectTwo(a, checksum, expected + (<usize>row << 3), steps, first)
    a += 2 * rowStride
  }
  if (row < row1) expectOne(a, checksum, expected + (<usize>row << 3), steps, first)
}

// @ts-ignore: decorator
@inline
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
    s0 = madd64(low(x), b0, s0)
    s1 = madd64(high(x), b1, s1)
    t0 = madd64(low(y), b0, t0)
    t1 = madd64(high(y), b1, t1)
    checksum += 32
  }
  addDouble(expected, sumPair(f64x2.add(s0, s1)), first)
  addDouble(expected + 8, sumPair(f64x2.add(t0, t1)), first)
}

// @ts-ignore: decorator
@inline
function expectOne(a: usize, checksum: usize, expected: usize, steps: i32, first: bool): void {
  let s0 = f64x2.splat(0)
  let s1 = s0
  const end = a + (<usize>steps << 2)
  for (; a < end; a += 16) {
    const x = v128.load(a)
    s0 = madd64(low(x), v128.load(checksum), s0)
    s1 = madd64(high(x), v128.load(checksum, 16), s1)
    checksum += 32
  }
  addDouble(expected, sumPair(f64x2.add(s0, s1)), first)
}

// @ts-ignore: decorator
@inline
function sumPair(pair: v128): f64 {
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1)
}

/** Adds to a sum in memory; the first block of k stores. */
// @ts-ignore: decorator
@inline
function addDouble(at: usize, sum: f64, first: bool): void {
  store<f64>(at, first ? sum : load<f64>(at) + sum)
}

/**
 * Products with the checksum, and in the same pass each row's sum and sum of squares (float32 within a block of k), least and
 * greatest element. NaN shows in the sum; comparisons pass it over.
 */
function measureRows(d: usize, a: usize, checksum: usize, row0: i32, row1: i32, steps: i32, first: bool): void {
  const wanted = load<i32>(d, fieldFlags) & emitRowExpected
  const whole = <usize>(steps & ~3) << 2
  for (let row = row0; row < row1; row++) {
    let s0 = f64x2.splat(0)
    let s1 = s0
    let sum = f32x4.splat(0)
    let squares = sum
    let least = f32x4.splat(Infinity)
    let most = f32x4.splat(-Infinity)
    let b = checksum
    let p = a
    for (; p + 32 <= a + whole; p += 32) {
      const x = v128.load(p)
      const y = v128.load(p, 16)
      s0 = madd64(low(x), v128.load(b), s0)
      s1 = madd64(high(x), v128.load(b, 16), s1)
      s0 = madd64(low(y), v128.load(b, 32), s0)
      s1 = madd64(high(y), v128.load(b, 48), s1)
      sum = f32x4.add(f32x4.add(sum, x), y)
      squares = madd<f32>(y, y, madd<f32>(x, x, squares))
      least = f32x4.pmin(f32x4.pmin(least, x), y)
      most = f32x4.pmax(f32x4.pmax(most, x), y)
      b += 64
    }
    if (p < a + whole) {
      const x = v128.load(p)
      s0 = madd64(low(x), v128.load(b), s0)
      s1 = madd64(high(x), v128.load(b, 16), s1)
      sum = f32x4.add(sum, x)
      squares = madd<f32>(x, x, squares)
      least = f32x4.pmin(least, x)
      most = f32x4.pmax(most, x)
      b += 32
    }
    if (steps & 3) {
      // The last steps are filled with zeros, which are no elements: products and sums take them, extrema do not.
      const x = v128.load(a + whole)
      s0 = madd64(low(x), v128.load(b), s0)
      s1 = madd64(high(x), v128.load(b, 16), s1)
      sum = f32x4.add(sum, x)
      squares = madd<f32>(x, x, squares)
      for (let p = a + whole; p < a + (<usize>steps << 2); p += 4) {
        const y = v128.load32_splat(p)
        least = f32x4.pmin(least, y)
        most = f32x4.pmax(most, y)
      }
    }
    if (wanted)
      addDouble(<usize>load<u32>(d, fieldRowExpected) + (<usize>row << 3), sumPair(f64x2.add(s0, s1)), first)
    const at = <usize>row
    addDouble(<usize>load<u32>(d, fieldRowSum) + (at << 3), sumLanes(sum), first)
    addDouble(<usize>load<u32>(d, fieldRowSquares) + (at << 3), sumLanes(squares), first)
    storeLeast(<usize>load<u32>(d, fieldRowMin) + (at << 2), lanesLeast(least), first)
    storeMost(<usize>load<u32>(d, fieldRowMax) + (at << 2), lanesMost(most), first)
    a += rowStride
  }
}

// @ts-ignore: decorator
@inline
function lanesLeast(x: v128): f32 {
  const pairs = f32x4.pmin(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1))
  return f32x4.extract_lane(f32x4.pmin(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2)), 0)
}

// @ts-ignore: decorator
@inline
function lanesMost(x: v128): f32 {
  const pairs = f32x4.pmax(x, v128.shuffle<i32>(x, x, 2, 3, 0, 1))
  return f32x4.extract_lane(f32x4.pmax(pairs, v128.shuffle<i32>(pairs, pairs, 1, 0, 3, 2)), 0)
}

// @ts-ignore: decorator
@inline
function storeLeast(at: usize, value: f32, first: bool): void {
  if (first || value < load<f32>(at)) store<f32>(at, value)
}

// @ts-ignore: decorator
@inline
function storeMost(at: usize, value: f32, first: bool): void {
  if (first || value > load<f32>(at)) store<f32>(at, value)
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

function measureIntegerRows(d: usize, a: usize, row0: i32, row1: i32, count: i32, first: bool): void {
  for (let row = row0; row < row1; row++) {
    let total = 0
    let least: i32 = i32.MAX_VALUE
    let most: i32 = i32.MIN_VALUE
    for (let i = 0; i < count; i++) {
      const x: i32 = load<i16>(a + (i << 1))
      total += x
      least = min(least, x)
      most = max(most, x)
    }
    const at = <usize>row
    addDouble(<usize>load<u32>(d, fieldRowSum) + (at << 3), <f64>total, first)
    storeLeast(<usize>load<u32>(d, fieldRowMin) + (at << 2), <f32>least, first)
    storeMost(<usize>load<u32>(d, fieldRowMax) + (at << 2), <f32>most, first)
    a += rowStride
  }
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

// What checks need of A, taken while its packed rows are in cache: products with the row sums of B, sums, squares, extrema.
// Products and sums of float32 are float64: exact products, additions rounded to 2^-53.
import { high, low, madd, madd64, sumShift } from './arithmetic'
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
    if (flags & emitRowExpected) expectRows(d, a, checksum, row0, row1, steps, step == 0)
    if (flags & emitStatistics) measureRows(d, a, row0, row1, steps, step == 0)
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

/**
 * Products of rows with the checksums of all ranges. Two rows, and two ranges, at a time share what they load and convert;
 * each sum's additions are the same as when it is alone.
 */
function expectRows(d: usize, a: usize, checksum: usize, row0: i32, row1: i32, steps: i32, first: bool): void {
  const ranges = load<i32>(d, fieldRanges)
  const across: usize = load<u32>(d, fieldRowChecksumStride)
  const down = <usize>load<u32>(d, fieldM) << 3
  let to = <usize>load<u32>(d, fieldRowExpected) + (<usize>row0 << 3)
  let range = 0
  for (; range + 2 <= ranges; range += 2, checksum += 2 * across, to += 2 * down) {
    let row = row0
    let at = a
    let into = to
    for (; row + 2 <= row1; row += 2, at += 2 * rowStride, into += 16)
      expect(2, 2, at, checksum, across, into, down, steps, first)
    if (row < row1) expect(1, 2, at, checksum, across, into, down, steps, first)
  }
  if (range == ranges) return
  let row = row0
  for (; row + 2 <= row1; row += 2, a += 2 * rowStride, to += 16) expect(2, 1, a, checksum, 0, to, 0, steps, first)
  if (row < row1) expect(1, 1, a, checksum, 0, to, 0, steps, first)
}

/** One or two rows with one or two checksums, `across` bytes apart; their sums are `down` bytes apart. */
// @ts-ignore: decorator
@inline
function expect(rows: i32, ranges: i32, a: usize, checksum: usize, across: usize, to: usize, down: usize, steps: i32, first: bool): void {
  const zero = f64x2.splat(0)
  let s0 = zero
  let s1 = zero
  let t0 = zero
  let t1 = zero
  let u0 = zero
  let u1 = zero
  let v0 = zero
  let v1 = zero
  const end = a + (<usize>steps << 2)
  for (; a < end; a += 16, checksum += 32) {
    const x = v128.load(a)
    const x0 = low(x)
    const x1 = high(x)
    const b0 = v128.load(checksum)
    const b1 = v128.load(checksum, 16)
    s0 = madd64(x0, b0, s0)
    s1 = madd64(x1, b1, s1)
    if (ranges > 1) {
      t0 = madd64(x0, v128.load(checksum + across), t0)
      t1 = madd64(x1, v128.load(checksum + across, 16), t1)
    }
    if (rows > 1) {
      const y = v128.load(a, rowStride)
      const y0 = low(y)
      const y1 = high(y)
      u0 = madd64(y0, b0, u0)
      u1 = madd64(y1, b1, u1)
      if (ranges > 1) {
        v0 = madd64(y0, v128.load(checksum + across), v0)
        v1 = madd64(y1, v128.load(checksum + across, 16), v1)
      }
    }
  }
  addPairOfDoubles(rows, to, f64x2.add(s0, s1), f64x2.add(u0, u1), first)
  if (ranges > 1) addPairOfDoubles(rows, to + down, f64x2.add(t0, t1), f64x2.add(v0, v1), first)
}

/** Adds the lanes of one or two rows' sums to theirs in memory; the first block of k stores. */
// @ts-ignore: decorator
@inline
function addPairOfDoubles(rows: i32, at: usize, x: v128, y: v128, first: bool): void {
  if (rows == 1) {
    addDouble(at, f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1), first)
    return
  }
  const sums = f64x2.add(v128.shuffle<i64>(x, y, 0, 2), v128.shuffle<i64>(x, y, 1, 3))
  v128.store(at, first ? sums : f64x2.add(v128.load(at), sums))
}

/** Adds to a sum in memory; the first block of k stores. */
// @ts-ignore: decorator
@inline
function addDouble(at: usize, sum: f64, first: bool): void {
  store<f64>(at, first ? sum : load<f64>(at) + sum)
}

/** Each row's sum and sum of squares (float32 within a block of k), least and greatest element, of two rows at a time. */
function measureRows(d: usize, a: usize, row0: i32, row1: i32, steps: i32, first: bool): void {
  let row = row0
  for (; row + 2 <= row1; row += 2, a += 2 * rowStride) measure(2, d, a, row, steps, first)
  if (row < row1) measure(1, d, a, row, steps, first)
}

/** One or two rows. NaN shows in the sum; comparisons pass it over. */
// @ts-ignore: decorator
@inline
function measure(rows: i32, d: usize, a: usize, row: i32, steps: i32, first: bool): void {
  const zero = f32x4.splat(0)
  let sumX = zero
  let sumY = zero
  let squaresX = zero
  let squaresY = zero
  let leastX = f32x4.splat(Infinity)
  let leastY = leastX
  let mostX = f32x4.splat(-Infinity)
  let mostY = mostX
  const end = a + (<usize>(steps & ~3) << 2)
  for (; a < end; a += 16) {
    const x = v128.load(a)
    sumX = f32x4.add(sumX, x)
    squaresX = madd<f32>(x, x, squaresX)
    leastX = f32x4.pmin(leastX, x)
    mostX = f32x4.pmax(mostX, x)
    if (rows > 1) {
      const y = v128.load(a, rowStride)
      sumY = f32x4.add(sumY, y)
      squaresY = madd<f32>(y, y, squaresY)
      leastY = f32x4.pmin(leastY, y)
      mostY = f32x4.pmax(mostY, y)
    }
  }
  if (steps & 3) {
    // The last steps are filled with zeros, which are no elements: sums take them, extrema do not.
    const x = v128.load(a)
    const y = rows > 1 ? v128.load(a, rowStride) : zero
    sumX = f32x4.add(sumX, x)
    squaresX = madd<f32>(x, x, squaresX)
    sumY = f32x4.add(sumY, y)
    squaresY = madd<f32>(y, y, squaresY)
    for (let s = 0; s < (steps & 3); s++, a += 4) {
      leastX = f32x4.pmin(leastX, v128.load32_splat(a))
      mostX = f32x4.pmax(mostX, v128.load32_splat(a))
      if (rows > 1) {
        leastY = f32x4.pmin(leastY, v128.load32_splat(a, rowStride))
        mostY = f32x4.pmax(mostY, v128.load32_splat(a, rowStride))
      }
    }
  }
  const at = <usize>row
  addPair(rows, <usize>load<u32>(d, fieldRowSum) + (at << 3), sumX, sumY, first)
  addPair(rows, <usize>load<u32>(d, fieldRowSquares) + (at << 3), squaresX, squaresY, first)
  const leastAt = <usize>load<u32>(d, fieldRowMin) + (at << 2)
  const mostAt = <usize>load<u32>(d, fieldRowMax) + (at << 2)
  // Lanes 0 and 1 are the two rows'.
  let least = f32x4.pmin(evens(leastX, leastY), odds(leastX, leastY))
  let most = f32x4.pmax(evens(mostX, mostY), odds(mostX, mostY))
  least = f32x4.pmin(least, upper(least))
  most = f32x4.pmax(most, upper(most))
  if (!first) {
    least = f32x4.pmin(least, rows > 1 ? v128.load64_zero(leastAt) : v128.load32_zero(leastAt))
    most = f32x4.pmax(most, rows > 1 ? v128.load64_zero(mostAt) : v128.load32_zero(mostAt))
  }
  if (rows > 1) {
    v128.store64_lane(leastAt, least, 0)
    v128.store64_lane(mostAt, most, 0)
  } else {
    v128.store32_lane(leastAt, least, 0)
    v128.store32_lane(mostAt, most, 0)
  }
}

/** Lanes of x and y in turns: the lower two of each, and the upper two. */
// @ts-ignore: decorator
@inline
function evens(x: v128, y: v128): v128 {
  return v128.shuffle<i32>(x, y, 0, 4, 1, 5)
}

// @ts-ignore: decorator
@inline
function odds(x: v128, y: v128): v128 {
  return v128.shuffle<i32>(x, y, 2, 6, 3, 7)
}

// @ts-ignore: decorator
@inline
function upper(x: v128): v128 {
  return v128.shuffle<i64>(x, x, 1, 1)
}

/** Adds the lanes of one or two rows' sums to theirs in memory; the first block of k stores. */
// @ts-ignore: decorator
@inline
function addPair(rows: i32, at: usize, x: v128, y: v128, first: bool): void {
  const pairs = f32x4.add(evens(x, y), odds(x, y))
  const sums = f64x2.promote_low_f32x4(f32x4.add(pairs, upper(pairs)))
  if (rows > 1) v128.store(at, first ? sums : f64x2.add(v128.load(at), sums))
  else v128.store64_lane(at, first ? sums : f64x2.add(v128.load64_zero(at), sums), 0)
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

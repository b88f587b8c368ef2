// What checks need of A, taken while its packed rows are in cache: products with the row sums of B, sums, squares, extrema.
//
// Products with row sums, and what they are added up in, are float32 along chains of `chainVectors` in each lane, then float64:
// such a sum rounds much less than the elements of C that it stands beside, which are chains of 256, at a third of the cost of
// float64 throughout.
import { high, low, madd, sumShift } from './arithmetic'
import {
  chainVectors,
  emitColumnOfA,
  emitExtrema,
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
  if (isFloat<T>()) {
    if (flags & (emitRowExpected | emitStatistics)) measureRows(d, a, row0, row1, step, steps)
    if (flags & emitExtrema) extremaOfRows(d, a, row0, row1, steps, step == 0)
  } else {
    const checksum = <usize>load<u32>(d, fieldRowChecksum) + (<usize>step << 3)
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
 * Each row's products with the checksums of all ranges, its sum and its sum of squares. Two rows, and two ranges, at a time share
 * what they load; each sum's additions are the same as when it is alone.
 */
function measureRows(d: usize, a: usize, row0: i32, row1: i32, step: i32, steps: i32): void {
  const flags = load<i32>(d, fieldFlags)
  const across: usize = load<u32>(d, fieldRowChecksumStride)
  const first = step == 0
  let checksum = <usize>load<u32>(d, fieldRowChecksum) + (<usize>step << 2)
  let left = flags & emitRowExpected ? load<i32>(d, fieldRanges) : 0
  let range = 0
  if (flags & emitStatistics) {
    if (left == 0) rowsOf(d, a, checksum, across, row0, row1, range, steps, first, 0, true)
    else if (left == 1) rowsOf(d, a, checksum, across, row0, row1, range, steps, first, 1, true)
    else rowsOf(d, a, checksum, across, row0, row1, range, steps, first, 2, true)
    left -= 2
    range += 2
    checksum += 2 * across
  }
  for (; left >= 2; left -= 2, range += 2, checksum += 2 * across)
    rowsOf(d, a, checksum, across, row0, row1, range, steps, first, 2, false)
  if (left > 0) rowsOf(d, a, checksum, across, row0, row1, range, steps, first, 1, false)
}

// @ts-ignore: decorator
@inline
function rowsOf(d: usize, a: usize, checksum: usize, across: usize, row0: i32, row1: i32, range: i32, steps: i32, first: bool, ranges: i32, measured: bool): void {
  let row = row0
  const m: usize = load<u32>(d, fieldM)
  const down = m << 3
  let to = <usize>load<u32>(d, fieldRowExpected) + ((<usize>range * m + <usize>row) << 3)
  let sum = <usize>load<u32>(d, fieldRowSum) + (<usize>row << 3)
  let squares = <usize>load<u32>(d, fieldRowSquares) + (<usize>row << 3)
  for (; row + 2 <= row1; row += 2, a += 2 * rowStride, to += 16, sum += 16, squares += 16)
    measure(2, ranges, measured, a, rowStride, checksum, across, steps, first, to, down, sum, squares)
  if (row < row1) measure(1, ranges, measured, a, rowStride, checksum, across, steps, first, to, down, sum, squares)
}

/**
 * One or two rows, `next` bytes apart, with none, one or two checksums, `across` bytes apart, of which predicted sums go to `to`
 * and `down` bytes behind; zeros fill the last four steps.
 */
// @ts-ignore: decorator
@inline
function measure(rows: i32, ranges: i32, measured: bool, a: usize, next: usize, checksum: usize, across: usize, steps: i32, first: bool, to: usize, down: usize, sum: usize, squares: usize): void {
  const zero = f32x4.splat(0)
  let sumX = zero
  let sumY = zero
  let squaresX = zero
  let squaresY = zero
  let s = zero
  let t = zero
  let u = zero
  let v = zero
  const end = a + (<usize>((steps + 3) & ~3) << 2)
  while (a < end) {
    const stop = min(a + chainVectors * 16, end)
    let px = zero
    let py = zero
    let qx = zero
    let qy = zero
    for (; a < stop; a += 16, checksum += 16) {
      const x = v128.load(a)
      const y = rows > 1 ? v128.load(a + next) : zero
      if (ranges > 0) {
        const b = v128.load(checksum)
        px = madd<f32>(x, b, px)
        if (rows > 1) py = madd<f32>(y, b, py)
      }
      if (ranges > 1) {
        const c = v128.load(checksum + across)
        qx = madd<f32>(x, c, qx)
        if (rows > 1) qy = madd<f32>(y, c, qy)
      }
      if (measured) {
        sumX = f32x4.add(sumX, x)
        squaresX = madd<f32>(x, x, squaresX)
        if (rows > 1) {
          sumY = f32x4.add(sumY, y)
          squaresY = madd<f32>(y, y, squaresY)
        }
      }
    }
    if (ranges > 0) {
      s = f64x2.add(s, f64x2.add(low(px), high(px)))
      if (rows > 1) t = f64x2.add(t, f64x2.add(low(py), high(py)))
    }
    if (ranges > 1) {
      u = f64x2.add(u, f64x2.add(low(qx), high(qx)))
      if (rows > 1) v = f64x2.add(v, f64x2.add(low(qy), high(qy)))
    }
  }
  if (ranges > 0) addPairOfDoubles(rows, to, s, t, first)
  if (ranges > 1) addPairOfDoubles(rows, to + down, u, v, first)
  if (!measured) return
  addPair(rows, sum, sumX, sumY, first)
  addPair(rows, squares, squaresX, squaresY, first)
}

/** Adds the lanes of one or two rows' float64 sums to theirs in memory; the first block of k stores. */
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

/** Each row's least and greatest element. NaN shows in the sum; comparisons pass it over. */
function extremaOfRows(d: usize, a: usize, row0: i32, row1: i32, steps: i32, first: bool): void {
  for (let row = row0; row < row1; row++, a += rowStride) {
    let least = f32x4.splat(Infinity)
    let most = f32x4.splat(-Infinity)
    const whole = a + (<usize>(steps & ~3) << 2)
    const end = a + (<usize>steps << 2)
    let at = a
    for (; at < whole; at += 16) {
      const x = v128.load(at)
      least = f32x4.pmin(least, x)
      most = f32x4.pmax(most, x)
    }
    // The last steps are filled with zeros, which are no elements.
    for (; at < end; at += 4) {
      const x = v128.load32_splat(at)
      least = f32x4.pmin(least, x)
      most = f32x4.pmax(most, x)
    }
    least = f32x4.pmin(least, upper(least))
    most = f32x4.pmax(most, upper(most))
    least = f32x4.pmin(least, v128.shuffle<i32>(least, least, 1, 1, 1, 1))
    most = f32x4.pmax(most, v128.shuffle<i32>(most, most, 1, 1, 1, 1))
    storeLeast(<usize>load<u32>(d, fieldRowMin) + (<usize>row << 2), f32x4.extract_lane(least, 0), first)
    storeMost(<usize>load<u32>(d, fieldRowMax) + (<usize>row << 2), f32x4.extract_lane(most, 0), first)
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

/** Adds the lanes of one or two rows' float32 sums to theirs in memory; the first block of k stores. */
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

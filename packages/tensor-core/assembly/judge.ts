// The judgement of clean products, where their sums are: nearly every product is clean, and says so with one number.
//
// Comparisons are of squares, so that nothing takes a root. NaN compares as false, and so fails; sums and limits that are infinite
// fail too.
import {
  fieldM,
  fieldRanges,
  fieldReplicaExpected,
  fieldRowActual,
  fieldRowExpected,
  fieldRowSquares,
  fieldRowSum,
  fieldTileActual,
} from './fields'

/**
 * Compares both sums of every row of a float product, range by range of `stripsPerRange` of its `strips`. `limits` holds two float64
 * a range: a row's limit is the root of the first times its sum of squares plus the second times its squared sum.
 *
 * Returns the largest limit's square, or -1 where a row fails, or is of elements so small that its squares may have vanished.
 */
export function judgeRows(d: usize, limits: usize, strips: i32, stripsPerRange: i32): f64 {
  const m: usize = load<u32>(d, fieldM)
  const ranges = load<i32>(d, fieldRanges)
  let actual: usize = load<u32>(d, fieldRowActual)
  let expected: usize = load<u32>(d, fieldRowExpected)
  let largest = f64x2.splat(0)
  let fits = i64x2.splat(-1)
  for (let range = 0; range < ranges; range++, limits += 16) {
    const ofSquares = v128.load64_splat(limits)
    const ofSum = v128.load64_splat(limits + 8)
    const own = min(stripsPerRange, strips - range * stripsPerRange)
    const down = m << 3
    let sums: usize = load<u32>(d, fieldRowSum)
    let squares: usize = load<u32>(d, fieldRowSquares)
    const pairs = expected + ((m & ~1) << 3)
    for (; expected < pairs; expected += 16, actual += 16, sums += 16, squares += 16) {
      let sum = v128.load(actual)
      let at = actual + down
      for (let strip = 1; strip < own; strip++, at += down) sum = f64x2.add(sum, v128.load(at))
      const x = v128.load(squares)
      const limit = limitOf(ofSquares, ofSum, x, v128.load(sums))
      fits = v128.and(fits, passes(f64x2.sub(sum, v128.load(expected)), limit, x))
      largest = f64x2.pmax(largest, limit)
    }
    if (m & 1) {
      // Beside a lane of zeros, which passes.
      let sum = v128.load64_zero(actual)
      let at = actual + down
      for (let strip = 1; strip < own; strip++, at += down) sum = f64x2.add(sum, v128.load64_zero(at))
      const x = v128.load64_zero(squares)
      const limit = limitOf(ofSquares, ofSum, x, v128.load64_zero(sums))
      fits = v128.and(fits, passes(f64x2.sub(sum, v128.load64_zero(expected)), limit, x))
      largest = f64x2.pmax(largest, limit)
      expected += 8
      actual += 8
    }
    actual += <usize>(own - 1) * down
  }
  return i64x2.all_true(fits) ? max(f64x2.extract_lane(largest, 0), f64x2.extract_lane(largest, 1)) : -1
}

// @ts-ignore: decorator
@inline
function limitOf(ofSquares: v128, ofSum: v128, squares: v128, sum: v128): v128 {
  return f64x2.add(f64x2.mul(ofSquares, squares), f64x2.mul(ofSum, f64x2.mul(sum, sum)))
}

// @ts-ignore: decorator
@inline
function passes(residual: v128, limit: v128, squares: v128): v128 {
  const within = v128.and(
    f64x2.le(f64x2.mul(residual, residual), limit),
    f64x2.lt(limit, f64x2.splat(Infinity)),
  )
  // Squares of float32 elements below 1e-19 have vanished or lost digits: beside 1e-24 they are nothing. Rows of zeros are common.
  const known = v128.or(f64x2.ge(squares, f64x2.splat(1e-24)), f64x2.eq(squares, f64x2.splat(0)))
  return v128.and(within, known)
}

/** Compares sums of `tiles` tiles of an exact replica. Returns the largest absolute sum, or -1 where two differ or are not finite. */
export function judgeTiles(d: usize, tiles: i32): f64 {
  let actual: usize = load<u32>(d, fieldTileActual)
  let expected: usize = load<u32>(d, fieldReplicaExpected)
  let largest: f64 = 0
  for (const end = actual + (<usize>tiles << 3); actual < end; actual += 8, expected += 8) {
    const sum = load<f64>(actual)
    if (!(sum - load<f64>(expected) == 0)) return -1
    largest = max(largest, abs(sum))
  }
  return largest
}

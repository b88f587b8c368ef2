// Row checks of products of few rows, in a pass of their own over operands and outputs as they lie. Such a product is over as soon
// as its weights have gone through the caches: its kernel stays as it is without checks, and the check touches as little as can be.
import { high, low } from './arithmetic'
import {
  blockSteps,
  fieldA,
  fieldAStride,
  fieldC,
  fieldCStride,
  fieldK,
  fieldM,
  fieldN,
  fieldRanges,
  fieldRowActual,
  fieldRowChecksum,
  fieldRowChecksumStride,
  fieldRowExpected,
  fieldRowSquares,
  fieldRowSum,
  panelColumns,
  scratchTiles,
  stripColumns,
} from './fields'
import { threadScratch } from './multiply'
import { measure } from './row-pass'

/**
 * Judges the rows of a finished float product without bias and activation, whose A is a matrix with a multiple of four columns, as
 * `judgeRows` does; `store` leaves their sums where the descriptor says, those of a range in the place of its first strip.
 */
export function judgeThin(d: usize, limits: usize, rangeColumns: i32, store: bool): f64 {
  const m = load<i32>(d, fieldM)
  const n = load<i32>(d, fieldN)
  const ranges = load<i32>(d, fieldRanges)
  const across: usize = load<u32>(d, fieldRowChecksumStride)
  const aStride: usize = load<u32>(d, fieldAStride)
  const cStride: usize = load<u32>(d, fieldCStride)
  const room = threadScratch(d) + scratchTiles
  let a: usize = load<u32>(d, fieldA)
  let c: usize = load<u32>(d, fieldC)
  let largest: f64 = 0
  let fits = true
  for (let row = 0; row < m; row += 2, a += 2 * aStride, c += 2 * cStride) {
    const rows = min(2, m - row)
    for (let range = 0; range < ranges; range += 2) {
      const own = min(2, ranges - range)
      const checksum = <usize>load<u32>(d, fieldRowChecksum) + <usize>range * across
      measurePair(rows, own, a, aStride, checksum, across, load<i32>(d, fieldK), room)
      for (let q = 0; q < own; q++) {
        const first = (range + q) * rangeColumns
        const ofSquares = load<f64>(limits + (<usize>(range + q) << 4))
        const ofSum = load<f64>(limits + (<usize>(range + q) << 4), 8)
        for (let r = 0; r < rows; r++) {
          const actual = sumOfRow(c + <usize>r * cStride + (<usize>first << 2), min(rangeColumns, n - first))
          const at = room + (<usize>r << 3)
          const expected = load<f64>(at + (<usize>q << 4))
          const sum = load<f64>(at, 32)
          const squares = load<f64>(at, 48)
          const limit = ofSquares * squares + ofSum * (sum * sum)
          const residual = actual - expected
          if (!(residual * residual <= limit && limit < Infinity && (squares >= 1e-24 || squares == 0))) fits = false
          if (limit > largest) largest = limit
          if (store) storeSums(d, row + r, range + q, rangeColumns, actual, expected, sum, squares)
        }
      }
    }
  }
  return fits ? largest : -1
}

/** Predicted sums of two rows for one range, and for the other, their sums and their sums of squares, at `room`. */
// @ts-ignore: decorator
@inline
function measurePair(rows: i32, ranges: i32, a: usize, next: usize, checksum: usize, across: usize, k: i32, room: usize): void {
  for (let step = 0; step < k; step += blockSteps, a += blockSteps << 2, checksum += blockSteps << 2) {
    const steps = min(blockSteps, k - step)
    const first = step == 0
    if (rows == 2) {
      if (ranges == 2) measure(2, 2, true, a, next, checksum, across, steps, first, room, 16, room + 32, room + 48)
      else measure(2, 1, true, a, next, checksum, 0, steps, first, room, 16, room + 32, room + 48)
    } else if (ranges == 2) measure(1, 2, true, a, 0, checksum, across, steps, first, room, 16, room + 32, room + 48)
    else measure(1, 1, true, a, 0, checksum, 0, steps, first, room, 16, room + 32, room + 48)
  }
}

/** Sum of neighbouring elements: float32 along a strip's panels, as tiles are summed, and float64 from strip to strip. */
// @ts-ignore: decorator
@inline
function sumOfRow(c: usize, columns: i32): f64 {
  let total = f64x2.splat(0)
  const whole = c + (<usize>(columns & ~(panelColumns - 1)) << 2)
  const end = c + (<usize>columns << 2)
  while (c < whole) {
    const stop = min(whole, c + stripColumns * 4)
    let lanes = f32x4.splat(0)
    for (; c < stop; c += panelColumns * 4)
      lanes = f32x4.add(
        lanes,
        f32x4.add(
          f32x4.add(v128.load(c), v128.load(c, 16)),
          f32x4.add(v128.load(c, 32), v128.load(c, 48)),
        ),
      )
    total = f64x2.add(total, f64x2.add(low(lanes), high(lanes)))
  }
  let sum = f64x2.extract_lane(total, 0) + f64x2.extract_lane(total, 1)
  for (; c < end; c += 4) sum += <f64>load<f32>(c)
  return sum
}

function storeSums(d: usize, row: i32, range: i32, rangeColumns: i32, actual: f64, expected: f64, sum: f64, squares: f64): void {
  const m = load<i32>(d, fieldM)
  const n = load<i32>(d, fieldN)
  const at = <usize>row << 3
  const first = (range * rangeColumns) / stripColumns
  const last = (min(n, (range + 1) * rangeColumns) + stripColumns - 1) / stripColumns
  for (let strip = first; strip < last; strip++)
    store<f64>(<usize>load<u32>(d, fieldRowActual) + (<usize>(strip * m) << 3) + at, strip == first ? actual : 0)
  store<f64>(<usize>load<u32>(d, fieldRowExpected) + (<usize>(range * m) << 3) + at, expected)
  store<f64>(<usize>load<u32>(d, fieldRowSum) + at, sum)
  store<f64>(<usize>load<u32>(d, fieldRowSquares) + at, squares)
}

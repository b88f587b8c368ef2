// Row checks of products of few rows. Such a product is over as soon as its weights have gone through the caches, so its check
// touches as little as can be: what it needs of A is taken from packed rows, and rows of C are summed when all of them are done.
import { sumLanes } from './arithmetic'
import { fieldC, fieldCStride, fieldM, fieldN, fieldRowActual, panelColumns, stripColumns } from './fields'
import { judgeRows } from './judge'

/** Sums the rows of a finished float product without bias and activation, strip by strip, and judges them as `judgeRows` does. */
export function judgeThin(d: usize, limits: usize, strips: i32, stripsPerRange: i32): f64 {
  const m: usize = load<u32>(d, fieldM)
  const n = load<i32>(d, fieldN)
  const stride: usize = load<u32>(d, fieldCStride)
  let row: usize = load<u32>(d, fieldC)
  let sums: usize = load<u32>(d, fieldRowActual)
  for (const end = sums + (m << 3); sums < end; sums += 8, row += stride) {
    let c = row
    let to = sums
    for (let left = n; left > 0; left -= stripColumns, c += stripColumns << 2, to += m << 3)
      store<f64>(to, sumStrip(c, min(left, stripColumns)))
  }
  return judgeRows(d, limits, strips, stripsPerRange)
}

/** Sum of a strip's elements in one row: float32 along its panels, as tiles are summed, then float64. */
// @ts-ignore: decorator
@inline
function sumStrip(c: usize, columns: i32): f64 {
  let lanes = f32x4.splat(0)
  const end = c + (<usize>columns << 2)
  for (const whole = c + (<usize>(columns & ~(panelColumns - 1)) << 2); c < whole; c += panelColumns << 2)
    lanes = f32x4.add(
      lanes,
      f32x4.add(f32x4.add(v128.load(c), v128.load(c, 16)), f32x4.add(v128.load(c, 32), v128.load(c, 48))),
    )
  let sum = sumLanes(lanes)
  for (; c < end; c += 4) sum += <f64>load<f32>(c)
  return sum
}

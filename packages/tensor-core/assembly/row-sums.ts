// Sums of C's rows, panel by panel as tiles are finished, in 16 bytes a row: four lanes of one strip's columns. Lanes of float
// products are float32, as if each element had rounded nine times more; what they add up to is float64.
import { add, sumIntegers, sumLanes, sumShift } from './arithmetic'
import { panelColumns } from './fields'

/** Adds the sixteen elements of a panel's row. */
// @ts-ignore: decorator
@inline
export function addRow<T>(sum: usize, c: usize): void {
  addToRow<T>(sum, add<T>(add<T>(v128.load(c), v128.load(c, 16)), add<T>(v128.load(c, 32), v128.load(c, 48))))
}

// @ts-ignore: decorator
@inline
export function addToRow<T>(sum: usize, x: v128): void {
  v128.store(sum, add<T>(v128.load(sum), x))
}

/** Adds the rows of a panel that lies in memory: the same additions as tile by tile; four columns at most, or all. */
export function addPanel<T>(sums: usize, c: usize, stride: usize, rows: i32, valid: i32): void {
  for (; rows > 0; rows--, sums += 16, c += stride) {
    if (valid == panelColumns) addRow<T>(sums, c)
    else for (let at: usize = 0; at < <usize>valid << 2; at += 4) store<T>(sums + at, load<T>(sums + at) + load<T>(c + at))
  }
}

/** Stores the sums of a strip's rows. */
export function storeRowSums<T>(to: usize, sums: usize, rows: i32): void {
  for (const end = to + (<usize>rows << sumShift<T>()); to < end; to += 1 << sumShift<T>(), sums += 16) {
    if (isFloat<T>()) store<f64>(to, sumLanes(v128.load(sums)))
    else store<i32>(to, sumIntegers(v128.load(sums)))
  }
}

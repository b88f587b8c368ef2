// Sums of C's rows, panel by panel as tiles are finished, in 16 bytes a row: two float64 of float products, four int32.
import { add, high, low, sumIntegers, sumShift } from './arithmetic'
import { panelColumns } from './fields'

/**
 * Adds the sixteen elements of a panel's row: of floats four become one in float32 (as if each element had rounded twice
 * more), which float64 adds up. Conversions are what such a sum costs; this takes a quarter of them.
 */
// @ts-ignore: decorator
@inline
export function addRow<T>(sum: usize, c: usize): void {
  addToRow<T>(sum, add<T>(add<T>(v128.load(c), v128.load(c, 16)), add<T>(v128.load(c, 32), v128.load(c, 48))))
}

// @ts-ignore: decorator
@inline
export function addToRow<T>(sum: usize, x: v128): void {
  if (isFloat<T>()) v128.store(sum, f64x2.add(v128.load(sum), f64x2.add(low(x), high(x))))
  else v128.store(sum, i32x4.add(v128.load(sum), x))
}

/** Adds the rows of a panel that lies in memory: the same additions as tile by tile. */
export function addPanel<T>(sums: usize, c: usize, stride: usize, rows: i32, valid: i32): void {
  for (; rows > 0; rows--, sums += 16, c += stride) {
    if (valid == panelColumns) addRow<T>(sums, c)
    else if (isFloat<T>()) {
      let sum: f64 = 0
      for (let j = 0; j < valid; j++) sum += <f64>load<f32>(c + (<usize>j << 2))
      store<f64>(sums, load<f64>(sums) + sum)
    } else {
      let sum = 0
      for (let j = 0; j < valid; j++) sum += load<i32>(c + (<usize>j << 2))
      store<i32>(sums, load<i32>(sums) + sum)
    }
  }
}

/** Stores the sums of a strip's rows. */
export function storeRowSums<T>(to: usize, sums: usize, rows: i32): void {
  for (const end = to + (<usize>rows << sumShift<T>()); to < end; to += 1 << sumShift<T>(), sums += 16) {
    if (isFloat<T>()) store<f64>(to, load<f64>(sums) + load<f64>(sums, 8))
    else store<i32>(to, sumIntegers(v128.load(sums)))
  }
}

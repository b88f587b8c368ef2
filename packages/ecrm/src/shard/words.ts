// Rows as words, moved one at a time: short enough that a loop beats `set` of a view, and a function of its own stays compiled.

/** `to[toAt + i] = from[fromAt + i]` for `length` words. */
export function copyWords(to: Uint32Array, toAt: number, from: Uint32Array, fromAt: number, length: number): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i]!
}

/** `to[toAt + i] ^= from[fromAt + i]` for `length` words. */
export function addWords(to: Uint32Array, toAt: number, from: Uint32Array, fromAt: number, length: number): void {
  for (let i = 0; i < length; i++) to[toAt + i]! ^= from[fromAt + i]!
}

/** Whether every number is below a bound. */
export function allBelow(numbers: Uint32Array, bound: number): boolean {
  for (let i = 0; i < numbers.length; i++) if (numbers[i]! >= bound) return false
  return true
}

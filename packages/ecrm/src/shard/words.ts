// Rows as words, moved one at a time: short enough that a loop beats `set` of a view, and a function of its own stays compiled.
// Four words a turn of the loop: what a turn costs besides its words is 40 % of one word a turn (measured with 32 words).

/** The bits of floats. */
export const wordsOf = ({ buffer, byteOffset, length }: Float32Array): Uint32Array =>
  new Uint32Array(buffer, byteOffset, length)

/** `to[toAt + i] = from[fromAt + i]` for `length` words. */
export function copyWords(to: Uint32Array, toAt: number, from: Uint32Array, fromAt: number, length: number): void {
  const whole = length - (length % 4)
  let i = 0
  for (; i < whole; i += 4) {
    to[toAt + i] = from[fromAt + i]!
    to[toAt + i + 1] = from[fromAt + i + 1]!
    to[toAt + i + 2] = from[fromAt + i + 2]!
    to[toAt + i + 3] = from[fromAt + i + 3]!
  }
  for (; i < length; i++) to[toAt + i] = from[fromAt + i]!
}

/** `to[toAt + i] ^= from[fromAt + i]` for `length` words. */
export function addWords(to: Uint32Array, toAt: number, from: Uint32Array, fromAt: number, length: number): void {
  const whole = length - (length % 4)
  let i = 0
  for (; i < whole; i += 4) {
    to[toAt + i]! ^= from[fromAt + i]!
    to[toAt + i + 1]! ^= from[fromAt + i + 1]!
    to[toAt + i + 2]! ^= from[fromAt + i + 2]!
    to[toAt + i + 3]! ^= from[fromAt + i + 3]!
  }
  for (; i < length; i++) to[toAt + i]! ^= from[fromAt + i]!
}

/** Rows `[at.length, d]` of a longer list, in `out` where it is given. */
export function rowsAt(
  values: Float32Array,
  at: Uint32Array,
  d: number,
  out: Float32Array = new Float32Array(at.length * d),
): Float32Array {
  const to = wordsOf(out)
  const from = wordsOf(values)
  for (let i = 0; i < at.length; i++) copyWords(to, i * d, from, at[i]! * d, d)
  return out
}

/** The other way round. */
export function layRowsAt(into: Float32Array, at: Uint32Array, values: Float32Array, d: number): void {
  const to = wordsOf(into)
  const from = wordsOf(values)
  for (let i = 0; i < at.length; i++) copyWords(to, at[i]! * d, from, i * d, d)
}

/** Whether every number is below a bound. */
export function allBelow(numbers: Uint32Array, bound: number): boolean {
  for (let i = 0; i < numbers.length; i++) if (numbers[i]! >= bound) return false
  return true
}

// The values a row has before its first update: a function of seed and id, so that data and parity need no transfer.
import type { ResolvedSpec } from './spec.ts'

/** A well-mixed 32-bit hash of three words. */
function hash(seed: number, id: number, j: number): number {
  let x =
    Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(id + 0x7f4a7c15, 0xc2b2ae35) ^ Math.imul(j + 1, 0x27d4eb2f)
  for (let round = 0; round < 2; round++) {
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
    x ^= x >>> 16
  }
  return x >>> 0
}

/** Writes a row as it starts, state zero: uniform in [-scale, scale) of its range. Nothing for row -1. */
export function writeInitialRow(
  { ranges, seed, d }: Pick<ResolvedSpec, 'ranges' | 'seed' | 'd'>,
  row: number,
  target: Float32Array,
): void {
  target.fill(0)
  if (row < 0) return
  let begin = 0
  for (const { rows, scale, first = begin } of ranges) {
    if (row < begin + rows) {
      const id = first + row - begin
      for (let j = 0; j < d; j++) target[j] = scale * (hash(seed, id, j) / 2 ** 31 - 1)
      return
    }
    begin += rows
  }
}

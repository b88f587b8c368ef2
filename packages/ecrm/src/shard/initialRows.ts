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

/** Writes row `id` as it starts, state zero: uniform in [-scale, scale) of the id's range. Nothing for id -1. */
export function writeInitialRow(spec: ResolvedSpec, id: number, target: Float32Array): void {
  target.fill(0)
  if (id < 0) return
  const scale = scaleOf(spec, id)
  for (let j = 0; j < spec.d; j++) target[j] = scale * (hash(spec.seed, id, j) / 2 ** 31 - 1)
}

function scaleOf({ ranges }: ResolvedSpec, id: number): number {
  let end = 0
  for (const { rows, scale } of ranges) if (id < (end += rows)) return scale
  return 0
}

// A short name for a training's data: to tell other data of the same sizes when a training is taken up again.
import type { Samples } from './samples.ts'

/** Samples that are looked at, evenly spread: enough that a file in another order, or another one, differs. */
const most = 4096

/**
 * Eight hexadecimal digits from labels, dense features and ids of up to 4,096 samples, the first and the last among them. Data that
 * differ elsewhere have the same. Cost: a few milliseconds.
 */
export function dataDigest({ dense, categorical, label }: Samples): string {
  const rows = label.length
  const features = dense.length / rows
  const seen = Math.min(rows, most)
  const value = new Float64Array(1)
  const bytes = new Uint8Array(value.buffer)
  // FNV-1a (Fowler, Noll, Vo), 32 bits.
  let digest = 0x811c9dc5
  const add = (number: number): void => {
    value[0] = number
    for (const byte of bytes) digest = Math.imul(digest ^ byte, 0x01000193)
  }
  for (let i = 0; i < seen; i++) {
    const row = seen === 1 ? 0 : Math.round((i * (rows - 1)) / (seen - 1))
    add(label[row]!)
    for (let j = 0; j < features; j++) add(dense[row * features + j]!)
    for (const { ids, offsets, weights } of categorical) {
      const [start, end] = offsets === undefined ? [row, row + 1] : [offsets[row]!, offsets[row + 1]!]
      for (let at = start; at < end; at++) {
        add(ids[at]!)
        if (weights !== undefined) add(weights[at]!)
      }
    }
  }
  return (digest >>> 0).toString(16).padStart(8, '0')
}

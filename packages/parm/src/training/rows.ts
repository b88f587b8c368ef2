// Samples picked out of a table.
import type { Tensor } from '@ft/core'

/** Rows of `[n, width]` in the order given, copied. */
export function pickRows({ data, shape }: Tensor, rows: Uint32Array): Tensor {
  const width = data.length / (shape[0] as number)
  const picked = new Float32Array(rows.length * width)
  rows.forEach((row, i) => picked.set(data.subarray(row * width, (row + 1) * width), i * width))
  return { data: picked, shape: [rows.length, width], dtype: 'float32' }
}

// Small layers of every kind for the fault tests.
import type { DType, LinearLayer } from '../../src/index.ts'

export function dense(
  id: string,
  sizes: { m: number; n: number; k: number; batch?: number; dtype?: DType },
): LinearLayer {
  const { m, n, k, batch = 1, dtype = 'float32' } = sizes
  return { id, m, n, k, count: 1, dtype, op: { kind: 'matmul', batch } }
}

/** Two groups: 3 x 3 output pixels, 2 x 2 kernel, 2 channels a group, 6 outputs. */
export const grouped: LinearLayer = {
  id: 'grouped',
  m: 9,
  n: 6,
  k: 8,
  count: 2,
  dtype: 'float16',
  op: {
    kind: 'conv2d',
    x: [1, 4, 4, 4],
    filter: [2, 2, 2, 6],
    stride: [1, 1],
    pad: [0, 0, 0, 0],
    dilation: [1, 1],
    groups: 2,
  },
}

export const layers: readonly LinearLayer[] = [
  dense('dense', { m: 3, n: 5, k: 4 }),
  dense('batched', { m: 2, n: 3, k: 4, batch: 3, dtype: 'bfloat16' }),
  dense('integers', { m: 4, n: 4, k: 2, dtype: 'int8' }),
  grouped,
]

import { createRandom } from '@ft/core/random'
import type { Tensor } from '@ft/core'

export function normalTensor(shape: readonly number[], seed: number): Tensor {
  const size = shape.reduce((all, length) => all * length, 1)
  return { data: createRandom(seed).stream('operand').fillNormal(new Float32Array(size)), shape, dtype: 'float32' }
}

export const bits = (tensor: Tensor): number[] => [
  ...new Uint32Array(Float32Array.from(tensor.data as Float32Array).buffer),
]

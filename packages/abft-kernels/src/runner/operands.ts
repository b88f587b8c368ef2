// Operands of a layer that has only a shape: standard normal numbers, by seed and layer.
import type { LinearLayer, Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'

export interface LayerOperands {
  /** A, or the image. */
  readonly input: Tensor
  /** B, or the filter. */
  readonly weights: Tensor
}

export function layerOperands(layer: LinearLayer, seed: number): LayerOperands {
  const random = createRandom(seed).stream('layer operands').stream(layer.id)
  const normal = (name: string, shape: readonly number[]): Tensor => {
    const size = shape.reduce((all, length) => all * length, 1)
    return { data: random.stream(name).fillNormal(new Float32Array(size)), shape, dtype: 'float32' }
  }
  const { m, n, k, op } = layer
  return op.kind === 'matmul'
    ? { input: normal('input', [m, k]), weights: normal('weights', [k, n]) }
    : { input: normal('input', op.x), weights: normal('weights', op.filter) }
}

// Operands of a layer that has only a shape: standard normal numbers, or any 8-bit integers, by seed and layer.
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
  const { m, n, k, op, dtype } = layer
  if (op.kind === 'conv2d') return { input: normal('input', op.x), weights: normal('weights', op.filter) }
  const lead = op.batch > 1 ? [op.batch] : []
  if (dtype !== 'int8' && dtype !== 'uint8')
    return { input: normal('input', [...lead, m, k]), weights: normal('weights', [...lead, k, n]) }
  const whole = (name: string, size: number, low: number) => {
    const own = random.stream(name)
    return Int16Array.from({ length: size }, () => low + own.integer(0, 255))
  }
  const a = whole('input', m * k, dtype === 'int8' ? -128 : 0)
  return {
    input: { data: dtype === 'int8' ? Int8Array.from(a) : Uint8Array.from(a), shape: [m, k], dtype },
    weights: { data: Int8Array.from(whole('weights', k * n, -128)), shape: [k, n], dtype: 'int8' },
  }
}

// Perceptrons from weights that another framework stored.
import type { Tensor } from '@ft/core'
import { assertLayers, type DenseLayer } from './layers.ts'

/**
 * Layers from weights as PyTorch stores them: `[out, in]` and `[out]` in turn, ReLU between layers, none at the end.
 *
 * @throws FtError `SHAPE_MISMATCH` when they do not fit one another
 */
export function denseFromTorch(tensors: readonly Tensor[]): DenseLayer[] {
  const layers: DenseLayer[] = []
  for (let i = 0; i + 1 < tensors.length; i += 2) {
    const [weight, bias] = [tensors[i] as Tensor, tensors[i + 1] as Tensor]
    const [out = 0, inputs = 0] = weight.shape
    const data = new Float32Array(inputs * out)
    for (let o = 0; o < out; o++)
      for (let n = 0; n < inputs; n++) data[n * out + o] = weight.data[o * inputs + n] as number
    layers.push({
      weights: { data, shape: [inputs, out], dtype: 'float32' },
      bias: { data: Float32Array.from(bias.data), shape: [out], dtype: 'float32' },
      relu: i + 2 < tensors.length,
    })
  }
  assertLayers(layers, 'denseFromTorch')
  return layers
}

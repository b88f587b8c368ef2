// Perceptrons as plain layers, and the fingerprint that binds a parity model to the base model it was trained for.
import { createHash } from 'node:crypto'
import { FtError, type Tensor } from '@ft/core'
import { bytesOf } from '../oip/datatypes.ts'

export interface DenseLayer {
  /** float32 `[in, out]`. */
  readonly weights: Tensor
  /** float32 `[out]`. */
  readonly bias: Tensor
  readonly relu: boolean
}

/**
 * SHA-256 over shapes, activations and every weight's bits: two models have the same only when they answer alike.
 *
 * Cost: one pass over the weights.
 */
export function fingerprintOf(layers: readonly DenseLayer[]): string {
  const hash = createHash('sha256')
  for (const { weights, bias, relu } of layers) {
    hash.update(`dense ${weights.shape.join('x')} ${relu ? 'relu' : 'linear'}\n`)
    hash.update(bytesOf(weights.data))
    hash.update(bytesOf(bias.data))
  }
  return hash.digest('hex')
}

/** @throws FtError `SHAPE_MISMATCH` unless the layers fit one another */
export function assertLayers(layers: readonly DenseLayer[], where: string): void {
  if (layers.length === 0)
    throw new FtError('INVALID_ARGUMENT', `${where}: \`layers\` must have at least one layer`, {})
  let width: number | undefined
  layers.forEach(({ weights, bias }, i) => {
    const [rows, columns] = weights.shape
    const fits = weights.shape.length === 2 && (width === undefined || rows === width) && bias.data.length === columns
    if (!fits || weights.dtype !== 'float32' || bias.dtype !== 'float32')
      throw new FtError(
        'SHAPE_MISMATCH',
        `${where}: layer ${i} must be float32 [${width ?? 'in'}, out] with a bias of [out], got [${weights.shape.join(', ')}]`,
        {
          layer: i,
          shape: weights.shape,
        },
      )
    width = columns
  })
}

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

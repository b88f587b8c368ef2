// The models that this package trains and serves: dense layers and convolutions in a row. Rows are flat between layers
// (an image lies as height, width, channels), so that every code and every gateway sees `[b, features]`.
import { createHash } from 'node:crypto'
import { FtError, type Tensor } from '@ft/core'
import { bytesOf } from '../oip/datatypes.ts'

export interface DenseLayer {
  readonly kind?: 'dense'
  /** float32 `[in, out]`. */
  readonly weights: Tensor
  /** float32 `[out]`. */
  readonly bias: Tensor
  readonly relu: boolean
}

/** A convolution of images padded with zeros so that the output has `ceil(size / stride)` rows and columns. */
export interface ConvLayer {
  readonly kind: 'conv'
  /** float32 `[height, width, in, out]`; odd height and width. */
  readonly weights: Tensor
  /** float32 `[out]`. */
  readonly bias: Tensor
  readonly relu: boolean
  /** Size of the images that come in. */
  readonly image: { readonly height: number; readonly width: number }
  /** Default 1. */
  readonly stride?: number
  /** Distance between taps; needs a stride of 1. Default 1. */
  readonly dilation?: number
}

export type Layer = DenseLayer | ConvLayer

/** Features that a layer takes. */
export function inputsOf(layer: Layer): number {
  if (layer.kind !== 'conv') return layer.weights.shape[0] as number
  return layer.image.height * layer.image.width * (layer.weights.shape[2] as number)
}

/** Features that a layer gives. */
export function outputsOf(layer: Layer): number {
  const channels = layer.weights.shape.at(-1) as number
  if (layer.kind !== 'conv') return channels
  const { height, width } = outputImage(layer)
  return height * width * channels
}

export function outputImage({ image, stride = 1 }: Pick<ConvLayer, 'image' | 'stride'>): {
  height: number
  width: number
} {
  return { height: Math.ceil(image.height / stride), width: Math.ceil(image.width / stride) }
}

/** Zeros before and after, TensorFlow's 'same': half of what is missing before, the rest behind. */
export function padsOf(layer: ConvLayer): [top: number, bottom: number, left: number, right: number] {
  const { weights, image, stride = 1, dilation = 1 } = layer
  const out = outputImage(layer)
  const missing = (size: number, outSize: number, taps: number) =>
    Math.max(0, (outSize - 1) * stride + (taps - 1) * dilation + 1 - size)
  const down = missing(image.height, out.height, weights.shape[0] as number)
  const across = missing(image.width, out.width, weights.shape[1] as number)
  return [Math.floor(down / 2), Math.ceil(down / 2), Math.floor(across / 2), Math.ceil(across / 2)]
}

/**
 * SHA-256 over shapes, activations and every weight's bits: two models have the same only when they answer alike.
 *
 * Cost: one pass over the weights.
 */
export function fingerprintOf(layers: readonly Layer[]): string {
  const hash = createHash('sha256')
  for (const layer of layers) {
    const { weights, bias, relu } = layer
    const form =
      layer.kind === 'conv'
        ? `conv ${layer.image.height}x${layer.image.width} stride ${layer.stride ?? 1} dilation ${layer.dilation ?? 1}`
        : 'dense'
    hash.update(`${form} ${weights.shape.join('x')} ${relu ? 'relu' : 'linear'}\n`)
    hash.update(bytesOf(weights.data))
    hash.update(bytesOf(bias.data))
  }
  return hash.digest('hex')
}

/** @throws FtError `SHAPE_MISMATCH` unless the layers fit one another */
export function assertLayers(layers: readonly Layer[], where: string): void {
  if (layers.length === 0)
    throw new FtError('INVALID_ARGUMENT', `${where}: \`layers\` must have at least one layer`, {})
  let width: number | undefined
  layers.forEach((layer, i) => {
    const { weights, bias } = layer
    const form = layer.kind === 'conv' ? '[height, width, in, out] with odd height and width' : '[in, out]'
    const fits =
      (layer.kind === 'conv' ? isConvolution(layer) : weights.shape.length === 2) &&
      (width === undefined || inputsOf(layer) === width) &&
      bias.data.length === weights.shape.at(-1)
    if (!fits || weights.dtype !== 'float32' || bias.dtype !== 'float32')
      throw new FtError(
        'SHAPE_MISMATCH',
        `${where}: layer ${i} must be float32 ${form} with a bias of [out]${width === undefined ? '' : ` and take ${width} features`}, got [${weights.shape.join(', ')}]`,
        { layer: i, shape: weights.shape },
      )
    width = outputsOf(layer)
  })
}

function isConvolution({ weights, image, stride = 1, dilation = 1 }: ConvLayer): boolean {
  const [height = 0, width = 0] = weights.shape
  const positive = [image.height, image.width, stride, dilation].every((n) => Number.isSafeInteger(n) && n > 0)
  return (
    weights.shape.length === 4 && height % 2 === 1 && width % 2 === 1 && positive && (stride === 1 || dilation === 1)
  )
}

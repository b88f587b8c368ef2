// Gradients of convolutions as convolutions: a filter's is one of the input with the output's gradient, with
// images in the place of channels. dW[r, s, c, o] = sum over images b and output pixels (p, q) of
// x[b, p stride + r dilation - pad, q stride + s dilation - pad, c] * dy[b, p, q, o]: the output's gradient is a filter of
// outHeight x outWidth taps whose dilation is the layer's stride and whose stride is the layer's dilation.
import type { Conv2dOptions, SyncMatmulEngine, Tensor } from '@ft/core'
import type { TfjsConvolution } from './surface.ts'

export interface FilterGradient {
  readonly convolution: TfjsConvolution
  readonly x: ArrayLike<number>
  readonly dy: ArrayLike<number>
}

/** Gradient of a filter `[h, w, in, out]`. Cost: one product of h w in x out with the batch's output pixels as k. */
export function filterGradient(engine: SyncMatmulEngine, { convolution, x, dy }: FilterGradient): Float32Array {
  const { batchSize, inChannels, outChannels, filterHeight, filterWidth } = convolution
  const window = windowOf(convolution)
  const gradient = new Float32Array(filterHeight * filterWidth * inChannels * outChannels)
  if (gradient.length === 0 || dy.length === 0 || window.height < 1 || window.width < 1) return gradient
  const input: Tensor = {
    data: imagesLast(x, { convolution, window, order: 'channel first' }),
    shape: [inChannels, window.height, window.width, batchSize],
    dtype: 'float32',
  }
  const { output } = engine.conv2dSync(input, outputGradient(dy, convolution), options(convolution, window))
  // [in, h, w, out] becomes [h, w, in, out].
  const taps = filterHeight * filterWidth
  for (let c = 0; c < inChannels; c++)
    for (let tap = 0; tap < taps; tap++) {
      const from = (c * taps + tap) * outChannels
      const row = (output.data as Float32Array).subarray(from, from + outChannels)
      gradient.set(row, (tap * inChannels + c) * outChannels)
    }
  return gradient
}

/** Gradient of a depthwise filter `[h, w, in, multiplier]`: every channel is a group of its own. */
export function depthwiseFilterGradient(
  engine: SyncMatmulEngine,
  { convolution, x, dy }: FilterGradient,
): Float32Array {
  const { batchSize, inChannels, outChannels, filterHeight, filterWidth } = convolution
  const window = windowOf(convolution)
  const size = filterHeight * filterWidth * outChannels
  if (size === 0 || dy.length === 0 || window.height < 1 || window.width < 1) return new Float32Array(size)
  const input: Tensor = {
    data: imagesLast(x, { convolution, window, order: 'pixel first' }),
    shape: [1, window.height, window.width, inChannels * batchSize],
    dtype: 'float32',
  }
  const grouped = { ...options(convolution, window), groups: inChannels }
  // [1, h, w, in * multiplier] is the filter's own order.
  return engine.conv2dSync(input, outputGradient(dy, convolution), grouped).output.data as Float32Array
}

export interface InputGradient {
  readonly convolution: TfjsConvolution
  readonly dy: ArrayLike<number>
  /** `[h, w, in, multiplier]`. */
  readonly filter: ArrayLike<number>
}

/**
 * Gradient of a depthwise convolution's input `[batch, y, x, in]`: the output's gradient, spread by the stride, seen by the
 * turned filter.
 */
export function depthwiseInputGradient(
  engine: SyncMatmulEngine,
  { convolution: o, dy, filter }: InputGradient,
): Float32Array {
  const multiplier = o.outChannels / o.inChannels
  const [reachY, reachX] = [(o.filterHeight - 1) * o.dilationHeight, (o.filterWidth - 1) * o.dilationWidth]
  const [height, width] = [o.inHeight + reachY, o.inWidth + reachX]
  const spread = new Float32Array(o.batchSize * height * width * o.outChannels)
  for (let b = 0; b < o.batchSize; b++)
    for (let p = 0; p < o.outHeight; p++)
      for (let q = 0; q < o.outWidth; q++) {
        const i = p * o.strideHeight + reachY - o.padInfo.top
        const j = q * o.strideWidth + reachX - o.padInfo.left
        if (i < 0 || i >= height || j < 0 || j >= width) continue
        const from = ((b * o.outHeight + p) * o.outWidth + q) * o.outChannels
        const to = ((b * height + i) * width + j) * o.outChannels
        for (let c = 0; c < o.outChannels; c++) spread[to + c] = dy[from + c] as number
      }
  const taps = o.filterHeight * o.filterWidth
  const turned = new Float32Array(taps * o.outChannels)
  for (let tap = 0; tap < taps; tap++)
    for (let c = 0; c < o.inChannels; c++)
      for (let t = 0; t < multiplier; t++)
        turned[((taps - 1 - tap) * multiplier + t) * o.inChannels + c] = filter[
          (tap * o.inChannels + c) * multiplier + t
        ] as number
  const { output } = engine.conv2dSync(
    { data: spread, shape: [o.batchSize, height, width, o.outChannels], dtype: 'float32' },
    { data: turned, shape: [o.filterHeight, o.filterWidth, multiplier, o.inChannels], dtype: 'float32' },
    { dilation: [o.dilationHeight, o.dilationWidth], groups: o.inChannels },
  )
  return output.data as Float32Array
}

interface Window {
  /** Rows and columns of the input that any tap sees; those behind them are left out. */
  readonly height: number
  readonly width: number
}

function windowOf(o: TfjsConvolution): Window {
  const seen = (out: number, stride: number, taps: number, dilation: number, pad: number): number =>
    (out - 1) * stride + (taps - 1) * dilation + 1 - pad
  return {
    height: Math.min(o.inHeight, seen(o.outHeight, o.strideHeight, o.filterHeight, o.dilationHeight, o.padInfo.top)),
    width: Math.min(o.inWidth, seen(o.outWidth, o.strideWidth, o.filterWidth, o.dilationWidth, o.padInfo.left)),
  }
}

/** Padded so that the output has as many pixels as the filter has taps. */
function options(o: TfjsConvolution, { height, width }: Window): Conv2dOptions {
  const bottom = (o.outHeight - 1) * o.strideHeight + (o.filterHeight - 1) * o.dilationHeight + 1
  const right = (o.outWidth - 1) * o.strideWidth + (o.filterWidth - 1) * o.dilationWidth + 1
  return {
    stride: [o.dilationHeight, o.dilationWidth],
    dilation: [o.strideHeight, o.strideWidth],
    pad: [o.padInfo.top, bottom - o.padInfo.top - height, o.padInfo.left, right - o.padInfo.left - width],
  }
}

/** Distances between neighbours of `[batch, height, width, channels]` data in either layout. */
function strides(format: TfjsConvolution['dataFormat'], height: number, width: number, channels: number) {
  return format === 'channelsLast'
    ? { image: height * width * channels, row: width * channels, column: channels, channel: 1 }
    : { image: height * width * channels, row: width, column: 1, channel: height * width }
}

/** The input with its images innermost: `[channel, y, x, image]` or `[y, x, channel, image]`. */
function imagesLast(
  x: ArrayLike<number>,
  o: { convolution: TfjsConvolution; window: Window; order: 'channel first' | 'pixel first' },
): Float32Array {
  const { batchSize, inHeight, inWidth, inChannels, dataFormat } = o.convolution
  const { height, width } = o.window
  const from = strides(dataFormat, inHeight, inWidth, inChannels)
  const [byChannel, byPixel] =
    o.order === 'channel first' ? [height * width * batchSize, batchSize] : [batchSize, inChannels * batchSize]
  const to = new Float32Array(inChannels * height * width * batchSize)
  for (let b = 0; b < batchSize; b++)
    for (let i = 0; i < height; i++)
      for (let j = 0; j < width; j++) {
        const source = b * from.image + i * from.row + j * from.column
        const target = (i * width + j) * byPixel + b
        for (let c = 0; c < inChannels; c++) to[target + c * byChannel] = x[source + c * from.channel] as number
      }
  return to
}

/** The output's gradient as a filter `[outHeight, outWidth, image, out]`. */
function outputGradient(dy: ArrayLike<number>, o: TfjsConvolution): Tensor {
  const { batchSize, outHeight, outWidth, outChannels, dataFormat } = o
  const from = strides(dataFormat, outHeight, outWidth, outChannels)
  const data = new Float32Array(outHeight * outWidth * batchSize * outChannels)
  for (let b = 0; b < batchSize; b++)
    for (let p = 0; p < outHeight; p++)
      for (let q = 0; q < outWidth; q++) {
        const source = b * from.image + p * from.row + q * from.column
        const target = ((p * outWidth + q) * batchSize + b) * outChannels
        for (let c = 0; c < outChannels; c++) data[target + c] = dy[source + c * from.channel] as number
      }
  return { data, shape: [outHeight, outWidth, batchSize, outChannels], dtype: 'float32' }
}

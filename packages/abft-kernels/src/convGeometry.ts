// Where a filter's taps fall on an image: sizes and look-ups of a convolution, for either layout.
import type { Conv2dOptions, HWIO, Pair, TBLR, Tensor } from '@ft/core'

export interface ConvGeometry {
  readonly batch: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly outHeight: number
  readonly outWidth: number
  readonly kernel: Pair
  readonly stride: Pair
  readonly pad: TBLR
  readonly dilation: Pair
  /** Elements from an image, a row, a column, a channel to the next. */
  readonly step: { readonly image: number; readonly y: number; readonly x: number; readonly channel: number }
}

export function convGeometry(x: Tensor, filterShape: readonly number[], options: Conv2dOptions): ConvGeometry {
  const nchw = options.format === 'NCHW'
  const [batch = 0, b = 0, c = 0, d = 0] = x.shape
  const [height, width, channels] = nchw ? [c, d, b] : [b, c, d]
  const [kh, kw] = filterShape as HWIO
  const { stride = [1, 1], pad = [0, 0, 0, 0], dilation = [1, 1] } = options
  const size = (length: number, taps: number, axis: 0 | 1, padding: number) =>
    Math.floor((length + padding - (taps - 1) * dilation[axis] - 1) / stride[axis]) + 1
  const image = height * width * channels
  return {
    batch,
    height,
    width,
    channels,
    outHeight: size(height, kh, 0, pad[0] + pad[1]),
    outWidth: size(width, kw, 1, pad[2] + pad[3]),
    kernel: [kh, kw],
    stride,
    pad,
    dilation,
    step: nchw
      ? { image, y: width, x: 1, channel: height * width }
      : { image, y: width * channels, x: channels, channel: 1 },
  }
}

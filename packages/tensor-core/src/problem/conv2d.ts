// The geometry of a convolution, from its operands: the implicit matrix product it stands for.
import {
  assertInteger,
  assertOneOf,
  assertTensor,
  shapeMismatch,
  FtError,
  type Conv2dOptions,
  type HWIO,
  type Pair,
  type PreparedWeights,
  type TBLR,
  type Tensor,
} from '@ft/core'
import { assertPads, assertPair, outputSize } from './axes.ts'
import type { Sizes } from './matmul.ts'
import { resolveOptions, type ProductOptions } from './options.ts'

/**
 * One product per group: m output pixels of all images, k = taps x input channels of the group, n output channels of
 * the group. Row `(image, y, x)` of A holds what the filter sees there, ordered tap row, tap column, channel.
 */
export interface Conv2dProblem extends Sizes, ProductOptions {
  readonly kind: 'conv2d'
  readonly integer: false
  readonly x: Tensor
  readonly batch: number
  readonly height: number
  readonly width: number
  readonly channels: number
  readonly filter: HWIO
  readonly outHeight: number
  readonly outWidth: number
  readonly outChannels: number
  readonly groups: number
  readonly stride: Pair
  readonly pad: TBLR
  readonly dilation: Pair
  readonly format: 'NHWC' | 'NCHW'
  readonly outShape: readonly number[]
  readonly outType: 'float32'
}

/** Checks a filter `[h, w, i, o]` and its groups. */
export function assertFilter(filter: Tensor, groups: number, where: string): HWIO {
  assertTensor(filter, { where, argument: 'filter', dtype: 'float32', rank: 4 })
  assertInteger(groups, { where, argument: 'options.groups', min: 1 })
  const [kh, kw, , o] = filter.shape as unknown as HWIO
  if (kh < 1 || kw < 1) throw shapeMismatch({ where, argument: 'filter' }, 'at least one tap', filter.shape)
  if (o % groups !== 0)
    throw shapeMismatch(
      { where, argument: 'filter' },
      `output channels that ${groups} groups share evenly`,
      filter.shape,
    )
  return filter.shape as unknown as HWIO
}

/** @throws FtError `SHAPE_MISMATCH` or `INVALID_ARGUMENT` when operands and options do not fit each other */
export function resolveConv2d(
  operands: { x: Tensor; filter: Tensor | PreparedWeights; shape: HWIO; groups: number },
  options: Conv2dOptions,
): Conv2dProblem {
  const where = 'conv2d'
  const { x, shape: filter, groups } = operands
  const { stride = [1, 1], pad = [0, 0, 0, 0], dilation = [1, 1], format = 'NHWC' } = options
  assertTensor(x, { where, argument: 'x', dtype: 'float32', rank: 4 })
  assertPair(stride, { where, argument: 'options.stride', min: 1 })
  assertPair(dilation, { where, argument: 'options.dilation', min: 1 })
  assertPads(pad, { where, argument: 'options.pad' })
  assertOneOf(format, { where, argument: 'options.format', values: ['NHWC', 'NCHW'] })
  if (options.transposeA === true || options.transposeB === true)
    throw new FtError('UNSUPPORTED', 'conv2d: transposes are for matrices; leave `transposeA` and `transposeB` out')

  const [batch, d1, d2, d3] = x.shape as [number, number, number, number]
  const [height, width, channels] = format === 'NHWC' ? [d1, d2, d3] : [d2, d3, d1]
  const [kh, kw, i, outChannels] = filter
  if (channels !== i * groups)
    throw shapeMismatch({ where, argument: 'x' }, `${i * groups} channels (${groups} groups of ${i})`, x.shape)
  const outHeight = outputSize({
    size: height,
    kernel: kh,
    stride: stride[0],
    dilation: dilation[0],
    pad: pad[0] + pad[1],
  })
  const outWidth = outputSize({
    size: width,
    kernel: kw,
    stride: stride[1],
    dilation: dilation[1],
    pad: pad[2] + pad[3],
  })
  if (outHeight < 1 || outWidth < 1)
    throw shapeMismatch(
      { where, argument: 'x' },
      `at least as many padded pixels as the ${kh}x${kw} filter spans`,
      x.shape,
    )

  const outShape =
    format === 'NHWC' ? [batch, outHeight, outWidth, outChannels] : [batch, outChannels, outHeight, outWidth]
  return {
    kind: 'conv2d',
    integer: false,
    x,
    batch,
    height,
    width,
    channels,
    filter,
    outHeight,
    outWidth,
    outChannels,
    groups,
    stride,
    pad,
    dilation,
    format,
    count: groups,
    m: batch * outHeight * outWidth,
    n: outChannels / groups,
    k: kh * kw * i,
    outShape,
    outType: 'float32',
    ...resolveOptions(options, {
      where,
      n: outChannels,
      outShape,
      outType: 'float32',
      operands: { x, filter: operands.filter },
    }),
  }
}

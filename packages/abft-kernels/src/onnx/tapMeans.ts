// What one application of a filter sees, on average over all of them: the input of a global check, without a convolution.
import { intsAttribute, stringAttribute, type NodeProto } from '@ft/onnx'
import type { SiteContext } from './site.ts'

/** Where the taps of a convolution read, by spatial axis. */
interface Axis {
  readonly taps: number
  readonly stride: number
  readonly dilation: number
  readonly before: number
  readonly after: number
  /** Pixels of the input and of the output. */
  readonly from: number
  readonly to: number
}

/** Channels of the blocks in which onnxruntime keeps convolutions on wide vector units; 8 on others. */
const BLOCK = 16

/** Means over the pixels of a value, `[batch, channels, 1, 1]`. */
export function pixelMeans(value: string, { emit, once }: SiteContext): string {
  return once('means', value, () => emit.node('GlobalAveragePool', [value]))
}

/**
 * Means over the pixels of `node`'s output of what each tap reads there in `x`, its input or a value of the same shape, `[batch, channels, ...taps]`: what the filter makes of them is
 * the mean of the outputs. Undefined for sizes that are not known, and strides that leave the last pixels unread.
 *
 * Taps of different axes are independent, so that each axis is added up on its own: `taps` passes over a line instead of as
 * many as a filter has taps. By pooling, by depthwise convolution where a stride leaves pixels out, and by products with 0-1
 * matrices where channels are too few for blocks.
 */
export function tapMeans(node: NodeProto, x: string, context: SiteContext): string | undefined {
  const axes = axesOf(node, context)
  const channels = context.shapes.values.get(node.input[0] ?? '')?.shape?.[1]
  if (axes === undefined || typeof channels !== 'number') return undefined
  if (axes.every(readsEachOnce)) return pixelMeans(x, context)
  const along = axisMeans(axes, channels, context)
  if (along === undefined) return undefined
  return context.once(`taps ${JSON.stringify(axes)}`, x, () => axes.reduce((value, _, i) => along(value, i), x))
}

function readsEachOnce({ taps, stride, before, after }: Axis): boolean {
  return taps === 1 && stride === 1 && before === 0 && after === 0
}

function axesOf(node: NodeProto, { index, shapes }: SiteContext): Axis[] | undefined {
  const sizes = (value: string) => shapes.values.get(value)?.shape?.slice(2)
  const [from, to] = [sizes(node.input[0] ?? ''), sizes(node.output[0] ?? '')]
  const taps = index.constant(node.input[1] ?? '')?.shape.slice(2) ?? []
  const known = (values: typeof from): values is number[] =>
    values?.length === taps.length && values.every((size) => typeof size === 'number' && size > 0)
  if (!known(from) || !known(to) || stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET') return undefined
  const ones = taps.map(() => 1)
  const strides = intsAttribute(node, 'strides') ?? ones
  const dilations = intsAttribute(node, 'dilations') ?? ones
  const pads = intsAttribute(node, 'pads') ?? [...ones, ...ones].fill(0)
  return taps.map((count, i) => ({
    taps: count,
    stride: strides[i] as number,
    dilation: dilations[i] as number,
    before: pads[i] as number,
    after: pads[taps.length + i] as number,
    from: from[i] as number,
    to: to[i] as number,
  }))
}

/** Adds up one axis, in the cheapest way that all axes allow. */
function axisMeans(
  axes: readonly Axis[],
  channels: number,
  context: SiteContext,
): ((value: string, axis: number) => string) | undefined {
  if (channels % BLOCK !== 0) return (value, i) => selected(value, { axes, i, context })
  const pools = axes.every(
    // Runtimes refuse a pooling whose padding is not smaller than its window.
    ({ stride, dilation, before, after, to }) => stride === 1 && dilation === 1 && before < to && after < to,
  )
  if (pools) return (value, i) => pooled(value, { axes, i, context })
  if (axes.some((axis) => tail(axis) < 0)) return undefined
  return (value, i) => convolved(value, { axes, i, context, channels })
}

interface Along {
  readonly axes: readonly Axis[]
  readonly i: number
  readonly context: SiteContext
}

/** `value` with axis `i` alone as given, and all others as they are. */
const alone = ({ axes, i }: Along, given: number, other: number): number[] =>
  axes.map((_, j) => (j === i ? given : other))

function pooled(value: string, along: Along): string {
  const { to, before, after } = along.axes[along.i] as Axis
  return along.context.emit.node('AveragePool', [value], {
    kernel_shape: { ints: alone(along, to, 1) },
    strides: { ints: alone(along, 1, 1) },
    pads: { ints: [...alone(along, before, 0), ...alone(along, after, 0)] },
    count_include_pad: { int: 1 },
  })
}

/** Padding behind, with which a window over all of an axis' applications has just the taps' places. */
function tail({ taps, stride, dilation, before, from, to }: Axis): number {
  return stride * (to - 1) + 1 + dilation * (taps - 1) - from - before
}

/** The window's stride is the taps' distance, and its dilation is the stride: the two change their parts. */
function convolved(value: string, along: Along & { channels: number }): string {
  const axis = along.axes[along.i] as Axis
  const shape = [along.channels, 1, ...alone(along, axis.to, 1)]
  const ones = along.context.emit.floats('ft_mean_filter', shape, filled(along.channels * axis.to, 1 / axis.to))
  return along.context.emit.node('Conv', [value, ones], {
    group: { int: along.channels },
    strides: { ints: alone(along, axis.dilation, 1) },
    dilations: { ints: alone(along, axis.stride, 1) },
    pads: { ints: [...alone(along, axis.before, 0), ...alone(along, tail(axis), 0)] },
  })
}

/** A product with the matrix that says which pixels a tap reads; the last axis from the right, the one before from the left. */
function selected(value: string, { axes, i, context }: Along): string {
  const { taps, stride, dilation, before, from, to } = axes[i] as Axis
  const last = i === axes.length - 1
  const shape = last ? [from, taps] : [taps, from]
  const data = new Float32Array(taps * from)
  for (let tap = 0; tap < taps; tap++)
    for (let p = 0; p < to; p++) {
      const at = stride * p + dilation * tap - before
      if (at >= 0 && at < from) data[last ? at * taps + tap : tap * from + at] = 1 / to
    }
  const matrix = context.emit.floats('ft_taps', shape, data)
  return context.emit.node('MatMul', last ? [value, matrix] : [matrix, value])
}

const filled = (length: number, value: number) => new Float32Array(length).fill(value)

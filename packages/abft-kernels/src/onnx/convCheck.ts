// Checks of a float convolution. Row: one more output channel, whose filter is the sum of the layer's filters, says what the
// channels of each output pixel add up to (Hari et al. 2020). Global: the same on pooled values, one number an image.
import {
  intAttribute,
  intsAttribute,
  stringAttribute,
  type AttributeProto,
  type NodeProto,
  type OnnxTensor,
} from '@ft/onnx'
import { biasSums, roundingBound, UNKNOWN_SIZE, type Built, type Site, type SiteContext } from './site.ts'

interface Filter {
  readonly tensor: OnnxTensor
  readonly data: Float32Array
  readonly bias: Float32Array | undefined
  readonly groups: number
}

export function convCheck(site: Site, context: SiteContext): Built {
  const { node } = site
  const filter = filterOf(node, context)
  if ('reason' in filter) return filter
  if (site.scheme === 'replication') return replica(node, filter, context)
  const pooled = site.scheme === 'global'
  const [out = 0, perGroup = 0, ...taps] = filter.tensor.shape
  const k = perGroup * taps.reduce((all, size) => all * size, 1)
  const [x = ''] = node.input
  const y = node.output[0] ?? ''
  // K products and the bias on either side, N channels added up, and pooling twice.
  const bound = roundingBound(2 * (k + 2) + 2 * out + 8 + (pooled ? 3 * (outputPixels(y, context) + 2) : 0))
  const expected = predicted(node, filter, { x, pooled, rank: filter.tensor.shape.length, context })
  const { total, scale } = pooled ? pooledOutput(y, expected.scale, context) : { total: y, scale: expected.scale }
  const actual = channelSum(total, filter, context)
  return { difference: context.emit.node('Sub', [actual, expected.difference]), scale, bound }
}

/** Sum over channels, as a convolution: it keeps the blocked layout that runtimes give their convolutions. */
function channelSum(value: string, { tensor }: Filter, { emit }: SiteContext): string {
  const [out = 0, , ...taps] = tensor.shape
  const ones = emit.floats('ft_ones', [1, out, ...taps.map(() => 1)], new Float32Array(out).fill(1))
  return emit.node('Conv', [value, ones])
}

/**
 * Means of a layer's output over its pixels. Where a residual is added to the output, that sum is taken instead, less the
 * residual's own means: the addition still fuses with the convolution.
 */
function pooledOutput(y: string, scale: string, context: SiteContext): { total: string; scale: string } {
  const { emit, index, scales } = context
  scales.set(y, scale)
  const [reader, ...others] = index.consumers(y)
  const other = reader?.input.find((name) => name !== y)
  const adds = reader?.opType === 'Add' || reader?.opType === 'Sum'
  const alone =
    adds && others.length === 0 && reader.input.length === 2 && !index.isOutput(y) && !context.claimed.has(reader)
  if (!alone || other === undefined || !sameShape(y, other, context)) return { total: context.mean(y), scale }
  const residual = residualScale(other, context)
  if (residual === undefined) return { total: context.mean(y), scale }
  context.claimed.add(reader)
  const total = emit.node('Sub', [context.mean(reader.output[0] ?? ''), context.mean(other)])
  return { total, scale: emit.node('Add', [scale, residual]) }
}

function sameShape(a: string, b: string, { shapes }: SiteContext): boolean {
  const [x, y] = [shapes.values.get(a)?.shape, shapes.values.get(b)?.shape]
  return x !== undefined && x.length === 4 && JSON.stringify(x) === JSON.stringify(y)
}

/** Bound of the residual's absolute sum: itself when it is not negative, else what its own check says. */
function residualScale(value: string, context: SiteContext): string | undefined {
  if (context.nonNegative(value)) return context.emit.reduce('ReduceSum', context.mean(value), [1])
  return context.scales.get(value)
}

function filterOf(node: NodeProto, { index }: SiteContext): Filter | { reason: string } {
  const tensor = index.constant(node.input[1] ?? '')
  if (!tensor) return { reason: 'its filter is not constant' }
  if (!(tensor.data instanceof Float32Array))
    return { reason: `its filter is ${tensor.type}; checks have bounds for float32` }
  if (tensor.shape.length !== 4 && tensor.shape.length !== 3)
    return { reason: `a ${tensor.shape.length - 2}-d convolution` }
  if (!tensor.data.every(Number.isFinite)) return { reason: 'its filter is not finite' }
  const stored = node.input[2] ? index.constant(node.input[2]) : undefined
  if (node.input[2] && !(stored?.data instanceof Float32Array)) return { reason: 'its bias is not constant' }
  return {
    tensor,
    data: tensor.data,
    bias: stored?.data as Float32Array | undefined,
    groups: intAttribute(node, 'group', 1),
  }
}

/** The filter of the check, `[2, channels, ...taps]` for all groups: sums over the outputs of w and of |w|. */
function checkFilter({ tensor, data, groups }: Filter): {
  shape: number[]
  sums: Float64Array
  absolute: Float64Array
} {
  const [out = 0, perGroup = 0, ...taps] = tensor.shape
  const each = perGroup * taps.reduce((all, size) => all * size, 1)
  const sums = new Float64Array(groups * each)
  const absolute = new Float64Array(groups * each)
  for (let n = 0; n < out; n++) {
    const to = Math.floor(n / (out / groups)) * each
    for (let i = 0; i < each; i++) {
      const w = data[n * each + i] as number
      sums[to + i] = (sums[to + i] as number) + w
      absolute[to + i] = (absolute[to + i] as number) + Math.abs(w)
    }
  }
  return { shape: [groups * perGroup, ...taps], sums, absolute }
}

interface Prediction {
  readonly x: string
  readonly pooled: boolean
  readonly rank: number
  readonly context: SiteContext
}

/** What the channels add up to, and the same with absolute values. */
function predicted(node: NodeProto, filter: Filter, o: Prediction): { difference: string; scale: string } {
  const { emit, nonNegative } = o.context
  const { shape, sums, absolute } = checkFilter(filter)
  const [biasSum, biasAbsolute] = biasSums(filter.bias)
  const convolve = (x: string, data: ArrayLike<number>[], bias: number[]): string => {
    const weights = emit.floats(
      'ft_check_filter',
      [data.length, ...shape],
      data.flatMap((part) => Array.from(part)),
    )
    const inputs = [weights, emit.floats('ft_check_bias', [data.length], bias)]
    const pool = o.pooled ? poolOfTaps(node, x, o) : undefined
    // Pooled taps are what one application of the filter sees: no stride, no padding.
    if (pool !== undefined) return emit.node('Conv', [pool, ...inputs])
    const each = emit.edit.node('Conv', [x, ...inputs], { outputs: [emit.edit.freshName('ft_conv')] })
    copyGeometry(emit.edit.graph.node[emit.edit.graph.node.length - 1] as NodeProto, node)
    return o.pooled ? o.context.mean(each) : each
  }
  if (nonNegative(o.x)) {
    const both = convolve(o.x, [sums, absolute], [biasSum, biasAbsolute])
    const pick = (channel: number) => emit.pick(both, { axis: 1, index: channel })
    return { difference: pick(0), scale: pick(1) }
  }
  return {
    difference: convolve(o.x, [sums], [biasSum]),
    scale: convolve(emit.node('Abs', [o.x]), [absolute], [biasAbsolute]),
  }
}

/**
 * Means of the pixels that each tap sees, `[batch, channels, ...taps]`, by one pooling whose window is the output's size:
 * exact for stride and dilation 1 with padding below the output's size. Undefined for other geometries and sizes that are not
 * known.
 */
function poolOfTaps(node: NodeProto, x: string, { context, rank }: Prediction): string | undefined {
  const ones = (name: string) => (intsAttribute(node, name) ?? []).every((value) => value === 1)
  if (!ones('strides') || !ones('dilations')) return undefined
  if (stringAttribute(node, 'auto_pad', 'NOTSET') !== 'NOTSET') return undefined
  const pads = intsAttribute(node, 'pads') ?? new Array<number>(2 * (rank - 2)).fill(0)
  const taps = context.index.constant(node.input[1] ?? '')?.shape.slice(2) ?? []
  if (taps.every((size) => size === 1) && pads.every((pad) => pad === 0)) return context.mean(x)
  const spatial = context.shapes.values.get(node.output[0] ?? '')?.shape?.slice(2)
  if (!spatial?.every((size): size is number => typeof size === 'number')) return undefined
  // Runtimes refuse a pooling whose padding is not smaller than its window.
  if (pads.some((pad, i) => pad >= (spatial[i % spatial.length] as number))) return undefined
  return context.emit.node('AveragePool', [x], {
    kernel_shape: { ints: spatial },
    strides: { ints: spatial.map(() => 1) },
    pads: { ints: pads },
    count_include_pad: { int: 1 },
  })
}

const geometry = new Set(['strides', 'pads', 'dilations', 'auto_pad'])

function copyGeometry(to: NodeProto, from: NodeProto): void {
  const kept: AttributeProto[] = from.attribute.filter((item) => geometry.has(item.name))
  to.attribute = [...to.attribute, ...kept]
}

function outputPixels(y: string, { shapes }: SiteContext): number {
  const spatial = shapes.values.get(y)?.shape?.slice(2)
  return spatial?.every((size): size is number => typeof size === 'number')
    ? spatial.reduce((all, size) => all * size, 1)
    : UNKNOWN_SIZE
}

/**
 * The layer once more with twice its weights, beside twice its output: equal to the last bit, since a factor of two only
 * moves exponents, and no common subexpression that an optimiser could merge.
 */
function replica(node: NodeProto, filter: Filter, { emit }: SiteContext): Built {
  const twice = (values: Float32Array) => values.map((value) => 2 * value)
  const inputs = [node.input[0] ?? '', emit.floats('ft_twice', filter.tensor.shape, twice(filter.data))]
  if (filter.bias) inputs.push(emit.floats('ft_twice_bias', [filter.bias.length], twice(filter.bias)))
  const copy = emit.node('Conv', inputs)
  const made = emit.edit.graph.node[emit.edit.graph.node.length - 1] as NodeProto
  made.attribute = [...node.attribute]
  return doubled(node.output[0] ?? '', copy, emit)
}

/** Residuals of a replica: any difference at all is a fault. */
export function doubled(y: string, copy: string, emit: SiteContext['emit']): Built {
  const sum = emit.node('Add', [y, y])
  return {
    difference: emit.node('Sub', [copy, sum]),
    scale: undefined,
    bound: 0,
  }
}

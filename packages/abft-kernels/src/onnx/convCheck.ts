// Checks of a float convolution. Row: one more output channel, whose filter is the sum of the layer's filters, says what the
// channels of each output pixel add up to (Hari et al. 2020). Global: the same on pooled values, one number an image.
import type { NodeProto } from '@ft/onnx'
import { checkedFilter, type CheckedFilter } from './checkedFilter.ts'
import { pooledConvCheck } from './pooledConvCheck.ts'
import { GEOMETRY, roundingBound, type Built, type Residuals, type Site, type SiteContext } from './site.ts'

export function convCheck(site: Site, context: SiteContext): Built {
  const filter = checkedFilter(site.node, context)
  if ('reason' in filter) return filter
  if (site.scheme === 'replication') return replica(site.node, filter, context)
  if (site.scheme === 'global') return pooledConvCheck(site.node, filter, context)
  return rowCheck(site.node, filter, context)
}

function rowCheck(node: NodeProto, filter: CheckedFilter, context: SiteContext): Residuals {
  const { emit } = context
  const [x = ''] = node.input
  const { sums, absolute, biasSum, biasAbsolute } = filter
  const convolve = (value: string, rows: readonly Float64Array[], bias: readonly number[]): string => {
    const data = rows.flatMap((row) => Array.from(row))
    const weights = emit.floats('ft_check_filter', [rows.length, filter.channels, ...filter.taps], data)
    return emit.alike(node, [value, weights, emit.floats('ft_check_bias', [rows.length], bias)], GEOMETRY)
  }
  // K products and the bias on either side, and the channels added up.
  const bound = roundingBound(2 * (filter.k + 2) + 2 * filter.out + 8)
  const actual = channelSum(node.output[0] ?? '', filter, context)
  if (!context.nonNegative(x)) {
    const expected = convolve(x, [sums], [biasSum])
    const scale = convolve(emit.node('Abs', [x]), [absolute], [biasAbsolute])
    return { difference: emit.node('Sub', [actual, expected]), scale, bound }
  }
  const both = convolve(x, [sums, absolute], [biasSum, biasAbsolute])
  const pick = (channel: number) => emit.pick(both, { axis: 1, index: channel })
  return { difference: emit.node('Sub', [actual, pick(0)]), scale: pick(1), bound }
}

/** Sum over channels, as a convolution: it keeps the blocked layout that runtimes give their convolutions. */
function channelSum(value: string, { out, taps }: CheckedFilter, { emit }: SiteContext): string {
  const ones = emit.floats('ft_ones', [1, out, ...taps.map(() => 1)], new Float32Array(out).fill(1))
  return emit.node('Conv', [value, ones])
}

/**
 * The layer once more with twice its weights, beside twice its output: equal to the last bit, since a factor of two only
 * moves exponents, and no common subexpression that an optimiser could merge.
 */
function replica(node: NodeProto, filter: CheckedFilter, { emit }: SiteContext): Residuals {
  const twice = (values: Float32Array) => values.map((value) => 2 * value)
  const inputs = [node.input[0] ?? '', emit.floats('ft_twice', filter.tensor.shape, twice(filter.data))]
  if (filter.bias) inputs.push(emit.floats('ft_twice_bias', [filter.bias.length], twice(filter.bias)))
  return doubled(node.output[0] ?? '', emit.alike(node, inputs), emit)
}

/** Residuals of a replica: any difference at all is a fault. */
export function doubled(y: string, copy: string, emit: SiteContext['emit']): Residuals {
  const sum = emit.node('Add', [y, y])
  return {
    difference: emit.node('Sub', [copy, sum]),
    scale: undefined,
    bound: 0,
  }
}

// Global check of a convolution, one number an image: outputs are linear in what the taps read, so that both are averaged over
// the pixels first, and the sum of the filters is applied once.
import type { NodeProto } from '@ft/onnx'
import type { CheckedFilter } from './checkedFilter.ts'
import { GEOMETRY, outputPixels, roundingBound, type PairedResiduals, type SiteContext } from './site.ts'
import { pixelMeans, tapMeans } from './tapMeans.ts'

export function pooledConvCheck(node: NodeProto, filter: CheckedFilter, context: SiteContext): PairedResiduals {
  const y = node.output[0] ?? ''
  const terms = [...expected(node, filter, context), ...actual(y, filter, context)]
  // Additions right behind convolutions are part of them for most runtimes.
  const pair = terms.reduce((sum, term) => context.emit.node('Add', [sum, term]))
  context.pairs.set(y, pair)
  const batch = context.shapes.values.get(y)?.shape?.[0]
  return {
    pair,
    rank: filter.taps.length + 2,
    images: batch === undefined ? undefined : String(batch),
    // Products and bias in the output and, added to what is there, in the check; channels added up; pooling of the output,
    // the input and a residual.
    bound: roundingBound(3 * (filter.k + 2) + 2 * (filter.out + 2) + 3 * (outputPixels(y, context) + 4) + 16),
  }
}

/** A row of weights for the difference, and one for its scale. */
type Rows = readonly [difference: ArrayLike<number>, scale: ArrayLike<number>]

const scaled = (values: Float64Array, factor: number): Float64Array => values.map((value) => factor * value)
const filled = (length: number, value: number): Float32Array => new Float32Array(length).fill(value)

/** What the input says the outputs add up to, less than nothing; and the sum of what was added, in absolute values. */
function expected(node: NodeProto, filter: CheckedFilter, context: SiteContext): string[] {
  const [x = ''] = node.input
  const { sums, absolute, biasSum, biasAbsolute } = filter
  const bias = [-biasSum, biasAbsolute] as const
  const apply = (value: string, rows: Rows, withBias?: readonly number[]): string =>
    throughTaps(node, value, { rows, bias: withBias, filter, context })
  if (context.nonNegative(x)) return [apply(x, [scaled(sums, -1), absolute], bias)]
  // |x| = 2 relu(x) - x: runtimes keep a ReLU in the layout of their convolutions, and no Abs.
  const positive = context.once('positive', x, () => context.emit.node('Relu', [x]))
  return [
    apply(x, [scaled(sums, -1), scaled(absolute, -1)], bias),
    apply(positive, [filled(sums.length, 0), scaled(absolute, 2)]),
  ]
}

interface Applied {
  readonly rows: Rows
  readonly bias: readonly number[] | undefined
  readonly filter: CheckedFilter
  readonly context: SiteContext
}

/** Two filters applied to the means of what the taps read; where those are not to be had, the means of two convolutions. */
function throughTaps(node: NodeProto, value: string, { rows, bias, filter, context }: Applied): string {
  const { emit } = context
  const shape = [2, filter.channels, ...filter.taps]
  const weights = emit.floats(
    'ft_check_filter',
    shape,
    rows.flatMap((row) => Array.from(row)),
  )
  const more = bias ? [emit.floats('ft_check_bias', [2], bias)] : []
  const means = tapMeans(node, value, context)
  if (means !== undefined) return emit.node('Conv', [means, weights, ...more])
  return pixelMeans(emit.alike(node, [value, weights, ...more], GEOMETRY), context)
}

/** What the outputs add up to; where a residual is added to them alone, their sum less the residual. */
function actual(y: string, filter: CheckedFilter, context: SiteContext): string[] {
  const weigh = (means: string, difference: number, scale: number): string => {
    const shape = [2, filter.out, ...filter.taps.map(() => 1)]
    const data = () => [...filled(filter.out, difference), ...filled(filter.out, scale)]
    const key = `${shape.join()}: ${difference}, ${scale}`
    return context.emit.node('Conv', [
      means,
      context.once('sums', key, () => context.emit.floats('ft_sums', shape, data())),
    ])
  }
  const added = additionOf(y, context)
  if (added === undefined) return [weigh(pixelMeans(y, context), 1, 0)]
  context.claimed.add(added.node)
  const sum = weigh(pixelMeans(added.sum, context), 1, 0)
  if (context.nonNegative(added.residual)) return [sum, weigh(pixelMeans(added.residual, context), -1, 1)]
  return [sum, weigh(pixelMeans(added.residual, context), -1, 0), scaleAlone(added.residual, filter, context)]
}

/** The scale of a value that has a check of its own, beside a difference of 0. */
function scaleAlone(value: string, { taps }: CheckedFilter, { emit, pairs }: SiteContext): string {
  const second = emit.floats('ft_scale_alone', [2, 2, ...taps.map(() => 1)], [0, 0, 0, 1])
  return emit.node('Conv', [pairs.get(value) ?? '', second])
}

interface Addition {
  readonly node: NodeProto
  readonly sum: string
  readonly residual: string
}

/**
 * The addition of a residual that is the only reader of `y`, when the residual has a scale: a check that read `y` itself would
 * keep the addition from becoming part of the convolution.
 */
function additionOf(y: string, { index, claimed, shapes, nonNegative, pairs }: SiteContext): Addition | undefined {
  const [node, ...others] = index.consumers(y)
  if (node === undefined || others.length > 0 || index.isOutput(y) || claimed.has(node)) return undefined
  if ((node.opType !== 'Add' && node.opType !== 'Sum') || node.input.length !== 2) return undefined
  const residual = node.input.find((name) => name !== y)
  if (residual === undefined || !(nonNegative(residual) || pairs.has(residual))) return undefined
  const [a, b] = [y, residual].map((value) => shapes.values.get(value)?.shape)
  const alike = a !== undefined && JSON.stringify(a) === JSON.stringify(b)
  return alike ? { node, sum: node.output[0] ?? '', residual } : undefined
}

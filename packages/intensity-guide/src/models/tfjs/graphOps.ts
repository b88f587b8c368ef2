// Shapes of the operators of TensorFlow.js GraphModels: from inputs to output and product.
import type { DType, LinearLayer, Pair, TBLR } from '@ft/core'
import type { Json } from '../network.ts'
import { flag, list, text } from './attributes.ts'
import { convolution, slide, type Window } from './geometry.ts'

/** What is known of a tensor: its shape, and its elements where they are few and decide shapes. */
export interface Known {
  readonly shape?: readonly number[]
  readonly elements?: readonly number[]
}

export interface Op {
  readonly id: string
  readonly attributes: Json
  readonly inputs: readonly Known[]
  readonly dtype: DType
}

export interface OpResult extends Known {
  readonly product?: LinearLayer
  readonly skipped?: string
  /** Further outputs, for operators that split. */
  readonly others?: readonly Known[]
}

type Rule = (op: Op) => OpResult

/** Undefined: an operator that is not known here. */
export function opResult(kind: string, op: Op): OpResult | undefined {
  const rule = Object.hasOwn(rules, kind) ? rules[kind] : undefined
  return rule?.(op)
}

export function isProduct(kind: string): boolean {
  return productKinds.has(kind)
}

const unknownShape = 'its shape is unknown'
const nothing: OpResult = {}
const same: Rule = ({ inputs: [x] }) => x ?? nothing
const shapeOf = (known: Known | undefined) => known?.shape
const product = (sizes: readonly number[]) => sizes.reduce((all, size) => all * size, 1)

const elementwise: Rule = ({ inputs }) => {
  const shapes = inputs.map(shapeOf)
  if (shapes.some((shape) => shape === undefined)) return nothing
  const known = shapes as (readonly number[])[]
  const length = Math.max(0, ...known.map((shape) => shape.length))
  const at = (shape: readonly number[], axis: number) => shape[axis - length + shape.length] ?? 1
  const shape = Array.from({ length }, (_, axis) => Math.max(...known.map((own) => at(own, axis))))
  const fits = known.every((own) => shape.every((size, axis) => [1, size].includes(at(own, axis))))
  return fits ? { shape } : nothing
}

const conv: Rule = ({ id, attributes, inputs: [x, filter], dtype }) =>
  convOf({ id, attributes, x, filter, dtype, depthwise: false })
const depthwise: Rule = ({ id, attributes, inputs: [x, filter], dtype }) =>
  convOf({ id, attributes, x, filter, dtype, depthwise: true })

function convOf(
  o: Pick<Op, 'id' | 'attributes' | 'dtype'> & { x: Known | undefined; filter: Known | undefined; depthwise: boolean },
): OpResult {
  const { id, attributes, x, filter, dtype } = o
  if (!x?.shape || filter?.shape?.length !== 4) return { skipped: unknownShape }
  if (text(attributes, 'data_format') === 'NCHW') return { skipped: 'its channels come first' }
  const [height = 1, width = 1, perGroup = 1, out = 1] = filter.shape
  const channels = x.shape[3] ?? 1
  const groups = o.depthwise ? channels : channels / perGroup
  const window = windowOf(attributes, [height, width])
  const made = convolution(x.shape, {
    id,
    dtype,
    window,
    filters: o.depthwise ? channels * out : out,
    groups,
    ...fused(attributes),
  })
  return made ? { shape: made.shape, product: made.layer } : { skipped: 'its kernel does not fit its input' }
}

const pool: Rule = ({ attributes, inputs: [x] }) => {
  if (x?.shape?.length !== 4) return nothing
  const [, height = 1, width = 1] = list(attributes, 'ksize')
  const place = slide([x.shape[1] ?? 1, x.shape[2] ?? 1], windowOf(attributes, [height, width]))
  return place ? { shape: [x.shape[0] ?? 1, ...place.size, x.shape[3] ?? 1] } : nothing
}

const matmul: Rule = ({ id, attributes, inputs: [a, b], dtype }) => {
  if (!a?.shape || !b?.shape || a.shape.length < 2 || b.shape.length < 2) return { skipped: unknownShape }
  const flip = (shape: readonly number[], names: readonly string[]) =>
    names.some((name) => flag(attributes, name)) ? [...shape.slice(0, -2), shape.at(-1) ?? 1, shape.at(-2) ?? 1] : shape
  const left = flip(a.shape, ['transpose_a', 'adj_x'])
  const right = flip(b.shape, ['transpose_b', 'adj_y'])
  const k = left.at(-1) ?? 1
  if (k !== right.at(-2)) return { skipped: `its operands ${a.shape.join('x')} and ${b.shape.join('x')} do not fit` }
  const n = right.at(-1) ?? 1
  const lead = elementwise({
    id,
    attributes,
    dtype,
    inputs: [{ shape: left.slice(0, -2) }, { shape: right.slice(0, -2) }],
  }).shape
  if (!lead) return { skipped: unknownShape }
  const m = left.at(-2) ?? 1
  // One weight matrix for all leading axes is one tall product.
  const tall = product(right.slice(0, -2)) === 1
  const size = tall ? { m: m * product(lead), batch: 1 } : { m, batch: product(lead) }
  const op = { kind: 'matmul', batch: size.batch } as const
  return { shape: [...lead, m, n], product: { id, m: size.m, n, k, count: 1, dtype, op, ...fused(attributes) } }
}

const reduce: Rule = ({ attributes, inputs: [x, axes] }) => {
  if (!x?.shape || !axes?.elements) return nothing
  const rank = x.shape.length
  const gone = new Set(axes.elements.map((axis) => (axis + rank) % rank))
  const keep = flag(attributes, 'keep_dims')
  return { shape: x.shape.flatMap((size, axis) => (gone.has(axis) ? (keep ? [1] : []) : [size])) }
}

const concat = (x: readonly Known[], at: number | undefined): OpResult => {
  const shapes = x.map(shapeOf)
  const [first] = shapes
  if (!first || at === undefined || shapes.some((shape) => shape?.length !== first.length)) return nothing
  const axis = (at + first.length) % first.length
  const elements =
    first.length === 1 && x.every((item) => item.elements) ? x.flatMap((item) => item.elements ?? []) : undefined
  const shape = first.map((size, i) => (i === axis ? shapes.reduce((sum, own) => sum + (own?.[i] ?? 0), 0) : size))
  return { shape, ...(elements ? { elements } : {}) }
}

const pad: Rule = ({ inputs: [x, margins] }) => {
  const { elements } = margins ?? {}
  if (!x?.shape || elements?.length !== 2 * x.shape.length) return nothing
  return { shape: x.shape.map((size, axis) => size + (elements[2 * axis] ?? 0) + (elements[2 * axis + 1] ?? 0)) }
}

const rules: Readonly<Record<string, Rule>> = {
  ...named(
    'Identity Relu Relu6 Elu Selu LeakyRelu Sigmoid Tanh Softmax LogSoftmax Softplus Exp Log Sqrt Rsqrt Square Neg Abs Cast Floor Ceil Round Erf StopGradient FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 BiasAdd ClipByValue Sign Reciprocal LRN Prelu IdentityN Cumsum Reverse ReverseV2 MirrorPadGrad',
    same,
  ),
  ...named(
    'Add AddV2 AddN Sub Mul RealDiv Div Maximum Minimum Pow SquaredDifference FloorDiv FloorMod Greater GreaterEqual Less LessEqual Equal NotEqual LogicalAnd LogicalOr Select SelectV2 BiasAddV1',
    elementwise,
  ),
  ...named('Conv2D _FusedConv2D', conv),
  ...named('DepthwiseConv2dNative FusedDepthwiseConv2dNative', depthwise),
  ...named('MatMul _FusedMatMul BatchMatMul BatchMatMulV2', matmul),
  ...named('MaxPool AvgPool', pool),
  ...named('Mean Max Min Sum Prod', reduce),
  ...named('Pad PadV2 MirrorPad', pad),
  Conv2DBackpropInput: ({ inputs: [shape] }) => ({
    ...(shape?.elements ? { shape: shape.elements } : {}),
    skipped: 'transposed convolutions are not described',
  }),
  Einsum: () => ({ skipped: 'Einsum is not described as a plain product' }),
  Shape: ({ inputs: [x] }) => (x?.shape ? { shape: [x.shape.length], elements: x.shape } : nothing),
  Reshape: ({ inputs: [x, target] }) => reshape(x, target?.elements),
  Squeeze: ({ attributes, inputs: [x] }) => {
    if (!x?.shape) return nothing
    const rank = x.shape.length
    const dims = list(attributes, 'squeeze_dims').concat(list(attributes, 'axis'))
    const gone = new Set(dims.map((axis) => (axis + rank) % rank))
    return { shape: x.shape.filter((size, axis) => (gone.size > 0 ? !gone.has(axis) : size !== 1)) }
  },
  ExpandDims: ({ inputs: [x, axis] }) => {
    const [at] = axis?.elements ?? []
    if (!x?.shape || at === undefined) return nothing
    const shape = [...x.shape]
    shape.splice(at < 0 ? at + shape.length + 1 : at, 0, 1)
    return { shape }
  },
  Transpose: ({ inputs: [x, order] }) => {
    if (!x?.shape || order?.elements?.length !== x.shape.length) return nothing
    return { shape: order.elements.map((axis) => x.shape?.[axis] ?? 1) }
  },
  ConcatV2: ({ inputs }) => concat(inputs.slice(0, -1), inputs.at(-1)?.elements?.[0]),
  Concat: ({ inputs: [axis, ...x] }) => concat(x, axis?.elements?.[0]),
  Pack: ({ attributes, inputs }) => pack(attributes, inputs),
  StridedSlice: ({ attributes, inputs: [x, begin, end, strides] }) =>
    sliceOfVector(attributes, { x, begin, end, strides }),
  Split: ({ attributes, inputs: [axis, x] }) => {
    const parts = Number(text(attributes, 'num_split', 'i') || 1)
    const [at] = axis?.elements ?? []
    if (!x?.shape || at === undefined) return nothing
    const place = (at + x.shape.length) % x.shape.length
    const part = { shape: x.shape.map((size, i) => (i === place ? size / parts : size)) }
    return { ...part, others: Array<Known>(Math.max(0, Math.min(parts, 1024) - 1)).fill(part) }
  },
  ...named('ResizeBilinear ResizeNearestNeighbor', ({ inputs: [x, size] }) => {
    const [height, width] = size?.elements ?? []
    if (!x?.shape || height === undefined || width === undefined) return nothing
    return { shape: [x.shape[0] ?? 1, height, width, x.shape[3] ?? 1] }
  }),
}

const productKinds = new Set(
  'Conv2D _FusedConv2D DepthwiseConv2dNative FusedDepthwiseConv2dNative MatMul _FusedMatMul BatchMatMul BatchMatMulV2 Conv2DBackpropInput Einsum'.split(
    ' ',
  ),
)

function named(names: string, rule: Rule): Record<string, Rule> {
  return Object.fromEntries(names.split(' ').map((name) => [name, rule]))
}

function reshape(x: Known | undefined, target: readonly number[] | undefined): OpResult {
  if (!target) return nothing
  const known = product(target.filter((size) => size >= 0))
  if (!target.includes(-1)) return { shape: target, ...(x?.elements ? { elements: x.elements } : {}) }
  if (!x?.shape || known === 0 || product(x.shape) % known !== 0) return nothing
  return { shape: target.map((size) => (size === -1 ? product(x.shape ?? []) / known : size)) }
}

function pack(attributes: Json, inputs: readonly Known[]): OpResult {
  const [first] = inputs
  if (!first?.shape) return nothing
  const axis = Number(text(attributes, 'axis', 'i') || 0)
  const shape = [...first.shape]
  shape.splice(axis < 0 ? axis + shape.length + 1 : axis, 0, inputs.length)
  const scalars = first.shape.length === 0 && inputs.every((input) => input.elements?.length === 1)
  return { shape, ...(scalars ? { elements: inputs.flatMap((input) => input.elements ?? []) } : {}) }
}

/** Slices of shape vectors, which decide later shapes; slices of data are not followed. */
function sliceOfVector(
  attributes: Json,
  { x, begin, end, strides }: Record<'x' | 'begin' | 'end' | 'strides', Known | undefined>,
): OpResult {
  const [from, to, step] = [begin?.elements?.[0], end?.elements?.[0], strides?.elements?.[0]]
  if (!x?.elements || x.shape?.length !== 1 || from === undefined || to === undefined || step !== 1) return nothing
  const mask = (name: string) => (Number(text(attributes, name, 'i') || 0) & 1) === 1
  const length = x.elements.length
  const start = mask('begin_mask') ? 0 : from < 0 ? from + length : from
  if (mask('shrink_axis_mask')) return { shape: [], elements: x.elements.slice(start, start + 1) }
  const elements = x.elements.slice(start, mask('end_mask') ? length : to < 0 ? to + length : to)
  return { shape: [elements.length], elements }
}

function windowOf(attributes: Json, kernel: Pair): Window {
  const [, strideHeight = 1, strideWidth = 1] = list(attributes, 'strides')
  const [, dilationHeight = 1, dilationWidth = 1] = list(attributes, 'dilations')
  const padding = text(attributes, 'padding')
  const explicit = list(attributes, 'explicit_paddings')
  const pads: TBLR = [explicit[2] ?? 0, explicit[3] ?? 0, explicit[4] ?? 0, explicit[5] ?? 0]
  return {
    kernel,
    stride: [Math.max(1, strideHeight), Math.max(1, strideWidth)],
    dilation: [Math.max(1, dilationHeight), Math.max(1, dilationWidth)],
    padding: padding === 'SAME' ? 'same' : padding === 'EXPLICIT' ? pads : 'valid',
  }
}

/** The activation that a fused operator ends with. */
function fused(attributes: Json): { activation?: string } {
  const last = list(attributes, 'fused_ops', 's').at(-1)
  return typeof last === 'string' && !['BiasAdd', 'FusedBatchNorm'].includes(last)
    ? { activation: last.toLowerCase() }
    : {}
}

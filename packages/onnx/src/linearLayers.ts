// The linear layers of a model: every product whose result a checksum can check.
import { FtError, type DType, type LinearLayer, type Pair, type TBLR } from '@ft/core'
import { intAttribute, subgraphs } from './attributes.ts'
import { toDType } from './dtypes.ts'
import { indexGraph, type GraphIndex } from './graph.ts'
import { inferShapes, type InferOptions, type ShapeInference } from './inferShapes.ts'
import type { OnnxModel } from './model.ts'
import type { GraphProto, NodeProto } from './proto/onnx_pb.js'
import { broadcast, numbers, type Value } from './shapes/values.ts'
import { windowOf } from './shapes/windows.ts'

export interface LinearLayers {
  readonly layers: readonly LinearLayer[]
  /** Products that could not be described, with the reason: never left out silently. */
  readonly skipped: readonly { readonly id: string; readonly opType: string; readonly reason: string }[]
  readonly inference: ShapeInference
}

interface OperandPlaces {
  readonly a: number
  readonly b: number
}

const matmuls: Readonly<Record<string, OperandPlaces>> = {
  MatMul: { a: 0, b: 1 },
  FusedMatMul: { a: 0, b: 1 },
  MatMulInteger: { a: 0, b: 1 },
  MatMulIntegerToFloat: { a: 0, b: 1 },
  QLinearMatMul: { a: 0, b: 3 },
  Gemm: { a: 0, b: 1 },
  FusedGemm: { a: 0, b: 1 },
}
const convs: Readonly<Record<string, OperandPlaces>> = {
  Conv: { a: 0, b: 1 },
  FusedConv: { a: 0, b: 1 },
  ConvInteger: { a: 0, b: 1 },
  QLinearConv: { a: 0, b: 3 },
}
/** Products that are linear but not described here. */
const otherProducts = new Set(['ConvTranspose', 'LSTM', 'GRU', 'RNN', 'Einsum', 'Attention', 'MultiHeadAttention'])
const activations = new Set([
  'Relu',
  'LeakyRelu',
  'Gelu',
  'Sigmoid',
  'Tanh',
  'Clip',
  'HardSwish',
  'HardSigmoid',
  'Elu',
  'PRelu',
])
/** Operators that hand a checksum on unchanged. */
const transparent = new Set(['Identity', 'Dropout'])

/**
 * Lists a model's linear layers in graph order: MatMul, Gemm, Conv and their integer and quantised forms.
 *
 * A layer's id is its first output's name. 1-d convolutions count as height 1.
 *
 * @throws FtError `INVALID_ARGUMENT` when dimensions stay unbound; the message names them
 */
export function linearLayers(model: OnnxModel, options: InferOptions = {}): LinearLayers {
  const inference = inferShapes(model, options)
  const layers: LinearLayer[] = []
  const skipped: { id: string; opType: string; reason: string }[] = []
  const visit = (graph: GraphProto) => {
    const index = indexGraph(graph)
    for (const node of graph.node) {
      for (const inner of subgraphs(node)) visit(inner)
      const id = node.output[0] ?? ''
      if (!inference.values.has(id)) continue
      if (otherProducts.has(node.opType)) {
        skipped.push({ id, opType: node.opType, reason: `${node.opType} is not described as a plain product` })
        continue
      }
      const described = describe(node, inference.values)
      if (described === undefined) continue
      if (typeof described === 'string') skipped.push({ id, opType: node.opType, reason: described })
      else layers.push({ ...described, ...follow(node, index) })
    }
  }
  visit(model.graph)
  const open = skipped.filter((item) => item.reason === unknownShape)
  if (open.length > 0 && inference.unbound.length > 0) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `linearLayers: dimensions ${inference.unbound.join(', ')} are unbound, so ${open.length} layers have no shape; ` +
        'bind them by name (bind) or give the inputs whole shapes (inputs)',
      { unbound: inference.unbound, layers: open.map((item) => item.id) },
    )
  }
  return { layers, skipped, inference }
}

const unknownShape = 'its shape is unknown'

type Described = Omit<LinearLayer, 'activation' | 'next'>

function describe(node: NodeProto, values: ReadonlyMap<string, Value>): Described | string | undefined {
  const places = matmuls[node.opType] ?? convs[node.opType]
  if (!places) return undefined
  const a = values.get(node.input[places.a] ?? '')
  const b = values.get(node.input[places.b] ?? '')
  const dtype = a?.type && toDType(a.type)
  const shapes = [numbers(a?.shape), numbers(b?.shape)] as const
  if (!dtype || !shapes[0] || !shapes[1]) return unknownShape
  const [left, right] = shapes
  if (left.includes(0) || right.includes(0)) return 'it has no elements'
  return node.opType in convs ? describeConv(node, left, right, dtype) : describeMatmul(node, left, right, dtype)
}

function describeMatmul(node: NodeProto, a: number[], b: number[], dtype: DType): Described | string {
  const flip = (shape: number[], transpose: boolean) =>
    transpose && shape.length > 1 ? [...shape.slice(0, -2), shape.at(-1) as number, shape.at(-2) as number] : shape
  const left = flip(a.length === 1 ? [1, ...a] : a, intAttribute(node, 'transA', 0) === 1)
  const right = flip(b.length === 1 ? [...b, 1] : b, intAttribute(node, 'transB', 0) === 1)
  const k = left.at(-1) as number
  if (k !== right.at(-2)) return `its operands ${a.join('x')} and ${b.join('x')} do not fit`
  const n = right.at(-1) as number
  const id = node.output[0] ?? ''
  const product = (sizes: number[]) => sizes.reduce((all, size) => all * size, 1)
  // One weight matrix for all leading axes is one tall product.
  if (right.length === 2 || product(right.slice(0, -2)) === 1) {
    return { id, m: product(left.slice(0, -1)), n, k, count: 1, dtype, op: { kind: 'matmul', batch: 1 } }
  }
  const lead = numbers(broadcast([left.slice(0, -2), right.slice(0, -2)]))
  if (!lead) return unknownShape
  return { id, m: left.at(-2) as number, n, k, count: 1, dtype, op: { kind: 'matmul', batch: product(lead) } }
}

function describeConv(node: NodeProto, x: number[], filter: number[], dtype: DType): Described | string {
  if (x.length !== filter.length) return `its operands ${x.join('x')} and ${filter.join('x')} do not fit`
  if (x.length !== 3 && x.length !== 4) return `a ${x.length - 2}-d convolution`
  const [batch = 1, channels = 1, ...spatial] = x
  const [out = 1, perGroup = 1, ...kernel] = filter
  const groups = intAttribute(node, 'group', 1)
  if (perGroup * groups !== channels || out % groups !== 0)
    return `${groups} groups of ${perGroup} channels do not make ${channels}`
  const flat = x.length === 3
  const window = windowOf(node, kernel, spatial)
  const pair = (sizes: number[]): Pair => (flat ? [1, sizes[0] ?? 1] : [sizes[0] ?? 1, sizes[1] ?? 1])
  const { pads } = window
  const pad: TBLR = flat ? [0, 0, pads[0] ?? 0, pads[1] ?? 0] : [pads[0] ?? 0, pads[2] ?? 0, pads[1] ?? 0, pads[3] ?? 0]
  const stride = pair(window.strides)
  const dilation = pair(window.dilations)
  const [height, width] = flat ? [1, spatial[0] ?? 1] : [spatial[0] ?? 1, spatial[1] ?? 1]
  const [kernelHeight, kernelWidth] = flat ? [1, kernel[0] ?? 1] : [kernel[0] ?? 1, kernel[1] ?? 1]
  const size = (length: number, taps: number, axis: 0 | 1) => {
    const padded = length + (axis === 0 ? pad[0] + pad[1] : pad[2] + pad[3])
    return Math.floor((padded - (taps - 1) * dilation[axis] - 1) / stride[axis]) + 1
  }
  const outHeight = size(height, kernelHeight, 0)
  const outWidth = size(width, kernelWidth, 1)
  if (outHeight < 1 || outWidth < 1)
    return `a ${kernelHeight}x${kernelWidth} kernel does not fit ${height}x${width} pixels`
  return {
    id: node.output[0] ?? '',
    m: batch * outHeight * outWidth,
    n: out,
    k: perGroup * kernelHeight * kernelWidth,
    count: 1,
    dtype,
    op: {
      kind: 'conv2d',
      x: [batch, height, width, channels],
      filter: [kernelHeight, kernelWidth, perGroup, out],
      stride,
      pad,
      dilation,
      groups,
    },
  }
}

/** The activation behind a layer and the layer that reads it, when each is the only reader. */
function follow(node: NodeProto, index: GraphIndex): Pick<LinearLayer, 'activation' | 'next'> {
  let value = node.output[0] ?? ''
  let activation: string | undefined
  for (;;) {
    const readers = index.consumers(value)
    const [reader] = readers
    if (readers.length !== 1 || reader === undefined || index.isOutput(value)) break
    const places = matmuls[reader.opType] ?? convs[reader.opType]
    if (places) {
      const reads = reader.input.indexOf(value) === places.a && reader.input.lastIndexOf(value) === places.a
      return { ...(activation ? { activation } : {}), ...(reads ? { next: reader.output[0] ?? '' } : {}) }
    }
    if (activations.has(reader.opType) && activation === undefined) activation = reader.opType.toLowerCase()
    else if (!transparent.has(reader.opType)) break
    value = reader.output[0] ?? ''
  }
  return activation ? { activation } : {}
}

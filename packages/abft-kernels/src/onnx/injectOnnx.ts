// Writes faults into an ONNX model, protected or not: what campaigns on a runtime's own kernels inject.
import { assertInteger, FtError, type Fault, type FaultEffect } from '@ft/core'
import { strike } from '@ft/core/faults'
import {
  cloneModel,
  inferShapes,
  intAttribute,
  parseModel,
  rewriter,
  serializeModel,
  toTensor,
  type InferOptions,
  type NodeProto,
  type OnnxModel,
  type OnnxTensor,
  type Rewriter,
} from '@ft/onnx'

/**
 * Makes a model that computes with faults.
 *
 * `fault.layer` names the layer by its first output; rows and columns are those of the layer's product (a convolution's row
 * is an output pixel, row-major over images). Sites: 'packed-weight' with any effect (in a copy that only the product
 * reads; stored checksums stay; of QLinearConv, QLinearMatMul and products of dequantised weights too), 'output' and 'operand'
 * of MatMul, Gemm and Conv with effects 'set' and 'add': a graph cannot flip bits of a value that it computes. Runtimes run such models to the end as if nothing had happened.
 *
 * @throws FtError `INVALID_ARGUMENT` for a layer or place that the model has not, `UNSUPPORTED` for other sites and effects
 */
export function injectOnnx(bytes: Uint8Array, faults: readonly Fault[], options: InferOptions = {}): Uint8Array {
  const model = cloneModel(parseModel(bytes))
  for (const fault of faults) injectOne(model, fault, options)
  return serializeModel(model)
}

const quantised = new Set(['QLinearConv', 'QLinearMatMul'])
const products = new Set(['MatMul', 'Gemm', 'Conv', 'MatMulInteger', 'ConvInteger', ...quantised])

function injectOne(model: OnnxModel, fault: Fault, options: InferOptions): void {
  const edit = rewriter(model)
  const node = model.graph.node.find((other) => other.output[0] === fault.layer)
  if (!node || !products.has(node.opType))
    throw new FtError('INVALID_ARGUMENT', `injectOnnx: the model has no product named ${fault.layer ?? '(none)'}`, {
      layer: fault.layer,
    })
  const { site, effect } = fault
  if (site.kind === 'packed-weight') strikeWeights(edit, node, { ...site, effect })
  else if (quantised.has(node.opType))
    throw new FtError('UNSUPPORTED', `injectOnnx: only stored weights of a ${node.opType} can be struck`, {
      site: site.kind,
    })
  else if (site.kind === 'output')
    strikeValue(edit, { value: node.output[0] ?? '', node, ...site, effect, options, model })
  else if (site.kind === 'operand' && node.opType !== 'Conv' && node.opType !== 'ConvInteger')
    strikeValue(edit, { value: node.input[0] ?? '', node, ...operandPlace(node, site), effect, options, model })
  else
    throw new FtError('UNSUPPORTED', `injectOnnx: no fault at site '${site.kind}' of a ${node.opType} inside a graph`, {
      site: site.kind,
    })
  edit.finish()
}

/** Where element [row, step] of the product's first operand lies: a transposed one is stored `[k, m]`. */
function operandPlace(node: NodeProto, { row, step }: { row: number; step: number }): { row: number; column: number } {
  const transposed = node.opType === 'Gemm' && intAttribute(node, 'transA', 0) === 1
  return transposed ? { row: step, column: row } : { row, column: step }
}

function strikeWeights(
  edit: Rewriter,
  node: NodeProto,
  at: { step: number; column: number; effect: FaultEffect },
): void {
  const { stored, put } = weightsOf(edit, node)
  if (!stored)
    throw new FtError('INVALID_ARGUMENT', `injectOnnx: the weights of ${node.output[0]} are not stored`, {
      layer: node.output[0],
    })
  const { shape } = stored
  const conv = node.opType.includes('Conv')
  const transposed = intAttribute(node, 'transB', 0) === 1
  const [out = 1, perGroup = 1, ...taps] = shape
  const n = conv || transposed ? out : (shape.at(-1) ?? 1)
  const k = shape.reduce((all, size) => all * size, 1) / n
  const where = { where: 'injectOnnx', min: 0 }
  assertInteger(at.step, { ...where, argument: 'site.step', max: k - 1 })
  assertInteger(at.column, { ...where, argument: 'site.column', max: n - 1 })
  // k-steps of a convolution run over taps, then channels; ONNX stores [out, channel, ...taps].
  const area = taps.reduce((all, size) => all * size, 1)
  const [tap, channel] = [Math.floor(at.step / perGroup), at.step % perGroup]
  const index = conv
    ? at.column * k + channel * area + tap
    : transposed
      ? at.column * k + at.step
      : at.step * n + at.column
  const copy = toTensor(stored)
  const values = { ...copy, data: copy.data.slice() }
  strike(values, { index, effect: at.effect })
  put(edit.initializer(`${node.output[0]}_struck`, values))
}

/** The stored weights that a product reads, through a dequantise node where there is one, and how it gets others. */
function weightsOf(edit: Rewriter, node: NodeProto): { stored: OnnxTensor | undefined; put(name: string): void } {
  const index = edit.index()
  const at = quantised.has(node.opType) ? 3 : 1
  const name = node.input[at] ?? ''
  const dequantise = index.producer(name)
  if (dequantise?.opType !== 'DequantizeLinear')
    return { stored: index.constant(name), put: (struck) => void (node.input[at] = struck) }
  const put = (struck: string): void => {
    const outputs = [edit.freshName(`${name}_struck`)]
    const inputs = [struck, ...dequantise.input.slice(1)]
    node.input[at] = edit.node('DequantizeLinear', inputs, { outputs })
    const made = edit.graph.node.at(-1) as NodeProto
    made.attribute = [...dequantise.attribute]
  }
  return { stored: index.constant(dequantise.input[0] ?? ''), put }
}

interface Struck {
  readonly value: string
  readonly node: NodeProto
  readonly row: number
  readonly column: number
  readonly effect: FaultEffect
  readonly options: InferOptions
  readonly model: OnnxModel
}

/** Changes one element on its way: of an output for every reader, of an operand for this product only. */
function strikeValue(edit: Rewriter, { value, node, row, column, effect, options, model }: Struck): void {
  if (effect.kind !== 'set' && effect.kind !== 'add')
    throw new FtError('UNSUPPORTED', `injectOnnx: effect '${effect.kind}' on a computed value; use 'set' or 'add'`, {
      effect: effect.kind,
    })
  const shape = inferShapes(model, options).values.get(value)?.shape
  if (!shape?.every((size): size is number => typeof size === 'number'))
    throw new FtError('INVALID_ARGUMENT', `injectOnnx: the shape of ${value} is not known; bind its dimensions`, {
      value,
    })
  const index = elementOf(shape, {
    row,
    column,
    channelsFirst: node.opType === 'Conv' || node.opType === 'ConvInteger',
  })
  const type = node.opType.endsWith('Integer') ? 'int32' : 'float32'
  const size = shape.reduce((all, length) => all * length, 1)
  const mask = new Uint8Array(size)
  mask[index] = 1
  const amount = type === 'int32' ? Int32Array.of(effect.value) : Float32Array.of(effect.value)
  const stored = edit.initializer('ft_fault', { type, shape: [], data: amount })
  const isHere = edit.initializer('ft_fault_place', { type: 'bool', shape, data: mask })
  const output = value === node.output[0]
  // The product writes to a new name and the struck value takes the old one, so that every reader and output sees it.
  const clean = output ? edit.freshName(`${value}_clean`) : value
  if (output) node.output[0] = clean
  const struck =
    effect.kind === 'set' ? stored : edit.node('Add', [clean, stored], { outputs: [edit.freshName('ft_fault_sum')] })
  const name = output ? value : edit.freshName(`${value}_struck`)
  edit.node('Where', [isHere, struck, clean], { outputs: [name], name: edit.freshName('ft_fault_where') })
  if (!output) node.input[0] = name
}

function elementOf(shape: readonly number[], at: { row: number; column: number; channelsFirst: boolean }): number {
  const columns = (at.channelsFirst ? shape[1] : shape.at(-1)) ?? 1
  const size = shape.reduce((all, length) => all * length, 1)
  const where = { where: 'injectOnnx', min: 0 }
  assertInteger(at.row, { ...where, argument: 'site.row', max: size / columns - 1 })
  assertInteger(at.column, { ...where, argument: 'site.column or step', max: columns - 1 })
  if (!at.channelsFirst) return at.row * columns + at.column
  const area = shape.slice(2).reduce((all, length) => all * length, 1)
  return (Math.floor(at.row / area) * columns + at.column) * area + (at.row % area)
}

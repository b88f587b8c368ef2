// Replication of 8-bit products whose accumulator stays inside the operator (QLinearConv, QLinearMatMul, and products between
// dequantise and quantise nodes): the layer once more with everything negated.
//
// With weights, bias and the output's zero point mirrored the accumulator is -acc, exactly; scaling and rounding half to even
// are symmetric, and clamping to mirrored limits is mirrored too. So the two outputs add up to 255 (unsigned) or -1 (signed),
// always, and an optimiser finds no common subexpression.
import type { OnnxTensor } from '@ft/onnx'
import { quantisedInputs, type Built, type Residuals, type Site, type SiteContext } from './site.ts'

type Bytes = Omit<OnnxTensor, 'data'> & { readonly data: Int8Array | Uint8Array }

/** QLinearConv and QLinearMatMul. */
export function quantisedCheck(site: Site, context: SiteContext): Built {
  if (site.scheme !== 'replication')
    return { reason: 'its output is rounded to 8 bits inside the operator: no sum survives; replication checks it' }
  const { node } = site
  const at = quantisedInputs[node.opType as keyof typeof quantisedInputs]
  const weights = mirroredWeights(node.input[at.weights], node.input[at.weightsZero], context)
  if ('reason' in weights) return weights
  const zero = bytesOf(node.input[at.outputZero], context)
  if (!zero) return { reason: 'the zero point of its output is not stored' }
  const bias = node.input[at.bias] ? context.index.constant(node.input[at.bias] ?? '') : undefined
  if (node.input[at.bias] && !(bias?.data instanceof Int32Array)) return { reason: 'its bias is not stored' }
  const inputs = [...node.input]
  inputs[at.weights] = store(context, 'ft_mirrored', weights.values)
  inputs[at.weightsZero] = store(context, 'ft_mirrored_zero', weights.zero)
  inputs[at.outputZero] = store(context, 'ft_mirrored_zero', mirrored(zero))
  if (bias) inputs[at.bias] = store(context, 'ft_mirrored_bias', negated(bias))
  return opposed(node.output[0] ?? '', context.emit.alike(node, inputs), { zero, context })
}

/** Whether a product reads what a dequantise node made: runtimes make one 8-bit product of such nodes. */
export function isBetweenQuantisers({ node }: Site, { index }: SiteContext): boolean {
  return node.input.some((name) => index.producer(name)?.opType === 'DequantizeLinear')
}

/** A product between dequantise and quantise nodes, with quantisers of its own, so that it becomes an 8-bit product as well. */
export function betweenQuantisersCheck({ node, scheme }: Site, context: SiteContext): Built {
  const { emit, index } = context
  if (scheme !== 'replication')
    return {
      reason:
        'it lies between quantise and dequantise nodes, which a check would keep from fusing; replication checks it',
    }
  const [readers, y] = [index.consumers(node.output[0] ?? ''), node.output[0] ?? '']
  const [quantise] = readers
  if (readers.length !== 1 || quantise?.opType !== 'QuantizeLinear' || index.isOutput(y))
    return { reason: 'it reads dequantised values and is not quantised right behind: what runtimes fuse is not known' }
  const [x, dequantise] = node.input.slice(0, 2).map((name) => index.producer(name))
  if (x?.opType !== 'DequantizeLinear' || dequantise?.opType !== 'DequantizeLinear')
    return { reason: 'only one of its operands is dequantised' }
  const weights = mirroredWeights(dequantise.input[0], dequantise.input[2], context)
  if ('reason' in weights) return weights
  const zero = bytesOf(quantise.input[2], context)
  if (!zero) return { reason: 'the zero point of its output is not stored' }
  const bias = node.input[2] ? mirroredBias(node.input[2], context) : ''
  if (bias === undefined) return { reason: 'its bias is not stored' }

  const [scale = ''] = dequantise.input.slice(1)
  const operand = emit.alike(dequantise, [
    store(context, 'ft_mirrored', weights.values),
    scale,
    store(context, 'ft_mirrored_zero', weights.zero),
  ])
  const product = emit.alike(node, [node.input[0] ?? '', operand, ...(bias === '' ? [] : [bias])])
  const copy = emit.alike(quantise, [
    product,
    quantise.input[1] ?? '',
    store(context, 'ft_mirrored_zero', mirrored(zero)),
  ])
  return opposed(quantise.output[0] ?? '', copy, { zero, context })
}

/** Both outputs add up to the sum of the type's limits. */
function opposed(
  y: string,
  copy: string,
  { zero, context: { emit } }: { zero: Bytes; context: SiteContext },
): Residuals {
  const sum = emit.node('Add', [emit.cast(y, 'float32'), emit.cast(copy, 'float32')])
  const limits = emit.floats('ft_limits', [], [zero.type === 'uint8' ? 255 : -1])
  return { difference: emit.node('Sub', [sum, limits]), scale: undefined, bound: 0 }
}

/** Weights and zero point whose difference is the negated one. */
function mirroredWeights(
  name: string | undefined,
  zeroName: string | undefined,
  context: SiteContext,
): { values: Bytes; zero: Bytes } | { reason: string } {
  const values = bytesOf(name, context)
  if (!values) return { reason: 'its weights are not stored 8-bit integers' }
  const zero = zeroName ? bytesOf(zeroName, context) : zeroOf(values)
  if (!zero) return { reason: 'the zero point of its weights is not stored' }
  // Where no value is the lowest, a change of signs keeps a zero point of 0, for which runtimes have faster products.
  const signs =
    values.type === 'int8' && [values, zero].every(({ data }) => data.every((value: number) => value > -128))
  return signs ? { values: negated(values), zero: negated(zero) } : { values: mirrored(values), zero: mirrored(zero) }
}

/** A dequantised or float bias, negated. */
function mirroredBias(name: string, context: SiteContext): string | undefined {
  const { emit, index } = context
  const dequantise = index.producer(name)
  if (dequantise?.opType !== 'DequantizeLinear') {
    const stored = index.constant(name)
    return stored?.data instanceof Float32Array ? store(context, 'ft_mirrored_bias', negated(stored)) : undefined
  }
  const stored = index.constant(dequantise.input[0] ?? '')
  if (!(stored?.data instanceof Int32Array)) return undefined
  // Biases of 32 bits have the zero point 0.
  return emit.alike(dequantise, [store(context, 'ft_mirrored_bias', negated(stored)), ...dequantise.input.slice(1)])
}

function bytesOf(name: string | undefined, { index }: SiteContext): Bytes | undefined {
  const stored = name ? index.constant(name) : undefined
  return stored && (stored.data instanceof Int8Array || stored.data instanceof Uint8Array)
    ? (stored as Bytes)
    : undefined
}

function zeroOf({ type }: Bytes): Bytes {
  return type === 'int8'
    ? { type, shape: [], data: new Int8Array(1) }
    : { type: 'uint8', shape: [], data: new Uint8Array(1) }
}

/** Every value counted from the other end of its type's range: -1 - v, or 255 - v. */
function mirrored(tensor: Bytes): Bytes {
  return { ...tensor, data: tensor.data.map((value: number) => ~value) }
}

function negated<T extends OnnxTensor>(tensor: T): T {
  const data = tensor.data as Int8Array | Int32Array | Float32Array
  return { ...tensor, data: data.map((value: number) => -value) }
}

const store = ({ emit }: SiteContext, base: string, tensor: OnnxTensor): string => emit.stored(base, tensor)

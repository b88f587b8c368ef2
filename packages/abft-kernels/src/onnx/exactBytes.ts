// Exact products of uint8 by int8 in runtimes whose own saturate inside, as onnxruntime's do on x86 without VNNI: there two products
// of 8 bits are added in 16. The same integers come of uint8 by uint8, weights and their zero point raised by 128, whose products
// are exact there, too.
import {
  cloneModel,
  graphBuilder,
  indexGraph,
  inferShapes,
  rewriter,
  serializeModel,
  type NodeProto,
  type OnnxModel,
  type OnnxTensor,
} from '@ft/onnx'
import type { Ort, OrtSession, OrtTensor } from './ort.ts'
import { quantisedInputs } from './site.ts'

/** Inputs of products of 8 bits, by place. */
const places: Readonly<Record<string, { readonly weights: number; readonly weightsZero: number }>> = {
  ...quantisedInputs,
  MatMulInteger: { weights: 1, weightsZero: 3 },
  ConvInteger: { weights: 1, weightsZero: 3 },
}
const floatProducts = new Set(['Conv', 'MatMul', 'Gemm'])

/**
 * The bytes of a model, or of one with the same integers as uint8 by uint8 where the runtime's products of uint8 by int8 saturate.
 *
 * Cost: where there are such products a session of one small product; where they saturate, a copy of the model.
 */
export async function exactBytes<T extends OrtTensor, Options>(
  ort: Ort<T, Options>,
  { model, bytes }: { model: OnnxModel; bytes: Uint8Array },
  options: Options,
): Promise<Uint8Array> {
  const raise = raiseWeights(model)
  return raise === undefined || (await multipliesExactly(ort, options)) ? bytes : serializeModel(raise())
}

/**
 * Makes the model with the same products as uint8 by uint8, where they are of uint8 by stored int8 weights; undefined where none is.
 * Weights between dequantise and product are among them, as runtimes make one product of such nodes.
 */
export function raiseWeights(model: OnnxModel): (() => OnnxModel) | undefined {
  if (!model.graph.node.some(({ opType }) => opType in places || opType === 'DequantizeLinear')) return undefined
  const { values } = inferShapes(model)
  const own = indexGraph(model.graph)
  const isUnsigned = (value: string | undefined, zero: string | undefined): boolean =>
    [value, zero].some((name) => name !== undefined && name !== '' && values.get(name)?.type === 'uint8')
  const storedInt8 = (name: string | undefined): OnnxTensor | undefined => {
    const stored = name ? own.constant(name) : undefined
    return stored?.data instanceof Int8Array ? stored : undefined
  }
  /** A product of what was dequantised from uint8 and of this. */
  const takes = (node: NodeProto, weights: string): boolean => {
    const x = own.producer(node.input[0] ?? '')
    if (!floatProducts.has(node.opType) || node.input[1] !== weights || x?.opType !== 'DequantizeLinear') return false
    return isUnsigned(x.input[0], x.input[2])
  }
  /** Nodes by their first output, and where their weights and the zero point are. */
  const found = new Map<string, { readonly weights: number; readonly weightsZero: number }>()
  for (const node of model.graph.node) {
    const at = places[node.opType]
    if (at !== undefined) {
      if (isUnsigned(node.input[0], node.input[2]) && storedInt8(node.input[at.weights])) found.set(nameOf(node), at)
    } else if (node.opType === 'DequantizeLinear' && storedInt8(node.input[0])) {
      const readers = own.consumers(nameOf(node))
      if (readers.length > 0 && readers.every((reader) => takes(reader, nameOf(node))))
        found.set(nameOf(node), { weights: 0, weightsZero: 2 })
    }
  }
  if (found.size === 0) return undefined
  return () => {
    const copy = cloneModel(model)
    const edit = rewriter(copy)
    const raised = new Map<string, string>()
    const raise = (name: string, tensor: OnnxTensor): string => {
      const known = raised.get(name)
      if (known !== undefined) return known
      const data = Uint8Array.from(tensor.data as Int8Array, (value) => value + 128)
      const made = edit.initializer(`${name}_raised`, { ...tensor, type: 'uint8', data })
      raised.set(name, made)
      return made
    }
    for (const node of copy.graph.node) {
      const at = found.get(nameOf(node))
      if (at === undefined) continue
      const zeroName = node.input[at.weightsZero]
      const zero = zeroName ? storedInt8(zeroName) : zeroLike(node, own.constant(node.input[1] ?? ''))
      // A zero point that is computed keeps its product as it is.
      if (zero === undefined) continue
      const weights = node.input[at.weights] as string
      node.input[at.weights] = raise(weights, storedInt8(weights) as OnnxTensor)
      while (node.input.length <= at.weightsZero) node.input.push('')
      node.input[at.weightsZero] = zeroName ? raise(zeroName, zero) : raise(`${weights}_zero`, zero)
    }
    edit.finish()
    return copy
  }
}

/** The zero point of a node that leaves it out: one, or one for each scale of a dequantise node. */
function zeroLike(node: NodeProto, scale: OnnxTensor | undefined): OnnxTensor | undefined {
  if (node.opType !== 'DequantizeLinear') return { type: 'int8', shape: [], data: new Int8Array(1) }
  if (scale === undefined) return undefined
  return { type: 'int8', shape: scale.shape, data: new Int8Array(scale.shape.reduce((all, size) => all * size, 1)) }
}

const nameOf = (node: NodeProto): string => node.output[0] ?? ''

/** Rows, steps and columns of a product that wide kernels take, whose every sum of two terms passes 16 bits. */
const probe = { m: 4, k: 64, n: 16, left: 255, right: 127 } as const

/** Whether the runtime's products of uint8 by int8 are exact, as far as it can be tried. */
async function multipliesExactly<T extends OrtTensor, Options>(
  ort: Ort<T, Options>,
  options: Options,
): Promise<boolean> {
  const { m, k, n, left, right } = probe
  const b = graphBuilder({ name: 'probe' })
  const a = b.initializer('a', { type: 'uint8', shape: [m, k], data: new Uint8Array(m * k).fill(left) })
  const w = b.initializer('w', { type: 'int8', shape: [k, n], data: new Int8Array(k * n).fill(right) })
  b.output(b.node('MatMulInteger', [a, w], { outputs: ['y'] }), 'int32', [m, n])
  let session: OrtSession<T> | undefined
  try {
    session = await ort.InferenceSession.create(serializeModel(b.build()), options)
    const { y } = await session.run({}, ['y'])
    return Array.from(y?.data ?? [], Number).every((value) => value === k * left * right)
  } catch {
    // A runtime without this operator is not known to saturate, and its other products are left as they are.
    return true
  } finally {
    await session?.release()
  }
}

// Adds check nodes to a graph in the operator set that the model speaks.
import { FtError } from '@ft/core'
import type { AttributeValue, NodeProto, OnnxModel, OnnxTensor, OnnxType, Rewriter } from '@ft/onnx'

type Attributes = Readonly<Record<string, AttributeValue>>

/** What the check builders write with: short names for nodes and stored constants. */
export interface Emitter {
  readonly edit: Rewriter
  node(opType: string, inputs: readonly string[], attributes?: Attributes): string
  /** A node of another's operator and attributes, or of some of them, with inputs of its own. */
  alike(other: NodeProto, inputs: readonly string[], attributes?: ReadonlySet<string>): string
  /** A reduction over axes (all when absent) that keeps them as 1, unless told otherwise. */
  reduce(
    opType: 'ReduceSum' | 'ReduceMean' | 'ReduceMax',
    input: string,
    axes?: readonly number[],
    options?: { keep: boolean },
  ): string
  /** One index of an axis, which stays as 1, or goes. */
  pick(input: string, at: { axis: number; index: number; keep?: boolean }): string
  /** Joins values along an axis; one value is left as it is. */
  concat(inputs: readonly string[], axis: number): string
  /** Takes a value apart along an axis, one index an output. */
  split(input: string, axis: number, outputs: readonly string[]): void
  floats(base: string, shape: readonly number[], data: ArrayLike<number>): string
  stored(base: string, tensor: OnnxTensor): string
  cast(input: string, to: 'float32' | 'int64'): string
}

/** Codes of TensorProto.DataType. */
const codes = { float32: 1, int64: 7 } as const satisfies Partial<Record<OnnxType, number>>
/** First operator set in which a reduction takes its axes as an input instead of an attribute. */
const axesAsInput = { ReduceSum: 13, ReduceMean: 18, ReduceMax: 18 } as const
/** First operator set in which Split takes its sizes as an input. */
const splitAsInput = 13
/** First operator set that has all that the checks use (Where, ConstantOfShape). */
const oldest = 9

/** @throws FtError `UNSUPPORTED` for models of operator sets before 9 */
export function createEmitter(model: OnnxModel, edit: Rewriter): Emitter {
  const opset = Number(model.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 0)
  if (opset < oldest)
    throw new FtError(
      'UNSUPPORTED',
      `protectOnnx: the model speaks operator set ${opset}; checks need ${oldest} or newer: convert it`,
      { opset },
    )
  const axesInputs = new Map<string, string>()
  const emitter: Emitter = {
    edit,
    node(opType, inputs, attributes = {}) {
      const name = edit.freshName(`ft_${opType.toLowerCase()}`)
      return edit.node(opType, inputs, { outputs: [name], attributes })
    },
    alike(other, inputs, attributes) {
      const made = emitter.node(other.opType, inputs)
      const node = edit.graph.node.at(-1) as NodeProto
      node.attribute = other.attribute.filter(({ name }) => attributes?.has(name) ?? true)
      return made
    },
    reduce(opType, input, axes, { keep } = { keep: true }) {
      const keepdims = { int: keep ? 1 : 0 }
      if (axes === undefined) return emitter.node(opType, [input], { keepdims })
      if (opset < axesAsInput[opType]) return emitter.node(opType, [input], { keepdims, axes: { ints: axes } })
      const key = axes.join()
      const stored =
        axesInputs.get(key) ??
        emitter.stored('ft_axes', { type: 'int64', shape: [axes.length], data: BigInt64Array.from(axes.map(BigInt)) })
      axesInputs.set(key, stored)
      return emitter.node(opType, [input, stored], { keepdims })
    },
    pick(input, { axis, index, keep = true }) {
      const shape = keep ? [1] : []
      const stored = emitter.stored('ft_index', { type: 'int64', shape, data: BigInt64Array.of(BigInt(index)) })
      return emitter.node('Gather', [input, stored], { axis: { int: axis } })
    },
    concat(inputs, axis) {
      const [first] = inputs as [string]
      return inputs.length === 1 ? first : emitter.node('Concat', inputs, { axis: { int: axis } })
    },
    split(input, axis, outputs) {
      const ones = outputs.map(() => 1)
      const attributes = { axis: { int: axis } }
      if (opset < splitAsInput)
        edit.node('Split', [input], { outputs, attributes: { ...attributes, split: { ints: ones } } })
      else {
        const data = BigInt64Array.from(ones, BigInt)
        const sizes = emitter.stored('ft_sizes', { type: 'int64', shape: [ones.length], data })
        edit.node('Split', [input, sizes], { outputs, attributes })
      }
    },
    floats: (base, shape, data) =>
      edit.initializer(base, { type: 'float32', shape, data: Float32Array.from(data) } satisfies OnnxTensor),
    stored: (base, tensor) => edit.initializer(base, tensor),
    cast: (input, to) => emitter.node('Cast', [input], { to: { int: codes[to] } }),
  }
  return emitter
}

// Which tensors of a model are weights of which layer, and their column sums: taken once, in float64, from the weights as
// they are when the model is protected.
import type { ColumnSums } from './checks.ts'
import { keep, type Tf, type TfModel, type TfTensor } from './surface.ts'

export interface KnownWeight {
  /** The layer's or node's name, as `@ft/intensity-guide` reads it from the model's file. */
  readonly id: string
  readonly tensor: TfTensor
}

/** Matrices and filters of a LayersModel or GraphModel. */
export function weightsOf(model: TfModel): KnownWeight[] {
  const found = 'layers' in model ? layerWeights(model as unknown as LayersModel) : graphWeights(model)
  return found.filter(({ tensor }) => tensor.dtype === 'float32' && tensor.shape.length >= 2)
}

interface Layer {
  readonly name: string
  readonly weights: readonly { read(): TfTensor }[]
}

interface LayersModel {
  readonly layers: readonly Layer[]
}

/** Layers within layers (a model as a layer) list their weights as their own: the innermost one with it names it. */
function layerWeights({ layers }: LayersModel): KnownWeight[] {
  return layers.flatMap((layer) =>
    'layers' in layer
      ? layerWeights(layer as unknown as LayersModel)
      : layer.weights.map((weight) => ({ id: layer.name, tensor: weight.read() })),
  )
}

interface GraphNode {
  readonly name: string
  readonly op: string
  readonly input?: readonly string[]
}

interface GraphModel extends TfModel {
  readonly weights?: Readonly<Record<string, readonly TfTensor[]>>
  readonly artifacts?: { readonly modelTopology?: { readonly node?: readonly GraphNode[] } }
}

function graphWeights({ weights = {}, artifacts }: GraphModel): KnownWeight[] {
  const nodes = new Map((artifacts?.modelTopology?.node ?? []).map((node) => [node.name, node]))
  /** The stored tensor that an input is, through nodes that pass it on. */
  const stored = (input: string, depth = 0): string => {
    const name = input.replace(/^\^/, '').replace(/:\d+$/, '')
    const node = nodes.get(name)
    const passes = node?.op === 'Identity' || node?.op === 'ReadVariableOp'
    return passes && depth < nodes.size ? stored(node.input?.[0] ?? '', depth + 1) : name
  }
  const readers = new Map<string, string>()
  for (const { name, op, input } of nodes.values())
    if (/MatMul|Conv2D|Conv2dNative/.test(op) && input?.[1] !== undefined) readers.set(stored(input[1]), name)
  return Object.entries(weights).flatMap(([name, tensors]) =>
    tensors.map((tensor) => ({ id: readers.get(name) ?? name, tensor })),
  )
}

/** Sums of a weight over its last axis, kept on the backend; matrices also over their first, for transposed use. */
export interface StoredSums {
  readonly id: string
  readonly plain: ColumnSums
  readonly transposed: ColumnSums | undefined
  dispose(): void
}

export async function storedSums(tf: Tf, { id, tensor }: KnownWeight): Promise<StoredSums> {
  const { shape } = tensor
  const values = await tensor.data()
  const columns = shape.at(-1) ?? 1
  const plain = sumsOf(tf, values, { outer: values.length / columns, inner: columns, step: 1, stride: columns }, [
    ...shape.slice(0, -1),
    1,
  ])
  const rows = shape[0] as number
  const transposed =
    shape.length === 2
      ? sumsOf(tf, values, { outer: columns, inner: rows, step: columns, stride: 1 }, [1, columns])
      : undefined
  const all = [plain, transposed].flatMap((sums) => (sums ? [sums.sum, sums.absolute] : []))
  return { id, plain, transposed, dispose: () => all.forEach((each) => each.dispose()) }
}

function sumsOf(
  tf: Tf,
  values: ArrayLike<number>,
  { outer, inner, step, stride }: { outer: number; inner: number; step: number; stride: number },
  shape: number[],
): ColumnSums {
  const [sum, absolute] = [new Float32Array(outer), new Float32Array(outer)]
  for (let i = 0; i < outer; i++) {
    let [plain, magnitude] = [0, 0]
    for (let j = 0; j < inner; j++) {
      const value = values[i * stride + j * step] as number
      plain += value
      magnitude += Math.abs(value)
    }
    sum[i] = plain
    absolute[i] = magnitude
  }
  return { sum: keep(tf, tf.tensor(sum, shape)), absolute: keep(tf, tf.tensor(absolute, shape)) }
}

/** Sums of an operand that no layer stores, such as keys of attention: taken on the backend while the model runs. */
export function computedSums(tf: Tf, operand: TfTensor, transposed: boolean): ColumnSums {
  const axis = transposed ? operand.shape.length - 2 : operand.shape.length - 1
  return { sum: tf.sum(operand, axis, true), absolute: tf.sum(tf.abs(operand), axis, true) }
}

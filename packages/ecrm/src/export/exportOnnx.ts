// A trained DLRM as an ONNX model, for serving anywhere.
import { FtError, assertOneOf, invalidArgument } from '@ft/core'
import { graphBuilder, serializeModel, type GraphBuilder } from '@ft/onnx'
import type { DenseModel } from '../dlrm/denseModel.ts'
import { notedPoolings, type Poolings } from '../dlrm/poolings.ts'
import type { ShardStore } from '../store.ts'

export type ExportOnnxOptions =
  /**
   * The tables become part of the model: inputs `dense` [batch, features] and `ids` int64 [batch, tables], each id its table's own.
   *
   * `bags`: for each table how its bags were pooled, undefined where a sample has one id. Table t with bags is no column of `ids`,
   * it has inputs `ids.t` int64 [batch, length.t], bags filled up to one length with any id, and `weights.t` [batch, length.t]: 0 for
   * what fills, else the id's weight, or 1. Must agree with the training, where this process trained the model; one that it only
   * loaded shows no bags, and is not checked.
   */
  | {
      readonly from: 'ids'
      readonly store: ShardStore
      readonly bags?: readonly ('sum' | 'mean' | undefined)[]
    }
  /** The caller looks rows up: inputs `dense` and `embeddings` [batch, tables, d]. */
  | { readonly from: 'embeddings' }

interface Layer {
  readonly weights: Float32Array
  readonly bias: Float32Array
  readonly inputs: number
  readonly outputs: number
}

/**
 * Writes the model as ONNX, opset of @ft/onnx; its one output is `probability` [batch].
 *
 * With `ids` the file holds every row: mind its size, above 2 GB an ONNX file cannot be.
 *
 * @throws FtError `INVALID_ARGUMENT`; `UNSUPPORTED` when the tables would pass 2 GB; as `store.pull`
 */
export async function exportOnnx(model: DenseModel, options: ExportOnnxOptions): Promise<Uint8Array> {
  assertOneOf(options.from, { where: 'exportOnnx', argument: 'options.from', values: ['ids', 'embeddings'] })
  const { bottom, top, d, vectors } = shapesOf(model)
  const b = graphBuilder({ name: 'dlrm' })
  const dense = b.input('dense', 'float32', ['batch', bottom[0]!.inputs])
  const tables = vectors - 1
  const embeddings =
    options.from === 'embeddings'
      ? b.input('embeddings', 'float32', ['batch', tables, d])
      : await lookUps(b, options.store, { tables, d, bags: options.bags ?? [], trained: notedPoolings(model) })

  const z0 = perceptron(b, bottom, { input: dense, name: 'bottom', lastRelu: true })
  const ints = (name: string, values: readonly number[]): string =>
    b.initializer(name, { type: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) })
  const first = b.node('Unsqueeze', [z0, ints('axis1', [1])])
  const stack = b.node('Concat', [first, embeddings], { attributes: { axis: { int: 1 } } })
  const across = b.node('Transpose', [stack], { attributes: { perm: { ints: [0, 2, 1] } } })
  const products = b.node('MatMul', [stack, across])
  const flat = b.node('Reshape', [products, ints('flat', [-1, vectors * vectors])])
  // Pairs (i, j), j < i, row by row.
  const lower: number[] = []
  for (let i = 1; i < vectors; i++) for (let j = 0; j < i; j++) lower.push(i * vectors + j)
  const pairs = b.node('Gather', [flat, ints('lower', lower)], { attributes: { axis: { int: 1 } } })
  const joined = b.node('Concat', [z0, pairs], { attributes: { axis: { int: 1 } } })
  const logit = perceptron(b, top, { input: joined, name: 'top', lastRelu: false })
  const odds = b.node('Sigmoid', [logit])
  b.output(b.node('Reshape', [odds, ints('all', [-1])], { outputs: ['probability'] }), 'float32', ['batch'])
  return serializeModel(b.build())
}

/** Splits the parameters into the two networks: the top one begins where widths do not follow on each other. */
function shapesOf({ parameters }: DenseModel): { bottom: Layer[]; top: Layer[]; d: number; vectors: number } {
  const layers: Layer[] = []
  for (let i = 0; i + 1 < parameters.length; i += 2) {
    const [weights, bias] = [parameters[i]!, parameters[i + 1]!]
    layers.push({ weights, bias, inputs: weights.length / bias.length, outputs: bias.length })
  }
  const split = layers.findIndex(({ inputs }, i) => i > 0 && inputs !== layers[i - 1]!.outputs)
  const d = layers[split - 1]?.outputs ?? 0
  // d + V (V - 1) / 2 inputs: V from the quadratic.
  const vectors = (1 + Math.sqrt(1 + 8 * ((layers[split]?.inputs ?? 0) - d))) / 2
  if (split < 1 || !Number.isInteger(vectors)) {
    throw new FtError('INVALID_ARGUMENT', 'exportOnnx: `model` must be a DLRM of createDenseModel or train', {})
  }
  return { bottom: layers.slice(0, split), top: layers.slice(split), d, vectors }
}

function perceptron(
  b: GraphBuilder,
  layers: readonly Layer[],
  { input, name, lastRelu }: { input: string; name: string; lastRelu: boolean },
): string {
  let value = input
  layers.forEach(({ weights, bias, inputs, outputs }, i) => {
    const w = b.initializer(`${name}.${i}.weight`, { dtype: 'float32', shape: [inputs, outputs], data: weights })
    const c = b.initializer(`${name}.${i}.bias`, { dtype: 'float32', shape: [outputs], data: bias })
    value = b.node('Gemm', [value, w, c])
    if (lastRelu || i < layers.length - 1) value = b.node('Relu', [value])
  })
  return value
}

/** Tables as initializers and a look-up of each id or bag: `[batch, tables, d]`. */
async function lookUps(
  b: GraphBuilder,
  store: ShardStore,
  sizes: { tables: number; d: number; bags: Poolings; trained: Poolings | undefined },
): Promise<string> {
  const { tables, d, bags, trained } = sizes
  if (store.tables.length !== tables || store.d !== d) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `exportOnnx: \`store\` must have ${tables} tables of width ${d}, got ${store.tables.length} of ${store.d}; give the store that the model was trained on`,
      { tables, d },
    )
  }
  if (store.rows * d * 4 > 2 ** 31 - 2 ** 24) {
    throw new FtError('UNSUPPORTED', "exportOnnx: the tables pass 2 GB; export with `from: 'embeddings'`", {})
  }
  if (!Array.isArray(bags))
    throw invalidArgument({ where: 'exportOnnx', argument: 'bags' }, 'a list of poolings, one a table', bags)
  if (bags.length > tables)
    throw invalidArgument({ where: 'exportOnnx', argument: 'bags' }, `at most ${tables} poolings`, bags.length)
  bags.forEach((one, t) =>
    assertOneOf(one, { where: 'exportOnnx', argument: `bags[${t}]`, values: ['sum', 'mean', undefined] }),
  )
  const other = trained?.findIndex((one, t) => one !== bags[t]) ?? -1
  if (other >= 0)
    throw invalidArgument(
      { where: 'exportOnnx', argument: `bags[${other}]` },
      `${String(trained![other])}, as table ${other} was pooled in training,`,
      bags[other],
    )
  const single = Array.from({ length: tables }, (_, t) => t).filter((t) => bags[t] === undefined)
  const ids = single.length === 0 ? '' : b.input('ids', 'int64', ['batch', single.length])
  const vectors: string[] = []
  for (let t = 0; t < tables; t++) {
    const values = await tableValues(store, t)
    const table = b.initializer(`table.${t}`, { dtype: 'float32', shape: [values.length / d, d], data: values })
    const pooling = bags[t]
    if (pooling !== undefined) {
      vectors.push(bagOf(b, { table, t, pooling }))
      continue
    }
    const at = BigInt64Array.of(BigInt(single.indexOf(t)))
    const column = b.initializer(`column.${t}`, { type: 'int64', shape: [1], data: at })
    const own = b.node('Gather', [ids, column], { attributes: { axis: { int: 1 } } })
    vectors.push(b.node('Gather', [table, own], { attributes: { axis: { int: 0 } } }))
  }
  return b.node('Concat', vectors, { attributes: { axis: { int: 1 } } })
}

/** A table's weighted rows of a bag as one: `[batch, 1, d]`. */
function bagOf(b: GraphBuilder, { table, t, pooling }: { table: string; t: number; pooling: 'sum' | 'mean' }): string {
  const shape = ['batch', `length.${t}`]
  const [ids, given] = [b.input(`ids.${t}`, 'int64', shape), b.input(`weights.${t}`, 'float32', shape)]
  const rows = b.node('Gather', [table, ids], { attributes: { axis: { int: 0 } } })
  const axis = b.initializer(`axis.${t}`, { type: 'int64', shape: [1], data: BigInt64Array.of(1n) })
  let weights = given
  if (pooling === 'mean') {
    // An empty bag's weights sum to 0: divided by 1 they stay so.
    const sum = b.node('ReduceSum', [given, axis], { attributes: { keepdims: { int: 1 } } })
    const zero = b.initializer(`zero.${t}`, { dtype: 'float32', shape: [1], data: new Float32Array(1) })
    const empty = b.node('Equal', [sum, zero])
    const one = b.initializer(`one.${t}`, { dtype: 'float32', shape: [1], data: Float32Array.of(1) })
    weights = b.node('Div', [given, b.node('Where', [empty, one, sum])])
  }
  return b.node('MatMul', [b.node('Unsqueeze', [weights, axis]), rows])
}

const idsAPull = 65_536

/** A table's values, `[rows, d]`. */
async function tableValues(store: ShardStore, table: number): Promise<Float32Array> {
  const { first, rows } = store.tables[table]!
  const end = first + rows
  const out = new Float32Array((end - first) * store.d)
  for (let at = first; at < end; at += idsAPull) {
    const ids = Uint32Array.from({ length: Math.min(idsAPull, end - at) }, (_, i) => at + i)
    out.set(await store.pull(ids), (at - first) * store.d)
  }
  return out
}

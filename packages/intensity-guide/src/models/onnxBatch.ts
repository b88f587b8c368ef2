// Another batch for an ONNX model: the first dimension of its inputs, and of the reshapes that hold the old one as a constant.
import { assertInteger, FtError } from '@ft/core'
import {
  inferShapes,
  makeTensor,
  readTensor,
  tensorAttribute,
  type InferOptions,
  type NodeProto,
  type OnnxModel,
} from '@ft/onnx'

/**
 * Sets the batch, in place. Inputs whose shapes `infer.inputs` gives are left alone.
 *
 * @throws FtError `UNSUPPORTED`, naming the node, when the graph fixes its batch in a way that is not followed
 */
export function setBatch(model: OnnxModel, { batch, infer }: { batch: number; infer: InferOptions }): void {
  assertInteger(batch, { where: 'readOnnx', argument: 'batch', min: 1 })
  const given = new Set(Object.keys(infer.inputs ?? {}))
  const stored = new Set(model.graph.initializer.map((tensor) => tensor.name))
  const fed = new Set<string>()
  const before = new Set<number>()
  for (const input of model.graph.input) {
    const type = input.type?.value
    if (stored.has(input.name) || type?.case !== 'tensorType') continue
    fed.add(input.name)
    const first = type.value.shape?.dim[0]
    if (!first || given.has(input.name)) continue
    if (first.value.case === 'dimValue') before.add(Number(first.value.value))
    first.value = { case: 'dimValue', value: BigInt(batch) }
  }
  const reshapes = reshapesOf(model, fed)
  for (const node of reshapes) for (const old of before) retarget(model, node, { old, batch })
  const { values } = inferShapes(model, infer)
  for (const node of reshapes) assertKeepsElements(node, values)
}

/** Reshapes of what depends on an input; those of stored tensors have no batch. */
function reshapesOf(model: OnnxModel, fed: Set<string>): NodeProto[] {
  const found: NodeProto[] = []
  for (const node of model.graph.node) {
    if (!node.input.some((name) => fed.has(name))) continue
    for (const name of node.output) fed.add(name)
    if (node.opType === 'Reshape' && fed.has(node.input[0] ?? '')) found.push(node)
  }
  return found
}

function retarget(model: OnnxModel, node: NodeProto, { old, batch }: { old: number; batch: number }): void {
  const name = node.input[1] ?? ''
  const { graph } = model
  const at = graph.initializer.findIndex((tensor) => tensor.name === name)
  const maker = graph.node.find((candidate) => candidate.opType === 'Constant' && candidate.output[0] === name)
  const proto = at >= 0 ? graph.initializer[at] : maker && tensorAttribute(maker, 'value')
  if (!proto) return
  const target = readTensor(proto)
  if (target.type !== 'int64' || target.data.length < 2 || Number(target.data[0]) !== old) return
  const data = BigInt64Array.from(target.data as BigInt64Array)
  data[0] = BigInt(batch)
  const changed = makeTensor(proto.name, { ...target, data })
  if (at >= 0) graph.initializer[at] = changed
  else Object.assign(proto, changed)
}

function assertKeepsElements(node: NodeProto, values: ReturnType<typeof inferShapes>['values']): void {
  const count = (name: string | undefined) =>
    values.get(name ?? '')?.shape?.reduce<number>((all, size) => all * (typeof size === 'number' ? size : NaN), 1) ??
    NaN
  const [from, to] = [count(node.input[0]), count(node.output[0])]
  if (Number.isNaN(from) || Number.isNaN(to) || from === to) return
  const id = node.output[0] ?? ''
  throw new FtError(
    'UNSUPPORTED',
    `readOnnx: the graph fixes its batch: ${id} (Reshape) makes ${to} elements of ${from}; export the model with this batch`,
    { node: id },
  )
}

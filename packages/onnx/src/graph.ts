// Look-ups that analysis and rewriting share: who makes a value, who reads it, and what is constant.
import { subgraphs, tensorAttribute } from './attributes.ts'
import type { GraphProto, NodeProto } from './proto/onnx_pb.js'
import { readTensor, type OnnxTensor } from './tensors.ts'

export interface GraphIndex {
  producer(value: string): NodeProto | undefined
  /** Nodes that read a value, those inside subgraphs included (as the outer node). */
  consumers(value: string): readonly NodeProto[]
  isOutput(value: string): boolean
  /** A value's data when it does not depend on inputs: initialisers, Constant, ConstantOfShape. */
  constant(value: string): OnnxTensor | undefined
}

export function indexGraph(graph: GraphProto): GraphIndex {
  const producers = new Map<string, NodeProto>()
  const consumers = new Map<string, NodeProto[]>()
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]))
  const outputs = new Set(graph.output.map((output) => output.name))
  for (const node of graph.node) {
    for (const name of node.output) producers.set(name, node)
    for (const name of new Set(readsOf(node))) {
      const readers = consumers.get(name) ?? []
      readers.push(node)
      consumers.set(name, readers)
    }
  }
  const constant = (value: string): OnnxTensor | undefined => {
    const stored = initializers.get(value)
    if (stored) return readTensor(stored)
    const node = producers.get(value)
    if (node?.opType === 'Constant') {
      const tensor = tensorAttribute(node, 'value')
      return tensor && readTensor(tensor)
    }
    if (node?.opType === 'Identity') return constant(node.input[0] ?? '')
    if (node?.opType !== 'ConstantOfShape') return undefined
    const shape = constant(node.input[0] ?? '')
    if (!shape) return undefined
    const sizes = Array.from(shape.data as ArrayLike<bigint | number>, Number)
    const count = sizes.reduce((product, size) => product * size, 1)
    const fill = tensorAttribute(node, 'value')
    const one = fill ? readTensor(fill) : { type: 'float32' as const, shape: [1], data: new Float32Array(1) }
    if (!ArrayBuffer.isView(one.data)) return undefined
    const data = new (one.data.constructor as new (length: number) => Float32Array)(count)
    ;(data as { fill(value: unknown): unknown }).fill(one.data[0])
    return { type: one.type, shape: sizes, data }
  }
  return {
    producer: (value) => producers.get(value),
    consumers: (value) => consumers.get(value) ?? [],
    isOutput: (value) => outputs.has(value),
    constant,
  }
}

/** Names that a node reads, from inside its subgraphs too. */
export function readsOf(node: NodeProto): string[] {
  const inner = subgraphs(node).flatMap((graph) => [
    ...graph.node.flatMap(readsOf),
    ...graph.output.map((output) => output.name),
  ])
  return [...node.input, ...inner].filter((name) => name !== '')
}

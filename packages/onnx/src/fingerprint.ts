// A model's identity: topology and shapes, without weights.
import { sha256 } from '@noble/hashes/sha2'
import { bytesToHex } from '@noble/hashes/utils'
import { subgraphs } from './attributes.ts'
import { valueOfType } from './inferShapes.ts'
import type { OnnxModel } from './model.ts'
import type { GraphProto, NodeProto } from './proto/onnx_pb.js'

/**
 * Hashes what a plan or a calibration depends on: operators, their attributes and wiring, and the shapes of inputs and
 * stored tensors. Training a model further keeps its fingerprint; names of nodes and documentation do not count, names of
 * values do, since plans address layers by them.
 *
 * @returns `sha256-` and 64 hexadecimal digits
 */
export function modelFingerprint(model: OnnxModel): string {
  const text = JSON.stringify([
    model.opsetImport.map((entry) => [entry.domain === 'ai.onnx' ? '' : entry.domain, Number(entry.version)]).sort(),
    graphKey(model.graph),
  ])
  return `sha256-${bytesToHex(sha256(new TextEncoder().encode(text)))}`
}

function graphKey(graph: GraphProto): unknown {
  const stored = new Set(graph.initializer.map((tensor) => tensor.name))
  return [
    graph.input.filter((input) => !stored.has(input.name)).map((input) => [input.name, declared(input.type)]),
    graph.output.map((output) => output.name),
    graph.initializer.map((tensor) => [tensor.name, tensor.dataType, tensor.dims.map(Number)]).sort(),
    graph.node.map(nodeKey),
  ]
}

function declared(type: Parameters<typeof valueOfType>[0]): unknown {
  const value = valueOfType(type, 'input')
  return [value.type, value.shape?.map((size) => size ?? null)]
}

function nodeKey(node: NodeProto): unknown {
  const attributes = node.attribute
    .map((item) => [
      item.name,
      item.type,
      item.f,
      String(item.i),
      [...item.s],
      item.floats,
      item.ints.map(String),
      item.strings.map((text) => [...text]),
      item.t ? [item.t.dataType, item.t.dims.map(Number)] : null,
    ])
    .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1))
  return [node.domain, node.opType, node.input, node.output, attributes, subgraphs(node).map(graphKey)]
}

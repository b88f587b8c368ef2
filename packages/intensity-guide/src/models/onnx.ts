// Networks from ONNX models.
import { linearLayers, modelFingerprint, parseModel, subgraphs, type InferOptions, type OnnxModel } from '@ft/onnx'
import { unknownOperators, type ReadNetwork } from './network.ts'
import { setBatch } from './onnxBatch.ts'

export interface OnnxReadOptions extends InferOptions {
  /** Default the graph's own name. */
  readonly name?: string
  /** Samples a pass: replaces the first dimension of every input, declared or not, that `inputs` does not name. */
  readonly batch?: number
}

/**
 * Reads an ONNX model's linear layers.
 *
 * @param options.bind - sizes of named dimensions; `options.inputs` - whole input shapes
 * @throws FtError `CORRUPT_DATA` for bytes that are no model; `INVALID_ARGUMENT` for unbound dimensions, naming them;
 * `UNSUPPORTED` when the graph does not allow another batch
 */
export function readOnnx(bytes: Uint8Array, options: OnnxReadOptions = {}): ReadNetwork {
  const { name, batch, ...infer } = options
  const model = parseModel(bytes)
  const fingerprint = modelFingerprint(model)
  if (batch !== undefined) setBatch(model, { batch, infer })
  const { layers, skipped, inference } = linearLayers(model, infer)
  return {
    name: name ?? (model.graph.name || 'model'),
    layers,
    fingerprint,
    skipped,
    ...unknownOperators(
      countNodes(model.graph),
      inference.unsupported.map((item) => item.opType),
    ),
  }
}

function countNodes(graph: OnnxModel['graph']): number {
  return graph.node.reduce(
    (sum, node) => sum + 1 + subgraphs(node).reduce((inner, subgraph) => inner + countNodes(subgraph), 0),
    0,
  )
}

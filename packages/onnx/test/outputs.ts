import { cloneModel, inferShapes, rewriter, serializeModel, type OnnxModel } from '../src/index.ts'

/** A copy in which every value that the main graph makes is an output. */
export function addAllOutputs(model: OnnxModel, values = inferShapes(model).values): OnnxModel {
  const copy = cloneModel(model)
  const edit = rewriter(copy)
  for (const node of copy.graph.node) {
    for (const name of node.output) {
      if (name !== '') edit.addOutput(name, values.get(name)?.type ?? 'float32')
    }
  }
  return copy
}

export const serializeModelOf = serializeModel

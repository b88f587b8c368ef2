// Folds inference-time batch normalisation into the convolution before it.
import { floatAttribute } from './attributes.ts'
import type { OnnxModel } from './model.ts'
import type { NodeProto } from './proto/onnx_pb.js'
import { rewriter } from './rewriter.ts'
import type { OnnxTensor } from './tensors.ts'

/**
 * Folds every BatchNormalization that alone reads a Conv's output into that Conv, in place.
 *
 * `s = scale / sqrt(var + eps)`, `W' = s W`, `b' = s (b - mean) + bias`, in float64, rounded once. The Conv keeps its
 * output's name, and so the layer its id.
 *
 * @returns ids of the convolutions that took a normalisation in
 */
export function foldBatchNorm(model: OnnxModel): string[] {
  const edit = rewriter(model)
  const folded: string[] = []
  for (const conv of edit.graph.node.filter((node) => node.opType === 'Conv')) {
    const index = edit.index()
    const id = conv.output[0] ?? ''
    const readers = index.consumers(id)
    const [norm] = readers
    if (readers.length !== 1 || norm?.opType !== 'BatchNormalization' || index.isOutput(id) || norm.output.length > 1)
      continue
    const read = (node: NodeProto, at: number) => floats(index.constant(node.input[at] ?? ''))
    const filter = index.constant(conv.input[1] ?? '')
    const weights = floats(filter)
    const [scale, shift, mean, variance] = [1, 2, 3, 4].map((at) => read(norm, at))
    const hasBias = conv.input.length > 2 && conv.input[2] !== ''
    const bias = hasBias ? read(conv, 2) : new Float32Array(filter?.shape[0] ?? 0)
    if (!filter || !weights || !scale || !shift || !mean || !variance || !bias) continue
    const epsilon = floatAttribute(norm, 'epsilon', 1e-5)
    const channels = filter.shape[0] ?? 0
    const each = weights.length / channels
    const newWeights = new Float32Array(weights.length)
    const newBias = new Float32Array(channels)
    for (let channel = 0; channel < channels; channel++) {
      const factor = (scale[channel] ?? 0) / Math.sqrt((variance[channel] ?? 0) + epsilon)
      for (let i = channel * each; i < (channel + 1) * each; i++) newWeights[i] = (weights[i] ?? 0) * factor
      newBias[channel] = ((bias[channel] ?? 0) - (mean[channel] ?? 0)) * factor + (shift[channel] ?? 0)
    }
    const store = (base: string, data: Float32Array, shape: readonly number[]) =>
      edit.initializer(base, { type: 'float32', shape, data })
    conv.input = [
      conv.input[0] ?? '',
      store(`${id}_folded_w`, newWeights, filter.shape),
      store(`${id}_folded_b`, newBias, [channels]),
    ]
    edit.remove(norm)
    const output = norm.output[0] ?? ''
    if (index.isOutput(output)) edit.node('Identity', [id], { outputs: [output] })
    else edit.redirect(output, id)
    folded.push(id)
  }
  edit.finish()
  removeDeadConstants(edit.graph)
  return folded
}

function floats(tensor: OnnxTensor | undefined): Float32Array | undefined {
  return tensor?.data instanceof Float32Array ? tensor.data : undefined
}

/** ConstantOfShape and Constant nodes that only fed what is gone. */
function removeDeadConstants(graph: OnnxModel['graph']): void {
  const read = new Set([...graph.node.flatMap((node) => node.input), ...graph.output.map((output) => output.name)])
  graph.node = graph.node.filter(
    (node) =>
      (node.opType !== 'ConstantOfShape' && node.opType !== 'Constant') || node.output.some((name) => read.has(name)),
  )
}

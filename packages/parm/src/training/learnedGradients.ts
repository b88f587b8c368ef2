// The loss of a learned code on a minibatch (Learning a Code, section 3.3) and its gradient with respect to encoder and
// decoder: each position missing in turn, through the deployed model, which is frozen.
import type * as TensorFlow from '@tensorflow/tfjs'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import type { DenseLayer, Layer } from '../models/layers.ts'
import { forward, lossAndGradients, parametersOf, tensorsOf } from './network.ts'
import { createPasses } from './passes.ts'
import { softmax } from './softmax.ts'

export interface LearnedProblem {
  readonly base: readonly Layer[]
  readonly encoder: readonly Layer[]
  readonly decoder: readonly DenseLayer[]
  /** Of encoder and decoder, weights and biases in turn. */
  readonly parameters: readonly Float32Array[]
  readonly k: number
  /** Channels of an image, encoded one by one, and elements of each. */
  readonly channels: number
  readonly plane: number
  readonly classes: number
  readonly loss: 'outputs' | 'distribution' | 'labels'
  /** The deployed model's outputs for the training samples. */
  readonly targets: Float32Array
  /** The class of a training sample, for 'labels'. */
  readonly labelOf: (row: number) => number
}

/** @param rows - training samples, k a group; @param x - their planes, joined as the encoder takes them */
export type LearnedGradient = (
  rows: Uint32Array,
  x: Float32Array,
) => { loss: number; gradients: readonly ArrayLike<number>[] }

/** On the WebAssembly engine. */
export function engineLearnedGradient(o: LearnedProblem): LearnedGradient {
  const { base, encoder, decoder, parameters, k, channels, plane, classes } = o
  const engine = createWasmEngine({ threads: 1 })
  const split = 2 * encoder.length
  const encoding = createPasses(engine, { layers: encoder, parameters: parameters.slice(0, split) })
  const frozen = createPasses(engine, { layers: base, parameters: parametersOf(base) })
  const decoding = createPasses(engine, { layers: decoder, parameters: parameters.slice(split) })
  const width = (k + 1) * classes

  return (rows, x) => {
    const groups = rows.length / k
    const encoded = encoding.forward(x, groups * channels)
    const parity = frozen.forward(interleave(encoded, { groups, channels, plane }), groups)
    // Position j missing: zeros in its place, everything else as it came. All positions are one batch
    const given = new Float32Array(k * groups * width)
    for (let at = 0; at < k * groups; at++) {
      const [lost, g] = [Math.floor(at / groups), at % groups]
      for (let slot = 0; slot < k; slot++) {
        const row = rows[g * k + slot] as number
        if (slot !== lost)
          given.set(o.targets.subarray(row * classes, (row + 1) * classes), at * width + slot * classes)
      }
      given.set(parity.subarray(g * classes, (g + 1) * classes), at * width + k * classes)
    }
    const decoded = decoding.forward(given, k * groups)
    const { loss, gradient } = lossOfLost(o, { decoded, rows })
    const back = decoding.backward(gradient, { inputs: true })
    const own = new Float32Array(groups * classes)
    for (let at = 0; at < k * groups; at++)
      for (let c = 0; c < classes; c++) {
        const to = (at % groups) * classes + c
        own[to] = (own[to] as number) + (back.inputs?.[at * width + k * classes + c] as number)
      }
    const query = frozen.backward(own, { frozen: true, inputs: true }).inputs as Float32Array
    const { gradients } = encoding.backward(planesOf(query, { groups, channels, plane }))
    return { loss, gradients: [...gradients, ...back.gradients] }
  }
}

interface Planes {
  readonly groups: number
  readonly channels: number
  readonly plane: number
}

/** `[groups, channels, plane]` as images with interleaved channels, and back. */
function interleave(planes: Float32Array, { groups, channels, plane }: Planes): Float32Array {
  return channels === 1 ? planes : turned(planes, { count: groups, rows: channels, columns: plane })
}

function planesOf(images: Float32Array, { groups, channels, plane }: Planes): Float32Array {
  return channels === 1 ? images : turned(images, { count: groups, rows: plane, columns: channels })
}

function turned(
  data: Float32Array,
  { count, rows, columns }: { count: number; rows: number; columns: number },
): Float32Array {
  const to = new Float32Array(data.length)
  for (let i = 0; i < count; i++)
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < columns; c++) to[(i * columns + c) * rows + r] = data[(i * rows + r) * columns + c] as number
  return to
}

/** The mean over groups and positions of the missing answer's loss; only its own elements have a gradient. */
function lossOfLost(
  { k, classes, loss: kind, targets, labelOf }: LearnedProblem,
  { decoded, rows }: { decoded: Float32Array; rows: Uint32Array },
): { loss: number; gradient: Float32Array } {
  const groups = rows.length / k
  const gradient = new Float32Array(decoded.length)
  const share = 1 / (k * groups)
  let loss = 0
  for (let lost = 0; lost < k; lost++)
    for (let g = 0; g < groups; g++) {
      const row = rows[g * k + lost] as number
      const from = ((lost * groups + g) * k + lost) * classes
      const got = decoded.subarray(from, from + classes)
      const own = targets.subarray(row * classes, (row + 1) * classes)
      if (kind === 'outputs') {
        for (let c = 0; c < classes; c++) {
          const d = (got[c] as number) - (own[c] as number)
          loss += (share * d * d) / classes
          gradient[from + c] = (2 * share * d) / classes
        }
        continue
      }
      const [chosen, said] = [softmax(got), softmax(own)]
      for (let c = 0; c < classes; c++) {
        const wanted = kind === 'labels' ? Number(c === labelOf(row)) : (said.shares[c] as number)
        // The divergence but for the target's own entropy, which has no gradient
        loss -= share * wanted * (chosen.logs[c] as number)
        gradient[from + c] = share * ((chosen.shares[c] as number) - wanted)
      }
    }
  return { loss, gradient }
}

/** The same by TensorFlow.js; `dispose` gives back what it keeps between minibatches. */
export function tensorflowLearnedGradient(
  tf: typeof TensorFlow,
  o: LearnedProblem,
): { readonly gradient: LearnedGradient; dispose(): void } {
  const { base, encoder, decoder, parameters, k, channels, plane, classes, loss, targets, labelOf } = o
  const split = 2 * encoder.length
  const frozen = tensorsOf(tf, base, parametersOf(base))
  const masks = Array.from({ length: k }, (_, lost) =>
    tf.tensor2d([Array.from({ length: k * classes }, (_, i) => (Math.floor(i / classes) === lost ? 0 : 1))]),
  )
  return {
    gradient: (rows, x) =>
      lossAndGradients(tf, {
        tensors: () => tensorsOf(tf, [...encoder, ...decoder], parameters),
        prepare() {
          const groups = rows.length / k
          const known = new Float32Array(rows.length * classes)
          rows.forEach((row, i) => known.set(targets.subarray(row * classes, (row + 1) * classes), i * classes))
          const own = tf.tensor2d(known, [groups, k * classes])
          const wanted =
            loss === 'labels'
              ? tf
                  .oneHot(tf.tensor1d(Int32Array.from(rows, labelOf), 'int32'), classes)
                  .reshape<TensorFlow.Tensor2D>([groups, k * classes])
              : own
          const planes = tf.tensor2d(x, [groups * channels, k * plane])
          return (...tensors) => {
            const encoderTensors = tensors.slice(0, split)
            const encoded = forward(tf, planes, { layers: encoder, tensors: encoderTensors, constantInputs: true })
            const query =
              channels === 1
                ? encoded
                : encoded
                    .reshape([groups, channels, plane])
                    .transpose([0, 2, 1])
                    .reshape<TensorFlow.Tensor2D>([groups, channels * plane])
            const parity = forward(tf, query, { layers: base, tensors: frozen })
            const losses = masks.map((mask, lost) => {
              const given = tf.concat2d([own.mul<TensorFlow.Tensor2D>(mask), parity], 1)
              const decoded = forward(tf, given, { layers: decoder, tensors: tensors.slice(split) })
              const at = (all: TensorFlow.Tensor2D) => all.slice([0, lost * classes], [groups, classes])
              return lossOf(tf, { loss, decoded: at(decoded), wanted: at(wanted) })
            })
            return tf.addN(losses).div<TensorFlow.Scalar>(k)
          }
        },
      }),
    dispose: () => tf.dispose([frozen, masks]),
  }
}

function lossOf(
  tf: typeof TensorFlow,
  o: { loss: LearnedProblem['loss']; decoded: TensorFlow.Tensor2D; wanted: TensorFlow.Tensor2D },
): TensorFlow.Scalar {
  if (o.loss === 'outputs') return o.decoded.sub(o.wanted).square().mean()
  const logs = tf.logSoftmax(o.decoded)
  const target = o.loss === 'labels' ? o.wanted : tf.softmax(o.wanted)
  return tf.neg(logs.mul(target).sum(1).mean<TensorFlow.Scalar>())
}

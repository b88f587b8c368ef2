// Training of a model to be deployed: for examples, and for those whose base model is not there yet.
import type * as TensorFlow from '@tensorflow/tfjs'
import { FtError, type Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { assertLayers, fingerprintOf, inputsOf, outputsOf, type Layer } from '../models/layers.ts'
import { createModelRunner } from '../models/runner.ts'
import type { Augment } from './augment.ts'
import type { EpochRecord } from './checkpoint.ts'
import { checkSettings, runEpochs, type EpochOptions } from './epochs.ts'
import { identityOf } from './identity.ts'
import { forward, initialWeights, lossAndGradients, parametersOf, tensorsOf, withParameters } from './network.ts'
import { taskLoss } from './outputLoss.ts'
import { createPasses } from './passes.ts'
import { pickRows } from './rows.ts'
import { createScorer, pickAnswers, type Answers } from './score.ts'

export interface TrainModelOptions extends EpochOptions {
  readonly seed: number
  /** Default 10. */
  readonly epochs?: number
  /** Samples in a minibatch. Default 64. */
  readonly batch?: number
  /** Default 1e-3. */
  readonly learningRate?: number
  /** L2. Default 1e-5. */
  readonly weightDecay?: number
  /** Training samples set aside to choose the best epoch. Default a tenth. */
  readonly validationSamples?: number
  /** Another form of each sample, in each epoch anew; its answer stays. */
  readonly augment?: Augment
  /** Trains on this TensorFlow.js, with its backend set, such as `loadTensorFlow` gives. Default: the WebAssembly engine. */
  readonly tf?: typeof TensorFlow
}

/** What to train: `layers` say the form; their weights are drawn anew, scaled to the inputs of a unit. */
export type ModelTask = { readonly layers: readonly Layer[]; readonly inputs: Tensor } & Answers

export interface TrainedModel {
  readonly layers: Layer[]
  /** Score on the validation samples: share of right classes, of variance explained, or mean intersection over union. */
  readonly validation: number
  readonly bestEpoch: number
  readonly history: readonly EpochRecord[]
}

/**
 * Trains a model by the loss of its task: cross-entropy of softmax for `labels` (outputs are logits), squared error for
 * `values`, smooth L1 for `boxes`.
 *
 * Cost: an epoch is a forward and a backward pass of every sample.
 *
 * @throws FtError `SHAPE_MISMATCH`, `ABORTED`; with a checkpoint as `trainParityModel`
 */
export async function trainModel(task: ModelTask, options: TrainModelOptions): Promise<TrainedModel> {
  const where = 'trainModel'
  const { layers, inputs } = task
  assertLayers(layers, where)
  const [samples = 0, width = 0] = inputs.shape
  const [features, outputs] = [inputsOf(layers[0] as Layer), outputsOf(layers.at(-1) as Layer)]
  if (inputs.dtype !== 'float32' || inputs.shape.length !== 2 || width !== features)
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: \`inputs\` must be float32 [n, ${features}], got [${inputs.shape.join(', ')}]`,
      { shape: inputs.shape },
    )
  createScorer(task, { samples, outputs, where })
  const settings = {
    epochs: options.epochs ?? 10,
    groupsPerBatch: options.batch ?? 64,
    learningRate: options.learningRate ?? 1e-3,
    weightDecay: options.weightDecay ?? 1e-5,
    validationSamples: options.validationSamples ?? Math.max(1, Math.floor(samples / 10)),
  }
  checkSettings(settings, { where, samples, k: 1 })
  const random = createRandom(options.seed).stream('train-model')
  const order = random.stream('split').permutation(samples)
  const [held, used] = [order.subarray(0, settings.validationSamples), order.subarray(settings.validationSamples)]
  const [validation, training] = [pickRows(inputs, held), pickRows(inputs, used)]
  const [known, targets] = [pickAnswers(task, held), pickAnswers(task, used)]
  const scorer = createScorer(known, { samples: held.length, outputs, where })

  const start = initialWeights(layers, { random: random.stream('initial'), scheme: 'scaled' })
  const parameters = parametersOf(start)
  const { augment, patience } = options
  const { best, history } = await runEpochs<Minibatch, { degraded: number }>(
    {
      where,
      run: options.checkpoint
        ? identityOf(
            { ...settings, patience, seed: options.seed, start: fingerprintOf(start), augment: Boolean(augment) },
            task,
          )
        : '',
      settings,
      parameters,
      stepsPerEpoch: Math.max(1, Math.floor(used.length / settings.groupsPerBatch)),
      *batches(epoch) {
        const stream = random.stream('epoch', epoch)
        const shuffled = stream.permutation(used.length)
        const size = settings.groupsPerBatch
        for (let first = 0; first + size <= shuffled.length; first += size) {
          const rows = shuffled.subarray(first, first + size)
          const x = pickRows(training, rows).data as Float32Array
          if (augment)
            for (let i = 0; i < size; i++) {
              const sample = x.subarray(i * width, (i + 1) * width)
              sample.set(augment(sample, stream))
            }
          yield { x, answers: pickAnswers(targets, rows) }
        }
      },
      gradient: gradientOf({ layers, parameters, width, tf: options.tf }),
      async judge() {
        const engine = createWasmEngine({ threads: 1 })
        const { data } = createModelRunner(withParameters(layers, parameters), engine)(validation)
        let total = 0
        for (let i = 0; i < held.length; i++) total += scorer.score(data.subarray(i * outputs, (i + 1) * outputs), i)
        await engine.dispose()
        return { degraded: total / held.length }
      },
      isBetter: (a, b) => a.degraded > b.degraded,
    },
    options,
  )
  return {
    layers: withParameters(layers, best.parameters),
    validation: best.accuracy.degraded,
    bestEpoch: best.epoch,
    history,
  }
}

interface Minibatch {
  readonly x: Float32Array
  readonly answers: Answers
}

function gradientOf(o: {
  readonly layers: readonly Layer[]
  readonly parameters: readonly Float32Array[]
  readonly width: number
  readonly tf: typeof TensorFlow | undefined
}): (batch: Minibatch) => { loss: number; gradients: readonly ArrayLike<number>[] } {
  const { layers, parameters, width, tf } = o
  if (tf)
    return ({ x, answers }) =>
      lossAndGradients(tf, {
        tensors: () => tensorsOf(tf, layers, parameters),
        prepare() {
          const batch = tf.tensor2d(x, [x.length / width, width])
          return (...tensors) => lossOf(tf, forward(tf, batch, { layers, tensors, constantInputs: true }), answers)
        },
      })
  const passes = createPasses(createWasmEngine({ threads: 1 }), { layers, parameters })
  return ({ x, answers }) => {
    const { loss, gradient } = taskLoss(answers, passes.forward(x, x.length / width))
    return { loss, gradients: passes.backward(gradient).gradients }
  }
}

function lossOf(tf: typeof TensorFlow, outputs: TensorFlow.Tensor2D, answers: Answers): TensorFlow.Scalar {
  if (answers.labels !== undefined) {
    const classes = tf.oneHot(tf.tensor1d(Int32Array.from(answers.labels), 'int32'), outputs.shape[1])
    return tf.neg(tf.logSoftmax(outputs).mul(classes).sum(1).mean<TensorFlow.Scalar>())
  }
  const { data, shape } = answers.values ?? answers.boxes
  const wanted = tf.tensor2d(Float32Array.from(data as Float32Array), shape as [number, number])
  if (answers.boxes) return tf.losses.huberLoss(wanted, outputs)
  return outputs.sub(wanted).square().mean()
}

// Training of a learned code (Learning a Code, 2018): encoder and decoder together, through the deployed model, which stays
// as it is.
import type * as TensorFlow from '@tensorflow/tfjs'
import { FtError, assertInteger, assertOneOf, type Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { joinPlanes, learned } from '../codes/learned.ts'
import { assertPreprocessing, type Preprocessings } from '../codes/preprocessed.ts'
import { assertLayers, fingerprintOf, inputsOf, outputsOf, type Layer } from '../models/layers.ts'
import { createModelRunner } from '../models/runner.ts'
import { startAsAddition } from './additionStart.ts'
import type { Augment } from './augment.ts'
import type { EpochRecord } from './checkpoint.ts'
import { convEncoder, mlpDecoder, mlpEncoder } from './coders.ts'
import { checkSettings, runEpochs, type EpochOptions } from './epochs.ts'
import { evaluateCode, type Accuracy } from './evaluate.ts'
import { identityOf } from './identity.ts'
import { engineLearnedGradient, tensorflowLearnedGradient, type LearnedProblem } from './learnedGradients.ts'
import { initialWeights, parametersOf, withParameters } from './network.ts'
import type { TrainingSettings } from './presets.ts'
import { pickRows } from './rows.ts'
import { pickAnswers, type Answers } from './score.ts'

interface Task {
  readonly base: readonly Layer[]
  readonly k: number
  /** float32 `[n, features]`, preprocessed as the deployed model takes it. */
  readonly inputs: Tensor
  /** What was made of them; recorded with the code, as that of `trainParityModel` with the model. */
  readonly preprocessing?: Preprocessings
  /** Height and width of the inputs, for 'conv'; channels (interleaved) that are encoded one by one. Default: one plane. */
  readonly image?: { readonly height: number; readonly width: number; readonly channels?: number }
}

/** One of `labels`, `values` and `boxes` chooses the best epoch; only the loss 'labels' trains on them. */
export type LearnedTask = Task & Answers

export interface TrainLearnedOptions extends EpochOptions, Partial<TrainingSettings> {
  readonly seed: number
  /** 'mlp': k d -> k d -> d. 'conv': six dilated convolutions of 3 x 3 and one of 1 x 1. Default 'mlp'. */
  readonly encoder?: 'mlp' | 'conv'
  /** Width inside the encoder: units of 'mlp' (default k d), channels of 'conv' (default 20 k), as published. */
  readonly encoderWidth?: number
  /**
   * 'outputs': squared error from the deployed model's outputs (default); 'distribution': Kullback-Leibler divergence of the
   * softmax from its; 'labels': cross-entropy with the true class. The papers' MSE-Base, KL-Base and XENT-Label.
   */
  readonly loss?: 'outputs' | 'distribution' | 'labels'
  /** Another form of each member of a training group, in each epoch anew; the targets stay. */
  readonly augment?: Augment
  /**
   * 'addition' starts as the addition code, whose encoder adds and whose decoder subtracts, with what is left of both networks
   * scaled to the inputs of a unit (default; an encoder 'mlp' needs at least d units for it); 'scaled' has nothing but that;
   * 'published' draws from N(0, 0.01) and after Xavier.
   */
  readonly initial?: 'addition' | 'scaled' | 'published'
  /** Trains on this TensorFlow.js, with its backend set, such as `loadTensorFlow` gives. Default: the WebAssembly engine. */
  readonly tf?: typeof TensorFlow
}

/** For `learned` and `writeLearnedCode`. */
export interface TrainedLearned {
  readonly k: number
  readonly baseFingerprint: string
  readonly encoder: Layer[]
  /** MLPDecoder: (k + 1) c -> (k + 1) c -> k c -> k c. */
  readonly decoder: Layer[]
  readonly channels: number
  readonly preprocessing?: Preprocessings
  readonly validation: Accuracy
  readonly bestEpoch: number
  readonly history: readonly EpochRecord[]
}

/**
 * Trains the networks of `learned` by the loss of the answer that is missing, each position missing in turn.
 *
 * Guarantees: the deployed model's weights are read, never changed.
 * Cost: the MLP encoder has (k d)^2 + k d^2 weights: 3.7 million for two 28 x 28 images, 20 times the papers' perceptron; the
 * convolutional one 57 million multiplications a parity query.
 * Differs: the networks start as the addition code and the rate falls to zero over the epochs, which takes far fewer of them;
 * `initial: 'published'`, `schedule: 'constant'` and a rate of 1e-3 are the papers'.
 *
 * @throws FtError `SHAPE_MISMATCH`, `ABORTED`, `INVALID_ARGUMENT`; with a checkpoint as `trainParityModel`
 */
export async function trainLearnedCode(task: LearnedTask, options: TrainLearnedOptions): Promise<TrainedLearned> {
  const where = 'trainLearnedCode'
  const { base, k, inputs, image, preprocessing } = task
  if (preprocessing) assertPreprocessing(preprocessing)
  const { encoder: kind = 'mlp', loss = 'outputs', schedule = 'cosine', augment } = options
  const { plane, channels, width, classes } = checkTask(task, { where, kind, loss })
  const adds = kind === 'conv' || (options.encoderWidth ?? k * plane) >= plane
  const { initial = adds ? 'addition' : 'scaled' } = options
  checkInitial(initial, { where, adds, plane })
  const settings: TrainingSettings = {
    epochs: options.epochs ?? 20,
    groupsPerBatch: options.groupsPerBatch ?? (k === 2 ? 64 : 32),
    learningRate: options.learningRate ?? rateOf(initial, kind),
    weightDecay: options.weightDecay ?? 1e-5,
    validationSamples: options.validationSamples ?? 5000,
  }
  const samples = inputs.shape[0] as number
  checkSettings(settings, { where, samples, k })
  const random = createRandom(options.seed).stream('train-learned')
  const held = Math.ceil(settings.validationSamples / k) * k
  const order = random.stream('split').permutation(samples)
  const validation = pickRows(inputs, order.subarray(0, held))
  const answers = pickAnswers(task, order.subarray(0, held))
  const used = order.subarray(held)
  const training = pickRows(inputs, used)
  const runBase = createModelRunner(base)
  const targets = runBase(training).data as Float32Array

  const encoderForm: readonly Layer[] =
    kind === 'conv' && image
      ? convEncoder({ k, image, channels: options.encoderWidth ?? 20 * k })
      : mlpEncoder({ k, plane, hidden: options.encoderWidth ?? k * plane })
  const scheme = initial === 'published' ? 'published' : 'scaled'
  const encoder = initialWeights(encoderForm, { random: random.stream('encoder'), scheme })
  const decoder = initialWeights(mlpDecoder({ k, classes }), { random: random.stream('decoder'), scheme })
  if (initial === 'addition') startAsAddition({ encoder, decoder, k, lowest: lowestOf(training) })
  const parameters = [...parametersOf(encoder), ...parametersOf(decoder)]
  const split = 2 * encoder.length
  const networks = (from: readonly Float32Array[]) => ({
    encoder: withParameters(encoder, from.slice(0, split)),
    decoder: withParameters(decoder, from.slice(split)),
    channels,
  })
  const problem: LearnedProblem = {
    base,
    encoder,
    decoder,
    parameters,
    k,
    channels,
    plane,
    classes,
    loss,
    targets,
    labelOf: (row) => task.labels?.[used[row] as number] as number,
  }
  const byTensorflow = options.tf ? tensorflowLearnedGradient(options.tf, problem) : undefined
  const gradient = byTensorflow?.gradient ?? engineLearnedGradient(problem)

  const { patience } = options
  const identity = {
    ...settings,
    kind,
    loss,
    initial,
    schedule,
    patience,
    k,
    seed: options.seed,
    augment: Boolean(augment),
  }
  const baseFingerprint = fingerprintOf(base)
  const single = classes === 1 || task.values !== undefined
  try {
    const { best, history } = await runEpochs<{ rows: Uint32Array; x: Float32Array }, Accuracy>(
      {
        where,
        run: options.checkpoint
          ? identityOf({ ...identity, base: baseFingerprint, form: fingerprintOf(encoder) }, task)
          : '',
        settings,
        parameters,
        stepsPerEpoch: Math.max(1, Math.floor(used.length / k / settings.groupsPerBatch)),
        *batches(epoch) {
          const stream = random.stream('epoch', epoch)
          const shuffled = stream.permutation(used.length)
          const size = settings.groupsPerBatch * k
          for (let first = 0; first + size <= used.length; first += size) {
            const rows = shuffled.subarray(first, first + size)
            const x = new Float32Array(size * width)
            for (let at = 0; at < size; at += k) {
              const members = Array.from(rows.subarray(at, at + k), (row) => {
                const sample = training.data.subarray(row * width, (row + 1) * width) as Float32Array
                return augment ? augment(sample, stream) : sample
              })
              x.set(joinPlanes(members, { channels, interleaved: kind === 'conv' }), at * width)
            }
            yield { rows, x }
          }
        },
        gradient: ({ rows, x }) => gradient(rows, x),
        judge: async () => {
          const code = learned({ k, ...networks(parameters) })
          return evaluateCode({ code, inputs: validation, ...answers, base: runBase, parity: runBase })
        },
        isBetter: (a, b) => (single ? a.meanSquaredError < b.meanSquaredError : a.degraded > b.degraded),
      },
      options,
    )
    const own = { k, baseFingerprint, ...(preprocessing ? { preprocessing } : {}), ...networks(best.parameters) }
    return { ...own, validation: best.accuracy, bestEpoch: best.epoch, history }
  } finally {
    byTensorflow?.dispose()
  }
}

/** A start that is right for many queries is lost by steps as large as a start from noise needs. */
function rateOf(initial: string, kind: string): number {
  if (initial !== 'addition') return 1e-3
  return kind === 'conv' ? 2e-3 : 2e-4
}

function lowestOf({ data }: Tensor): number {
  let lowest = 0
  for (let i = 0; i < data.length; i++) lowest = Math.min(lowest, data[i] as number)
  return lowest
}

function checkInitial(initial: string, { where, adds, plane }: { where: string; adds: boolean; plane: number }): void {
  assertOneOf(initial, { where, argument: 'initial', values: ['addition', 'scaled', 'published'] })
  if (initial === 'addition' && !adds)
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: \`encoderWidth\` must be at least ${plane} to start as the addition code`,
      { plane },
    )
}

function checkTask(task: LearnedTask, { where, kind, loss }: { where: string; kind: string; loss: string }) {
  const { base, k, inputs, image } = task
  assertLayers(base, where)
  assertInteger(k, { where, argument: 'k', min: 2, max: 16 })
  assertOneOf(kind, { where, argument: 'encoder', values: ['mlp', 'conv'] })
  assertOneOf(loss, { where, argument: 'loss', values: ['outputs', 'distribution', 'labels'] })
  const width = inputsOf(base[0] as Layer)
  const channels = image?.channels ?? 1
  const plane = width / channels
  const known = task.labels ? task.labels.length : (task.values ?? task.boxes).shape[0]
  if (inputs.dtype !== 'float32' || inputs.shape[1] !== width || known !== inputs.shape[0])
    throw new FtError('SHAPE_MISMATCH', `${where}: \`inputs\` must be float32 [n, ${width}] with n answers`, {
      shape: inputs.shape,
    })
  if ((kind === 'conv' && !image) || (image && image.height * image.width !== plane))
    throw new FtError('INVALID_ARGUMENT', `${where}: \`image\` must have ${width} elements`, { image })
  if (loss === 'labels' && !task.labels)
    throw new FtError('INVALID_ARGUMENT', `${where}: \`loss\` must be another without labels, got 'labels'`, {})
  return { plane, channels, width, classes: outputsOf(base.at(-1) as Layer) }
}

// Training of a parity model (Parity Models, section 4.1): from the parity of k queries it learns to give the sum of the
// deployed model's outputs for them.
import type * as TensorFlow from '@tensorflow/tfjs'
import { FtError, assertInteger, assertNumber, type Tensor } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import type { Code } from '../codes/code.ts'
import { assertPreprocessing, type Preprocessings } from '../codes/preprocessed.ts'
import type { ParityBinding } from '../models/folder.ts'
import { assertLayers, fingerprintOf, inputsOf, outputsOf, type Layer } from '../models/layers.ts'
import { createModelRunner } from '../models/runner.ts'
import type { NamedTensor } from '../named.ts'
import type { Augment } from './augment.ts'
import type { EpochRecord } from './checkpoint.ts'
import { checkSettings, runEpochs, type EpochOptions } from './epochs.ts'
import { evaluateCode, rowsOf, type Accuracy } from './evaluate.ts'
import { identityOf } from './identity.ts'
import { forward, initialWeights, lossAndGradients, parametersOf, tensorsOf, withParameters } from './network.ts'
import { withOneParity } from './oneParity.ts'
import { outputLoss } from './outputLoss.ts'
import { createPasses } from './passes.ts'
import type { TrainingSettings } from './presets.ts'
import { pickAnswers, type Answers } from './score.ts'
import { pickRows } from './rows.ts'

export interface TrainParityOptions extends EpochOptions, Partial<TrainingSettings> {
  readonly seed: number
  /** Which of the code's parities the model is for, from 0. Must be given for a code of several. */
  readonly parity?: number
  /** 'base' starts from the deployed model's weights (default), 'noise' from small random ones as the published models do. */
  readonly initial?: 'base' | 'noise'
  /** Share of groups trained short, for a code whose `shorten` gives codes. Default 0. */
  readonly shortGroups?: number
  /** Another form of each member of a training group, in each epoch anew. Default: none. */
  readonly augment?: Augment
  /**
   * Targets of augmented members: 'cached' are the deployed model's outputs for the samples as they are, as published
   * (default); 'fresh' its outputs for what the parity model sees, which costs its run.
   */
  readonly targets?: 'cached' | 'fresh'
  /** 'squared' as published (default), or 'huber': squared below 1 and linear above, for targets with outliers. */
  readonly loss?: 'squared' | 'huber'
  /** Trains on this TensorFlow.js, with its backend set, such as `loadTensorFlow` gives. Default: the WebAssembly engine. */
  readonly tf?: typeof TensorFlow
}

interface Task<L extends Layer> {
  readonly base: readonly L[]
  readonly code: Code
  /** float32 `[n, features]`, preprocessed as the deployed model takes it. */
  readonly inputs: Tensor
  /**
   * What was made of them, as the gateway's option of this name says it, by the deployed model's input names (those of a model
   * folder are 'input'); `{}`: nothing, they are as clients send them. Recorded with the model: a gateway refuses another.
   * Default: not recorded.
   */
  readonly preprocessing?: Preprocessings
}

/**
 * One of `labels`, `values` and `boxes` chooses the best epoch; it trains nothing. A model of one output, and a regression,
 * choose by their squared error.
 */
export type ParityTask<L extends Layer = Layer> = Task<L> & Answers

export interface TrainedParity<L extends Layer = Layer> {
  /** Weights of the best epoch. */
  readonly layers: L[]
  /** For `writeModelFolder`. */
  readonly parity: ParityBinding
  /** On the validation samples. */
  readonly validation: Accuracy
  readonly bestEpoch: number
  readonly history: readonly EpochRecord[]
}

/**
 * Trains the parity model of one parity of a code, of the deployed model's own architecture. A code of r parities takes r
 * trainings, each by itself: the model j learns the sum of the outputs weighted by the code's row j, and is judged as if it
 * were the only one.
 *
 * Guarantees: answers choose among epochs only; targets are the deployed model's outputs, computed once on samples as they
 * are. The same seed gives the same groups; weights agree up to the backend's rounding.
 * Cost: an epoch trains n / k groups: 1 / k of an epoch of the deployed model's training.
 * Differs: starts from the deployed model's weights unless told otherwise, and its learning rate starts higher and falls to
 * zero, for fewer epochs.
 *
 * @param options - `preset` has the published settings; those not given are 20 epochs of 128 groups a minibatch (64 for k > 2)
 * from a rate of 3e-3, a weight decay of 1e-5 and 5,000 validation samples
 * @throws FtError `UNSUPPORTED` for a code without trained parities, `ABORTED`, `SHAPE_MISMATCH`; with a
 * checkpoint also `IO`, `CORRUPT_DATA`, `CHECKSUM_MISMATCH`, `FINGERPRINT_MISMATCH`
 */
export async function trainParityModel<L extends Layer>(
  task: ParityTask<L>,
  options: TrainParityOptions,
): Promise<TrainedParity<L>> {
  const { base, inputs, preprocessing } = task
  if (preprocessing) assertPreprocessing(preprocessing)
  checkParity(task.code, options)
  const code = withOneParity(task.code, options.parity ?? 0)
  const settings: TrainingSettings = {
    epochs: options.epochs ?? 20,
    groupsPerBatch: options.groupsPerBatch ?? (code.k === 2 ? 128 : 64),
    learningRate: options.learningRate ?? 3e-3,
    weightDecay: options.weightDecay ?? 1e-5,
    validationSamples: options.validationSamples ?? 5000,
  }
  checkTask(task, settings, options)
  const { initial = 'base', shortGroups = 0, loss = 'squared', schedule = 'cosine' } = options
  const { augment, targets = 'cached' } = options
  const random = createRandom(options.seed).stream('train-parity')

  // What is set aside to choose the epoch never trains
  const held = Math.ceil(settings.validationSamples / code.k) * code.k
  const order = random.stream('split').permutation(inputs.shape[0] as number)
  const validation = pickRows(inputs, order.subarray(0, held))
  const answers = pickAnswers(task, order.subarray(0, held))
  const training = pickRows(inputs, order.subarray(held))

  const run = createModelRunner(base)
  const data: TrainingData = { units: rowsOf(training, 'input'), targets: rowsOf(run(training), 'output') }
  const fresh = augment && targets === 'fresh' ? run : undefined
  const start =
    initial === 'base' ? base : initialWeights(base, { random: random.stream('initial'), scheme: 'published' })
  const parameters = parametersOf(start)
  // A single output, such as log-odds, has no class of its own
  const bySquares = task.values !== undefined || outputsOf(base.at(-1) as Layer) === 1
  const identity = {
    ...settings,
    initial,
    shortGroups,
    loss,
    schedule,
    patience: options.patience,
    augment: Boolean(augment),
    targets,
  }
  const weights = code.parityWeights?.(code.k) ?? []
  const of = {
    seed: options.seed,
    base: fingerprintOf(base),
    code: code.name,
    k: code.k,
    // Checkpoints of codes with one parity were written before there were others
    ...(task.code.n > task.code.k + 1 ? { weights } : {}),
  }
  const { best, history } = await runEpochs<Batch, Accuracy>(
    {
      where: 'trainParityModel',
      run: options.checkpoint ? identityOf({ ...identity, ...of }, task) : '',
      settings,
      parameters,
      stepsPerEpoch: Math.max(1, Math.floor(data.units.length / code.k / settings.groupsPerBatch)),
      batches: (epoch) =>
        batchesOf(data, { code, settings, shortGroups, augment, fresh, random: random.stream('epoch', epoch) }),
      gradient: gradientOf({ base, parameters, loss, tf: options.tf }),
      async judge() {
        // An engine of its own gives the prepared weights back
        const engine = createWasmEngine({ threads: 1 })
        const parity = createModelRunner(withParameters(base, parameters), engine)
        const accuracy = evaluateCode({ code, inputs: validation, ...answers, base: run, parity })
        await engine.dispose()
        return accuracy
      },
      isBetter: (a, b) => (bySquares ? a.meanSquaredError < b.meanSquaredError : a.degraded > b.degraded),
    },
    options,
  )
  return {
    layers: withParameters(base, best.parameters),
    parity: {
      baseFingerprint: of.base,
      code: code.name,
      k: code.k,
      weights,
      ...(preprocessing ? { preprocessing } : {}),
    },
    validation: best.accuracy,
    bestEpoch: best.epoch,
    history,
  }
}

interface TrainingData {
  readonly units: readonly NamedTensor[][]
  /** The deployed model's outputs, computed once. */
  readonly targets: readonly NamedTensor[][]
}

interface Batch {
  readonly inputs: Float32Array
  readonly targets: Float32Array
  readonly groups: number
}

interface BatchOptions {
  readonly code: Code
  readonly settings: TrainingSettings
  readonly shortGroups: number
  readonly augment: Augment | undefined
  /** Runs the deployed model on augmented members. */
  readonly fresh: ((x: Tensor) => Tensor) | undefined
  readonly random: Random
}

/** Minibatches of one epoch: the samples in a new order, k in a row a group. */
function* batchesOf({ units, targets }: TrainingData, o: BatchOptions): Generator<Batch> {
  const { code, shortGroups, augment, fresh, random } = o
  const { k } = code
  const { groupsPerBatch } = o.settings
  const order = random.permutation(units.length)
  const groups = Math.floor(units.length / k)
  const width = units[0]?.[0]?.data.length ?? 0
  const classes = targets[0]?.[0]?.data.length ?? 0
  const member = (i: number): NamedTensor[] => {
    const unit = units[i] as NamedTensor[]
    return augment ? unit.map((one) => ({ ...one, data: augment(one.data as Float32Array, random) })) : unit
  }
  for (let first = 0; first + groupsPerBatch <= groups; first += groupsPerBatch) {
    const inputs = new Float32Array(groupsPerBatch * width)
    const sums = new Float32Array(groupsPerBatch * classes)
    // Members of the minibatch as the parity model sees them, and where their targets count
    const seen: Float32Array[] = []
    const counted: { readonly row: number; readonly g: number; readonly weight: number }[] = []
    for (let g = 0; g < groupsPerBatch; g++) {
      const members = Array.from(order.subarray((first + g) * k, (first + g + 1) * k))
      const short =
        shortGroups > 0 && random.bernoulli(shortGroups) ? code.shorten?.(random.integer(1, k - 1)) : undefined
      const own = short ?? code
      const chosen = members.slice(0, own.k)
      const group = chosen.map(member)
      inputs.set(own.encode(group)[own.k]?.[0]?.data ?? [], g * width)
      const weights = own.parityWeights?.(own.k) ?? []
      chosen.forEach((row, slot) => counted.push({ row, g, weight: weights[slot] as number }))
      if (fresh) for (const unit of group) seen.push(unit[0]?.data as Float32Array)
    }
    const own = fresh ? outputsOfRows(fresh, seen) : undefined
    counted.forEach(({ row, g, weight }, i) => {
      const output = own ? own.subarray(i * classes, (i + 1) * classes) : (targets[row]?.[0]?.data as Float32Array)
      for (let c = 0; c < classes; c++) {
        const at = g * classes + c
        sums[at] = (sums[at] as number) + weight * (output[c] as number)
      }
    })
    yield { inputs, targets: sums, groups: groupsPerBatch }
  }
}

/** A model's outputs for all rows in one run. */
function outputsOfRows(run: (x: Tensor) => Tensor, rows: readonly Float32Array[]): Float32Array {
  const width = rows[0]?.length ?? 0
  const data = new Float32Array(rows.length * width)
  rows.forEach((row, i) => data.set(row, i * width))
  return run({ data, shape: [rows.length, width], dtype: 'float32' }).data as Float32Array
}

interface Differentiated {
  readonly base: readonly Layer[]
  readonly parameters: readonly Float32Array[]
  readonly loss: 'squared' | 'huber'
  readonly tf: typeof TensorFlow | undefined
}

type Gradient = (batch: Batch) => { loss: number; gradients: readonly ArrayLike<number>[] }

/** What gives the loss of the parity model on a minibatch, and its gradient with respect to the parameters. */
function gradientOf({ base, parameters, loss, tf }: Differentiated): Gradient {
  if (tf) return (batch) => tensorflowGradient(tf, { base, parameters, loss, batch })
  const passes = createPasses(createWasmEngine({ threads: 1 }), { layers: base, parameters })
  return ({ inputs, targets, groups }) => {
    const found = outputLoss(loss, { outputs: passes.forward(inputs, groups), targets })
    return { loss: found.loss, gradients: passes.backward(found.gradient).gradients }
  }
}

function tensorflowGradient(
  tf: typeof TensorFlow,
  o: Omit<Differentiated, 'tf'> & { readonly batch: Batch },
): { loss: number; gradients: ArrayLike<number>[] } {
  const { inputs, targets, groups } = o.batch
  return lossAndGradients(tf, {
    tensors: () => tensorsOf(tf, o.base, o.parameters),
    prepare() {
      const x = tf.tensor2d(inputs, [groups, inputs.length / groups])
      const y = tf.tensor2d(targets, [groups, targets.length / groups])
      return (...tensors) => {
        const outputs = forward(tf, x, { layers: o.base, tensors, constantInputs: true })
        if (o.loss === 'huber') return tf.losses.huberLoss(y, outputs)
        return outputs.sub(y).square().mean<TensorFlow.Scalar>()
      }
    },
  })
}

function checkParity(code: Code, { parity }: TrainParityOptions): void {
  const where = 'trainParityModel'
  if (!code.parityWeights)
    throw new FtError('UNSUPPORTED', `${where}: the code must have trained parities, got '${code.name}'`, {
      code: code.name,
    })
  const r = code.n - code.k
  if (parity !== undefined || r > 1) assertInteger(parity, { where, argument: 'parity', min: 0, max: r - 1 })
}

function checkTask(task: ParityTask, settings: TrainingSettings, { shortGroups = 0 }: TrainParityOptions): void {
  const where = 'trainParityModel'
  const { base, code, inputs } = task
  assertLayers(base, where)
  const [samples = 0, width] = inputs.shape
  const features = inputsOf(base[0] as Layer)
  const known = task.labels ? task.labels.length : (task.values ?? task.boxes).shape[0]
  if (inputs.dtype !== 'float32' || inputs.shape.length !== 2 || width !== features || known !== samples)
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: \`inputs\` must be float32 [n, ${features}] with n answers, got [${inputs.shape.join(', ')}] and ${known}`,
      { shape: inputs.shape, answers: known },
    )
  checkSettings(settings, { where, samples, k: code.k })
  assertNumber(shortGroups, { where, argument: 'shortGroups', min: 0, max: 1 })
  if (shortGroups > 0 && !code.shorten)
    throw new FtError('INVALID_ARGUMENT', `${where}: \`shortGroups\` needs a code made with { shortGroups: true }`, {})
}

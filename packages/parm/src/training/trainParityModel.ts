// Training of a parity model (Parity Models, section 4.1): from the parity of k queries it learns to give the sum of the
// deployed model's outputs for them.
import type * as TensorFlow from '@tensorflow/tfjs'
import { FtError, assertInteger, assertNumber, throwIfAborted, type LongRunning, type Tensor } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import type { Code } from '../codes/code.ts'
import { assertLayers, fingerprintOf, type DenseLayer } from '../models/dense.ts'
import type { ParityBinding } from '../models/folder.ts'
import type { NamedTensor } from '../named.ts'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createDenseRunner } from '../workers/denseModel.ts'
import { loadTensorFlow } from './backend.ts'
import { evaluateCode, rowsOf, type Accuracy } from './evaluate.ts'
import { preset, type TrainingSettings } from './presets.ts'

export interface TrainParityOptions extends LongRunning, Partial<TrainingSettings> {
  readonly seed: number
  /** 'base' starts from the deployed model's weights (default), 'noise' from N(0, 0.01) as the published models do. */
  readonly initial?: 'base' | 'noise'
  /** Ends after so many epochs without a better validation accuracy. Default: none, all epochs are run. */
  readonly patience?: number
  /** Share of groups trained short, for a code whose `shorten` gives codes. Default 0. */
  readonly shortGroups?: number
  /** 'cosine' lets the learning rate fall to zero over the epochs (default), 'constant' keeps it as the published runs do. */
  readonly schedule?: 'cosine' | 'constant'
  /** A loaded TensorFlow.js with its backend set. Default: loaded here, on WebAssembly. */
  readonly tf?: typeof TensorFlow
}

export interface ParityTask {
  readonly base: readonly DenseLayer[]
  readonly code: Code
  /** float32 `[n, features]`, preprocessed as the deployed model takes it. */
  readonly inputs: Tensor
  /** Class of each sample: chooses the best epoch, trains nothing. A model of one output chooses by its squared error. */
  readonly labels: ArrayLike<number>
}

export interface TrainedParity {
  /** Weights of the best epoch. */
  readonly layers: DenseLayer[]
  /** For `writeModelFolder`. */
  readonly parity: ParityBinding
  /** On the validation samples. */
  readonly validation: Accuracy
  readonly bestEpoch: number
  readonly history: readonly { readonly epoch: number; readonly loss: number; readonly degraded: number }[]
}

/**
 * Trains the parity model of a code with one parity, of the deployed model's own architecture.
 *
 * Guarantees: labels choose among epochs only; targets are the deployed model's outputs, computed once. The same seed
 * gives the same groups; weights agree up to the backend's rounding.
 * Cost: an epoch trains n / k groups; about as many flops as k - 1 times fewer base samples' forward and backward passes.
 * Differs: starts from the deployed model's weights unless told otherwise, and its learning rate starts higher and falls to
 * zero; together they save nine in ten epochs.
 *
 * @param options - `TrainingSettings` that are not given are those of `preset('mnist')`, but 20 epochs from a rate of 3e-3
 * @throws FtError `UNSUPPORTED` for a code without trained parities, `MISSING_PEER`, `ABORTED`, `SHAPE_MISMATCH`
 */
export async function trainParityModel(task: ParityTask, options: TrainParityOptions): Promise<TrainedParity> {
  const { base, code, inputs, labels } = task
  const settings = { ...preset('mnist', code), epochs: 20, learningRate: 3e-3, ...options }
  checkTask(task, settings)
  const tf = options.tf ?? (await loadTensorFlow())
  const random = createRandom(options.seed).stream('train-parity')

  // What is set aside to choose the epoch never trains
  const held = Math.ceil(settings.validationSamples / code.k) * code.k
  const order = random.stream('split').permutation(inputs.shape[0] as number)
  const validation = pickRows(inputs, order.subarray(0, held))
  const validationLabels = Array.from(order.subarray(0, held), (i) => labels[i] as number)
  const training = pickRows(inputs, order.subarray(held))

  const engine = createWasmEngine({ threads: 1 })
  const runBase = createDenseRunner(base, engine)
  const data: TrainingData = { units: rowsOf(training, 'input'), targets: rowsOf(runBase(training), 'output') }
  const student = createStudent(tf, {
    base,
    settings,
    initial: options.initial ?? 'base',
    random: random.stream('initial'),
  })
  try {
    const judge = () => {
      const layers = student.layers()
      const accuracy = evaluateCode({
        code,
        inputs: validation,
        labels: validationLabels,
        base: runBase,
        parity: createDenseRunner(layers, engine),
      })
      return { layers, accuracy }
    }
    let best = { ...judge(), epoch: 0 }
    const stepsPerEpoch = Math.max(1, Math.floor(data.units.length / code.k / settings.groupsPerBatch))
    const rateAt = (epochs: number) =>
      options.schedule === 'constant'
        ? settings.learningRate
        : (settings.learningRate * (1 + Math.cos((Math.PI * epochs) / settings.epochs))) / 2
    // A single output, such as log-odds or a regression's, has no class of its own
    const single = base.at(-1)?.weights.shape[1] === 1
    const isBetter = (a: Accuracy, b: Accuracy) =>
      single ? a.meanSquaredError < b.meanSquaredError : a.degraded > b.degraded
    const history: TrainedParity['history'][number][] = []
    for (let epoch = 1; epoch <= settings.epochs; epoch++) {
      let loss = 0
      let steps = 0
      for (const batch of batchesOf(data, { code, settings, random: random.stream('epoch', epoch) })) {
        throwIfAborted(options.signal, 'trainParityModel')
        loss += student.step(batch, rateAt(epoch - 1 + steps / stepsPerEpoch))
        steps++
        // Gives timers and signals their turn
        if (steps % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      const judged = judge()
      if (isBetter(judged.accuracy, best.accuracy)) best = { ...judged, epoch }
      history.push({ epoch, loss: loss / Math.max(1, steps), degraded: judged.accuracy.degraded })
      const note = `loss ${(loss / Math.max(1, steps)).toFixed(2)}, reconstructions right ${(100 * judged.accuracy.degraded).toFixed(1)} %`
      options.onProgress?.({ phase: 'train', done: epoch, total: settings.epochs, note })
      if (options.patience !== undefined && epoch - best.epoch >= options.patience) break
    }
    return {
      layers: best.layers,
      parity: { baseFingerprint: fingerprintOf(base), code: code.name, k: code.k },
      validation: best.accuracy,
      bestEpoch: best.epoch,
      history,
    }
  } finally {
    student.dispose()
    await engine.dispose()
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

/** Minibatches of one epoch: the samples in a new order, k in a row a group. */
function* batchesOf(
  { units, targets }: TrainingData,
  { code, settings, random }: { code: Code; settings: TrainingSettings & { shortGroups?: number }; random: Random },
): Generator<Batch> {
  const { k } = code
  const { groupsPerBatch, shortGroups = 0 } = settings
  const order = random.permutation(units.length)
  const groups = Math.floor(units.length / k)
  const width = units[0]?.[0]?.data.length ?? 0
  const classes = targets[0]?.[0]?.data.length ?? 0
  for (let first = 0; first + groupsPerBatch <= groups; first += groupsPerBatch) {
    const inputs = new Float32Array(groupsPerBatch * width)
    const sums = new Float32Array(groupsPerBatch * classes)
    for (let g = 0; g < groupsPerBatch; g++) {
      const members = Array.from(order.subarray((first + g) * k, (first + g + 1) * k))
      const short =
        shortGroups > 0 && random.bernoulli(shortGroups) ? code.shorten?.(random.integer(1, k - 1)) : undefined
      const own = short ?? code
      const chosen = members.slice(0, own.k)
      inputs.set(own.encode(chosen.map((i) => units[i] as NamedTensor[]))[own.k]?.[0]?.data ?? [], g * width)
      const weights = own.parityWeights?.(own.k) ?? []
      chosen.forEach((i, slot) => {
        const output = targets[i]?.[0]?.data ?? []
        for (let c = 0; c < classes; c++) {
          const at = g * classes + c
          sums[at] = (sums[at] as number) + (weights[slot] as number) * (output[c] as number)
        }
      })
    }
    yield { inputs, targets: sums, groups: groupsPerBatch }
  }
}

interface Student {
  /** One Adam step; the loss before it. */
  step(batch: Batch, learningRate: number): number
  /** A copy of the weights. */
  layers(): DenseLayer[]
  dispose(): void
}

/** The parity model on TensorFlow.js. */
function createStudent(
  tf: typeof TensorFlow,
  o: { base: readonly DenseLayer[]; settings: TrainingSettings; initial: 'base' | 'noise'; random: Random },
): Student {
  const { learningRate, weightDecay } = o.settings
  const variables = o.base.map(({ weights, bias }) => {
    const [rows, columns] = weights.shape as [number, number]
    const start =
      o.initial === 'base'
        ? Float32Array.from(weights.data)
        : o.random.fillNormal(new Float32Array(rows * columns), { standardDeviation: 0.01 })
    const startBias = o.initial === 'base' ? Float32Array.from(bias.data) : new Float32Array(columns)
    return { weights: tf.variable(tf.tensor2d(start, [rows, columns])), bias: tf.variable(tf.tensor1d(startBias)) }
  })
  const list = variables.flatMap(({ weights, bias }) => [weights, bias])
  const optimizer = tf.train.adam(learningRate, 0.9, 0.999, 1e-8)
  const width = o.base[0]?.weights.shape[0] as number
  const classes = o.base.at(-1)?.weights.shape[1] as number
  const forward = (x: TensorFlow.Tensor2D) =>
    variables.reduce<TensorFlow.Tensor2D>((activation, { weights, bias }, i) => {
      const product = i === 0 ? inputProduct(tf, activation, weights) : hiddenProduct(tf, activation, weights)
      const sum: TensorFlow.Tensor2D = product.add(bias)
      return o.base[i]?.relu ? sum.relu() : sum
    }, x)
  return {
    step({ inputs, targets, groups }, rate) {
      // The optimizer reads its rate at every step, but has no public way to change it
      ;(optimizer as unknown as { learningRate: number }).learningRate = rate
      return tf.tidy(() => {
        const x = tf.tensor2d(inputs, [groups, width])
        const y = tf.tensor2d(targets, [groups, classes])
        const { value, grads } = tf.variableGrads(() => forward(x).sub(y).square().mean<TensorFlow.Scalar>(), list)
        const decayed: Record<string, TensorFlow.Variable> = {}
        for (const variable of list)
          decayed[variable.name] = (grads[variable.name] as TensorFlow.Tensor).add<TensorFlow.Variable>(
            variable.mul(weightDecay),
          )
        optimizer.applyGradients(decayed)
        return value.dataSync()[0] as number
      })
    },
    layers: () =>
      variables.map(({ weights, bias }, i) => ({
        weights: { data: Float32Array.from(weights.dataSync()), shape: [...weights.shape], dtype: 'float32' as const },
        bias: { data: Float32Array.from(bias.dataSync()), shape: [...bias.shape], dtype: 'float32' as const },
        relu: o.base[i]?.relu ?? false,
      })),
    dispose() {
      optimizer.dispose()
      for (const variable of list) variable.dispose()
    },
  }
}

// The WebAssembly backend has a fast product only for operands that are not transposed, and the built-in gradients
// transpose: explicit transposes make a training step more than twice as fast.

function hiddenProduct(tf: typeof TensorFlow, x: TensorFlow.Tensor2D, w: TensorFlow.Variable): TensorFlow.Tensor2D {
  const run = tf.customGrad((a, b, save) => {
    const [left, right] = [a as TensorFlow.Tensor2D, b as TensorFlow.Tensor2D]
    ;(save as (tensors: TensorFlow.Tensor[]) => void)([left, right])
    return {
      value: left.matMul(right),
      gradFunc: (dy: TensorFlow.Tensor, [kept, weights]: TensorFlow.Tensor[]) => [
        dy.matMul((weights as TensorFlow.Tensor).transpose()),
        (kept as TensorFlow.Tensor).transpose().matMul(dy),
      ],
    }
  })
  return run(x, w) as TensorFlow.Tensor2D
}

/** The first layer's product: nothing needs the gradient of its input. */
function inputProduct(tf: typeof TensorFlow, x: TensorFlow.Tensor2D, w: TensorFlow.Variable): TensorFlow.Tensor2D {
  const run = tf.customGrad((b) => ({
    value: x.matMul(b as TensorFlow.Tensor2D),
    gradFunc: (dy: TensorFlow.Tensor) => [x.transpose().matMul(dy)],
  }))
  return run(w) as TensorFlow.Tensor2D
}

function pickRows({ data, shape }: Tensor, rows: Uint32Array): Tensor {
  const width = data.length / (shape[0] as number)
  const picked = new Float32Array(rows.length * width)
  rows.forEach((row, i) => picked.set(data.subarray(row * width, (row + 1) * width), i * width))
  return { data: picked, shape: [rows.length, width], dtype: 'float32' }
}

function checkTask(
  { base, code, inputs, labels }: ParityTask,
  settings: TrainingSettings & { shortGroups?: number },
): void {
  const where = 'trainParityModel'
  assertLayers(base, where)
  const [samples = 0, width] = inputs.shape
  if (
    inputs.dtype !== 'float32' ||
    inputs.shape.length !== 2 ||
    width !== base[0]?.weights.shape[0] ||
    labels.length !== samples
  )
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: \`inputs\` must be float32 [n, ${base[0]?.weights.shape[0]}] with n labels, got [${inputs.shape.join(', ')}] and ${labels.length}`,
      {
        shape: inputs.shape,
        labels: labels.length,
      },
    )
  if (!code.parityWeights || code.n !== code.k + 1)
    throw new FtError(
      'UNSUPPORTED',
      `${where}: the code must have one trained parity, got '${code.name}' with n = ${code.n}, k = ${code.k}`,
      { code: code.name },
    )
  assertInteger(settings.epochs, { where, argument: 'epochs', min: 0, max: 100_000 })
  assertInteger(settings.groupsPerBatch, { where, argument: 'groupsPerBatch', min: 1 })
  assertInteger(settings.validationSamples, {
    where,
    argument: 'validationSamples',
    min: code.k,
    max: samples - code.k,
  })
  assertNumber(settings.learningRate, { where, argument: 'learningRate', min: 0 })
  assertNumber(settings.weightDecay, { where, argument: 'weightDecay', min: 0 })
  assertNumber(settings.shortGroups ?? 0, { where, argument: 'shortGroups', min: 0, max: 1 })
  if ((settings.shortGroups ?? 0) > 0 && !code.shorten)
    throw new FtError('INVALID_ARGUMENT', `${where}: \`shortGroups\` needs a code made with { shortGroups: true }`, {})
}

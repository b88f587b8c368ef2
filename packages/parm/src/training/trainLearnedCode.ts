// Training of a learned code (Learning a Code, 2018): encoder and decoder together, through the deployed model, which stays
// as it is.
import type * as TensorFlow from '@tensorflow/tfjs'
import { FtError, assertInteger, assertNumber, throwIfAborted, type LongRunning, type Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { learned } from '../codes/learned.ts'
import { assertLayers, type DenseLayer } from '../models/dense.ts'
import { createDenseRunner } from '../workers/denseModel.ts'
import { loadTensorFlow } from './backend.ts'
import { evaluateCode, type Accuracy } from './evaluate.ts'

export interface LearnedTask {
  readonly base: readonly DenseLayer[]
  readonly k: number
  /** float32 `[n, features]`, preprocessed as the deployed model takes it. */
  readonly inputs: Tensor
  /** Class of each sample: chooses the best epoch, trains nothing. */
  readonly labels: ArrayLike<number>
}

export interface TrainLearnedOptions extends LongRunning {
  readonly seed: number
  /** Default 20. */
  readonly epochs?: number
  /** Default 64 for k = 2, 32 for larger k. */
  readonly groupsPerBatch?: number
  /** Default 1e-3. */
  readonly learningRate?: number
  /** Default 1e-5. */
  readonly weightDecay?: number
  /** Default 5000. */
  readonly validationSamples?: number
  readonly tf?: typeof TensorFlow
}

export interface TrainedLearned {
  /** MLPEncoder: k d -> k d -> d. */
  readonly encoder: DenseLayer[]
  /** MLPDecoder: (k + 1) c -> (k + 1) c -> k c -> k c. */
  readonly decoder: DenseLayer[]
  readonly validation: Accuracy
  readonly bestEpoch: number
}

/**
 * Trains the networks of `learned` by the squared error of the answer that is missing, each position missing in turn.
 *
 * Guarantees: labels choose among epochs only; the deployed model's weights are read, never changed.
 * Cost: the encoder has 1.5 (k d)^2 weights: 3.7 million for two 28 x 28 images.
 *
 * @throws FtError `SHAPE_MISMATCH`, `MISSING_PEER`, `ABORTED`
 */
export async function trainLearnedCode(task: LearnedTask, options: TrainLearnedOptions): Promise<TrainedLearned> {
  const { base, k, inputs, labels } = task
  const { epochs = 20, learningRate = 1e-3, weightDecay = 1e-5, validationSamples = 5000 } = options
  const { groupsPerBatch = k === 2 ? 64 : 32 } = options
  const where = 'trainLearnedCode'
  assertLayers(base, where)
  const [samples = 0, width = 0] = inputs.shape
  const classes = base.at(-1)?.weights.shape[1] as number
  if (inputs.dtype !== 'float32' || width !== base[0]?.weights.shape[0] || labels.length !== samples)
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: \`inputs\` must be float32 [n, ${base[0]?.weights.shape[0]}] with n labels`,
      {
        shape: inputs.shape,
      },
    )
  assertInteger(k, { where, argument: 'k', min: 2, max: 16 })
  assertInteger(epochs, { where, argument: 'epochs', min: 1, max: 100_000 })
  assertInteger(validationSamples, { where, argument: 'validationSamples', min: k, max: samples - k * groupsPerBatch })
  assertNumber(learningRate, { where, argument: 'learningRate', min: 0 })
  assertNumber(weightDecay, { where, argument: 'weightDecay', min: 0 })
  const tf = options.tf ?? (await loadTensorFlow())
  const random = createRandom(options.seed).stream('train-learned')
  const held = Math.ceil(validationSamples / k) * k
  const order = random.stream('split').permutation(samples)
  const validation = pick(inputs, order.subarray(0, held))
  const validationLabels = Array.from(order.subarray(0, held), (i) => labels[i] as number)
  const training = pick(inputs, order.subarray(held))
  const engine = createWasmEngine({ threads: 1 })
  const runBase = createDenseRunner(base, engine)
  const targets = runBase(training).data

  const network = (name: string, widths: readonly number[]) =>
    widths.slice(1).map((columns, i) => {
      const rows = widths[i] as number
      // Differs: the published networks start from N(0, 0.01); scaled to their fan-in they train in fewer epochs
      const start = random
        .stream(name, i)
        .fillNormal(new Float32Array(rows * columns), { standardDeviation: Math.sqrt(1 / rows) })
      return {
        weights: tf.variable(tf.tensor2d(start, [rows, columns])),
        bias: tf.variable(tf.zeros([columns])),
        relu: i + 2 < widths.length,
      }
    })
  const encoder = network('encoder', [k * width, k * width, width])
  const decoder = network('decoder', [(k + 1) * classes, (k + 1) * classes, k * classes, k * classes])
  const frozen = base.map(({ weights, bias, relu }) => ({
    weights: tf.tensor2d(Float32Array.from(weights.data), weights.shape as [number, number]),
    bias: tf.tensor1d(Float32Array.from(bias.data)),
    relu,
  }))
  const list = [...encoder, ...decoder].flatMap(({ weights, bias }) => [weights, bias])
  const optimizer = tf.train.adam(learningRate, 0.9, 0.999, 1e-8)
  // Position j missing: zeros in its place, everything else as it came
  const masks = Array.from({ length: k }, (_, lost) =>
    tf.tensor2d([Array.from({ length: k * classes }, (_, i) => (Math.floor(i / classes) === lost ? 0 : 1))]),
  )

  const step = (rows: Uint32Array): void =>
    tf.tidy(() => {
      const groups = rows.length / k
      const x = tf.tensor2d(pick(training, rows).data as Float32Array, [groups, k * width])
      const wanted = new Float32Array(rows.length * classes)
      rows.forEach((row, i) => wanted.set(targets.subarray(row * classes, (row + 1) * classes), i * classes))
      const own = tf.tensor2d(wanted, [groups, k * classes])
      const { grads } = tf.variableGrads(() => {
        const parity = forward(forward(x, encoder), frozen)
        const losses = masks.map((mask, lost) => {
          const answers = forward(tf.concat2d([own.mul<TensorFlow.Tensor2D>(mask), parity], 1), decoder)
          const at = (all: TensorFlow.Tensor2D) => all.slice([0, lost * classes], [groups, classes])
          return at(answers).sub(at(own)).square().mean<TensorFlow.Scalar>()
        })
        return tf.addN(losses).div<TensorFlow.Scalar>(k)
      }, list)
      const decayed: Record<string, TensorFlow.Variable> = {}
      for (const variable of list)
        decayed[variable.name] = (grads[variable.name] as TensorFlow.Tensor).add<TensorFlow.Variable>(
          variable.mul(weightDecay),
        )
      optimizer.applyGradients(decayed)
    })
  try {
    const judge = (epoch: number) => {
      const networks = { encoder: layersOf(encoder), decoder: layersOf(decoder) }
      const accuracy = evaluateCode({
        code: learned({ k, ...networks }),
        inputs: validation,
        labels: validationLabels,
        base: runBase,
        parity: runBase,
      })
      return { ...networks, validation: accuracy, bestEpoch: epoch }
    }
    let best: TrainedLearned | undefined
    const count = training.shape[0] as number
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const shuffled = random.stream('epoch', epoch).permutation(count)
      const size = groupsPerBatch * k
      for (let first = 0; first + size <= count; first += size) {
        throwIfAborted(options.signal, where)
        step(shuffled.subarray(first, first + size))
        // Gives timers and signals their turn
        if ((first / size) % 20 === 19) await new Promise((resolve) => setImmediate(resolve))
      }
      const judged = judge(epoch)
      if (!best || judged.validation.degraded > best.validation.degraded) best = judged
      const note = `reconstructions right ${(100 * judged.validation.degraded).toFixed(1)} %`
      options.onProgress?.({ phase: 'train', done: epoch, total: epochs, note })
    }
    return best as TrainedLearned
  } finally {
    optimizer.dispose()
    for (const variable of list) variable.dispose()
    tf.dispose([frozen.map(({ weights, bias }) => [weights, bias]), masks])
    await engine.dispose()
  }
}

interface Layer {
  readonly weights: TensorFlow.Tensor | TensorFlow.Variable
  readonly bias: TensorFlow.Tensor | TensorFlow.Variable
  readonly relu: boolean
}

function forward(x: TensorFlow.Tensor2D, layers: readonly Layer[]): TensorFlow.Tensor2D {
  return layers.reduce<TensorFlow.Tensor2D>((activation, { weights, bias, relu }) => {
    const sum = activation.matMul(weights).add<TensorFlow.Tensor2D>(bias)
    return relu ? sum.relu() : sum
  }, x)
}

function layersOf(network: readonly Layer[]): DenseLayer[] {
  const copy = (variable: TensorFlow.Tensor) => ({
    data: Float32Array.from(variable.dataSync()),
    shape: [...variable.shape],
    dtype: 'float32' as const,
  })
  return network.map(({ weights, bias, relu }) => ({ weights: copy(weights), bias: copy(bias), relu }))
}

function pick({ data, shape }: Tensor, rows: Uint32Array): Tensor {
  const width = data.length / (shape[0] as number)
  const picked = new Float32Array(rows.length * width)
  rows.forEach((row, i) => picked.set(data.subarray(row * width, (row + 1) * width), i * width))
  return { data: picked, shape: [rows.length, width], dtype: 'float32' }
}

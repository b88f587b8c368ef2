// Trains the small network of late arrivals, once for all steps that use it.
import type * as TensorFlow from '@tensorflow/tfjs'
import type { Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import type { FlightTask, Range } from '@ft/datasets'
import type { Output } from '@ft/report'
import { pickBackend, type Backend } from './backend.ts'
import { denseFeatures, type DenseTask } from './features.ts'
import type { DemoOptions } from './story.ts'

const BATCH = 1024

/** A dense layer as plain tensors: weights `[inputs, units]`, bias `[units]`. */
export interface DenseLayer {
  readonly weights: Tensor
  readonly bias: Tensor
}

export interface TrainedNetwork {
  readonly backend: Backend
  readonly dense: DenseTask
  readonly layers: readonly DenseLayer[]
  /** Probabilities of the test rows, by the backend that trained. */
  readonly probabilities: Float64Array
}

export async function trainNetwork(
  task: FlightTask,
  { options, output }: { options: DemoOptions; output: Output },
): Promise<TrainedNetwork> {
  const backend = await pickBackend()
  const dense = denseFeatures(task)
  const model = buildModel(backend.tf, dense.width, options.seed)
  await fit({ tf: backend.tf, model, dense, task, epochs: options.quick ? 1 : 3, seed: options.seed, output })
  const probabilities = await predictRows(backend.tf, model, dense, task.split.test)
  const layers = await Promise.all(
    model.layers.map(async (layer) => {
      const [weights, bias] = layer.getWeights()
      return { weights: await plain(weights), bias: await plain(bias) }
    }),
  )
  model.dispose()
  return { backend, dense, layers, probabilities }
}

async function plain(tensor: TensorFlow.Tensor | undefined): Promise<Tensor> {
  if (!tensor) throw new Error('a layer of the network has no weights')
  return { data: Float32Array.from(await tensor.data()), shape: [...tensor.shape], dtype: 'float32' }
}

function buildModel(tf: typeof TensorFlow, inputs: number, seed: number): TensorFlow.LayersModel {
  const layer = (units: number, index: number, activation: 'relu' | 'sigmoid') =>
    tf.layers.dense({
      units,
      activation,
      kernelInitializer: tf.initializers.heNormal({ seed: seed * 10 + index }),
      ...(index === 0 ? { inputShape: [inputs] } : {}),
    })
  const model = tf.sequential({ layers: [layer(64, 0, 'relu'), layer(32, 1, 'relu'), layer(1, 2, 'sigmoid')] })
  model.compile({ optimizer: tf.train.adam(2e-3), loss: 'binaryCrossentropy' })
  return model
}

interface Fit {
  readonly tf: typeof TensorFlow
  readonly model: TensorFlow.LayersModel
  readonly dense: DenseTask
  readonly task: FlightTask
  readonly epochs: number
  readonly seed: number
  readonly output: Output
}

async function fit({ tf, model, dense, task, epochs, seed, output }: Fit): Promise<void> {
  const { train } = task.split
  const batches = Math.floor((train.end - train.start) / BATCH)
  const random = createRandom(seed).stream('network batches')
  let smoothed: number | undefined
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = random.permutation(train.end - train.start)
    for (let batch = 0; batch < batches; batch++) {
      const rows = order.subarray(batch * BATCH, (batch + 1) * BATCH)
      const x = new Float32Array(BATCH * dense.width)
      rows.forEach((row, i) => x.set(dense.data.subarray(row * dense.width, (row + 1) * dense.width), i * dense.width))
      const xs = tf.tensor2d(x, [BATCH, dense.width])
      const ys = tf.tensor2d(
        Float32Array.from(rows, (row) => task.label[row] as number),
        [BATCH, 1],
      )
      const loss = (await model.trainOnBatch(xs, ys)) as number
      tf.dispose([xs, ys])
      smoothed = smoothed === undefined ? loss : 0.98 * smoothed + 0.02 * loss
      const done = epoch * batches + batch + 1
      output.onProgress({ phase: 'train network', done, total: epochs * batches, note: `loss ${smoothed.toFixed(4)}` })
    }
  }
}

async function predictRows(
  tf: typeof TensorFlow,
  model: TensorFlow.LayersModel,
  dense: DenseTask,
  { start, end }: Range,
): Promise<Float64Array> {
  const out = new Float64Array(end - start)
  const step = 16_384
  for (let row = start; row < end; row += step) {
    const count = Math.min(step, end - row)
    const xs = tf.tensor2d(dense.data.subarray(row * dense.width, (row + count) * dense.width), [count, dense.width])
    const ys = model.predict(xs) as TensorFlow.Tensor
    out.set(await ys.data(), row - start)
    tf.dispose([xs, ys])
  }
  return out
}

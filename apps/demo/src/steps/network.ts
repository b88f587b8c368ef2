// Step "network": a small neural network on whichever TensorFlow.js backend is there, beside two baselines.
import type * as TensorFlow from '@tensorflow/tfjs'
import { throwIfAborted, type Interval } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { aucDifference, aucInterval, logLossInterval } from '@ft/core/statistics'
import type { FlightTask, Range } from '@ft/datasets'
import type { Output } from '@ft/report'
import { pickBackend } from '../backend.ts'
import { denseFeatures, type DenseTask } from '../features.ts'
import { baseRate, levelRates } from '../rates.ts'
import type { Claim, Step } from '../story.ts'

const BATCH = 1024

interface Scored {
  readonly model: string
  readonly auc: Interval
  readonly logLoss: Interval
  readonly probabilities: Float64Array
}

export const networkStep: Step = {
  name: 'network',
  title: 'A small network for late arrivals',
  async run({ options, output, flights }) {
    const { task } = await flights()
    const backend = await pickBackend()
    output.text(
      `TensorFlow.js backend: ${backend.name}${backend.passedOver.map((item) => `; not ${item.name}: ${item.reason}`).join('')}`,
    )
    const dense = denseFeatures(task)
    const epochs = options.quick ? 1 : 3
    const model = buildModel(backend.tf, dense.width, options.seed)
    await fit({ tf: backend.tf, model, dense, task, epochs, seed: options.seed, output })
    const test = task.split.test
    const learned = await predictRows(backend.tf, model, dense, test)
    model.dispose()

    const labels = task.label.subarray(test.start, test.end)
    const constant = new Float64Array(labels.length).fill(baseRate(task))
    const byHour = levelRates(task, 'hourOfWeek').subarray(test.start, test.end)
    const rows: Scored[] = Object.entries({ 'base rate': constant, 'hour of the week': byHour, network: learned }).map(
      ([name, probabilities]) => ({
        model: name,
        auc: aucInterval({ scores: probabilities, labels }),
        logLoss: logLossInterval({ probabilities, labels }),
        probabilities,
      }),
    )
    output.table(rows, [
      { header: 'model', value: (row) => row.model },
      { header: 'AUC', value: (row) => row.auc, digits: 4 },
      { header: 'log loss', value: (row) => row.logLoss, digits: 4 },
    ])
    for (const { model: name, auc, logLoss } of rows)
      output.result({ step: 'network', model: name, auc, logLoss, n: labels.length })
    return claims(learned, byHour, labels)
  },
}

function claims(learned: Float64Array, byHour: Float64Array, labels: Uint8Array): Claim[] {
  const measured = aucDifference({ first: learned, second: byHour, labels })
  return [{ text: 'a small network beats the hour of the week (AUC difference)', measured, above: 0 }]
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
  readonly signal?: AbortSignal
}

async function fit({ tf, model, dense, task, epochs, seed, output, signal }: Fit): Promise<void> {
  const { train } = task.split
  const batches = Math.floor((train.end - train.start) / BATCH)
  const random = createRandom(seed).stream('network batches')
  let smoothed: number | undefined
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = random.permutation(train.end - train.start)
    for (let batch = 0; batch < batches; batch++) {
      throwIfAborted(signal, 'demo')
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

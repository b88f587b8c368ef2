// Bench "tfjs": a LeNet on MNIST trained by TensorFlow.js on its wasm backend with this project's gradient kernels: one
// step beside the same step on the cpu backend, in turns, and what the network gets right in the end.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type * as TensorFlow from '@tensorflow/tfjs'
import { createRandom } from '@ft/core/random'
import { wilson } from '@ft/core/statistics'
import { locate, pixelsToFloat, readImages } from '@ft/datasets'
import { registerTrainingKernels } from '@ft/tensor-core/tfjs'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { bounds, type Bench, type BenchContext } from './bench.ts'
import { interleave } from './support/interleave.ts'

type Tf = typeof TensorFlow

interface Images {
  readonly pixels: Float32Array
  readonly labels: Uint8Array
}

const batch = 64

export const tfjs: Bench = {
  name: 'tfjs',
  title: 'Training a LeNet on MNIST: TensorFlow.js on wasm with gradient kernels, beside its cpu backend',
  async run(context) {
    const tf = await import('@tensorflow/tfjs')
    const wasm = await import('@tensorflow/tfjs-backend-wasm')
    wasm.setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`)
    await tf.setBackend('wasm')
    const engine = createWasmEngine({ threads: 1 })
    const kernels = registerTrainingKernels(tf, engine)
    context.note(
      `TensorFlow.js ${tf.version['tfjs-core']}; added to its wasm backend: ${kernels.registered.join(', ')}`,
    )
    try {
      const train = await readSet('train')
      await stepTimes(context, { tf, train })
      await accuracy(context, { tf, train, test: await readSet('test') })
    } finally {
      kernels.unregister()
      await engine.dispose()
    }
  },
}

async function readSet(part: 'train' | 'test'): Promise<Images> {
  const { images, labels } = await readImages('mnist', { part, set: locate('mnist') })
  return { pixels: pixelsToFloat(images).data, labels }
}

function lenet(tf: Tf, seed: number): TensorFlow.Sequential {
  const kernelInitializer = (layer: number) => tf.initializers.heNormal({ seed: seed * 10 + layer })
  const { conv2d, dense, flatten, maxPooling2d } = tf.layers
  const activation = 'relu'
  const model = tf.sequential({
    layers: [
      conv2d({
        inputShape: [28, 28, 1],
        filters: 6,
        kernelSize: 5,
        padding: 'same',
        activation,
        kernelInitializer: kernelInitializer(1),
      }),
      maxPooling2d({ poolSize: 2, strides: 2 }),
      conv2d({ filters: 16, kernelSize: 5, activation, kernelInitializer: kernelInitializer(2) }),
      maxPooling2d({ poolSize: 2, strides: 2 }),
      flatten(),
      dense({ units: 120, activation, kernelInitializer: kernelInitializer(3) }),
      dense({ units: 84, activation, kernelInitializer: kernelInitializer(4) }),
      dense({ units: 10, activation: 'softmax', kernelInitializer: kernelInitializer(5) }),
    ],
  })
  model.compile({ optimizer: tf.train.adam(0.002), loss: 'categoricalCrossentropy' })
  return model
}

async function step(
  tf: Tf,
  model: TensorFlow.Sequential,
  o: { images: Images; rows: Iterable<number> },
): Promise<void> {
  const rows = [...o.rows]
  const pixels = new Float32Array(rows.length * 784)
  rows.forEach((row, i) => pixels.set(o.images.pixels.subarray(row * 784, (row + 1) * 784), i * 784))
  const x = tf.tensor4d(pixels, [rows.length, 28, 28, 1])
  const labels = rows.map((row) => o.images.labels[row] as number)
  const y = tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), 10))
  await model.trainOnBatch(x, y)
  tf.dispose([x, y])
}

/** Each backend has its own network; changing backends is no part of what is timed. */
async function stepTimes(context: BenchContext, { tf, train }: { tf: Tf; train: Images }): Promise<void> {
  const models = { wasm: undefined, cpu: undefined } as Record<'wasm' | 'cpu', TensorFlow.Sequential | undefined>
  const rival = (backend: 'wasm' | 'cpu') => ({
    name: backend,
    async run() {
      if (tf.getBackend() !== backend) await tf.setBackend(backend)
      const model = (models[backend] ??= lenet(tf, context.seed))
      await step(tf, model, { images: train, rows: Array(batch).keys() })
    },
  })
  const rivals = [rival('wasm'), rival('cpu')]
  const timed = await interleave(rivals, {
    rounds: context.quick ? 3 : 7,
    warmUp: 1,
    seed: context.seed,
    shortestMs: 1,
  })
  const ratio = timed.ratio('cpu', 'wasm')
  context.emit({
    case: `LeNet, batch ${batch}`,
    metric: 'training step, speed',
    value: 1000 / timed.medianOf('wasm'),
    unit: 'steps/s',
    baseline: { case: 'cpu backend', value: 1000 / timed.medianOf('cpu') },
    ratio: ratio.value,
    ...bounds(ratio),
    target: 'ratio >= 10',
  })
  for (const model of Object.values(models)) model?.dispose()
}

async function accuracy(
  context: BenchContext,
  { tf, train, test }: { tf: Tf; train: Images; test: Images },
): Promise<void> {
  await tf.setBackend('wasm')
  const model = lenet(tf, context.seed)
  const random = createRandom(context.seed).stream('lenet batches')
  const [count, passes] = context.quick ? [20_000, 1] : [train.labels.length, 2]
  const start = performance.now()
  for (let pass = 0; pass < passes; pass++) {
    const order = random.permutation(train.labels.length).subarray(0, count)
    for (let at = 0; at + batch <= count; at += batch)
      await step(tf, model, { images: train, rows: order.subarray(at, at + batch) })
  }
  context.note(`${passes} x ${count} images in ${((performance.now() - start) / 1000).toFixed(0)} s`)
  let right = 0
  const images = test.labels.length
  for (let at = 0; at < images; at += 1000) {
    const x = tf.tensor4d(test.pixels.subarray(at * 784, (at + 1000) * 784), [1000, 28, 28, 1])
    const guess = tf.tidy(() => (model.predict(x) as TensorFlow.Tensor).argMax(1))
    ;(await guess.data()).forEach((label, i) => (right += label === test.labels[at + i] ? 1 : 0))
    tf.dispose([x, guess])
  }
  const { low, high } = wilson({ successes: right, trials: images })
  context.emit({
    case: `LeNet, ${passes} x ${count} images`,
    metric: 'test images right',
    value: right / images,
    unit: 'of all',
    low,
    high,
    n: images,
    target: 'value >= 0.98',
  })
  model.dispose()
}

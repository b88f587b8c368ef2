// A LeNet on MNIST on the wasm backend with the training kernels: it learns, and its first steps are those of the cpu backend.
import { pixelsToFloat, readImages, requireData } from '@ft/datasets'
import { createRandom } from '@ft/core/random'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerTrainingKernels, type TrainingKernels } from '../../src/tfjs.ts'
import { createWasmEngine, type WasmEngine } from '../../src/wasm.ts'
import { tf, use } from './support.ts'

const { set, skip } = requireData('mnist')
if (skip !== undefined) console.warn(`LeNet on MNIST is skipped: ${skip}`)

function lenet(): tf.Sequential {
  let seed = 1
  const kernelInitializer = (): ReturnType<typeof tf.initializers.heNormal> =>
    tf.initializers.heNormal({ seed: seed++ })
  const convolution = (filters: number, o: object = {}): tf.layers.Layer =>
    tf.layers.conv2d({ filters, kernelSize: 5, activation: 'relu', kernelInitializer: kernelInitializer(), ...o })
  const dense = (units: number, activation: 'relu' | 'softmax'): tf.layers.Layer =>
    tf.layers.dense({ units, activation, kernelInitializer: kernelInitializer() })
  const pool = (): tf.layers.Layer => tf.layers.maxPooling2d({ poolSize: 2, strides: 2 })
  const model = tf.sequential({
    layers: [
      convolution(6, { inputShape: [28, 28, 1], padding: 'same' }),
      pool(),
      convolution(16),
      pool(),
      tf.layers.flatten(),
      dense(120, 'relu'),
      dense(84, 'relu'),
      dense(10, 'softmax'),
    ],
  })
  model.compile({ optimizer: tf.train.adam(0.002), loss: 'categoricalCrossentropy' })
  return model
}

describe.skipIf(set === undefined)('LeNet on MNIST', () => {
  let engine: WasmEngine
  let kernels: TrainingKernels
  beforeAll(async () => {
    await use('wasm')
    engine = createWasmEngine({ threads: 1 })
    kernels = registerTrainingKernels(tf, engine)
  })
  afterAll(async () => {
    kernels.unregister()
    await engine.dispose()
  })

  async function images(part: 'train' | 'test', count: number): Promise<{ x: Float32Array; labels: Uint8Array }> {
    const all = await readImages('mnist', { part, ...(set ? { set } : {}) })
    return { x: pixelsToFloat(all.images).data.subarray(0, count * 784), labels: all.labels.subarray(0, count) }
  }

  async function train(model: tf.Sequential, o: { x: Float32Array; labels: Uint8Array; batch: number; steps: number }) {
    const order = createRandom(3).stream('batches').permutation(o.labels.length)
    const losses: number[] = []
    for (let step = 0; step < o.steps; step++) {
      const rows = Array.from({ length: o.batch }, (_, i) => order[(step * o.batch + i) % order.length] as number)
      const pixels = new Float32Array(o.batch * 784)
      rows.forEach((row, i) => pixels.set(o.x.subarray(row * 784, (row + 1) * 784), i * 784))
      const x = tf.tensor4d(pixels, [o.batch, 28, 28, 1])
      const y = tf.tidy(() =>
        tf.oneHot(
          tf.tensor1d(
            rows.map((row) => o.labels[row] as number),
            'int32',
          ),
          10,
        ),
      )
      losses.push((await model.trainOnBatch(x, y)) as number)
      tf.dispose([x, y])
    }
    return losses
  }

  it('takes the steps of the cpu backend', async () => {
    const data = await images('train', 64)
    const losses: number[][] = []
    for (const backend of ['wasm', 'cpu'] as const) {
      await use(backend)
      const model = lenet()
      losses.push(await train(model, { ...data, batch: 8, steps: 2 }))
      model.dispose()
    }
    const [wasm, cpu] = losses as [number[], number[]]
    // Float32 roundings beside a loss of about 2.3; two steps cannot enlarge them by more than a thousand.
    wasm.forEach((loss, i) => expect(Math.abs(loss - (cpu[i] as number))).toBeLessThan(1e-3))
  })

  it('learns: nine of ten test images are right after one pass over 8,000', async () => {
    await use('wasm')
    const model = lenet()
    await train(model, { ...(await images('train', 8000)), batch: 32, steps: 250 })
    const { x, labels } = await images('test', 1000)
    const guess = tf.tidy(() => (model.predict(tf.tensor4d(x, [1000, 28, 28, 1])) as tf.Tensor).argMax(1))
    const right = Array.from(await guess.data()).filter((label, i) => label === labels[i]).length
    tf.dispose(guess)
    model.dispose()
    expect(right / 1000).toBeGreaterThan(0.9)
  })
})

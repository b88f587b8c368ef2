// The dense model on TensorFlow.js beside the one on the WebAssembly engine: the same losses, gradients and training.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import { beforeAll, describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createDenseModel, evaluate, openShards, train } from '../src/index.ts'
import { createTfjsModel } from '../src/tfjs.ts'
import { plantedSamples } from './support/made.ts'

const files = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))
setWasmPaths(`${files}/`)

const shape = { features: 6, tables: 4, d: 8, bottom: [16, 12], top: [24, 10] }
const options = { ...shape, optimizer: { name: 'adagrad', learningRate: 0.01 }, seed: 3 } as const
const engine = createWasmEngine({ threads: 1 })

function batchOf(samples: number, seed: number) {
  const random = createRandom(seed)
  return {
    batch: {
      dense: random.fillNormal(new Float32Array(samples * shape.features)),
      embeddings: random.fillNormal(new Float32Array(samples * shape.tables * shape.d)),
    },
    labels: Array.from({ length: samples }, () => random.integer(0, 1)),
  }
}

/**
 * Both sum the same products in float32, in another order. A sum of n terms differs by at most n 2^-24 times the sum of their
 * sizes; here n <= 40 inputs or 64 samples a layer, six layers deep, and sizes stay below 20: 64 x 6 x 20 x 2^-24 < 5e-4 of
 * the largest gradient at worst, and random signs leave its square root, some 1e-5.
 */
const tolerance = 1e-4

function expectClose(got: Float32Array, expected: Float32Array): void {
  expect(got.length).toBe(expected.length)
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  got.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(tolerance * largest))
}

describe.each(['cpu', 'wasm'])('createTfjsModel on the %s backend', (backend) => {
  beforeAll(async () => {
    expect(await tf.setBackend(backend)).toBe(true)
    await tf.ready()
  })

  it.each([1, 7, 64])('starts alike; %i samples: the same loss, probabilities and gradients', (samples) => {
    const [ours, theirs] = [createDenseModel({ ...options, engine }), createTfjsModel({ ...options, tf })]
    expect(theirs.parameters).toEqual(ours.parameters)
    const { batch, labels } = batchOf(samples, samples)
    const [a, b] = [ours.gradients(batch, labels), theirs.gradients(batch, labels)]
    expect(Math.abs(b.loss - a.loss)).toBeLessThan(tolerance * Math.max(1, a.loss))
    expectClose(b.embeddings, a.embeddings)
    b.parameters.forEach((gradient, i) => expectClose(gradient, a.parameters[i]!))
    expectClose(b.probabilities, a.probabilities)
    expect(a.probabilities).toEqual(ours.predict(batch))
    expectClose(theirs.predict(batch), ours.predict(batch))
  })

  it('leaves no tensor behind', () => {
    const model = createTfjsModel({ ...options, tf })
    const before = tf.memory().numTensors
    const { batch, labels } = batchOf(8, 2)
    model.update(model.gradients(batch, labels).parameters)
    model.predict(batch)
    expect(tf.memory().numTensors).toBe(before)
  })

  it('trains to the same quality', async () => {
    const data = plantedSamples(1_500, 1)
    const test = plantedSamples(800, 2)
    const sizes = { features: 3, tables: 2, d: 4, optimizer: { name: 'adagrad', learningRate: 0.03 }, seed: 0 } as const
    const scores = []
    for (const model of [createDenseModel({ ...sizes, engine }), createTfjsModel({ ...sizes, tf })]) {
      const tables = data.categorical.map(({ size }) => ({ rows: size }))
      const store = await openShards({ tables, d: 4, k: 2, where: 'memory' })
      await train(data, { store, model })
      scores.push((await evaluate(model, test, { store })).auc)
      await store.close()
    }
    // The same steps up to rounding: 12 steps keep probabilities within 1e-3, which moves few of 160,000 pairs.
    expect(Math.abs(scores[0]! - scores[1]!)).toBeLessThan(0.005)
    expect(scores[1]).toBeGreaterThan(0.6)
  })

  it('refuses a batch of another shape', () => {
    const model = createTfjsModel({ ...options, tf })
    const wrong = { dense: new Float32Array(6), embeddings: new Float32Array(5) }
    expect(() => model.predict(wrong)).toThrow(expect.toSatisfy((error) => isFtError(error, 'SHAPE_MISMATCH')))
  })
})

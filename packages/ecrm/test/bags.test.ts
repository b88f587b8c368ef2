// Bags of several ids: their embeddings and gradients against a float64 loss and TensorFlow.js, training with deaths, bad input.
import * as tf from '@tensorflow/tfjs'
import { afterEach, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { distinct, pool, scatterSum } from '../src/dlrm/lookUp.ts'
import { takeBatch, type Batch } from '../src/dlrm/samples.ts'
import {
  createDenseModel,
  evaluate,
  openShards,
  train,
  type CategoricalFeature,
  type DenseModel,
  type Samples,
  type ShardStore,
} from '../src/index.ts'
import { createTfjsModel } from '../src/tfjs.ts'
import { baggedSamples } from './support/made.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
const d = 4
const samples = 24
const data = baggedSamples(samples, 3)
const first = [0, 30, 70]
const tableRows = 95
const tables = data.categorical.length
const batch = takeBatch(
  data,
  Uint32Array.from({ length: samples }, (_, row) => samples - 1 - row),
  first,
)

/** Rows of all tables, `[tableRows, d]`. */
const table = createRandom(8).fillNormal(new Float32Array(tableRows * d))

/** The embedding of a sample's bag, as the words say: straight from the samples, in float64. */
function slowEmbedding(values: ArrayLike<number>, sample: number, t: number): number[] {
  const { ids, offsets, weights, pooling } = data.categorical[t]!
  const [start, end] = offsets === undefined ? [sample, sample + 1] : [offsets[sample]!, offsets[sample + 1]!]
  const out = new Array<number>(d).fill(0)
  let all = 0
  for (let m = start; m < end; m++) {
    const weight = weights?.[m] ?? 1
    all += weight
    for (let j = 0; j < d; j++) out[j]! += weight * values[(first[t]! + ids[m]!) * d + j]!
  }
  return pooling === 'mean' && all > 0 ? out.map((sum) => sum / all) : out
}

function embeddingsOf(values: Float32Array, { ids, bags }: Batch): Float32Array {
  const found = distinct(ids)
  const rows = new Float32Array(found.ids.length * d)
  found.ids.forEach((id, i) => rows.set(values.subarray(id * d, (id + 1) * d), i * d))
  return pool(rows, found, { d, bags })
}

/** Gradients of every row of the tables, zeros for those that the batch does not name. */
function rowGradients(model: DenseModel): Float32Array {
  const found = distinct(batch.ids)
  const { embeddings } = model.gradients({ dense: batch.dense, embeddings: embeddingsOf(table, batch) }, batch.labels)
  const ofRows = scatterSum(embeddings, found, { d, bags: batch.bags })
  const out = new Float32Array(tableRows * d)
  found.ids.forEach((id, i) => out.set(ofRows.subarray(i * d, (i + 1) * d), id * d))
  return out
}

const sizes = {
  features: 2,
  tables,
  d,
  bottom: [6],
  top: [8],
  optimizer: { name: 'sgd', learningRate: 1 },
  seed: 4,
} as const
const engine = createWasmEngine({ threads: 1 })

it('the made samples have what is to be shown: empty bags, repeated ids, several ids', () => {
  const lengths = Array.from(
    { length: samples * tables },
    (_, bag) => batch.bags!.offsets[bag + 1]! - batch.bags!.offsets[bag]!,
  )
  expect(Math.min(...lengths)).toBe(0)
  expect(Math.max(...lengths)).toBeGreaterThan(3)
  expect(new Set(batch.ids).size).toBeLessThan(batch.ids.length)
})

it('a bag becomes the weighted sum or mean of its rows, an empty one zeros', () => {
  const got = embeddingsOf(table, batch)
  expect(got).toHaveLength(samples * tables * d)
  for (let i = 0; i < samples; i++) {
    for (let t = 0; t < tables; t++) {
      // Five terms of size 4, each weight rounded to float32 and the sum once more: (5 + 1) x 4 x 2^-24 < 2e-6.
      slowEmbedding(table, samples - 1 - i, t).forEach((value, j) =>
        expect(Math.abs(got[(i * tables + t) * d + j]! - value)).toBeLessThan(2e-6),
      )
    }
  }
})

it('bags of one id count as no bags, bit for bit', () => {
  const plain = { ...data, categorical: [data.categorical[0]!] }
  const offsets = Uint32Array.from({ length: samples + 1 }, (_, row) => row)
  const bagged = { ...data, categorical: [{ ...data.categorical[0]!, offsets, pooling: 'mean' as const }] }
  const chosen = Uint32Array.of(5, 0, 9, 5)
  const [a, b] = [takeBatch(plain, chosen, [0]), takeBatch(bagged, chosen, [0])]
  expect(b.ids).toEqual(a.ids)
  expect(embeddingsOf(table, b)).toEqual(embeddingsOf(table, a))
  const found = distinct(a.ids)
  const gradients = createRandom(1).fillNormal(new Float32Array(4 * d))
  expect(scatterSum(gradients, found, { d, bags: b.bags })).toEqual(scatterSum(gradients, found, { d }))
})

describe.each(['wasm', 'tfjs'] as const)('gradients of rows, dense model on %s', (name) => {
  const model = name === 'wasm' ? createDenseModel({ ...sizes, engine }) : createTfjsModel({ ...sizes, tf })

  it('are those of the loss, by central differences', () => {
    const got = rowGradients(model)
    const labels = batch.labels
    // The loss in float64 of float32 embeddings would show their rounding: the difference is taken along the embeddings instead, whose
    // gradient the dense model's own tests compare with a float64 loss; here the chain from a row to the loss is.
    const { embeddings: ofEmbeddings } = model.gradients(
      { dense: batch.dense, embeddings: embeddingsOf(table, batch) },
      labels,
    )
    const values = Float64Array.from(table)
    const linear = (): number => {
      let sum = 0
      for (let i = 0; i < samples; i++)
        for (let t = 0; t < tables; t++)
          slowEmbedding(values, samples - 1 - i, t).forEach(
            (value, j) => (sum += value * ofEmbeddings[(i * tables + t) * d + j]!),
          )
      return sum
    }
    // Linear in the rows: a step of 1 has no error but rounding, 300 terms of size 1: 1e-12. Sums of float32 weights and one rounding
    // are left: gradients stay below 1, 60 mentions, 60 x 2^-24 < 4e-6.
    const base = linear()
    values.forEach((value, i) => {
      values[i] = value + 1
      expect(Math.abs(got[i]! - (linear() - base))).toBeLessThan(4e-6)
      values[i] = value
    })
    expect(got.some((value) => Math.abs(value) > 1e-3)).toBe(true)
  })

  it('are those of the whole loss', () => {
    const got = rowGradients(model)
    const lossAt = (values: Float32Array): number =>
      model.gradients({ dense: batch.dense, embeddings: embeddingsOf(values, batch) }, batch.labels).loss
    // Along one direction, as the float32 loss allows no small steps: g . v against a central difference of 2^-7, whose error is the
    // loss's own rounding, 24 samples of size 1: 1e-6 / 2^-7 = 1.3e-4, and the curvature's, third derivatives of order 10: 2e-4.
    const direction = createRandom(5).fillNormal(new Float32Array(table.length))
    const length = Math.hypot(...direction)
    const step = 2 ** -7
    const moved = (sign: number): Float32Array =>
      table.map((value, i) => value + (sign * step * direction[i]!) / length)
    const expected = (lossAt(moved(1)) - lossAt(moved(-1))) / (2 * step)
    const along = got.reduce((sum, value, i) => sum + (value * direction[i]!) / length, 0)
    expect(Math.abs(along - expected)).toBeLessThan(5e-4)
    expect(Math.abs(along)).toBeGreaterThan(2e-3)
  })
})

it('agree with what TensorFlow.js derives by itself, from the tables to the loss', async () => {
  await tf.setBackend('cpu')
  const model = createDenseModel({ ...sizes, engine })
  const got = rowGradients(model)
  // A matrix says how often each row counts in each bag; TensorFlow.js derives through it and all layers.
  const counts = new Float32Array(samples * tables * tableRows)
  data.categorical.forEach((_, t) => {
    for (let i = 0; i < samples; i++) {
      for (let id = 0; id < tableRows; id++) {
        const unit = new Float32Array(tableRows * d)
        unit[id * d] = 1
        counts[(i * tables + t) * tableRows + id] = slowEmbedding(unit, samples - 1 - i, t)[0]!
      }
    }
  })
  const [w0, b0, w1, b1, w2, b2, w3, b3] = model.parameters.map((one) => tf.tensor1d(one)) as tf.Tensor[]
  const dense = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor =>
    tf.add(tf.matMul(x as tf.Tensor2D, tf.reshape(w, [x.shape[1]!, b.size])), b)
  const loss = (values: tf.Tensor): tf.Scalar => {
    const embeddings = tf.reshape(
      tf.matMul(tf.tensor2d(counts, [samples * tables, tableRows]), values as tf.Tensor2D),
      [samples, tables, d],
    )
    const z0 = tf.relu(dense(tf.relu(dense(tf.tensor2d(batch.dense, [samples, 2]), w0!, b0!)), w1!, b1!))
    const vectors = [z0, ...tf.unstack(embeddings, 1)]
    const pairs: tf.Tensor[] = []
    for (let i = 1; i < vectors.length; i++)
      for (let j = 0; j < i; j++) pairs.push(tf.sum(tf.mul(vectors[i]!, vectors[j]!), 1, true))
    const z = dense(tf.relu(dense(tf.concat([z0, ...pairs], 1), w2!, b2!)), w3!, b3!)
    return tf.losses.sigmoidCrossEntropy(tf.tensor1d(batch.labels), tf.reshape(z, [samples]))
  }
  const expected = tf
    .grad(loss)(tf.tensor2d(table, [tableRows, d]))
    .dataSync()
  const largest = Math.max(...expected.map(Math.abs))
  expect(largest).toBeGreaterThan(1e-3)
  // As in the tests of the TensorFlow.js model: some 1e-5 of the largest, 1e-4 at worst.
  got.forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-4 * largest))
})

describe('training', () => {
  const data = baggedSamples(3_000, 1)
  const test = baggedSamples(1_500, 7)
  let open: ShardStore[] = []
  afterEach(async () => {
    await Promise.all(open.map((store) => store.close()))
    open = []
  })
  /** Everything a run leaves behind; servers `kills` die one after the other. */
  async function trainOn(where: 'memory' | 'process', how: { kills?: readonly number[]; workers?: number } = {}) {
    const { kills = [], workers = 1 } = how
    const tables = data.categorical.map(({ size }) => ({ rows: size }))
    const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
    const store = await openShards({ tables, d: 8, k: 2, r: 1, servers: 4, optimizer, where })
    open.push(store)
    const { model } = await train(data, {
      ...{ store, batch: 64, seed: 5, epochs: 2, workers },
      async onStep({ step }) {
        if (step % 20 !== 12) return
        await store.recovered()
        const server = kills[Math.floor(step / 20)]
        if (server !== undefined) store.kill(server)
      },
    })
    expect(await store.recovered()).toEqual([])
    expect(store.replacements).toBe(kills.length)
    const { probabilities, auc } = await evaluate(model, test, { store })
    const { words } = await store.snapshot()
    return { bits: { parameters: model.parameters, state: model.state, probabilities, words }, auc }
  }

  it.each(['memory', 'process'] as const)('shards in %s, killed or not: the same bits', async (where) => {
    const calm = await trainOn('memory')
    const stormy = await trainOn(where, { kills: [1, 3, 0] })
    expect(stormy.bits).toEqual(calm.bits)
    expect(calm.auc).toBeGreaterThan(0.75)
  })

  it('two workers, killed or not: the same bits', async () => {
    const [calm, stormy] = [
      await trainOn('process', { workers: 2 }),
      await trainOn('process', { workers: 2, kills: [2] }),
    ]
    expect(stormy.bits).toEqual(calm.bits)
    expect(calm.auc).toBeGreaterThan(0.75)
  })
})

it.each([
  ['offsets of another number', { offsets: [0, 1] }, 'SHAPE_MISMATCH'],
  ['offsets that do not begin at 0', { offsets: [1, 1, 3] }, 'INVALID_ARGUMENT'],
  ['offsets that go back', { offsets: [0, 3, 2] }, 'INVALID_ARGUMENT'],
  ['offsets beyond the ids', { offsets: [0, 4, 4] }, 'INVALID_ARGUMENT'],
  ['ids beyond the offsets', { offsets: [0, 1, 2] }, 'SHAPE_MISMATCH'],
  ['an id that the table has not', { ids: [0, 1, 9] }, 'INVALID_ARGUMENT'],
  ['weights of another number', { weights: [1] }, 'SHAPE_MISMATCH'],
  ['a weight that is no number', { weights: [1, NaN, 1] }, 'INVALID_ARGUMENT'],
  ['a weight beyond float32', { weights: [1, 1e39, 1] }, 'INVALID_ARGUMENT'],
  ['a mean with a weight of 0', { weights: [1, 0, 1], pooling: 'mean' }, 'INVALID_ARGUMENT'],
  ['a pooling that there is not', { pooling: 'max' }, 'INVALID_ARGUMENT'],
  ['weights without offsets', { offsets: undefined, weights: [1, 1, 1] }, 'INVALID_ARGUMENT'],
] as const)('refuses %s', async (_, change, code) => {
  const feature = { size: 9, ids: [0, 1, 8], offsets: [0, 3, 3], ...change } as CategoricalFeature
  const samples: Samples = { dense: new Float32Array(2), categorical: [feature], label: [0, 1] }
  const store = await openShards({ tables: [{ rows: 9 }], d: 4, k: 2, r: 1, where: 'memory' })
  await expect(train(samples, { store })).rejects.toEqual(fails(code))
  await store.close()
})

it('batches whose bags are all empty are trained on; a run is resumed with the same bags alone', async () => {
  const store = await openShards({ tables: [{ rows: 9 }], d: 4, k: 2, r: 1, where: 'memory' })
  const made = (change: Partial<CategoricalFeature>): Samples => ({
    dense: new Float32Array(4).fill(0.5),
    categorical: [{ size: 9, ids: [], offsets: new Uint32Array(5), pooling: 'mean', ...change }],
    label: [0, 1, 1, 1],
  })
  const options = { store, batch: 2, replicateEvery: 1 }
  expect((await train(made({}), options)).history).toHaveLength(2)
  const resumed = { ...options, epochs: 2, resume: true }
  const single = { size: 9, ids: [0, 1, 2, 3] }
  const others = [made({ pooling: 'sum' }), made({ weights: [] }), { ...made({}), categorical: [single] }]
  for (const other of others) await expect(train(other, resumed)).rejects.toEqual(fails('INVALID_ARGUMENT'))
  expect((await train(made({}), resumed)).history.map(({ step }) => step)).toEqual([2, 3])
  await store.close()
})

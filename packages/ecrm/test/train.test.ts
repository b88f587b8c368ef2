// Training on planted data: it learns, and a killed shard changes no bit of the model.
import { afterEach, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { auc } from '@ft/core/statistics'
import { evaluate, openShards, train, type ShardOptions, type ShardStore, type TrainOptions } from '../src/index.ts'
import { plantedSamples } from './support/made.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
const data = plantedSamples(4_000, 1)
const test = plantedSamples(2_000, 2)
const tables = data.categorical.map(({ size }) => ({ rows: size }))
let open: ShardStore[] = []
async function start(options: Partial<ShardOptions>): Promise<ShardStore> {
  const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
  const store = await openShards({ tables, d: 8, k: 2, servers: 4, optimizer, ...options })
  open.push(store)
  return store
}
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()))
  open = []
})

/** Everything a run leaves behind. */
async function trainOn(store: ShardStore, options: Partial<TrainOptions> = {}) {
  const { model, history } = await train(data, { store, batch: 64, seed: 5, ...options })
  const { probabilities, ...scores } = await evaluate(model, test, { store })
  const bits = { parameters: model.parameters, state: model.state, rows: await store.snapshot(), probabilities }
  return { bits, history, scores }
}

it('learns the planted rule', async () => {
  const { history, scores } = await trainOn(await start({ where: 'memory' }), { epochs: 2 })
  expect(history).toHaveLength(2 * Math.ceil(4_000 / 64))
  const labels = Array.from(test.label)
  const best = auc({ scores: test.score, labels })
  const denseAlone = auc({ scores: labels.map((_, row) => test.dense[row * 3]!), labels })
  // The planted score is the best there is. 2,000 rows give an AUC to about 0.01 either way; a model that has learned only
  // one part stays far below.
  expect(denseAlone).toBeLessThan(best - 0.1)
  expect(scores.auc).toBeGreaterThan(best - 0.05)
})

it.each([
  ['memory', 1, 'adagrad'],
  ['memory', 2, 'adam'],
  ['process', 1, 'rowwise-adagrad'],
  ['process', 2, 'momentum'],
] as const)('shards in %s, r = %i, %s: killed or not, the whole model has the same bits', async (where, r, name) => {
  const options = { r, servers: 2 + r + 1, optimizer: { name, learningRate: 0.02 } }
  const calm = await trainOn(await start({ ...options, where: 'memory' }))
  const store = await start({ ...options, where })
  const stormy = await trainOn(store, {
    onStep: ({ step }) => {
      if (step === 20) for (let server = 0; server < r; server++) store.kill(server)
      if (step === 45) store.kill(3)
    },
  })
  expect(store.replacements).toBeGreaterThanOrEqual(r)
  expect(await store.recovered()).toEqual([])
  expect(stormy).toEqual(calm)
})

it('ends at its signal, between two steps', async () => {
  const store = await start({ where: 'memory' })
  const controller = new AbortController()
  const done: number[] = []
  const running = train(data, {
    store,
    signal: controller.signal,
    onProgress: (progress) => {
      done.push(progress.done)
      if (progress.done === 3) controller.abort()
    },
  })
  await expect(running).rejects.toThrow(fails('ABORTED'))
  expect(done).toEqual([1, 2, 3])
})

it('trains on from a model', async () => {
  const store = await start({ where: 'memory' })
  const first = await train(data, { store })
  const second = await train(data, { store, model: first.model, seed: 1 })
  expect(second.model).toBe(first.model)
  const mean = (of: typeof first) => of.history.reduce((sum, { loss }) => sum + loss, 0) / of.history.length
  expect(mean(second)).toBeLessThan(mean(first))
})

it('refuses numbers of steps and samples that are none', async () => {
  const store = await start({ where: 'memory' })
  const { model } = await train(data, { store, until: 1 })
  for (const batch of [NaN, -1, 0, 0.5])
    await expect(evaluate(model, test, { store, batch })).rejects.toThrow(fails('INVALID_ARGUMENT'))
  for (const until of [NaN, -1, 0.5])
    await expect(train(data, { store, until })).rejects.toThrow(fails('INVALID_ARGUMENT'))
  expect((await train(data, { store, until: 0 })).history).toEqual([])
})

it.each([
  ['labels without features', { ...data, dense: new Float32Array(5) }, 'SHAPE_MISMATCH'],
  ['a short column', { ...data, categorical: [{ size: 40, ids: [1] }] }, 'SHAPE_MISMATCH'],
  [
    'an id out of range',
    { ...data, categorical: data.categorical.map(({ ids }) => ({ size: 3, ids })) },
    'INVALID_ARGUMENT',
  ],
  ['a feature that is no number', { ...data, dense: data.dense.with(7, NaN) }, 'INVALID_ARGUMENT'],
  ['an infinite feature', { ...data, dense: data.dense.with(7, -Infinity) }, 'INVALID_ARGUMENT'],
  ['a label of 5', { ...data, label: Array.from(data.label).with(3, 5) }, 'INVALID_ARGUMENT'],
  ['a label that is no number', { ...data, label: Array.from(data.label).with(3, NaN) }, 'INVALID_ARGUMENT'],
  ['other tables than the store has', { ...data, categorical: data.categorical.slice(1) }, 'SHAPE_MISMATCH'],
] as const)('refuses %s', async (_, samples, code) => {
  const store = await start({ where: 'memory' })
  await expect(train(samples, { store })).rejects.toThrow(fails(code))
})

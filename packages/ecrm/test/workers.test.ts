// Several workers in threads on the same shards: the same bits every time when they go together, every gradient once when each
// goes by itself, whatever is killed.
import { afterEach, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createDenseModel, evaluate, openShards, train, type ShardOptions, type ShardStore } from '../src/index.ts'
import { batchesOf } from '../src/dlrm/samples.ts'
import { train as trainAlone } from '../src/memory.ts'
import { haveRedis, redisNode } from './support/redis.ts'
import { plantedSamples } from './support/made.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
const data = plantedSamples(3_000, 1)
const test = plantedSamples(2_000, 2)
const tables = data.categorical.map(({ size }) => ({ rows: size }))
const batch = 100
const steps = 30
const seed = 5
let after: (() => unknown)[] = []
afterEach(async () => {
  for (const end of after.toReversed()) await end()
  after = []
})
async function start(options: Partial<ShardOptions>): Promise<ShardStore> {
  const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
  const store = await openShards({ tables, d: 8, k: 2, servers: 4, optimizer, ...options })
  after.push(() => store.close())
  return store
}

/** A second death before the first is made good would be one too many for r = 1. */
async function killWhenWhole(store: ShardStore, server: number, deaths: number): Promise<void> {
  while (store.replacements < deaths) await new Promise((resolve) => setTimeout(resolve, 5))
  await store.recovered()
  store.kill(server)
}

describe('together', () => {
  /** Everything a run leaves behind. */
  async function run(store: ShardStore, workers: number, kills: Readonly<Record<number, number>> = {}) {
    const { model, history } = await train(data, {
      store,
      batch,
      seed,
      workers,
      async onStep({ step }) {
        const server = kills[step]
        const before = Object.keys(kills).filter((one) => Number(one) < step).length
        if (server !== undefined) await killWhenWhole(store, server, before)
      },
    })
    expect(await store.recovered()).toEqual([])
    return { parameters: model.parameters, state: model.state, history, rows: await store.snapshot() }
  }

  it('two workers leave the same bits, through the store or by themselves, killed shards or not', async () => {
    const calm = await run(await start({ where: 'memory' }), 2)
    expect(calm.history.map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, i) => i))
    const store = await start({})
    expect(await run(store, 2, { 4: 1, 17: 2 })).toEqual(calm)
    expect(store.replacements).toBe(2)
    for (const where of ['process', 'memory'] as const) {
      const replicated = await start({ where, tables: [tables[0]!, { ...tables[1]!, protection: 'replicate' }] })
      expect(await run(replicated, 2, { 4: 1 })).toEqual(calm)
    }
  })

  it('workers compute with the network that it is, a hidden layer as wide as the interaction included', async () => {
    const pairs = (tables.length * (tables.length + 1)) / 2
    const options = { batch, seed, until: 1, bottom: [8 + pairs, 12], top: [8 + pairs] }
    const alone = await trainAlone(data, { store: await start({ where: 'memory' }), ...options })
    const together = await train(data, { store: await start({ where: 'memory' }), ...options, workers: 2 })
    expect(Math.abs(together.history[0]!.loss - alone.history[0]!.loss)).toBeLessThan(1e-6)
  })

  it('the first step is that of one worker with the whole batch, and what is learned is as good', async () => {
    const [one, three] = [await start({ where: 'memory' }), await start({})]
    const alone = await trainAlone(data, { store: one, batch, seed, epochs: 2 })
    const together = await train(data, { store: three, batch, seed, epochs: 2, workers: 3 })
    // Sums in another order: float32 of a mean of 100.
    expect(Math.abs(together.history[0]!.loss - alone.history[0]!.loss)).toBeLessThan(1e-6)
    const [first, second] = [
      await evaluate(alone.model, test, { store: one }),
      await evaluate(together.model, test, { store: three }),
    ]
    // 2,000 rows give an AUC to about 0.01 either way.
    expect(Math.abs(first.auc - second.auc)).toBeLessThan(0.02)
  })
})

describe('each by itself', () => {
  it.each([
    ['processes', {}],
    ['processes, r = 2', { r: 2, servers: 5 }],
    ['one thread', { where: 'memory' }],
    ['processes, a table with the trainer', { tables: [{ ...tables[0]!, protection: 'replicate' }, tables[1]!] }],
    ['processes, a table without parity', { tables: [{ ...tables[0]!, protection: 'leave' }, tables[1]!] }],
  ] as const)('every gradient counts once, shards in %s, some of them killed', async (_, options) => {
    const store = await start(options)
    const done: number[] = []
    await train(data, {
      store,
      batch,
      seed,
      epochs: 2,
      workers: 2,
      mode: 'async',
      async onStep({ step }) {
        done.push(step)
        if (step === 10) store.kill(1)
        if (step === 40) await killWhenWhole(store, 2, 1)
      },
    })
    expect(done).toEqual(Array.from({ length: 2 * steps }, (_, i) => i))
    const lost = await store.recovered()
    const bare = store.tables[0]!.protection === 'leave' ? store.tables[0]!.rows : 0
    expect(lost.length > 0).toBe(bare > 0)
    expect(lost.filter((id) => id >= bare)).toEqual([])
    expect(store.replacements).toBe(2)
    // Updates of a row: batches that name it, whichever worker had them.
    const expected = new Uint32Array(store.rows)
    for (const epoch of [0, 1])
      for (const chosen of batchesOf(3_000, { batch, random: createRandom(seed).stream('order', epoch) }))
        data.categorical.forEach(({ ids }, t) => {
          for (const id of new Set(Array.from(chosen, (row) => ids[row]!))) expected[store.offsets[t]! + id]!++
        })
    const { versions } = await store.snapshot()
    // Rows that started over have those since.
    for (const id of lost) {
      expect(versions[id]).toBeLessThan(expected[id]!)
      versions[id] = expected[id]!
    }
    expect(versions).toEqual(expected)
    expect((await store.scrub()).corrupt).toEqual([])
  })

  it('is not told of a step while it is at the one before, which stops no worker that computes', async () => {
    const store = await start({ where: 'memory' })
    let inside = 0
    const most: number[] = []
    const done: number[] = []
    await train(data, {
      store,
      batch,
      seed,
      workers: 3,
      mode: 'async',
      async onStep({ step }) {
        most.push(++inside)
        done.push(step)
        // Long enough for every other worker to end its step.
        await new Promise((resolve) => setTimeout(resolve, 20))
        inside--
      },
    })
    expect(Math.max(...most)).toBe(1)
    expect(done).toEqual(Array.from({ length: steps }, (_, i) => i))
  })

  it.runIf(haveRedis)('rows on Redis nodes are reached through the store', async () => {
    const nodes = await Promise.all(Array.from({ length: 4 }, () => redisNode()))
    after.push(() => Promise.all(nodes.map((node) => node.end())))
    const store = await start({ redis: nodes.map(({ address }) => address) })
    const { history } = await train(data, { store, batch, workers: 2, mode: 'async', until: 8 })
    expect(history).toHaveLength(8)
  })
})

it('a model made elsewhere is trained on, whatever its widths', async () => {
  const store = await start({ where: 'memory' })
  const optimizer = { name: 'sgd', learningRate: 0.1 } as const
  const engine = createWasmEngine({ threads: 1 })
  const sizes = { features: 3, tables: 2, d: 8, bottom: [5, 8], top: [7] }
  const model = createDenseModel({ ...sizes, engine, optimizer, seed })
  const before = model.parameters.map((one) => one.slice())
  const { model: trained } = await train(data, { store, batch, model, workers: 2, until: 3 })
  expect(trained).toBe(model)
  expect(model.parameters).not.toEqual(before)
})

it('servers are not added while workers find rows by themselves', async () => {
  const store = await start({})
  let refused: unknown
  await train(data, {
    store,
    batch,
    workers: 2,
    until: 3,
    async onStep({ step }) {
      if (step === 1) refused = await store.addServer().catch((error: unknown) => error)
    },
  })
  expect(refused).toEqual(fails('UNSUPPORTED'))
  await store.addServer()
  expect(store.layout.servers).toBe(5)
})

it.each(['sync', 'async'] as const)('%s: ends at its signal, and when the store is closed', async (mode) => {
  for (const how of ['signal', 'close']) {
    const store = await start({})
    const controller = new AbortController()
    const running = train(data, {
      store,
      batch,
      workers: 2,
      mode,
      epochs: 50,
      signal: controller.signal,
      onStep({ step }) {
        if (step !== 3) return
        if (how === 'signal') controller.abort()
        else void store.close()
      },
    })
    await expect(running).rejects.toThrow(fails('ABORTED'))
  }
})

it('refuses what cannot be', async () => {
  const store = await start({ where: 'memory' })
  await expect(train(data, { store, workers: 0 })).rejects.toThrow(fails('INVALID_ARGUMENT'))
  await expect(train(data, { store, mode: 'both' as never })).rejects.toThrow(fails('INVALID_ARGUMENT'))
  const engine = createWasmEngine({ threads: 1 })
  await expect(train(data, { store, workers: 2, engine })).rejects.toThrow(fails('INVALID_ARGUMENT'))
})

// Tables with the trainer: the bits of encoded ones, whatever is done with them and whoever dies.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createRandom } from '@ft/core/random'
import {
  createCheckpointer,
  evaluate,
  exportNpy,
  openShards,
  train,
  trainPartiallyRecovered,
  updatesAStep,
  type EmbeddingTable,
  type ShardOptions,
  type ShardStore,
} from '../src/index.ts'
import { exportOnnx } from '../src/onnx.ts'
import { createPlaces } from '../src/tables/places.ts'
import { baggedSamples, plantedSamples } from './support/made.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
let after: (() => unknown)[] = []
afterEach(async () => {
  for (const end of after.toReversed()) await end()
  after = []
})
const sizes = [30, 5, 40, 1, 12]
const near = [false, true, false, true, true]
const tablesOf = (replicated: readonly boolean[]): EmbeddingTable[] =>
  sizes.map((rows, t) => ({ rows, scale: t + 1, protection: replicated[t] === true ? 'replicate' : 'encode' }))
const base = { d: 3, k: 2, r: 1, servers: 4, where: 'memory', seed: 6 } as const
async function start(options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  const store = await openShards({ ...base, tables: tablesOf(near), ...options })
  after.push(() => store.close())
  return store
}

it('ids are split by table, and every row has its id back', () => {
  const protection = fc.constantFrom('encode' as const, 'replicate' as const, 'leave' as const)
  const protections = fc.array(fc.record({ rows: fc.integer({ min: 1, max: 9 }), protection }), { minLength: 1 })
  fc.assert(
    fc.property(protections, fc.array(fc.nat()), (made, picks) => {
      let end = 0
      const tables = made.map((table) => ({ first: (end += table.rows) - table.rows, ...table }))
      const places = createPlaces(tables)
      expect(places.rows).toBe(end)
      const ids = Uint32Array.from(picks, (pick) => pick % end)
      const back = new Uint32Array(ids.length).fill(end)
      for (const [kind, { rows, at }] of [
        [places.sharded, places.split(ids).sharded],
        [places.replicated, places.split(ids).replicated],
      ] as const) {
        rows.forEach((row, i) => {
          expect(row).toBeLessThan(kind.rows)
          back[at[i]!] = kind.idOf(row)
        })
      }
      expect(back).toEqual(ids)
      // Rows of either kind are numbered without a gap, those without parity last.
      const all = places.split(Uint32Array.from({ length: end }, (_, id) => id))
      const of = (wanted: string): number[] =>
        tables.flatMap(({ first, rows, protection: one }) =>
          one === wanted ? Array.from({ length: rows }, (_, i) => first + i) : [],
        )
      expect(Array.from({ length: places.sharded.rows }, (_, row) => places.sharded.idOf(row))).toEqual([
        ...of('encode'),
        ...of('leave'),
      ])
      expect(Array.from(all.replicated.rows)).toEqual(Array.from({ length: places.replicated.rows }, (_, i) => i))
    }),
  )
})

describe.each(['sgd', 'momentum', 'adagrad', 'rowwise-adagrad', 'adam'] as const)('with %s', (name) => {
  it('pulls, pushes, restores, snapshots and changes have the bits of encoded tables', async () => {
    const optimizer = { name, learningRate: 0.05 }
    const [store, twin] = [await start({ optimizer }), await start({ optimizer, tables: tablesOf([]) })]
    expect(store.offsets).toEqual(twin.offsets)
    expect([store.rows, store.layout.rows, twin.layout.rows]).toEqual([88, 70, 88])
    const both = async <T>(what: (store: ShardStore) => Promise<T>): Promise<T> => {
      const [one, other] = [await what(store), await what(twin)]
      expect(one).toEqual(other)
      return one
    }
    const sorted = async (one: ShardStore) => {
      const { ids, words, versions } = await one.changed()
      const order = Array.from(ids.keys()).toSorted((a, b) => ids[a]! - ids[b]!)
      return order.map((i) => [ids[i], versions[i], words.slice(i * one.width, (i + 1) * one.width)])
    }
    const random = createRandom(2).stream(name)
    await both((one) => one.pull(Uint32Array.from({ length: 88 }, (_, id) => id)))
    expect(await both(sorted)).toHaveLength(88)
    const early = await both((one) => one.snapshot({ mark: true }))
    for (let step = 0; step < 40; step++) {
      const ids = Uint32Array.from({ length: random.integer(0, 12) }, () => random.integer(0, 87))
      const gradients = random.fillNormal(new Float32Array(ids.length * 3))
      await both((one) => one.push(ids, gradients))
      await both((one) => one.pull(ids))
      // A server that was replaced tells all its rows as changed, until the next mark.
      if (step === 27) store.kill(2)
      if (step === 20) await both((one) => one.restore(early, [1, 31, 87, 75, 40]))
      if (step === 25) await both(sorted)
      if (step === 30) await both((one) => one.snapshot({ mark: true }))
    }
    expect(await both((one) => one.recovered())).toEqual([])
    expect((await both(sorted)).length).toBeLessThan(88)
    await both((one) => one.restore(early))
    await both((one) => one.snapshot())
  })
})

it('no server can lose them: of three of four that die at once encoded rows alone are lost, by their ids', async () => {
  const store = await start()
  const ids = Uint32Array.from({ length: 88 }, (_, id) => id)
  await store.push(ids, new Float32Array(88 * 3).fill(1))
  const before = await store.pull(ids)
  for (const server of [0, 1, 2]) store.kill(server)
  const lost = new Set(await store.recovered())
  expect(lost.size).toBeGreaterThan(0)
  const places = createPlaces(store.tables)
  for (const kind of [places.sharded, places.replicated])
    for (let row = 0; row < kind.rows; row++) {
      const id = kind.idOf(row)
      const [now, then] = [await store.pull(Uint32Array.of(id)), before.slice(id * 3, (id + 1) * 3)]
      if (lost.has(id)) expect(kind).toBe(places.sharded)
      else expect(now).toEqual(then)
    }
})

it('what one side refuses is not applied by the other', async () => {
  const store = await start()
  const before = await store.snapshot()
  const push = (ids: number[], gradients: Float32Array) => store.push(Uint32Array.from(ids), gradients)
  await expect(push([31, 2], Float32Array.of(1, 1, 1, 1, NaN, 1))).rejects.toThrow(fails('INVALID_ARGUMENT'))
  await expect(push([2, 31], Float32Array.of(1, 1, 1, 1, Infinity, 1))).rejects.toThrow(fails('INVALID_ARGUMENT'))
  await expect(push([31, 88], new Float32Array(6).fill(1))).rejects.toThrow(/must be below 88, got 88 at 1/)
  await expect(push([31, 2], new Float32Array(5).fill(1))).rejects.toThrow(fails('SHAPE_MISMATCH'))
  await expect(store.pull(Uint32Array.of(88))).rejects.toThrow(fails('INVALID_ARGUMENT'))
  await expect(store.restore({ ...before, versions: before.versions.slice(1) })).rejects.toThrow(
    fails('SHAPE_MISMATCH'),
  )
  await expect(store.restore(before, [88])).rejects.toThrow(fails('INVALID_ARGUMENT'))
  const version = { step: 1, arrays: [], push: { ids: Uint32Array.of(31), gradients: Float32Array.of(1, NaN, 1) } }
  await expect(store.keep(version)).rejects.toThrow(fails('INVALID_ARGUMENT'))
  expect(await store.snapshot()).toEqual(before)
})

it('tables that cannot be protected so are refused when the store opens', async () => {
  const open = (tables: unknown) => openShards({ ...base, tables: tables as EmbeddingTable[] })
  await expect(open([{ rows: 4, protection: 'replicate' }])).rejects.toThrow(/must have one to encode/)
  await expect(open([{ rows: 4, protection: 'leave' }])).rejects.toThrow(/must have one to encode/)
  await expect(open([{ rows: 9, protection: 'copy' }])).rejects.toThrow(fails('INVALID_ARGUMENT'))
  await expect(open([{ rows: 9 }, { rows: 0, protection: 'replicate' }])).rejects.toThrow(fails('INVALID_ARGUMENT'))
  await expect(open([{ rows: 9 }, { rows: 3, scale: -1, protection: 'replicate' }])).rejects.toThrow(
    fails('INVALID_ARGUMENT'),
  )
})

it('a push that is said with a version and was sent counts once, however often the version is read', async () => {
  const [store, twin] = [await start(), await start({ tables: tablesOf([]) })]
  const [ids, gradients] = [Uint32Array.of(0, 31, 87), new Float32Array(9).fill(1)]
  const version = { step: 1, arrays: [Float32Array.of(5)], about: 'a', push: { ids, gradients } }
  await store.keep(version)
  await store.push(ids, gradients)
  await store.push(ids, gradients)
  await twin.push(ids, gradients)
  await twin.push(ids, gradients)
  for (let time = 0; time < 2; time++) expect(await store.kept()).toMatchObject(version)
  expect(await store.snapshot()).toEqual(await twin.snapshot())
  // It was not sent: whoever reads it has it applied.
  await store.keep({ ...version, step: 2 })
  await twin.push(ids, gradients)
  for (let time = 0; time < 2; time++) expect(await store.kept()).toMatchObject({ step: 2 })
  expect(await store.snapshot()).toEqual(await twin.snapshot())
})

describe('a training', () => {
  const data = plantedSamples(2_000, 1)
  const tables = data.categorical.map(({ size }) => ({ rows: size }))
  const options = { ...base, d: 4, servers: 3, optimizer: { name: 'adagrad', learningRate: 0.1 } } as const
  const run = async (protection: 'encode' | 'replicate', where: 'memory' | 'process') => {
    const store = await start({ ...options, where, tables: [{ ...tables[0]!, protection }, tables[1]!] })
    const onStep = ({ step }: { step: number }) => void (where === 'process' && step === 7 && store.kill(1))
    const { model, history } = await train(data, { store, batch: 50, onStep })
    expect(await store.recovered()).toEqual([])
    return { store, model, history }
  }

  it('leaves the bits of encoded tables, in its model, its files and its scores', async () => {
    const [one, other] = [await run('replicate', 'process'), await run('encode', 'memory')]
    expect(one.history).toEqual(other.history)
    expect(one.model.parameters).toEqual(other.model.parameters)
    expect(await one.store.snapshot()).toEqual(await other.store.snapshot())
    for (const table of [0, 1]) expect(await exportNpy(one.store, table)).toEqual(await exportNpy(other.store, table))
    const onnx = ({ store, model }: typeof one) => exportOnnx(model, { from: 'ids', store })
    expect(await onnx(one)).toEqual(await onnx(other))
    const test = plantedSamples(300, 2)
    const score = ({ store, model }: typeof one) => evaluate(model, test, { store })
    expect(await score(one)).toEqual(await score(other))
  })

  it('is taken up from whole and differential checkpoints', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ft-ecrm-'))
    after.push(() => rmSync(folder, { recursive: true, force: true }))
    const { store, model } = await run('replicate', 'memory')
    const saver = createCheckpointer({ folder, kind: 'differential' })
    for (const step of [1, 2]) {
      const { rows, full } = await saver.save({ store, model, step })
      expect([full, rows]).toEqual(step === 1 ? [true, 65] : [false, 3])
      await store.push(Uint32Array.of(3, 41, 64), new Float32Array(12).fill(1))
      if (step === 1) continue
      const before = (await saver.latest())!
      const fresh = await start({ ...options, tables: [tables[0]!, { ...tables[1]!, protection: 'replicate' }] })
      await fresh.restore(before.rows)
      expect((await fresh.snapshot()).words).toEqual(before.rows.words)
    }
  })

  it('goes back to stale rows at a server alone', async () => {
    const kept = async (protection: 'encode' | 'replicate') => {
      const store = await start({ ...options, r: 0, tables: [{ ...tables[0]!, protection }, tables[1]!] })
      const deaths = [{ step: 10, server: 0 }]
      const { reloadedRows } = await trainPartiallyRecovered(data, { store, batch: 50, every: 8, deaths })
      return reloadedRows
    }
    const [replicated, encoded] = [await kept('replicate'), await kept('encode')]
    // Of 65 rows over 3 servers, and of 25.
    expect(replicated).toBeGreaterThanOrEqual(8)
    expect(replicated).toBeLessThanOrEqual(9)
    expect(encoded).toBeGreaterThanOrEqual(21)
  })
})

describe('rows that a step updates', () => {
  it('are counted by table, ids of bags once', () => {
    const ids = [0, 1, 1, 2, 3, 3, 3, 3]
    const data = {
      dense: new Float32Array(8),
      categorical: [
        { size: 4, ids },
        { size: 9, ids: [5, 5, 6, 7], offsets: [0, 3, 3, 3, 3, 3, 3, 3, 4], pooling: 'sum' as const },
      ],
      label: new Uint8Array(8),
    }
    expect(updatesAStep(data, { batch: 8 })).toEqual([4, 3])
    expect(updatesAStep(data, { batch: 1 })).toEqual([1, 3 / 8])
    const bagged = baggedSamples(500, 1)
    const updates = updatesAStep(bagged, { batch: 500 })
    bagged.categorical.forEach((feature, t) => expect(updates[t]).toBe(new Set(Array.from(feature.ids)).size))
    expect(() => updatesAStep(data, { batch: 0 })).toThrow(fails('INVALID_ARGUMENT'))
    expect(() => updatesAStep(data, { batches: 2 } as never)).toThrow(fails('INVALID_ARGUMENT'))
  })
})

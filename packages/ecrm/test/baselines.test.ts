// The baseline of checkpoints: it comes to the same model as a calm run, by doing steps again.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { openShards, train, trainCheckpointed, trainPartiallyRecovered, type ShardStore } from '../src/index.ts'
import { plantedSamples } from './support/made.ts'

const data = plantedSamples(2_000, 1)
const tables = data.categorical.map(({ size }) => ({ rows: size }))
const options = { tables, d: 4, k: 2, r: 0, servers: 3, optimizer: { name: 'adagrad', learningRate: 0.05 } } as const
const training = { batch: 50, epochs: 2, seed: 2 }

it.each([
  ['full', false],
  ['differential', true],
] as const)(
  '%s checkpoints, background %s: rolled back and done again, with the bits of a calm run',
  async (kind, background) => {
    const folder = await mkdtemp(join(tmpdir(), 'ft-ecrm-'))
    const calmStore = await openShards({ ...options, where: 'memory' })
    const calm = await train(data, { ...training, store: calmStore })
    let kills = 0
    const stormy = await trainCheckpointed(data, {
      ...training,
      open: () => openShards(options),
      folder,
      kind,
      background,
      every: 10,
      onStep({ step }, store: ShardStore) {
        // Once before the first checkpoint, once after the third.
        if ((step !== 4 || kills > 0) && (step !== 36 || kills > 1)) return
        store.kill(kills++)
      },
    })
    expect(stormy.rollbacks).toBe(2)
    // The trainer meets the death at a later step than the kill's, at most two: a push is under way.
    expect(stormy.redone).toBeGreaterThanOrEqual(5 + 7)
    expect(stormy.history).toHaveLength(80 + stormy.redone)
    expect(stormy.reloadMs).toHaveLength(2)
    expect(stormy.checkpoints).toBe(8)
    expect(await stormy.store.snapshot()).toMatchObject({ words: (await calmStore.snapshot()).words })
    expect(stormy.model.parameters).toEqual(calm.model.parameters)
    await Promise.all([stormy.store.close(), calmStore.close()])
    await rm(folder, { recursive: true })
  },
)

/** Opens shards in processes; `left` says how many are open still. */
function counted(change: (store: ShardStore, life: number) => ShardStore) {
  const lives = { begun: 0, left: 0 }
  const open = async (): Promise<ShardStore> => {
    const store = await openShards(options)
    lives.left++
    const close = (): Promise<void> => store.close().finally(() => lives.left--)
    return change({ ...store, close }, lives.begun++)
  }
  return { lives, open }
}

it('a death while rows are restored is one more rollback, and what was done again is counted once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ft-ecrm-'))
  const { lives, open } = counted((store, life) => {
    const restore: ShardStore['restore'] = (...args) => {
      if (life === 1) store.kill(0)
      return store.restore(...args)
    }
    return { ...store, restore }
  })
  let killed = false
  const stormy = await trainCheckpointed(data, {
    ...training,
    epochs: 1,
    open,
    folder,
    every: 10,
    onStep({ step }, store) {
      if (step !== 14 || killed) return
      killed = true
      store.kill(1)
    },
  })
  expect(stormy.rollbacks).toBe(2)
  expect(stormy.history).toHaveLength(40 + stormy.redone)
  expect(stormy.reloadMs).toHaveLength(1)
  expect(lives).toEqual({ begun: 3, left: 1 })
  await stormy.store.close()
  await rm(folder, { recursive: true })
})

it('closes the shards when the checkpoint is damaged', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ft-ecrm-'))
  await writeFile(join(folder, 'full.ftec'), 'no checkpoint')
  const { lives, open } = counted((store) => store)
  await expect(trainCheckpointed(data, { ...training, open, folder, every: 10 })).rejects.toSatisfy((error) =>
    isFtError(error, 'CORRUPT_DATA'),
  )
  expect(lives).toEqual({ begun: 1, left: 0 })
  await rm(folder, { recursive: true })
})

it("stale reload: the rows of a dead server are the snapshot's, all others keep their progress", async () => {
  const open = (): Promise<ShardStore> => openShards({ ...options, where: 'memory' })
  const [calmStore, store] = [await open(), await open()]
  const calm = await train(data, { ...training, store: calmStore })
  // Snapshots after steps 9, 19, ...; the death after step 33.
  const seen = new Map<number, Awaited<ReturnType<ShardStore['snapshot']>>>()
  const partial = await trainPartiallyRecovered(data, {
    ...training,
    store,
    every: 10,
    deaths: [{ step: 33, server: 1 }],
    onStep: async ({ step }) => seen.set(step, await store.snapshot()),
  })
  const [saved, before, after] = [seen.get(29)!, seen.get(32)!, seen.get(33)!]
  const { layout, width } = store
  const rowOf = ({ words }: typeof saved, id: number) => Array.from(words.subarray(id * width, (id + 1) * width))
  let progressed = 0
  for (let id = 0; id < layout.rows; id++) {
    if (layout.serverOf(layout.placeOf(id)) === 1) expect(rowOf(after, id)).toEqual(rowOf(saved, id))
    else progressed += Number(after.versions[id]! > saved.versions[id]!)
  }
  expect(progressed).toBeGreaterThan(0)
  // A batch of 50 names nearly every one of so few rows: four steps' updates of the server's are gone.
  expect(partial.lostUpdates).toBeGreaterThanOrEqual(4 * partial.reloadedRows * 0.5)
  expect(partial.reloadedRows).toBeGreaterThan(0)
  expect(before.versions.every((version, id) => after.versions[id]! >= version)).toBe(true)
  expect(partial.model.parameters).not.toEqual(calm.model.parameters)
  await expect(
    trainPartiallyRecovered(data, { ...training, store, every: 10, deaths: [{ step: 1, server: 3 }] }),
  ).rejects.toSatisfy((error) => isFtError(error, 'INVALID_ARGUMENT'))
  await Promise.all([store.close(), calmStore.close()])
})

it('stale reload without a death is plain training', async () => {
  const open = (): Promise<ShardStore> => openShards({ ...options, where: 'memory' })
  const [calmStore, store] = [await open(), await open()]
  const calm = await train(data, { ...training, store: calmStore })
  const partial = await trainPartiallyRecovered(data, { ...training, store, every: 10, deaths: [] })
  expect(partial).toMatchObject({ reloadedRows: 0, lostUpdates: 0 })
  expect(partial.model.parameters).toEqual(calm.model.parameters)
  expect(await store.snapshot()).toEqual(await calmStore.snapshot())
  await Promise.all([store.close(), calmStore.close()])
})

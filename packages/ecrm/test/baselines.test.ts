// The baseline of checkpoints: it comes to the same model as a calm run, by doing steps again.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { openShards, train, trainCheckpointed, type ShardStore } from '../src/index.ts'
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

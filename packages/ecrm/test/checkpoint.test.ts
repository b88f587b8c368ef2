// Saving and taking up again: the same bits; differential files; damaged ones; what was lost for good comes from one.
import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createRandom } from '@ft/core/random'
import {
  createCheckpointer,
  openShards,
  readCheckpoint,
  restoreModel,
  saveCheckpoint,
  train,
  type DenseModel,
  type ShardOptions,
  type ShardStore,
} from '../src/index.ts'
import { plantedSamples } from './support/made.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
const data = plantedSamples(2_000, 1)
const tables = data.categorical.map(({ size }) => ({ rows: size }))
let open: ShardStore[] = []
let folder = ''
async function start(options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  const optimizer = { name: 'adam', learningRate: 0.02 } as const
  const store = await openShards({ tables, d: 4, k: 2, where: 'memory', optimizer, ...options })
  open.push(store)
  return store
}
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ft-ecrm-'))
})
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()))
  open = []
  await rm(folder, { recursive: true })
})

/** Limits the size of files that this process writes (RLIMIT_FSIZE, the soft limit alone). */
function limitFiles(bytes: number | 'unlimited'): { lift(): void } {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:`])
  return { lift: () => void limitFiles('unlimited') }
}
const canLimit = attempt(() => limitFiles('unlimited'))
function attempt(act: () => unknown): boolean {
  try {
    act()
    return true
  } catch {
    return false
  }
}

const bitsOf = async (store: ShardStore, { parameters, state }: DenseModel) => {
  return { rows: await store.snapshot(), parameters, state }
}

it('a run saved and taken up elsewhere ends with the bits of one that was never interrupted', async () => {
  const path = join(folder, 'run.ftec')
  const options = { batch: 64, epochs: 2, seed: 3, optimizer: { name: 'adagrad', learningRate: 0.01 } } as const
  const whole = await start()
  const { model: expected } = await train(data, { ...options, store: whole })

  const first = await start()
  const { model, history } = await train(data, { ...options, store: first, until: 40 })
  expect(history).toHaveLength(40)
  await saveCheckpoint(path, { store: first, model, step: 40 })

  const second = await start({ k: 3, r: 2 })
  const saved = await readCheckpoint(path)
  await second.restore(saved.rows)
  const fresh = (await train(data, { ...options, store: await start(), until: 1 })).model
  restoreModel(fresh, saved)
  const rest = await train(data, { ...options, store: second, model: fresh, from: saved.step })
  expect(rest.history[0]!.step).toBe(40)
  expect(await bitsOf(second, rest.model)).toEqual(await bitsOf(whole, expected))
  expect((await second.scrub()).corrupt).toEqual([])
})

it('rows lost for good, and no others, come from the checkpoint of last resort', async () => {
  const store = await start({ tables: [{ rows: 300 }] })
  const random = createRandom(2)
  const push = async (): Promise<void> => {
    const ids = random.sample(300, 60)
    await store.push(ids, random.fillNormal(new Float32Array(60 * 4)))
  }
  for (let step = 0; step < 10; step++) await push()
  const saved = await store.snapshot()
  for (let step = 0; step < 10; step++) await push()
  const before = await store.snapshot()
  store.kill(0)
  store.kill(1)
  const lost = await store.recovered()
  expect(lost.length).toBeGreaterThan(0)
  expect(lost.length).toBeLessThan(300)
  await store.restore(saved, lost)
  const after = await store.snapshot()
  const rowOf = ({ words, width }: typeof after, id: number) => words.subarray(id * width, (id + 1) * width)
  for (let id = 0; id < 300; id++) expect(rowOf(after, id)).toEqual(rowOf(lost.includes(id) ? saved : before, id))
  expect((await store.scrub()).corrupt).toEqual([])
})

it('brings back a state that is not finite, and every row beside it', async () => {
  const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
  const store = await start({ tables: [{ rows: 100 }], optimizer })
  const ids = Uint32Array.from({ length: 100 }, (_, id) => id)
  const gradients = new Float32Array(100 * 4).fill(0.5)
  // Finite, but its square, which Adagrad sums, is beyond float32.
  gradients[5] = 2e19
  await store.push(ids, gradients)
  const saved = await store.snapshot()
  const states = new Float32Array(saved.words.buffer)
  expect(states.filter((value) => !Number.isFinite(value))).toEqual(Float32Array.of(Infinity))
  await store.push(ids, new Float32Array(100 * 4).fill(1))
  await store.restore(saved)
  expect((await store.snapshot()).words).toEqual(saved.words)
  expect((await store.scrub()).corrupt).toEqual([])
})

describe('createCheckpointer', () => {
  it.each([
    ['full', false],
    ['full', true],
    ['differential', false],
    ['differential', true],
  ] as const)('%s, background %s: the latest has the bits of its step', async (kind, background) => {
    const store = await start({ tables: [{ rows: 500 }] })
    const saver = createCheckpointer({ folder, kind, background, fullEvery: 3 })
    expect(await saver.latest()).toBeUndefined()
    const random = createRandom(3)
    for (let step = 1; step <= 8; step++) {
      const ids = random.sample(500, 20)
      await store.push(ids, random.fillNormal(new Float32Array(20 * 4)))
      const saved = await saver.save({ store, step })
      expect(saved.full).toBe(kind === 'full' || step % 3 === 1)
      // Two batches of 20 since the full one at most; a server that died since then tells all its rows.
      if (!saved.full && step !== 5 && step !== 6) expect(saved.rows).toBeLessThanOrEqual(40)
      if (step === 4) store.kill(1)
      const latest = await saver.latest()
      expect(latest!.step).toBe(step)
      expect(latest!.rows).toEqual(await store.snapshot())
      expect(await saved.written).toBeGreaterThan(saved.rows * store.width * 4)
    }
  })

  it('differential: holds a row that a scrub put right after the full one', async () => {
    const store = await start({ tables: [{ rows: 100 }], r: 2 })
    const right = await store.snapshot()
    const saver = createCheckpointer({ folder, kind: 'differential' })
    await store.flipBit({ stripe: 3, position: 1, word: 2, bit: 30 })
    await saver.save({ store, step: 1 })
    expect((await saver.latest())!.rows).not.toEqual(right)
    expect((await store.scrub({ repair: true })).corrupt).toMatchObject([{ stripe: 3, repaired: true }])
    expect(await saver.save({ store, step: 2 })).toMatchObject({ full: false, rows: 1 })
    expect((await saver.latest())!.rows).toEqual(right)
  })

  it.each([
    ['full', false],
    ['full', true],
    ['differential', false],
    ['differential', true],
  ] as const)('%s, background %s: goes on, with a whole one, after a write that failed', async (kind, background) => {
    const store = await start({ tables: [{ rows: 100 }] })
    const blocked = join(folder, 'blocked')
    await writeFile(blocked, 'no folder')
    const saver = createCheckpointer({ folder: blocked, kind, background })
    if (background) {
      const { written } = await saver.save({ store, step: 1 })
      await expect(written).rejects.toThrow(fails('IO'))
    }
    await expect(saver.save({ store, step: 2 })).rejects.toThrow(fails('IO'))
    await rm(blocked)
    await store.push(Uint32Array.of(4), new Float32Array(4).fill(1))
    expect(await saver.save({ store, step: 3 })).toMatchObject({ full: true, rows: 100 })
    await saver.settle()
    const latest = await saver.latest()
    expect(latest).toMatchObject({ step: 3, rows: await store.snapshot() })
    expect((await saver.save({ store, step: 4 })).full).toBe(kind === 'full')
    await saver.settle()
  })

  it('differential: changes since another whole one say nothing, whatever their step', async () => {
    const store = await start({ tables: [{ rows: 100 }] })
    const before = createCheckpointer({ folder, kind: 'differential' })
    await before.save({ store, step: 1 })
    await store.push(Uint32Array.of(4), new Float32Array(4).fill(1))
    await before.save({ store, step: 9 })
    expect((await before.latest())!.step).toBe(9)
    const stale = await readFile(join(folder, 'changed.ftec'))
    // A run of the same tables begins anew in the folder; its machine stops before the earlier changes are removed.
    const other = await start({ tables: [{ rows: 100 }], seed: 8 })
    const again = createCheckpointer({ folder, kind: 'differential' })
    await again.save({ store: other, step: 2 })
    await writeFile(join(folder, 'changed.ftec'), stale)
    expect(await again.latest()).toMatchObject({ step: 2, rows: await other.snapshot() })
    await other.push(Uint32Array.of(5), new Float32Array(4).fill(1))
    await again.save({ store: other, step: 3 })
    expect(await again.latest()).toMatchObject({ step: 3, rows: await other.snapshot() })
  })

  it('differential: of the version before, whose changes did not name their whole one, the later step counts', async () => {
    const store = await start({ tables: [{ rows: 100 }] })
    const own = createCheckpointer({ folder, kind: 'differential' })
    await own.save({ store, step: 1 })
    await store.push(Uint32Array.of(4), new Float32Array(4).fill(1))
    await own.save({ store, step: 9 })
    const place = join(folder, 'changed.ftec')
    const file = await readFile(place)
    const length = file.readUInt32LE(8)
    const { base: _, ...head } = JSON.parse(file.subarray(16, 16 + length).toString()) as { base: unknown }
    const text = Buffer.from(JSON.stringify(head))
    const fixed = Buffer.from(file.subarray(0, 16))
    fixed.writeUInt32LE(text.length, 8)
    fixed.writeUInt32LE(crc32(text), 12)
    await writeFile(place, Buffer.concat([fixed, text, file.subarray(16 + length)]))
    expect(await own.latest()).toMatchObject({ step: 9, rows: await store.snapshot() })
  })

  it('a place that takes no file leaves the checkpoint before as it was', async () => {
    const store = await start()
    const saver = createCheckpointer({ folder })
    await saver.save({ store, step: 1 })
    const before = await readFile(join(folder, 'full.ftec'))
    const nowhere = createCheckpointer({ folder: join(folder, 'full.ftec') })
    await expect(nowhere.save({ store, step: 2 })).rejects.toThrow()
    expect(await readFile(join(folder, 'full.ftec'))).toEqual(before)
  })

  // No file of this process may grow beyond 1,024 bytes for a while: the kernel refuses the rest, as a full disk does.
  it.skipIf(!canLimit).each([false, true])(
    'a file that cannot be finished: a clear error, the one before is whole, and the next is; background %s',
    async (background) => {
      const store = await start()
      const saver = createCheckpointer({ folder, background })
      await saver.save({ store, step: 1 })
      await saver.settle()
      const rows = await store.snapshot()
      await store.push(Uint32Array.of(3), new Float32Array(4).fill(1))
      const limited = limitFiles(1_024)
      try {
        const saved = saver.save({ store, step: 2 }).then(({ written }) => written)
        const error: unknown = await saved.then(
          () => undefined,
          (cause: unknown) => cause,
        )
        expect(error).toSatisfy((one) => isFtError(one, 'IO'))
        expect((error as Error).message).toContain('full.ftec could not be written')
        expect((error as Error).cause).toMatchObject({ code: 'EFBIG' })
        await saver.settle().catch(() => undefined)
      } finally {
        limited.lift()
      }
      expect(await readdir(folder)).toEqual(['full.ftec'])
      expect(await saver.latest()).toMatchObject({ step: 1, rows })
      await (
        await saver.save({ store, step: 3 })
      ).written
      expect(await saver.latest()).toMatchObject({ step: 3, rows: await store.snapshot() })
      await saver.settle()
    },
  )
})

it('refuses every damaged file', async () => {
  const path = join(folder, 'run.ftec')
  const store = await start()
  await saveCheckpoint(path, { store })
  const good = await readFile(path)
  const random = createRandom(6)
  for (let i = 0; i < 300; i++) {
    const bytes = Buffer.from(good)
    if (i % 3 === 0) await writeFile(path, bytes.subarray(0, random.integer(0, bytes.length - 1)))
    else {
      bytes[i % 3 === 1 ? random.integer(0, bytes.length - 1) : random.integer(0, 250)]! ^= 1 << random.integer(0, 7)
      await writeFile(path, bytes)
    }
    await expect(readCheckpoint(path)).rejects.toSatisfy(
      (error) =>
        isFtError(error, 'CORRUPT_DATA') ||
        isFtError(error, 'CHECKSUM_MISMATCH') ||
        isFtError(error, 'VERSION_UNSUPPORTED'),
    )
  }
  await expect(readCheckpoint(join(folder, 'none'))).rejects.toThrow(fails('IO'))
  await expect(saveCheckpoint(join(folder, 'no', 'such', 'folder'), { store })).rejects.toThrow(fails('IO'))
})

it('reads a file of more than 2 GiB section by section', async () => {
  const path = join(folder, 'run.ftec')
  const store = await start()
  await saveCheckpoint(path, { store })
  const { size } = await stat(path)
  // A hole, which takes no room on disk: every section before it is read and found right.
  await truncate(path, 2 ** 31 + 4_096)
  await expect(readCheckpoint(path)).rejects.toThrow(`has ${2 ** 31 + 4_096 - size} bytes too many`)
  await truncate(path, size)
  expect((await readCheckpoint(path)).rows).toEqual(await store.snapshot())
})

it('refuses a snapshot of other tables', async () => {
  const [one, other] = [await start(), await start({ d: 8 })]
  await expect(other.restore(await one.snapshot())).rejects.toThrow(fails('SHAPE_MISMATCH'))
})

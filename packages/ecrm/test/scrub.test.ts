// Bits flipped in memory: every one is found, nothing else is, and with r = 2 the row is named and put right.
import { afterEach, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { openShards, type ShardOptions, type ShardStore } from '../src/index.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
let open: ShardStore[] = []
async function start(options: Partial<ShardOptions>): Promise<ShardStore> {
  const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
  const store = await openShards({ tables: [{ rows: 2_000 }], d: 4, k: 4, where: 'memory', optimizer, ...options })
  open.push(store)
  return store
}
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()))
  open = []
})

/** Distinct stripes, and in each a bit of a row of the first `positions`. */
function flips(store: ShardStore, positions: number, count: number) {
  const random = createRandom(4)
  return Array.from(random.sample(store.layout.stripes, count), (stripe) => ({
    stripe,
    position: random.integer(0, positions - 1),
    word: random.integer(0, store.width - 1),
    bit: random.integer(0, 31),
  })).sort((a, b) => a.stripe - b.stripe)
}

async function pushSome(store: ShardStore, count: number): Promise<void> {
  const random = createRandom(8)
  for (let step = 0; step < count; step++) {
    const ids = random.sample(store.layout.rows, 100)
    await store.push(ids, random.fillNormal(new Float32Array(ids.length * store.d)))
  }
}

describe.each(['memory', 'process'] as const)('in %s', (where) => {
  it('r = 1: names every stripe with a flipped bit and no other', async () => {
    const store = await start({ where })
    await pushSome(store, 5)
    expect(await store.scrub()).toEqual({ stripes: 500, corrupt: [], skipped: [] })
    const made = flips(store, 5, 40)
    for (const flip of made) await store.flipBit(flip)
    const { corrupt, skipped } = await store.scrub({ stripes: 64 })
    expect(corrupt.map(({ stripe }) => stripe)).toEqual(made.map(({ stripe }) => stripe))
    expect(skipped).toEqual([])
  })

  it.each([2, 3])('r = %i: locates the row, and puts it right when asked to', async (r) => {
    const store = await start({ where, r })
    await pushSome(store, 5)
    const before = await store.snapshot()
    const made = flips(store, 4 + r, 40)
    for (const flip of made) await store.flipBit(flip)
    const { corrupt } = await store.scrub({ repair: true })
    expect(corrupt.map(({ stripe, position, repaired }) => ({ stripe, position, repaired }))).toEqual(
      made.map(({ stripe, position }) => ({ stripe, position, repaired: true })),
    )
    for (const { position, id, ids } of corrupt)
      expect(id).toBe(position! < 4 ? ids[ids.length === 4 ? position! : ids.indexOf(id!)] : undefined)
    await store.recovered()
    expect((await store.scrub()).corrupt).toEqual([])
    expect(await store.snapshot()).toEqual(before)
  })
})

it.each(['memory', 'process'] as const)(
  'in %s: reports as repaired what is, while its rows are pushed',
  async (where) => {
    const store = await start({ where, r: 2 })
    const made = flips(store, 4, 60)
    for (const flip of made) await store.flipBit(flip)
    const ids = Uint32Array.from(
      made.flatMap((flip) => {
        const id = store.layout.idOf(flip)
        return id < 0 ? [] : [id]
      }),
    )
    let done = false
    const pushing = (async () => {
      while (!done) await store.push(ids, new Float32Array(ids.length * store.d).fill(0.01))
    })()
    const { corrupt, skipped } = await store.scrub({ repair: true })
    done = true
    await pushing
    expect(corrupt.length + skipped.length).toBe(made.length)
    expect(corrupt.some(({ repaired }) => repaired)).toBe(true)
    const left = [...corrupt.flatMap(({ stripe, repaired }) => (repaired ? [] : [stripe])), ...skipped]
    const after = await store.scrub()
    expect(after.skipped).toEqual([])
    expect(after.corrupt.map(({ stripe }) => stripe)).toEqual(left.sort((a, b) => a - b))
  },
)

it.each([2, 3])('r = %i: two wrong rows of a stripe are found but not located', async (r) => {
  const store = await start({ r })
  await store.flipBit({ stripe: 7, position: 0, word: 1, bit: 3 })
  await store.flipBit({ stripe: 7, position: 2, word: 0, bit: 3 })
  expect((await store.scrub({ repair: true })).corrupt).toMatchObject([
    { stripe: 7, position: undefined, repaired: false },
  ])
})

it('takes no update for corruption while training goes on', async () => {
  const store = await start({ where: 'process' })
  let done = false
  const pushing = pushSome(store, 60).then(() => (done = true))
  let scrubs = 0
  while (!done || scrubs === 0) {
    expect((await store.scrub({ stripes: 100 })).corrupt).toEqual([])
    scrubs++
  }
  await pushing
})

it('refuses what cannot be', async () => {
  const plain = await start({ r: 0 })
  await expect(plain.scrub()).rejects.toThrow(fails('UNSUPPORTED'))
  const store = await start({})
  await expect(store.scrub({ stripes: 0 })).rejects.toThrow(fails('INVALID_ARGUMENT'))
  await expect(store.scrub({ signal: AbortSignal.abort() })).rejects.toThrow(fails('ABORTED'))
  await expect(store.flipBit({ stripe: 500, position: 0, word: 0, bit: 0 })).rejects.toThrow(fails('INVALID_ARGUMENT'))
})

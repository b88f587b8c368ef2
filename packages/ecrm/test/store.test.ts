// The store over both kinds of shards: what it reads and writes, what it refuses, and what a kill changes: nothing.
import { afterEach, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { openShards, type ShardOptions, type ShardStore } from '../src/index.ts'

const base: ShardOptions = {
  tables: [{ rows: 300 }, { rows: 50, scale: 0.5 }],
  d: 8,
  k: 2,
  servers: 4,
  optimizer: { name: 'adagrad', learningRate: 0.1 },
  seed: 3,
}
const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))

let open: ShardStore[] = []
async function start(options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  const store = await openShards({ ...base, ...options })
  open.push(store)
  return store
}
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()))
  open = []
})

/** A fixed list of pushes; `before` runs ahead of each. */
async function pushes(store: ShardStore, count: number, before: (step: number) => void = () => undefined) {
  const random = createRandom(9)
  for (let step = 0; step < count; step++) {
    const ids = random.sample(store.layout.rows, 20)
    before(step)
    await store.pull(ids)
    await store.push(ids, random.fillNormal(new Float32Array(ids.length * store.d)))
  }
}

describe.each(['memory', 'process'] as const)('shards in %s', (where) => {
  it('start within the scale of each table and differ from each other', async () => {
    const store = await start({ where })
    const rows = await store.pull(Uint32Array.from({ length: 350 }, (_, id) => id))
    expect(store.offsets).toEqual([0, 300])
    expect(Math.max(...rows.subarray(0, 300 * 8).map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(300))
    const second = rows.subarray(300 * 8).map(Math.abs)
    expect(Math.max(...second)).toBeLessThanOrEqual(0.5)
    // 400 uniform values miss the upper tenth with probability 0.9^400 < 1e-18.
    expect(Math.max(...second)).toBeGreaterThan(0.45)
    expect(new Set(rows).size).toBeGreaterThan(2_700)
  })

  it('apply the optimizer', async () => {
    const store = await start({ where, optimizer: { name: 'sgd', learningRate: 0.5 } })
    const ids = Uint32Array.of(7, 349, 0)
    const before = await store.pull(ids)
    await store.push(
      ids,
      Float32Array.from({ length: 24 }, (_, i) => i),
    )
    // SGD in float32: one rounding, the same as here.
    expect(await store.pull(ids)).toEqual(before.map((value, i) => Math.fround(value - 0.5 * i)))
  })

  it.each([
    [1, [10]],
    [2, [10, 10]],
  ])('lose nothing when %i servers are killed', async (r, when) => {
    const servers = 2 + r + 1
    const twin = await start({ where: 'memory', r, servers })
    await pushes(twin, 40)
    const store = await start({ where, r, servers })
    await pushes(store, 40, (step) => when.forEach((at, server) => step === at && store.kill(server)))
    expect(await store.recovered()).toEqual([])
    expect(store.replacements).toBe(r)
    expect(await store.snapshot()).toEqual(await twin.snapshot())
    // The parity is whole again too: any other server may die now.
    store.kill(servers - 1)
    expect(await store.recovered()).toEqual([])
    expect(await store.snapshot()).toEqual(await twin.snapshot())
  })

  it('count what redundancy costs', async () => {
    const store = await start({ where })
    await pushes(store, 10)
    const reports = await store.report()
    const sum = (of: (report: (typeof reports)[number]) => number): number =>
      reports.reduce((all, one) => all + of(one), 0)
    expect(sum((one) => one.pushedRows)).toBe(200)
    expect(sum((one) => one.deltaRows)).toBe(200)
    // A difference: 8 values, 8 of state, 6 words of head.
    expect(sum((one) => one.deltaBytes)).toBe(200 * 22 * 4)
    const { dataRows, parityRows, k } = store.layout
    expect(reports[0]!.dataBytes).toBe(dataRows * (16 * 4 + 4))
    expect(reports[0]!.parityBytes).toBe(parityRows * (16 * 4 + 4 * k))
    expect(sum((one) => one.unacknowledgedBytes)).toBe(0)
  })

  it('refuse what cannot be', async () => {
    const store = await start({ where })
    await expect(store.pull(Uint32Array.of(350))).rejects.toThrow(fails('INVALID_ARGUMENT'))
    await expect(store.push(Uint32Array.of(1), new Float32Array(7))).rejects.toThrow(fails('SHAPE_MISMATCH'))
    const before = await store.snapshot()
    const gradients = new Float32Array(16).fill(1)
    gradients[9] = NaN
    await expect(store.push(Uint32Array.of(1, 2), gradients)).rejects.toThrow(/for id 2; nothing was applied/)
    expect(await store.snapshot()).toEqual(before)
    await store.close()
    await expect(store.pull(Uint32Array.of(1))).rejects.toThrow(fails('ABORTED'))
  })
})

it('more deaths than r are reported by id, and the other rows stay right', async () => {
  const twin = await start({ where: 'memory' })
  await pushes(twin, 20)
  const store = await start({ where: 'memory' })
  await pushes(store, 20)
  store.kill(0)
  store.kill(1)
  const lost = await store.recovered()
  expect(lost.length).toBeGreaterThan(0)
  const [expected, got] = [await twin.snapshot(), await store.snapshot()]
  const wrong = Array.from({ length: 350 }, (_, id) => id).filter((id) => {
    const at = (snapshot: typeof got) => snapshot.words.subarray(id * got.width, (id + 1) * got.width)
    return at(got).some((word, i) => word !== at(expected)[i])
  })
  expect(wrong.filter((id) => !lost.includes(id))).toEqual([])
  // Parity was encoded anew: a single death is survived again.
  store.kill(3)
  expect(await store.recovered()).toHaveLength(lost.length - (await lostOn(store, lost, 3)))
  expect(await store.snapshot()).toEqual(got)
})

/** How many of the ids live on a server: a replaced server forgets what its earlier life reported. */
function lostOn(store: ShardStore, ids: readonly number[], server: number): Promise<number> {
  return Promise.resolve(ids.filter((id) => store.layout.serverOf(store.layout.placeOf(id)) === server).length)
}

it.each(['pause', 'isolate'] as const)('silence is found and the server replaced: %s', async (disturb) => {
  const twin = await start({ where: 'memory' })
  await pushes(twin, 20)
  const store = await start({ heartbeat: { interval: 20, missed: 5 } })
  await pushes(store, 20, (step) => step === 5 && store[disturb](2))
  expect(store.replacements).toBeGreaterThan(0)
  expect(await store.snapshot()).toEqual(await twin.snapshot())
})

it('without redundancy a death ends the run with a clear error', async () => {
  const store = await start({ r: 0 })
  store.kill(0)
  await expect(pushes(store, 1_000)).rejects.toThrow(/server 0 died and r is 0/)
})

it.each([
  [{ d: 0 }, /`d`/],
  [{ tables: [] }, /`tables`/],
  [{ k: 4, servers: 4 }, /needs as many servers, got 4/],
  [{ optimizer: { name: 'adagrad', learningRate: NaN } as const }, /learningRate/],
  [{ spares: -1 }, /`spares`/],
])('refuses %j', async (options, message) => {
  await expect(openShards({ ...base, where: 'memory', ...options })).rejects.toThrow(message)
})

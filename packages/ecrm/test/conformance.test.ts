// One suite for every kind of store: what it reads and writes, what it refuses, and what a death or a move changes: nothing.
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { openShards, type ShardOptions, type ShardStore } from '../src/index.ts'
import { base, places, pushes } from './support/stores.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))

let open: ShardStore[] = []
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()))
  open = []
})

/** What never failed and never moved. */
async function twinOf(options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  const store = await openShards({ ...base, where: 'memory', ...options })
  open.push(store)
  return store
}

describe.each(places)('shards in $name', (place) => {
  async function begin(options: Partial<ShardOptions> = {}) {
    const opened = await place.open(options)
    open.push(opened.store)
    return opened
  }
  const start = async (options?: Partial<ShardOptions>): Promise<ShardStore> => (await begin(options)).store
  afterAll(() => place.close())

  it('start within the scale of each table and differ from each other', async () => {
    const store = await start()
    const rows = await store.pull(Uint32Array.from({ length: 350 }, (_, id) => id))
    expect(store.offsets).toEqual([0, 300])
    expect(Math.max(...rows.subarray(0, 300 * 8).map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(300))
    const second = rows.subarray(300 * 8).map(Math.abs)
    expect(Math.max(...second)).toBeLessThanOrEqual(0.5)
    // 400 uniform values miss the upper tenth with probability 0.9^400 < 1e-18.
    expect(Math.max(...second)).toBeGreaterThan(0.45)
    expect(new Set(rows).size).toBeGreaterThan(2_700)
    expect(rows).toEqual(await (await twinOf()).pull(Uint32Array.from({ length: 350 }, (_, id) => id)))
  })

  it('apply the optimizer', async () => {
    const store = await start({ optimizer: { name: 'sgd', learningRate: 0.5 } })
    const ids = Uint32Array.of(7, 349, 0)
    const before = await store.pull(ids)
    await store.push(
      ids,
      Float32Array.from({ length: 24 }, (_, i) => i),
    )
    // SGD in float32: one rounding, the same as here.
    expect(await store.pull(ids)).toEqual(before.map((value, i) => Math.fround(value - 0.5 * i)))
    // A repeated id is updated once a mention.
    await store.push(Uint32Array.of(7, 7), new Float32Array(16).fill(1))
    const twice = before.subarray(0, 8).map((value, i) => Math.fround(Math.fround(value - 0.5 * i) - 0.5) - 0.5)
    expect(await store.pull(Uint32Array.of(7))).toEqual(Float32Array.from(twice))
  })

  it('answer a push whose worker said that it pushes next, though it does not', async () => {
    const store = await start({ optimizer: { name: 'sgd', learningRate: 0.5 } })
    const ids = Uint32Array.of(7, 349, 0)
    const before = await store.pull(ids)
    const gradients = new Float32Array(24).fill(1)
    await Promise.all([1, 2, 3].map(() => store.push(ids, gradients, { readsNext: true, pushesNext: true })))
    const after = before.map((value) => [1, 2, 3].reduce((sum) => Math.fround(sum - 0.5), value))
    expect(await store.pull(ids)).toEqual(after)
  })

  it.each(['sgd', 'momentum', 'adagrad', 'rowwise-adagrad', 'adam'] as const)(
    'hold the bits of rows, state and versions of %s',
    async (name) => {
      const optimizer = { name, learningRate: 0.05 }
      const [store, twin] = [await start({ optimizer, r: 2 }), await twinOf({ optimizer, r: 2 })]
      await pushes(store, 10)
      await pushes(twin, 10)
      store.kill(1)
      expect(await store.recovered()).toEqual([])
      expect(await store.snapshot()).toEqual(await twin.snapshot())
    },
  )

  it.each([
    [1, [10]],
    [2, [10, 10]],
    [3, [10, 10, 10]],
  ])('lose nothing when %i servers are killed', async (r, when) => {
    const servers = 2 + r + 1
    const twin = await twinOf({ r, servers })
    await pushes(twin, 40)
    const store = await start({ r, servers })
    await pushes(store, 40, (step) => when.forEach((at, server) => step === at && store.kill(server)))
    expect(await store.recovered()).toEqual([])
    expect(store.replacements).toBe(r)
    expect(await store.snapshot()).toEqual(await twin.snapshot())
    expect((await store.scrub()).corrupt).toEqual([])
    // The parity is whole again too: any other server may die now.
    store.kill(servers - 1)
    expect(await store.recovered()).toEqual([])
    expect(await store.snapshot()).toEqual(await twin.snapshot())
  })

  it('ask what is read next while rows are missing, where that helps, and read it right', async () => {
    const ids = Uint32Array.from({ length: 350 }, (_, id) => id)
    // Recovery in the background would not end within the test.
    const store = await start({ sweep: { stripes: 1, pause: 60_000, share: 0.001 } })
    await pushes(store, 5)
    const before = await store.pull(ids)
    let asked = 0
    const say = (): void => store.expect(() => (asked++, ids))
    await expect.poll(async () => (await store.report()).every(({ missingRows }) => missingRows === 0)).toBe(true)
    store.kill(1)
    await expect.poll(() => store.replacements).toBe(1)
    say()
    expect(asked).toBe(place.name.startsWith('Redis nodes') ? 0 : 1)
    expect(await store.pull(ids)).toEqual(before)
  })

  it('report rows lost beyond r by id, and keep the others', async () => {
    const twin = await twinOf()
    await pushes(twin, 20)
    const store = await start()
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
    // What was lost comes back from a snapshot, and parity protects it again.
    await store.restore(expected, lost)
    store.kill(3)
    await store.recovered()
    expect((await store.snapshot()).words).toEqual(expected.words)
  })

  it('leave a table without parity: no difference is sent for it, and rows of a server that dies start over', async () => {
    const kept = [{ rows: 300 }, { rows: 40 }, { rows: 12 }]
    const tables = [kept[0]!, { rows: 50, scale: 0.5, protection: 'leave' as const }, kept[1]!, kept[2]!]
    const left = (id: number): boolean => id >= 300 && id < 350
    const near = place.name.endsWith('with the trainer')
    const { store, address } = await begin({
      tables: near ? [...tables.slice(0, 3), { ...kept[2]!, protection: 'replicate' }] : tables,
    })
    const twin = await twinOf({ tables: [kept[0]!, { rows: 50, scale: 0.5 }, kept[1]!, kept[2]!] })
    expect(store.tables.map(({ protection }) => protection)).toEqual([
      'encode',
      'leave',
      'encode',
      near ? 'replicate' : 'encode',
    ])
    const first = await twin.snapshot()
    expect(await store.snapshot()).toEqual(first)
    const total = async (of: 'deltaRows' | 'parityBytes'): Promise<number> =>
      (await store.report()).reduce((sum, report) => sum + report[of], 0)

    // No difference is sent, and no parity kept.
    const some = Uint32Array.from({ length: 50 }, (_, i) => 300 + i)
    await store.push(some, new Float32Array(50 * 8).fill(1))
    await twin.push(some, new Float32Array(50 * 8).fill(1))
    expect(await total('deltaRows')).toBe(0)
    await pushes(store, 20)
    await pushes(twin, 20)
    expect(await store.snapshot()).toEqual(await twin.snapshot())
    const alone = await twinOf({ tables: near ? kept.slice(0, 2) : kept })
    const without = (await alone.report()).reduce((sum, { parityBytes }) => sum + parityBytes, 0)
    if (!place.name.startsWith('Redis')) expect(await total('parityBytes')).toBe(without)

    store.kill(1)
    const lost = await store.recovered()
    const before = await store.snapshot()
    expect(lost.length).toBeGreaterThan(0)
    expect(lost.length).toBeLessThan(50)
    expect(lost.filter((id) => !left(id))).toEqual([])
    // They are as they were before their first update; every other row is as it was.
    await twin.restore(first, lost)
    expect(before.words).toEqual((await twin.snapshot()).words)
    expect(lost.map((id) => before.versions[id])).toEqual(lost.map(() => 0))

    // Training goes on with them, on one server more, and they come back from a snapshot like all others.
    await pushes(store, 20)
    await pushes(twin, 20)
    expect((await store.snapshot()).words).toEqual((await twin.snapshot()).words)
    await store.addServer(await address?.())
    expect((await store.snapshot()).words).toEqual((await twin.snapshot()).words)
    expect((await store.scrub()).corrupt).toEqual([])
    await store.restore(before, lost)
    await twin.restore(before, lost)
    expect((await store.snapshot()).words).toEqual((await twin.snapshot()).words)
  })

  it('tell what changed since a marked snapshot', async () => {
    const store = await start()
    await store.snapshot({ mark: true })
    const ids = Uint32Array.of(5, 345)
    await store.push(ids, new Float32Array(16).fill(1))
    const changed = await store.changed()
    expect(changed.ids.toSorted()).toEqual(ids)
    expect(Array.from(changed.versions)).toEqual([1, 1])
  })

  it('find a flipped bit, and put it right with r = 2', async () => {
    const store = await start({ r: 2 })
    await pushes(store, 5)
    const before = await store.snapshot()
    await store.flipBit({ stripe: 3, position: 1, word: 4, bit: 30 })
    await store.flipBit({ stripe: 7, position: 3, word: 0, bit: 1 })
    const { corrupt } = await store.scrub({ repair: true })
    expect(corrupt.map(({ stripe, position, repaired }) => [stripe, position, repaired])).toEqual([
      [3, 1, true],
      [7, 3, true],
    ])
    await store.recovered()
    expect(await store.snapshot()).toEqual(before)
    expect((await store.scrub()).corrupt).toEqual([])
  })

  it('count what redundancy costs', async () => {
    const store = await start({ tables: [{ rows: 350 }] })
    await pushes(store, 10)
    const reports = await store.report()
    const sum = (of: (report: (typeof reports)[number]) => number): number =>
      reports.reduce((all, one) => all + of(one), 0)
    expect(sum((one) => one.pushedRows)).toBe(200)
    expect(sum((one) => one.deltaRows)).toBe(200)
    // A difference: 8 values, 8 of state, and a head.
    expect(sum((one) => one.deltaBytes)).toBe(200 * (16 + place.headWords) * 4)
    const { dataRows, parityRows, k } = store.layout
    expect(reports[0]!.dataBytes).toBe(dataRows * (16 * 4 + 4))
    expect(reports[0]!.parityBytes).toBe(parityRows * (16 * 4 + 4 * k))
    expect(sum((one) => one.unacknowledgedBytes)).toBe(0)
    expect(sum((one) => one.unacknowledgedBatches)).toBe(0)
    expect(sum((one) => one.recoveredRows)).toBe(0)
  })

  it('refuse what cannot be', async () => {
    const store = await start()
    await expect(store.pull(Uint32Array.of(350))).rejects.toThrow(fails('INVALID_ARGUMENT'))
    await expect(store.push(Uint32Array.of(1), new Float32Array(7))).rejects.toThrow(fails('SHAPE_MISMATCH'))
    const before = await store.snapshot()
    // Arrays of another kind would be read as bits of no meaning.
    for (const ids of [[-1], [0.5], [NaN], [1], Int32Array.of(1), Float32Array.of(1), new Uint8Array(4), undefined]) {
      await expect(store.pull(ids as never)).rejects.toThrow(fails('INVALID_ARGUMENT'))
      await expect(store.push(ids as never, new Float32Array(8).fill(1))).rejects.toThrow(fails('INVALID_ARGUMENT'))
    }
    for (const gradients of [new Float64Array(8).fill(1), new Array(8).fill(1), new Int32Array(8).fill(1), null])
      await expect(store.push(Uint32Array.of(1), gradients as never)).rejects.toThrow(fails('INVALID_ARGUMENT'))
    for (const id of [-1, 0.5, NaN, 350])
      await expect(store.restore(before, [2, id])).rejects.toThrow(fails('INVALID_ARGUMENT'))
    for (const into of [new Float64Array(4), new Uint32Array(4), [0, 0, 0, 0], null])
      await expect(store.pull(Uint32Array.of(1), into as never)).rejects.toThrow(fails('INVALID_ARGUMENT'))
    await expect(store.pull(Uint32Array.of(1), new Float32Array(store.d + 1))).rejects.toThrow(fails('SHAPE_MISMATCH'))
    // Into part of a longer array: what stands beside is left alone.
    const ids = Uint32Array.of(3, 1, 3)
    const room = new Float32Array(5 * store.d).fill(7)
    const into = room.subarray(store.d, 4 * store.d)
    expect(await store.pull(ids, into)).toBe(into)
    expect(into).toEqual(await store.pull(ids))
    expect([...room.subarray(0, store.d), ...room.subarray(4 * store.d)].every((value) => value === 7)).toBe(true)
    const floats = { ...before, words: new Float32Array(before.words.length) as never }
    await expect(store.restore(floats)).rejects.toThrow(fails('INVALID_ARGUMENT'))
    expect(await store.snapshot()).toEqual(before)
    const gradients = new Float32Array(16).fill(1)
    gradients[9] = NaN
    await expect(store.push(Uint32Array.of(1, 2), gradients)).rejects.toThrow(/for id 2; nothing was applied/)
    expect(await store.snapshot()).toEqual(before)
    await expect(store.drain(4)).rejects.toThrow(/`server`/)
    await store.close()
    await expect(store.pull(Uint32Array.of(1))).rejects.toThrow(fails('ABORTED'))
  })

  it('move to one server more, and to one less, while training goes on: nothing changes', async () => {
    const { store, address } = await begin({ sweep: { stripes: 20, pause: 0, share: 0.5 } })
    const twin = await twinOf()
    const moves: Promise<void>[] = []
    const events: Record<number, () => unknown> = {
      5: async () => moves.push(store.addServer(await address?.())),
      // Something dies while rows move: either side's death is nobody's loss.
      7: () => store.kill(1),
      40: async () => {
        await Promise.all(moves)
        expect(store.layout.servers).toBe(5)
        expect(await store.snapshot()).toEqual(await twinAt(40))
        moves.push(store.drain(2))
      },
    }
    const twinAt = async (step: number) => {
      const other = await twinOf()
      await pushes(other, step)
      return other.snapshot()
    }
    await pushes(store, 80, (step) => events[step]?.())
    await pushes(twin, 80)
    await Promise.all(moves)
    expect(store.layout.servers).toBe(4)
    expect(await store.recovered()).toEqual([])
    expect(await store.snapshot()).toEqual(await twin.snapshot())
    expect((await store.scrub()).corrupt).toEqual([])
    store.kill(0)
    expect(await store.recovered()).toEqual([])
    expect(await store.snapshot()).toEqual(await twin.snapshot())
  })

  it('keep what was pushed at once from many sides while rows move', async () => {
    const random = createRandom(4)
    const lists = Array.from({ length: 60 }, () => random.sample(350, 30))
    const ones = new Float32Array(30 * 8).fill(1)
    const optimizer = { name: 'sgd', learningRate: 1 } as const
    const { store, address } = await begin({ optimizer, sweep: { stripes: 10, pause: 0, share: 0.9 } })
    const before = await store.snapshot()
    const move = store.addServer(await address?.())
    // Nobody waits for anybody: a pull that follows a push reads it all the same.
    await Promise.all(lists.map((ids) => store.push(ids, ones)))
    await move
    const after = await store.snapshot()
    const mentions = new Uint32Array(350)
    for (const ids of lists) for (const id of ids) mentions[id]!++
    expect(after.versions).toEqual(mentions)
    const start = new Float32Array(before.words.buffer)
    for (let id = 0; id < 350; id++)
      for (let i = 0; i < mentions[id]!; i++) for (let j = 0; j < 8; j++) start[id * 8 + j]! -= 1
    expect(after.words).toEqual(before.words)
  })

  it('take moves that are asked for at once in turn, each from where the one before ended', async () => {
    const { store, address } = await begin({ servers: 3 })
    await pushes(store, 5)
    const before = await store.snapshot()
    const at = await address?.()
    const ends = await Promise.allSettled([store.addServer(at), store.drain(0), store.drain(0)])
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
    expect(store.layout.servers).toBe(3)
    expect(await store.snapshot()).toEqual(before)
  })

  it('refuse to drain a server that a stripe needs', async () => {
    const store = await start({ servers: 3 })
    await expect(store.drain(0)).rejects.toThrow(/needs as many servers/)
    await pushes(store, 1)
  })
})

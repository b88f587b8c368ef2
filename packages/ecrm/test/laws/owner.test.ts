// The owner of Redis nodes is a process that knows nothing which the nodes do not: killed between any two messages, hung and come
// back to life, it loses nothing and does nothing twice.
import { afterEach, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { openShards, type ShardOptions, type ShardStore } from '../../src/index.ts'
import { startShardChild, type ShardChild } from '../../src/network/shardChild.ts'
import { tokenWords } from '../../src/network/remote.ts'
import { redisModule } from '../../src/redis/load.ts'
import { latestOf, packParityNote, packPushNote, unpackParityNote, unpackPushNote } from '../../src/redis/notes.ts'
import { wayTo, type Strike, type Way } from '../support/between.ts'
import { haveRedis, redisNode, type TestNode } from '../support/redis.ts'
import { base, pushes, token } from '../support/stores.ts'

const heartbeat = { interval: 50, missed: 10 }
const steps = 16
let nodes: TestNode[] = []
let children: ShardChild[] = []
let ways: Way[] = []
let stores: ShardStore[] = []
let strike: Strike | undefined
async function cleanUp(): Promise<void> {
  strike = undefined
  await Promise.all(stores.map((store) => store.close()))
  for (const way of ways) way.close()
  for (const child of children) child.kill('SIGKILL')
  await Promise.all(children.map(({ ended }) => ended))
  await Promise.all(nodes.map((node) => node.end()))
  ;[nodes, children, ways, stores] = [[], [], [], []]
}
afterEach(cleanUp)

async function owner(): Promise<string> {
  const child = startShardChild(tokenWords(token), undefined, redisModule())
  children.push(child)
  return `127.0.0.1:${await child.port}`
}

/** A store on `count` nodes; `owners` processes can own them, or one that the trainer starts. */
async function open(count: number, owners: number, options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  nodes = await Promise.all(Array.from({ length: count }, () => redisNode()))
  ways = await Promise.all(nodes.map(({ address }) => wayTo(address, () => strike)))
  const addresses = await Promise.all(Array.from({ length: owners }, owner))
  const redis = ways.map(({ address }) => address)
  const who = owners === 0 ? {} : { owners: addresses, token }
  const store = await openShards({ ...base, redis, ...who, heartbeat, servers: 4, ...options })
  stores.push(store)
  return store
}

async function twin(options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  const store = await openShards({ ...base, servers: 4, where: 'memory', ...options })
  stores.push(store)
  return store
}

async function equal(store: ShardStore, other: ShardStore): Promise<void> {
  expect(await store.recovered()).toEqual([])
  const [mine, right] = [await store.snapshot(), await other.snapshot()]
  // Counted, as it takes minutes to print how long arrays differ.
  const differ = (one: Uint32Array, two: Uint32Array): number =>
    one.reduce((count, word, i) => count + Number(word !== two[i]), 0)
  expect({ words: differ(mine.words, right.words), versions: differ(mine.versions, right.versions) }).toEqual({
    words: 0,
    versions: 0,
  })
  expect((await store.scrub()).corrupt).toEqual([])
}

/** A large push of several pieces, so that a part of it can be there. */
async function largePush(store: ShardStore, seed: number): Promise<void> {
  const random = createRandom(seed)
  const ids = random.sample(store.layout.rows, store.layout.rows)
  await store.push(ids, random.fillNormal(new Float32Array(ids.length * store.d)))
}

/** The rows are those of a twin that had the same large pushes. */
async function equalAfter(store: ShardStore, seeds: readonly number[]): Promise<void> {
  const other = await twin({ tables: [{ rows: store.layout.rows }] })
  for (const seed of seeds) await largePush(other, seed)
  await equal(store, other)
}

it('notes are read as they were written, and those of the latest push count', () => {
  const note = { push: 7, locals: [4, 1], bases: [0, 3], versions: [1, 4], deltas: Uint32Array.of(9, 8, 7, 6) }
  expect(unpackPushNote(packPushNote(note))).toEqual(note)
  expect(unpackPushNote(packPushNote({ ...note, deltas: new Uint32Array(0) })).locals).toEqual([4, 1])
  const parity = { server: 2, push: 5, locals: [11, 3] }
  expect(unpackParityNote(packParityNote(parity))).toEqual(parity)
  const others = [{ ...note, push: 6 }, note, { ...note, locals: [2] }]
  expect(latestOf(others)).toEqual(others.slice(1))
  expect(latestOf([])).toEqual([])
})

describe.runIf(haveRedis)('the owner of Redis nodes', () => {
  const full = process.env['MODE'] === 'crash'
  /** A busy machine must not make another node look dead. */
  const patient = { interval: 50, missed: 60 }
  const optimizers = [
    { name: 'adagrad', learningRate: 0.1 },
    { name: 'sgd', learningRate: 0.1 },
    { name: 'adam', learningRate: 0.01 },
    { name: 'momentum', learningRate: 0.1 },
    { name: 'rowwise-adagrad', learningRate: 0.1 },
  ] as const

  it.each(
    Array.from({ length: full ? 60 : 3 }, (_, seed) => ({
      seed,
      r: 1 + (seed % 2),
      optimizer: optimizers[seed % optimizers.length]!,
    })),
  )(
    'killed between two messages, rows are those of a twin: $seed, r = $r, $optimizer.name',
    async ({ seed, ...options }) => {
      const store = await open(4, 2, options)
      const random = createRandom(seed).stream('strike')
      await pushes(store, 3)
      const doomed = children[0]!
      strike = { left: random.integer(1, 220), arrives: random.integer(0, 1) === 1, act: () => doomed.kill('SIGKILL') }
      await pushes(store, steps)
      strike = undefined
      // Where the messages did not suffice.
      doomed.kill('SIGKILL')
      await pushes(store, 3)
      expect(store.replacements).toBe(0)
      const other = await twin(options)
      for (const count of [3, steps, 3]) await pushes(other, count)
      await equal(store, other)
    },
  )

  it.each(full ? Array.from({ length: 20 }, (_, seed) => seed) : [1])(
    'killed in the middle of a push of several pieces: %i',
    async (seed) => {
      const store = await open(4, 2, { tables: [{ rows: 9_000 }] })
      const doomed = children[0]!
      const random = createRandom(seed).stream('pieces')
      strike = { left: random.integer(1, 90), arrives: random.integer(0, 1) === 1, act: () => doomed.kill('SIGKILL') }
      await largePush(store, 1)
      strike = undefined
      await largePush(store, 2)
      await equalAfter(store, [1, 2])
    },
  )

  it.each(full ? Array.from({ length: 20 }, (_, seed) => seed) : [1])(
    'killed twice in the middle of a push, the second time with a node at once: %i',
    async (seed) => {
      const store = await open(5, 3, { tables: [{ rows: 9_000 }], heartbeat: patient })
      const [first, second] = children as [ShardChild, ShardChild]
      const random = createRandom(seed).stream('twice')
      const node = nodes[random.integer(0, 3)]!
      const again = { left: random.integer(40, 200), arrives: random.integer(0, 1) === 1 }
      const act = (): void => {
        first.kill('SIGKILL')
        strike = { ...again, act: () => (second.kill('SIGKILL'), node.signal('SIGKILL')) }
      }
      strike = { left: random.integer(1, 90), arrives: random.integer(0, 1) === 1, act }
      await largePush(store, 1)
      strike = undefined
      await largePush(store, 2)
      await equalAfter(store, [1, 2])
    },
  )

  /** Where a server's key of this name is, and what a hash of it names. */
  async function keyOf(server: number, name: string): Promise<{ node: TestNode; key: string }> {
    for (const node of nodes) {
      const [key] = await node.client.keys(`*.${server}:${name}`)
      if (key !== undefined) return { node, key }
    }
    throw new Error(`no node has ${name} of server ${server}`)
  }
  const fieldsOf = async (name: string): Promise<string[]> => {
    const lists = nodes.map(async ({ client }) => {
      const keys = await client.keys(`*:${name}`)
      return (await Promise.all(keys.map((key) => client.hkeys(key)))).flat()
    })
    return (await Promise.all(lists)).flat()
  }

  /** The deaths of owners in the course of a push: of the first when parts of it are there, of the second, with their node, when that writes the rest. */
  async function killTwice(store: ShardStore): Promise<number> {
    const [first, second] = children as [ShardChild, ShardChild]
    const { node } = await keyOf(0, 'fence')
    const noted = async (): Promise<string[]> => {
      const [key] = await node.client.keys('*.0:pushes')
      return key === undefined ? [] : await node.client.hkeys(key)
    }
    let kills = 0
    const again = (): void => {
      kills++
      second.kill('SIGKILL')
      node.signal('SIGKILL')
      strike = undefined
    }
    strike = {
      left: 0,
      arrives: false,
      due: async () => (await noted()).length >= 2,
      act() {
        kills++
        first.kill('SIGKILL')
        // The second owner has sent what was there to parity, and writes the rest.
        strike = { left: 0, arrives: true, due: async () => (await noted()).includes('2.0'), act: again }
      },
    }
    await largePush(store, 1)
    strike = undefined
    return kills
  }

  it('killed when parts of a push are there, and again, with their node, when these were sent to parity once more', async () => {
    for (let attempt = 1; ; attempt++) {
      const store = await open(5, 3, { tables: [{ rows: 18_000 }], heartbeat: patient })
      const kills = await killTwice(store)
      await largePush(store, 2)
      await equalAfter(store, [1, 2])
      if (kills === 2) return
      // On a busy machine the first may have written everything before it dies, and leaves the second nothing to write.
      expect(attempt).toBeLessThan(5)
      await cleanUp()
    }
  })

  it('takes away the notes of earlier ones while the run goes on', async () => {
    const store = await open(4, 3)
    await pushes(store, 3)
    for (const child of children.slice(0, 2)) {
      child.kill('SIGKILL')
      await pushes(store, 5)
    }
    for (const name of ['pushes', 'tags']) {
      const fields = await fieldsOf(name)
      expect(fields.length).toBeGreaterThan(0)
      expect(fields.filter((field) => !field.startsWith('3.'))).toEqual([])
    }
    const other = await twin()
    for (const count of [3, 5, 5]) await pushes(other, count)
    await equal(store, other)
  })

  it('knows parity that an earlier one found to be of no use, whatever died with that one', async () => {
    const sweep = { stripes: 4_096, pause: 1_500, share: 1 }
    const store = await open(5, 2, { sweep, heartbeat: patient })
    const { layout, width } = store
    const ids = Uint32Array.of(7)
    const push = (): Promise<void> => store.push(ids, new Float32Array(store.d).fill(0.5))
    await push()
    // As if the difference had never reached the parity.
    const place = layout.placeOf(7)
    const parity = { stripe: place.stripe, position: layout.k }
    const { node, key } = await keyOf(layout.serverOf(parity), 'parity:0')
    const at = layout.localOf(parity) * (width + layout.k) + width + place.position
    await node.client.setrange(key, at * 4, Buffer.alloc(4))
    await push()
    const { node: doomed } = await keyOf(layout.serverOf(place), 'fence')
    children[0]!.kill('SIGKILL')
    doomed.signal('SIGKILL')
    expect(await store.recovered()).toEqual([7])
    expect((await store.scrub()).corrupt).toEqual([])
  })

  it('dies while a node is rebuilt, and with a node at once', async () => {
    const sweep = { stripes: 64, pause: 10, share: 0.3 }
    const store = await open(5, 3, { tables: [{ rows: 4_000 }], sweep, heartbeat: patient })
    await largePush(store, 1)
    store.kill(1)
    while ((await store.report()).every(({ recoveredRows }) => recoveredRows === 0))
      await new Promise((resolve) => setTimeout(resolve, 5))
    children[0]!.kill('SIGKILL')
    await largePush(store, 2)
    await store.recovered()
    const third = largePush(store, 3)
    children[1]!.kill('SIGKILL')
    nodes[2]!.signal('SIGKILL')
    await third
    await equalAfter(store, [1, 2, 3])
    expect(store.replacements).toBe(2)
  })

  it('that hangs and comes back to life after another took over writes nothing', async () => {
    const store = await open(4, 2)
    await pushes(store, 5)
    const hung = pushes(store, 5)
    children[0]!.kill('SIGSTOP')
    await hung
    const before = await contents()
    children[0]!.kill('SIGCONT')
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(await contents()).toEqual(before)
    await pushes(store, 5)
    const other = await twin()
    for (let i = 0; i < 3; i++) await pushes(other, 5)
    await equal(store, other)
  })

  /** All that the nodes hold, by key. */
  async function contents(): Promise<Map<string, string>> {
    const all = new Map<string, string>()
    for (const [at, { client }] of nodes.entries())
      for (const key of (await client.keys('*')).toSorted()) {
        const text = (await client.type(key)) === 'hash' ? JSON.stringify(await client.hgetall(key)) : null
        all.set(`${at} ${key}`, text ?? (await client.getBuffer(key))!.toString('base64'))
      }
    return all
  }

  it('must be there, know the token, and have a client of the nodes', async () => {
    const store = await open(3, 1, { servers: 3 })
    const redis = nodes.map(({ address }) => address)
    const refused = (owners: string[], secret = token): Promise<unknown> =>
      openShards({ ...base, redis, owners, token: secret, servers: 3, name: 'other' }).catch((error: unknown) => error)
    const plain = startShardChild(tokenWords(token))
    children.push(plain)
    expect(await refused([`127.0.0.1:${await plain.port}`])).toMatchObject({ code: 'MISSING_PEER' })
    expect(await refused(['127.0.0.1:1'])).toMatchObject({ code: 'IO' })
    const address = await owner()
    const stranger = await refused([address], 'another secret of the tests')
    expect(stranger).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect((stranger as Error).message).toContain('refused the token')
    await pushes(store, 3)
    const other = await twin({ servers: 3 })
    await pushes(other, 3)
    await equal(store, other)
    // Nobody is left to own the nodes: that is an error in time, not silence.
    const last = await openShards({
      ...base,
      redis,
      owners: [address],
      token,
      heartbeat,
      servers: 3,
      name: 'last',
      patience: 0,
    })
    stores.push(last)
    children.at(-1)!.kill('SIGKILL')
    await expect(pushes(last, 3)).rejects.toMatchObject({ code: 'UNRECOVERABLE' })
  })

  it('is started by the trainer, and started again; of a node that came back with old rows nothing counts', async () => {
    const store = await open(5, 0)
    await pushes(store, 5)
    // Its rows are on disk, as a node with persistence has them.
    await nodes[1]!.client.call('SAVE')
    await pushes(store, 5)
    nodes[1]!.signal('SIGKILL')
    await nodes[1]!.start()
    await pushes(store, 5)
    const other = await twin()
    for (let i = 0; i < 3; i++) await pushes(other, 5)
    await equal(store, other)
    expect(store.replacements).toBe(1)
  })
})

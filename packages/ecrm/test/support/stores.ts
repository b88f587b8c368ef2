// Every kind of store behind one way to open it, for the conformance suite.
import { createRandom } from '@ft/core/random'
import { openShards, type ShardOptions, type ShardStore } from '../../src/index.ts'
import { tokenWords } from '../../src/network/remote.ts'
import { startShardChild, type ShardChild } from '../../src/network/shardChild.ts'
import { haveRedis, redisNode, type TestNode } from './redis.ts'

export const base: ShardOptions = {
  tables: [{ rows: 300 }, { rows: 50, scale: 0.5 }],
  d: 8,
  k: 2,
  servers: 4,
  optimizer: { name: 'adagrad', learningRate: 0.1 },
  seed: 3,
}

export interface Place {
  readonly name: string
  /** Opens a store; `address()` gives the place of one more server, where the kind wants one. */
  open(options?: Partial<ShardOptions>): Promise<{ store: ShardStore; address?: () => Promise<string> }>
  /** Words of a difference beside the row's. */
  readonly headWords: number
  /** Ends what the stores ran on. */
  close(): Promise<void>
}

const started = (where: 'memory' | 'process'): Place => ({
  name: where,
  headWords: 6,
  open: async (options) => ({ store: await openShards({ ...base, where, ...options }) }),
  close: () => Promise.resolve(),
})

/** Processes that were started by somebody else: they know the token, and nothing of a run. */
function remote(): Place {
  const children: ShardChild[] = []
  const child = async (i: number): Promise<string> => {
    const one = (children[i] ??= startShardChild(tokenWords(token)))
    return `127.0.0.1:${await one.port}`
  }
  return {
    name: 'processes elsewhere',
    headWords: 6,
    async open(options = {}) {
      const servers = options.servers ?? 4
      const shards = await Promise.all(Array.from({ length: servers + 1 }, (_, i) => child(i)))
      return {
        store: await openShards({ ...base, ...options, servers, shards, token }),
        address: () => child(servers + 1),
      }
    },
    async close() {
      for (const one of children) one.kill('SIGKILL')
      await Promise.all(children.map(({ ended }) => ended))
    },
  }
}

export const token = 'a secret of the tests'

/** Redis nodes; one more than a store has servers stands by. */
function redis(): Place {
  const nodes: Promise<TestNode>[] = []
  const address = async (i: number): Promise<string> => (await (nodes[i] ??= redisNode())).address
  let opened = 0
  return {
    name: 'Redis nodes',
    // A place, two versions, and the version of each of the k rows of the record.
    headWords: 5 + base.k!,
    async open(options = {}) {
      const servers = options.servers ?? 4
      const list = await Promise.all(Array.from({ length: servers + 1 }, (_, i) => address(i)))
      return {
        store: await openShards({ ...base, ...options, servers, redis: list, name: `run-${opened++}` }),
        address: () => address(servers + 1),
      }
    },
    async close() {
      await Promise.all(nodes.map(async (node) => (await node).end()))
    },
  }
}

/** The same with the smaller of the tables at the trainer: for whoever pulls and pushes nothing is different. */
function replicated(place: Place): Place {
  const tables = base.tables.map((table, t) => ({ ...table, protection: t === 1 ? ('replicate' as const) : 'encode' }))
  return {
    ...place,
    name: `${place.name}, a table with the trainer`,
    open: (options) => place.open({ tables: tables as ShardOptions['tables'], ...options }),
  }
}

export const places: readonly Place[] = [
  started('memory'),
  started('process'),
  remote(),
  replicated(started('memory')),
  replicated(remote()),
  ...(haveRedis ? [redis(), replicated(redis())] : []),
]

/** A fixed list of pushes, each after a pull of its rows; `before` runs ahead of each. */
export async function pushes(
  store: ShardStore,
  count: number,
  before: (step: number) => unknown = () => undefined,
): Promise<void> {
  const random = createRandom(9)
  for (let step = 0; step < count; step++) {
    const ids = random.sample(store.rows, 20)
    await before(step)
    await store.pull(ids)
    await store.push(ids, random.fillNormal(new Float32Array(ids.length * store.d)))
  }
}

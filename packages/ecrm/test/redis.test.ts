// Rows on Redis nodes: whatever happens to a node or to the connection, rows are right or the error says what is wrong.
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import fc from 'fast-check'
import { isFtError, type FtErrorCode } from '@ft/core'
import { openShards, type ShardOptions, type ShardStore } from '../src/index.ts'
import { makeCertificates, withoutOpenssl } from './support/certificates.ts'
import { haveRedis, redisNode, tlsNode, type TestNode } from './support/redis.ts'
import { base, pushes } from './support/stores.ts'

const fails = (code: FtErrorCode, text: RegExp): unknown =>
  expect.toSatisfy((error: Error) => isFtError(error, code) && text.test(error.message))

let nodes: TestNode[] = []
let stores: ShardStore[] = []
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()))
  await Promise.all(nodes.map((node) => node.end()))
  ;[nodes, stores] = [[], []]
})

const steps = 40

async function twin(count = steps): Promise<ShardStore> {
  const store = await openShards({ ...base, where: 'memory' })
  stores.push(store)
  await pushes(store, count)
  return store
}

/** A store on nodes of its own: four servers, and so many nodes beside them. */
async function open(spares: number, options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  nodes = await Promise.all(Array.from({ length: 4 + spares }, () => redisNode()))
  return again({ servers: 4, ...options })
}

async function again(options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  const redis = nodes.map(({ address }) => address)
  const heartbeat = { interval: 40, missed: 5 }
  const store = await openShards({ ...base, servers: 4, redis, heartbeat, ...options })
  stores.push(store)
  return store
}

async function equal(store: ShardStore, other: ShardStore): Promise<void> {
  expect(await store.recovered()).toEqual([])
  expect(await store.snapshot()).toEqual(await other.snapshot())
  expect((await store.scrub()).corrupt).toEqual([])
  // The scrub may be the first to meet what happened to a node since.
  expect(await store.recovered()).toEqual([])
}

/** Something that makes a node's rows worthless, or should not. */
type Fault = (node: TestNode) => unknown

describe.runIf(haveRedis)('rows on Redis nodes', () => {
  it.each<[string, Fault]>([
    ['is killed', (node) => node.signal('SIGKILL')],
    ['hangs', (node) => node.signal('SIGSTOP')],
    ['becomes a replica, and read-only', (node) => node.client.replicaof('127.0.0.1', 1)],
    ['is out of memory', (node) => node.client.config('SET', 'maxmemory', '1')],
    ['loses all its keys', (node) => node.client.flushall()],
    [
      'loses a block',
      async (node) => {
        const [key] = await node.client.keys('*:data:0')
        expect(await node.client.del(key!)).toBe(1)
      },
    ],
  ])('come back bit for bit on another node when one %s', async (_, fault) => {
    const store = await open(1)
    await pushes(store, steps, (step) => step === 12 && fault(nodes[1]!))
    expect(store.replacements).toBe(1)
    await equal(store, await twin())
    nodes[1]!.signal('SIGCONT')
    // What the hung one says now is said to nobody.
    await equal(store, await twin())
  })

  it.each<[string, Fault]>([
    [
      'is killed and starts anew, empty',
      async (node) => {
        node.signal('SIGKILL')
        await node.start()
      },
    ],
    [
      'is killed and starts anew with the rows of some pushes ago',
      async (node) => {
        node.signal('SIGKILL')
        await node.start()
        expect(await node.client.keys('*:fence')).toHaveLength(1)
      },
    ],
    [
      'hangs, is given up, and goes on with what it had been told',
      async (node) => {
        node.signal('SIGSTOP')
        setTimeout(() => node.signal('SIGCONT'), 700)
      },
    ],
  ])('come back on the same node when it %s and no other stands by', async (what, fault) => {
    const store = await open(0)
    await pushes(store, steps, async (step) => {
      if (step === 8 && what.includes('ago')) await nodes[2]!.client.save()
      if (step === 14) await fault(nodes[2]!)
    })
    expect(store.replacements).toBe(1)
    await equal(store, await twin())
  })

  it('stay where they are when only connections are cut', async () => {
    const store = await open(1)
    await pushes(store, steps, async (step) => {
      if (step % 7 === 3) await nodes[step % 4]!.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    })
    expect(store.replacements).toBe(0)
    await equal(store, await twin())
  })

  it('are right after any faults that redundancy bears', async () => {
    // A busy machine must not make a second node look dead.
    const store = await open(1, { heartbeat: { interval: 100, missed: 30 } })
    const faults: Fault[] = [
      (node) => node.client.flushall(),
      (node) => node.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
      async (node) => node.client.unlink('none', ...(await node.client.keys('*:parity:*'))),
      async (node) => {
        node.signal('SIGKILL')
        await node.start()
      },
    ]
    const other = await openShards({ ...base, where: 'memory' })
    stores.push(other)
    await fc.assert(
      fc.asyncProperty(fc.nat(4), fc.nat(3), fc.nat(9), async (at, which, when) => {
        await pushes(store, 10, (step) => step === when && faults[which]!(nodes[at]!))
        await pushes(other, 10)
        await equal(store, other)
      }),
      { numRuns: 12, endOnFailure: true },
    )
  })

  it('are written by nobody but the latest run of a name', async () => {
    const first = await open(0, { patience: 0 })
    await pushes(first, 5)
    const fresh = await openShards({ ...base, where: 'memory' })
    stores.push(fresh)
    const second = await again({ patience: 0 })
    const ids = Uint32Array.from({ length: 350 }, (_, id) => id)
    await expect(first.push(ids, new Float32Array(350 * 8).fill(1))).rejects.toThrow(fails('ABORTED', /taken .* over/))
    await equal(second, fresh)
    expect(second.replacements).toBe(0)
    // Its end takes nothing from the later one.
    await first.close()
    await pushes(second, 5)
    await equal(second, await twin(5))
  })

  it('of runs with different names do not meet', async () => {
    const first = await open(0, { name: 'one' })
    const second = await again({ name: 'two', seed: 4 })
    await pushes(first, 10)
    await pushes(second, 3)
    await equal(first, await twin(10))
  })

  it('leave nothing behind', async () => {
    const store = await open(1, { name: 'a' })
    await again({ name: 'b' })
    await store.addServer()
    await pushes(store, 3)
    await store.close()
    for (const node of nodes)
      expect((await node.client.keys('*')).filter((key) => !key.startsWith('ftecrm:b:'))).toEqual([])
  })

  it('end the run with the reason when no node takes the place', async () => {
    const store = await open(0, { patience: 100 })
    await nodes[0]!.client.config('SET', 'maxmemory', '1')
    const error = fails('UNRECOVERABLE', /no node takes the place of server 0; .* OOM/)
    await expect(pushes(store, steps)).rejects.toThrow(error)
  })

  it('are spread over the masters of a cluster, each with the slots that it has', async () => {
    const flags = ['--cluster-enabled', 'yes', '--cluster-require-full-coverage', 'no']
    nodes = await Promise.all(Array.from({ length: 4 }, () => redisNode(...flags)))
    for (const [i, { client }] of nodes.entries())
      await client.call('CLUSTER', 'ADDSLOTSRANGE', i * 4_000, i * 4_000 + 3_999)
    // A master takes no writes for its first two seconds.
    for (const { client } of nodes)
      while (!String(await client.call('CLUSTER', 'INFO')).includes('cluster_state:ok'))
        await new Promise((resolve) => setTimeout(resolve, 20))
    const store = await again()
    await pushes(store, steps, (step) => step === 9 && store.kill(1))
    await equal(store, await twin())
  })

  it('refuse what cannot be', async () => {
    await expect(openShards({ ...base, redis: ['h:1'] })).rejects.toThrow(fails('INVALID_ARGUMENT', /must name 4/))
    const twice = ['h:1', 'h:2', 'h:3', 'h:1']
    await expect(openShards({ ...base, redis: twice })).rejects.toThrow(fails('INVALID_ARGUMENT', /h:1 twice/))
    const secret = ['redis://me:hidden@h', 'h:2', 'h:3', 'h:4']
    const error: unknown = await openShards({ ...base, redis: secret }).catch((cause: unknown) => cause)
    expect(error).toEqual(fails('INVALID_ARGUMENT', /another kind of URL/))
    expect(JSON.stringify(error) + String(error)).not.toContain('hidden')
    await expect(openShards({ ...base, redis: twice, name: 'a*' })).rejects.toThrow(fails('INVALID_ARGUMENT', /`name`/))
    await expect(openShards({ ...base, redis: twice, where: 'memory' })).rejects.toThrow(
      fails('INVALID_ARGUMENT', /`redis`/),
    )
    await expect(openShards({ ...base, redis: twice, owners: [] })).rejects.toThrow(
      fails('INVALID_ARGUMENT', /`owners`/),
    )
    await expect(openShards({ ...base, redis: twice, owners: ['h:1'] })).rejects.toThrow(
      fails('INVALID_ARGUMENT', /`token`/),
    )
    const dead = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3', '127.0.0.1:4']
    await expect(openShards({ ...base, redis: dead })).rejects.toThrow(fails('IO', /cannot hold rows of server \d/))
  })

  it('are behind a password where there is one', async () => {
    nodes = await Promise.all(Array.from({ length: 4 }, () => redisNode('--requirepass', 'hidden')))
    const redis = nodes.map(({ address }) => `redis://:hidden@${address}/0`)
    const store = await again({ redis })
    await pushes(store, 5)
    await equal(store, await twin(5))
    await expect(again()).rejects.toThrow(fails('IO', /NOAUTH/))
  })

  it.skipIf(withoutOpenssl)(
    `travel encrypted${withoutOpenssl ? ' (skipped: no openssl, which makes the certificates)' : ''}`,
    async () => {
      const { at, remove } = makeCertificates('IP:127.0.0.1')
      try {
        const files = { ca: at('ca.pem'), cert: at('one.pem'), key: at('one.key') }
        const read = (name: 'ca' | 'cert' | 'key'): string => readFileSync(files[name], 'utf8')
        // One that asks for certificates among those that do not.
        const asks = (i: number): string[] => ['--tls-auth-clients', i === 3 ? 'yes' : 'no']
        nodes = await Promise.all(Array.from({ length: 4 }, (_, i) => tlsNode(files, ...asks(i))))
        const redis = nodes.map(({ address }) => `rediss://${address}`)
        const mutual = { ca: read('ca'), cert: read('cert'), key: read('key') }
        const store = await again({ redis, tls: mutual })
        await pushes(store, 20, (step) => step === 7 && store.kill(1))
        await equal(store, await twin(20))
        await store.close()
        const three = { redis: redis.slice(0, 3), servers: 3, k: 2 }
        const authority = await again({ ...three, tls: { ca: read('ca') } })
        await pushes(authority, 3)
        expect(authority.replacements).toBe(0)
        await authority.close()
        // Nobody vouches for a node whose authority is not named, and none that encrypts is spoken to in the clear.
        await expect(again(three)).rejects.toThrow(fails('IO', /self-signed|unable to verify|local issuer/))
        const other = { ca: readFileSync(at('other.pem'), 'utf8') }
        await expect(again({ ...three, tls: other })).rejects.toThrow(
          fails('IO', /self-signed|unable to verify|local issuer/),
        )
        await expect(again({ redis, tls: { ca: read('ca') }, patience: 0 })).rejects.toThrow(fails('IO', /server 3/))
      } finally {
        remove()
      }
    },
  )

  it('are what the example says', async () => {
    nodes = await Promise.all(Array.from({ length: 4 }, () => redisNode()))
    const printed: string[] = []
    vi.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(`//   ${text}`))
    vi.spyOn(process, 'argv', 'get').mockReturnValue(['node', 'example', ...nodes.map(({ address }) => address)])
    const url = new URL('../examples/3-redis-nodes.mjs', import.meta.url)
    await import(url.href)
    vi.restoreAllMocks()
    expect(readFileSync(url, 'utf8')).toContain(`// Prints:\n${printed.join('\n')}\n`)
    expect(printed).toHaveLength(2)
  })
})

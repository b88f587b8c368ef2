// Part of bench "ecrm": rows on stock Redis servers of this machine, with versions and parity, pushed in batches.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import { createRandom } from '@ft/core/random'
import { openShards } from '@ft/ecrm'
import type { BenchContext } from './bench.ts'
import { shardSeconds } from './ecrmTask.ts'

const rows = 50_000
const d = 64
const batch = 8_192

interface Node {
  readonly process: ChildProcess
  readonly port: number
}

export async function throughRedis(context: BenchContext): Promise<void> {
  const binary = ['redis-server', 'valkey-server'].find((name) => spawnSync(name, ['--version']).status === 0)
  if (binary === undefined) return context.note('no redis-server on PATH: rows on Redis nodes are not measured')
  const nodes = await Promise.all([0, 1, 2].map(() => start(binary)))
  try {
    const plain = await plainWrites(context, nodes[0]!)
    for (const name of ['sgd', 'adagrad'] as const) {
      const redis = nodes.map(({ port }) => `127.0.0.1:${port}`)
      const optimizer = { name, learningRate: 0.03 }
      // Three servers and the trainer share few cores: who is slow to answer is not dead.
      const heartbeat = { interval: 1_000, missed: 10 }
      const sizes = { tables: [{ rows }], d, k: 2, r: 1, servers: 3, seed: context.seed }
      const store = await openShards({ ...sizes, redis, optimizer, heartbeat })
      try {
        const random = createRandom(context.seed).stream('redis')
        const gradients = random.fillNormal(new Float32Array(batch * d))
        const lists = Array.from({ length: 8 }, () => random.sample(rows, batch))
        for (const ids of lists) await store.push(ids, gradients)
        const cpu = await shardSeconds(store)
        const begin = performance.now()
        let pushed = 0
        while (performance.now() - begin < (context.quick ? 4_000 : 10_000)) {
          await Promise.all([0, 1].map((i) => store.push(lists[(pushed / batch + i) % 8]!, gradients)))
          pushed += 2 * batch
        }
        const seconds = (performance.now() - begin) / 1000
        const words = name === 'sgd' ? d : 2 * d
        const line = `3 Redis servers, k = 2, r = 1, d = ${d}, ${name} (${words} words a row), batches of ${batch}`
        context.emit({
          case: line,
          metric: 'row updates, with versions and parity, acknowledged',
          value: pushed / seconds,
          unit: 'rows/s',
          baseline: { case: 'SET of d words a row, 64 in a pipeline, one server, no parity', value: plain },
          ratio: pushed / seconds / plain,
          target: 'value >= 15,000, aim 50,000',
        })
        const used = (await shardSeconds(store)) - cpu
        context.emit({ case: line, metric: 'CPU of the Redis servers a row', value: (used * 1e6) / pushed, unit: 'us' })
      } finally {
        await store.close()
      }
    }
  } finally {
    for (const { process } of nodes) process.kill('SIGKILL')
  }
}

/** Rows written one by one, nothing else: what a client gets without any of this. */
async function plainWrites(context: BenchContext, { port }: Node): Promise<number> {
  const client = new Redis(port, '127.0.0.1')
  try {
    const row = Buffer.alloc(d * 4, 1)
    const begin = performance.now()
    let written = 0
    while (performance.now() - begin < (context.quick ? 2_000 : 5_000)) {
      const pipeline = client.pipeline()
      for (let i = 0; i < 64; i++) pipeline.set(`row:${(written + i) % rows}`, row)
      await pipeline.exec()
      written += 64
    }
    const rate = (written / (performance.now() - begin)) * 1000
    await client.flushall()
    return rate
  } finally {
    client.disconnect()
  }
}

async function start(binary: string): Promise<Node> {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address() as AddressInfo
      server.close(() => resolve(free))
    })
  })
  const flags = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no']
  const child = spawn(binary, flags, { stdio: 'ignore' })
  const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 20, maxRetriesPerRequest: null })
  client.on('error', () => undefined)
  await client.ping()
  client.disconnect()
  return { process: child, port }
}

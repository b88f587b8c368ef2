// Redis servers on free loopback ports, without persistence unless asked for.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'

/** Another server than the one on PATH, as of Valkey. */
const chosen = process.env['FT_REDIS_SERVER']
const binary = (chosen === undefined ? ['redis-server', 'valkey-server'] : [chosen]).find(
  (name) => spawnSync(name, ['--version']).status === 0,
)
const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('redis')
if (binary === undefined && required) throw new Error('FT_REQUIRE asks for redis, and no redis-server is on PATH')
if (binary === undefined) console.warn('skipped: no redis-server on PATH')

export const haveRedis = binary !== undefined

export interface TestNode {
  readonly address: string
  readonly client: Redis
  /** Starts it, or starts it again on the same port. */
  start(): Promise<void>
  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
  /** Ends it and resolves when it has ended. */
  end(): Promise<void>
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })

/** Files of a node that speaks TLS alone. */
export interface NodeTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A node without a port for who does not encrypt; it asks for no certificate unless told to. */
export const tlsNode = (files: NodeTls, ...flags: string[]): Promise<TestNode> => start(files, flags)

export const redisNode = (...flags: string[]): Promise<TestNode> => start(undefined, flags)

async function start(tls: NodeTls | undefined, flags: readonly string[]): Promise<TestNode> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'ecrm-redis-'))
  let child: ChildProcess | undefined
  let ended = Promise.resolve<unknown>(undefined)
  const password = flags[flags.indexOf('--requirepass') + 1]
  const client = new Redis({
    port,
    host: '127.0.0.1',
    lazyConnect: true,
    retryStrategy: () => 20,
    maxRetriesPerRequest: null,
    ...(tls ? { tls: { ca: readFileSync(tls.ca), cert: readFileSync(tls.cert), key: readFileSync(tls.key) } } : {}),
    ...(flags.includes('--requirepass') && password !== undefined ? { password } : {}),
  })
  client.on('error', () => undefined)
  const node: TestNode = {
    address: `127.0.0.1:${port}`,
    client,
    async start() {
      // The port is the one before's until it has ended.
      await ended
      const files = tls ? ['--tls-cert-file', tls.cert, '--tls-key-file', tls.key, '--tls-ca-cert-file', tls.ca] : []
      const listen = tls ? ['--port', '0', '--tls-port', String(port), ...files] : ['--port', String(port)]
      const where = ['--bind', '127.0.0.1', ...listen, '--dir', folder]
      const quiet = ['--save', '', '--appendonly', 'no', '--loglevel', 'warning']
      const own = (child = spawn(binary!, [...where, ...quiet, ...flags], { stdio: 'ignore' }))
      ended = new Promise((resolve) => own.once('exit', resolve))
      if (client.status === 'wait') await client.connect().catch(() => undefined)
      for (let tries = 0; tries < 500; tries++) {
        if ((await client.ping().catch(() => '')) === 'PONG') return
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      throw new Error('redis-server does not answer')
    },
    signal: (signal) => void child?.kill(signal),
    async end() {
      client.disconnect()
      child?.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await node.start()
  return node
}

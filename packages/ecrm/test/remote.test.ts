// Shards elsewhere: who is let in, what a cut connection or a stale word does, and where rows of one stripe may lie.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { isFtError, type FtErrorCode } from '@ft/core'
import { createOutput } from '@ft/report'
import { runShard } from '../src/cli/shard.ts'
import { openShards, type ShardOptions, type ShardStore } from '../src/index.ts'
import { encodeFrame, headerBytes } from '../src/network/codec.ts'
import { carryMessages } from '../src/network/connection.ts'
import { arrangeDomains, fitsDomain } from '../src/network/domains.ts'
import { protocol } from '../src/network/refusals.ts'
import { tokenWords } from '../src/network/remote.ts'
import { startShardChild, type ShardChild } from '../src/network/shardChild.ts'
import { hostShards, type HostOptions, type ShardHost } from '../src/network/shardHost.ts'
import { packSpec } from '../src/shard/spec.ts'
import { packText } from '../src/shard/text.ts'
import type { Message } from '../src/shard/messages.ts'
import { makeCertificates, withoutOpenssl } from './support/certificates.ts'
import { base, pushes, token } from './support/stores.ts'

const fails = (code: FtErrorCode): unknown => expect.toSatisfy((error) => isFtError(error, code))
let after: (() => unknown)[] = []
afterEach(async () => {
  for (const end of after.toReversed()) await end()
  after = []
})

async function host(options: Partial<HostOptions> = {}): Promise<ShardHost> {
  const one = await hostShards({ token: tokenWords(token), host: '127.0.0.1', port: 0, ...options })
  after.push(() => one.close())
  return one
}
async function hosts(count: number): Promise<string[]> {
  const all = await Promise.all(Array.from({ length: count }, () => host()))
  return all.map(({ port }) => `127.0.0.1:${port}`)
}
async function start(options: Partial<ShardOptions>): Promise<ShardStore> {
  const store = await openShards({ ...base, servers: undefined, token, ...options } as ShardOptions)
  after.push(() => store.close())
  return store
}
async function snapshotOfTwin(count: number, options: Partial<ShardOptions> = {}) {
  const twin = await openShards({ ...base, where: 'memory', ...options })
  await pushes(twin, count)
  const rows = await twin.snapshot()
  await twin.close()
  return rows
}
/** A line to a host on which anything can be said. */
async function line(port: number) {
  const heard: Message[] = []
  let closed: () => void
  const end = new Promise<void>((resolve) => (closed = resolve))
  const socket = connect(port, '127.0.0.1')
  after.push(() => socket.destroy())
  const { send } = carryMessages(socket, { message: (message) => heard.push(message), closed: () => closed() })
  const none = new Uint32Array(0)
  const hello = {
    type: 'hello',
    protocol,
    node: 4,
    incarnation: 1,
    epoch: 1,
    token: tokenWords(token),
    run: none,
    address: none,
  }
  return { send, heard, end, hello: hello as Message & { type: 'hello' } }
}

it('a wrong token is refused, and the error says so', async () => {
  const shards = await hosts(4)
  await expect(start({ shards, token: 'another secret, just as long' })).rejects.toThrow(/refused the token/)
  await expect(start({ shards, token: '' })).rejects.toThrow(/`token`/)
})

it('who connects and says nothing is not kept', async () => {
  const { port } = await host({ greeting: 50 })
  const { heard, end } = await line(port)
  await end
  expect(heard).toEqual([])
})

it('a stranger is not taken at its word for a large frame, who has greeted is', async () => {
  const { port } = await host()
  const socket = connect(port, '127.0.0.1')
  after.push(() => socket.destroy())
  const end = new Promise<void>((resolve) => socket.once('close', resolve))
  // Only that 8,000 bytes and more are to come: nothing is kept for them.
  socket.write(
    encodeFrame({ type: 'read', id: 1, urgent: 0, stripes: new Uint32Array(2_000) }).subarray(0, headerBytes),
  )
  await end

  const { send, heard, hello } = await line(port)
  const ranges = Array.from({ length: 500 }, () => ({ rows: 3, scale: 0.1 }))
  const sizes = { k: 1, r: 0, servers: 1, d: 2, ranges, seed: 0, logBytes: 1_024 }
  const optimizer = { name: 'sgd', learningRate: 1 } as const
  const spec = packSpec({ ...sizes, optimizer, acknowledgement: 'sync' })
  expect(spec.byteLength).toBeGreaterThan(8_000)
  // They leave together and may arrive in one piece.
  send(hello)
  send({ type: 'start', server: 0, incarnation: 1, lost: 0, linger: 0, spec, address: new Uint32Array(0) })
  send({ type: 'ping' })
  await expect.poll(() => heard).toEqual([{ type: 'pong', missing: 0, unrecoverable: 0 }])
})

it('other versions are refused', async () => {
  const { port } = await host()
  const { send, heard, end, hello } = await line(port)
  send({ ...hello, protocol: protocol + 1 })
  await end
  expect(heard).toEqual([{ type: 'refused', reason: 0 }])
})

it('a shard that does not answer is named', async () => {
  const shards = await hosts(3)
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  await new Promise((resolve) => silent.close(resolve))
  await expect(start({ shards: [...shards, `127.0.0.1:${port}`] })).rejects.toThrow(
    new RegExp(`no shard answers at 127.0.0.1:${port}`),
  )
})

it.each([
  [['127.0.0.1:1', '127.0.0.1:1'], /twice/],
  [['127.0.0.1'], /like host:port/],
  [['127.0.0.1:70000'], /like host:port/],
  [['127.0.0.1:1', '127.0.0.1:2'], /needs as many servers/],
])('refuses %j', async (shards, message) => {
  await expect(start({ shards })).rejects.toThrow(message)
})

it('a shard has one part in a run, and stale or strange words change nothing', async () => {
  const all = await Promise.all([host(), host(), host(), host()])
  const shards = all.map(({ port }) => `127.0.0.1:${port}`)
  // Who overhears a run's number and knows the token is a peer gone stale: its life is over.
  let run = new Uint32Array(0)
  const overheard = createServer((socket) => {
    const reader = carryMessages(socket, {
      message(message) {
        if (message.type === 'hello') run = message.run.slice()
        reader.drop()
      },
      closed: () => undefined,
    })
  })
  await new Promise<void>((resolve) => overheard.listen(0, '127.0.0.1', resolve))
  after.push(() => overheard.close())
  const spare = `127.0.0.1:${(overheard.address() as AddressInfo).port}`
  const store = await start({ shards: [...shards, spare], servers: 4, patience: 2_000 })
  await pushes(store, 10)
  store.kill(0)
  await store.recovered()
  expect(run.length).toBe(4)
  const before = await store.snapshot()

  const again = await line(all[1].port)
  again.send({ ...again.hello, run })
  again.send({
    type: 'start',
    server: 1,
    incarnation: 1,
    lost: 0,
    linger: 0,
    spec: packText('{}'),
    address: packText('x:1'),
  })
  await again.end
  expect(again.heard).toEqual([{ type: 'refused', reason: 3 }])

  // An earlier life of server 0 sends a difference that fits: server 2, which has the parity, knows of the later life.
  const version = before.versions[store.layout.idOf({ stripe: 0, position: 0 })]!
  const stale = await line(all[2].port)
  stale.send({ ...stale.hello, node: 0, incarnation: 1, run, address: packText(shards[0]!) })
  const heads = Uint32Array.of(0, 0, version, version + 1, 4, 99)
  stale.send({
    type: 'deltas',
    batch: 1,
    complete: 0,
    soon: 1,
    acked: 0,
    life: 0,
    heads,
    words: new Uint32Array(16).fill(7),
  })
  // A push for a run that nobody has begun here waits for its start, which never comes.
  const strange = await line(all[1].port)
  strange.send({ ...strange.hello, run: Uint32Array.of(1, 2, 3, 4) })
  const gradients = new Uint32Array(new Float32Array(8).fill(1).buffer)
  strange.send({ type: 'push', id: 1, readsNext: 0, pushesNext: 0, rows: Uint32Array.of(0), gradients })
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(strange.heard).toEqual([])
  expect(await store.snapshot()).toEqual(before)
  expect((await store.scrub()).corrupt).toEqual([])
})

it('connections that are cut cost a replacement, and no row', async () => {
  const servers = await hosts(4)
  const cut: Socket[] = []
  // Everything to server 2, the trainer's words and the peers', goes through here.
  const proxy = createServer((socket) => {
    const [host = '', port] = servers[2]!.split(':')
    const onward = connect(Number(port), host)
    cut.push(socket, onward)
    socket.pipe(onward).pipe(socket)
    for (const end of [socket, onward]) end.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  after.push(() => proxy.close())
  const shards = servers.with(2, `127.0.0.1:${(proxy.address() as AddressInfo).port}`)
  const store = await start({ shards })
  await pushes(store, 40, (step) => {
    if (step === 10 || step === 25) for (const socket of cut.splice(0)) socket.destroy()
  })
  expect(await store.recovered()).toEqual([])
  expect(store.replacements).toBeGreaterThanOrEqual(2)
  expect(await store.snapshot()).toEqual(await snapshotOfTwin(40))
})

it('a killed process is replaced by one that stands by; without one it has its time to come back', async () => {
  const children: ShardChild[] = Array.from({ length: 5 }, () => startShardChild(tokenWords(token)))
  after.push(() => Promise.all(children.map(({ kill, ended }) => (kill('SIGKILL'), ended))))
  const ports = await Promise.all(children.map(({ port }) => port))
  const shards = ports.map((port) => `127.0.0.1:${port}`)
  const store = await start({ shards, servers: 4, patience: 60_000 })
  await pushes(store, 40, async (step) => {
    if (step === 10) children[1]!.kill('SIGKILL')
    if (step !== 25) return
    await store.recovered()
    children[4]!.kill('SIGKILL')
    await children[4]!.ended
    // Somebody starts it again, where it was.
    await host({ port: ports[4]! })
  })
  expect(await store.recovered()).toEqual([])
  expect(store.replacements).toBe(2)
  expect(await store.snapshot()).toEqual(await snapshotOfTwin(40))
})

it('of two that fall silent together one is given up, and the other waited for: with r = 1 both would be too many', async () => {
  const children: ShardChild[] = Array.from({ length: 6 }, () => startShardChild(tokenWords(token)))
  after.push(() => Promise.all(children.map(({ kill, ended }) => (kill('SIGKILL'), ended))))
  const shards = (await Promise.all(children.map(({ port }) => port))).map((port) => `127.0.0.1:${port}`)
  const store = await start({ shards, servers: 4, heartbeat: { interval: 50, missed: 4 } })
  await pushes(store, 10)
  children[1]!.kill('SIGSTOP')
  children[2]!.kill('SIGSTOP')
  // Long enough to be given up by one who may, and far from where patience ends.
  await new Promise((resolve) => setTimeout(resolve, 600))
  children[1]!.kill('SIGCONT')
  children[2]!.kill('SIGCONT')
  expect(await store.recovered()).toEqual([])
  expect(store.replacements).toBe(1)
  expect(await store.snapshot()).toEqual(await snapshotOfTwin(10))
})

it('a shard that does not come back in time ends the run with a clear error', async () => {
  const all = await Promise.all([host(), host(), host()])
  const store = await start({ shards: all.map(({ port }) => `127.0.0.1:${port}`), patience: 300 })
  await all[1].close()
  await expect(pushes(store, 1_000)).rejects.toThrow(/server 1 could not be replaced/)
})

it('a run ends where its trainer does, and the next one begins afresh', async () => {
  const events: string[] = []
  const told = await Promise.all(Array.from({ length: 3 }, () => host({ onRun: (event) => events.push(event) })))
  const shards = told.map(({ port }) => `127.0.0.1:${port}`)
  const first = await start({ shards })
  await pushes(first, 5)
  await first.close()
  for (let wait = 0; wait < 200 && events.length < 6; wait++) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(events.toSorted()).toEqual(['begun', 'begun', 'begun', 'ended', 'ended', 'ended'])
  const second = await start({ shards })
  expect((await second.snapshot()).versions.every((version) => version === 0)).toBe(true)
})

it('domains: no stripe has two rows in one, or the error says why', () => {
  const label = fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { nil: undefined })
  const sizes = fc.record({
    window: fc.integer({ min: 2, max: 6 }),
    domains: fc.array(label, { minLength: 2, maxLength: 24 }),
  })
  fc.assert(
    fc.property(sizes, ({ window, domains }) => {
      fc.pre(domains.length >= window)
      const counts = new Map<string, number>()
      for (const domain of domains) if (domain !== undefined) counts.set(domain, (counts.get(domain) ?? 0) + 1)
      const n = domains.length
      if (Math.max(0, ...counts.values()) > Math.floor(n / window)) {
        expect(() => arrangeDomains(domains, window)).toThrow(/may share a failure domain/)
        return
      }
      const order = arrangeDomains(domains, window)
      expect(order.toSorted((a, b) => a - b)).toEqual(domains.map((_, i) => i))
      const placed = order.map((i) => domains[i])
      for (let at = 0; at < n; at++) {
        expect(fitsDomain(placed, { at, window, domain: placed[at] })).toBe(true)
        const near = Array.from({ length: window }, (_, i) => placed[(at + i) % n]).filter((one) => one !== undefined)
        expect(new Set(near).size).toBe(near.length)
      }
    }),
    { numRuns: 2_000 },
  )
})

it('a replacement comes from a domain that fits', async () => {
  const addresses = await hosts(6)
  const domains = ['a', 'b', 'c', 'd', 'a', 'b']
  const shards = addresses.map((address, i) => ({ address, domain: domains[i]! }))
  const store = await start({ shards, servers: 4, k: 3 })
  expect(store.layout.servers).toBe(4)
  await pushes(store, 20, (step) => step === 5 && store.kill(1))
  expect(await store.recovered()).toEqual([])
  expect(await store.snapshot()).toEqual(await snapshotOfTwin(20, { k: 3 }))
  await expect(start({ shards, servers: 5, k: 3 })).rejects.toThrow(fails('INVALID_ARGUMENT'))
})

it.skipIf(withoutOpenssl)(
  `mutual TLS: rows move encrypted, and who has no certificate of the authority is not let in${withoutOpenssl ? ' (skipped: no openssl, which makes the certificates)' : ''}`,
  async () => {
    const { at, remove } = makeCertificates('DNS:shard.test')
    after.push(remove)
    const read = (name: string): string => readFileSync(at(name), 'utf8')
    const tls = { ca: read('ca.pem'), cert: read('one.pem'), key: read('one.key'), servername: 'shard.test' }
    const all = await Promise.all(Array.from({ length: 4 }, () => host({ tls })))
    const shards = all.map(({ port }) => `127.0.0.1:${port}`)
    const store = await start({ shards, tls })
    await pushes(store, 20, (step) => step === 8 && store.kill(2))
    expect(await store.recovered()).toEqual([])
    expect(await store.snapshot()).toEqual(await snapshotOfTwin(20))
    const stranger = { ca: read('ca.pem'), cert: read('other.pem'), key: read('other.key'), servername: 'shard.test' }
    await expect(start({ shards, tls: stranger })).rejects.toThrow(fails('IO'))
    await expect(start({ shards })).rejects.toThrow(fails('IO'))
    await expect(start({ shards, tls: { ca: tls.ca } })).rejects.toThrow(fails('INVALID_ARGUMENT'))
  },
)

it('`ecrm shard` listens, says so, and ends when it is told to', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ft-shard-'))
  after.push(() => rmSync(folder, { recursive: true }))
  const tokenFile = join(folder, 'token')
  writeFileSync(tokenFile, `${token}\n`)
  const runs = Array.from({ length: 3 }, () => {
    const stop = new AbortController()
    let text = ''
    const stdout = new Writable({ write: (chunk: Buffer, _, done) => ((text += chunk.toString()), done()) })
    const stderr = Object.assign(new Writable({ write: (_chunk, _encoding, done) => done() }), { isTTY: false })
    const output = createOutput({ stdout, stderr, json: true })
    const flags = { listen: '127.0.0.1:0', tokenFile }
    return { stop, text: () => text, done: runShard(flags, { output, signal: stop.signal }) }
  })
  const shards: string[] = []
  for (const { text } of runs) {
    for (let wait = 0; wait < 500 && text() === ''; wait++) await new Promise((resolve) => setTimeout(resolve, 10))
    shards.push((JSON.parse(text().split('\n')[0]!) as { address: string }).address)
  }
  const store = await start({ shards })
  await pushes(store, 3)
  await store.close()
  for (const { stop, done } of runs) {
    stop.abort()
    await done
  }
  expect(runs[0]!.text()).toMatch(/"begun"/)
  writeFileSync(tokenFile, 'short')
  const output = createOutput({ stdout: process.stdout, stderr: process.stderr, json: true })
  const signal = new AbortController().signal
  await expect(runShard({ listen: '127.0.0.1:0', tokenFile }, { output, signal })).rejects.toThrow(/at least 16/)
  await expect(runShard({ listen: '127.0.0.1:0', tokenFile, tlsCa: tokenFile }, { output, signal })).rejects.toThrow(
    fails('INVALID_ARGUMENT'),
  )
})

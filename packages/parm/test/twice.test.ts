// Instances that answer a request twice: the second answer must not become that of another caller.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createGateway, createOipClient, firstWins, type Gateway, type InferRequest } from '../src/index.ts'
import { floats } from './support/echo.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const form = (name: string) => ({ name, datatype: 'FP32', shape: [-1, 2] })
const metadata = JSON.stringify({ name: 'm', platform: 'test', inputs: [form('x')], outputs: [form('y')] })

interface Behaviour {
  /** The id of an answer to a request of this one. */
  id(asked: string | undefined): string | undefined
  /** When an answer goes out, in milliseconds; a second time where there are two. */
  at(x: number): readonly number[]
}

/** y = 3 x in JSON, on TCP or a local socket. */
async function serve(
  kind: 'http' | 'local',
  { id, at }: Behaviour,
): Promise<{ url: string; connections: () => number }> {
  let connections = 0
  const server = createServer((socket) => {
    connections++
    let got = Buffer.alloc(0)
    const send = (body: string) => {
      if (!socket.destroyed)
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
    }
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk])
      for (;;) {
        const end = got.indexOf('\r\n\r\n')
        if (end < 0) return
        const head = got.toString('latin1', 0, end)
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
        if (got.length < end + 4 + length) return
        const body = got.subarray(end + 4, end + 4 + length)
        got = got.subarray(end + 4 + length)
        if (!/infer/.test(head.split('\r\n')[0] as string)) {
          send(/\/v2 /.test(head) ? '{"extensions":[]}' : metadata)
          continue
        }
        const asked = JSON.parse(body.toString()) as { id?: string; inputs: { data: number[] }[] }
        const [x = 0, z = 0] = asked.inputs[0]?.data ?? []
        const outputs = [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [3 * x, 3 * z] }]
        const answer = JSON.stringify({ model_name: 'm', id: id(asked.id), outputs })
        for (const ms of at(x)) {
          if (ms === 0) send(answer)
          else setTimeout(() => send(answer), ms)
        }
      }
    })
  })
  const folder = mkdtempSync(join(tmpdir(), 'parm-test-'))
  const path = join(folder, 's')
  await new Promise<void>((resolve) =>
    kind === 'local' ? server.listen(path, resolve) : server.listen(0, '127.0.0.1', resolve),
  )
  ends.push(() => (server.close(), rmSync(folder, { recursive: true, force: true })))
  const url = kind === 'local' ? path : `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, connections: () => connections }
}

async function start(urls: readonly string[]): Promise<Gateway> {
  const instances = urls.map((url) => ({ url, concurrency: 1 }))
  const gateway = await createGateway({ model: 'm', policy: firstWins(), deadlineMs: 3000, instances })
  ends.push(() => gateway.close())
  return gateway
}

async function ask(gateway: Gateway, x: number): Promise<{ status: number; y: number | undefined }> {
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [x, 0] }] })
  const response = await fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body })
  const { outputs } = (await response.json()) as { outputs?: { data: number[] }[] }
  return { status: response.status, y: outputs?.[0]?.data[0] }
}

const same = (id: string | undefined) => id
/** Small numbers are answered at once and again 10 ms later, others after 30 ms: the second answer comes while they wait. */
const twice = (x: number) => (x < 100 ? [0, 10] : [30])

describe.each(['http', 'local'] as const)('over %s, an instance that answers twice', (kind) => {
  it('gives nobody the answer of another, and is failed for it', async () => {
    const { url } = await serve(kind, { id: same, at: twice })
    const gateway = await start([url])
    for (let i = 1; i <= 8; i++) {
      expect(await ask(gateway, i)).toEqual({ status: 200, y: 3 * i })
      const next = await ask(gateway, 100 + i)
      expect([200, 502]).toContain(next.status)
      if (next.status === 200) expect(next.y).toBe(300 + 3 * i)
    }
    expect(gateway.snapshot().instances[0]?.failed).toBeGreaterThan(0)
  })

  it('costs a caller nothing where there is another instance', async () => {
    const [bad, good] = await Promise.all([
      serve(kind, { id: same, at: twice }),
      serve(kind, { id: same, at: () => [0] }),
    ])
    const gateway = await start([bad.url, good.url])
    for (let i = 1; i <= 8; i++) {
      const pair = await Promise.all([ask(gateway, i), ask(gateway, i)])
      expect(pair).toEqual([1, 2].map(() => ({ status: 200, y: 3 * i })))
      const next = await Promise.all([ask(gateway, 100 + i), ask(gateway, 200 + i)])
      expect(next.map(({ y }) => y)).toEqual([300 + 3 * i, 600 + 3 * i])
    }
  })

  it('loses its connection when nothing was asked, ids or not', async () => {
    const server = await serve(kind, { id: () => undefined, at: (x) => (x < 100 ? [0, 10] : [0]) })
    const gateway = await start([server.url])
    for (let i = 1; i <= 4; i++) {
      const before = server.connections()
      expect(await ask(gateway, i)).toEqual({ status: 200, y: 3 * i })
      await new Promise((resolve) => setTimeout(resolve, 60))
      // On another connection, with its own answer
      expect(await ask(gateway, 100 + i)).toEqual({ status: 200, y: 300 + 3 * i })
      if (i > 1) expect(server.connections()).toBeGreaterThan(before)
    }
  })

  it('is told apart from one that says no ids, and from one that says those of others', async () => {
    const request = (id?: string): InferRequest => ({
      ...(id === undefined ? {} : { id }),
      parameters: {},
      inputs: [floats('x', [1, 2], [1, 2])],
      binaryOutput: false,
    })
    const clientOf = async (id: Behaviour['id']) => {
      const client = createOipClient((await serve(kind, { id, at: () => [0] })).url)
      ends.push(() => client.close())
      return client
    }
    const mute = await clientOf(() => undefined)
    const empty = await clientOf(() => '')
    for (const client of [mute, empty]) await client.infer('m', { request: request() })
    const faithful = await clientOf(same)
    // What the caller did not say is not said to it
    expect(await faithful.infer('m', { request: request() })).not.toHaveProperty('id')
    expect(await faithful.infer('m', { request: request('q') })).toMatchObject({ id: 'q' })
    const wrong = await clientOf(() => '1')
    await expect(wrong.infer('m', { request: request() })).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
    let asked = 0
    const forgetful = await clientOf((id) => (asked++ === 0 ? id : undefined))
    await forgetful.infer('m', { request: request() })
    await expect(forgetful.infer('m', { request: request() })).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
    // As after a restart, when it is asked what it is
    await forgetful.metadata('m')
    await forgetful.infer('m', { request: request() })
  })
})

// The protocol over real sockets: a stock HTTP client with JSON, our client with bytes, refusals with their status.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { createOipClient, startOipServer, toNamedTensor, type OipServer } from '../src/index.ts'
import { testCertificate } from './support/certificate.ts'
import { floats, tripleService } from './support/echo.ts'

let server: OipServer
let seen: Readonly<Record<string, string>> = {}
beforeAll(async () => {
  server = await startOipServer(
    tripleService({
      before: ({ headers }) => {
        seen = headers
      },
    }),
    { maxBodyBytes: 4096 },
  )
})
afterAll(() => server.close())

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  fetch(server.url + path, { method: 'POST', body, headers })
const body = JSON.stringify({ id: 'q1', inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2.5] }] })

it('answers JSON with JSON, under the request id, with the headers for tracing passed on', async () => {
  const travelling = { traceparent: '00-ab-cd-01', tracestate: 'a=1', baggage: 'b=2', 'x-user': 'u' }
  const response = await post('/v2/models/triple/versions/1/infer', body, { ...travelling, authorization: 'secret' })
  expect(await response.json()).toEqual({
    model_name: 'triple',
    model_version: '1',
    id: 'q1',
    outputs: [{ name: 'y', datatype: 'FP32', shape: [1, 2], data: [3, 7.5] }],
  })
  expect(seen).toEqual(travelling)
})

it.each([
  [{}, { outputs: [{ name: 'y', parameters: { binary_data: true } }] }, true],
  [{}, { outputs: [{ name: 'y', parameters: { binary_data: false } }] }, false],
  [{ binary_data_output: true }, {}, true],
  [{ binary_data_output: true }, { outputs: [{ name: 'y' }] }, true],
  [{ binary_data_output: true }, { outputs: [{ name: 'y', parameters: { binary_data: false } }] }, false],
])('answers in bytes what is asked for in bytes: %j %j', async (parameters, outputs, binary) => {
  const asked = JSON.stringify({ ...(JSON.parse(body) as object), parameters, ...outputs })
  const response = await post('/v2/models/triple/infer', asked)
  const header = response.headers.get('inference-header-content-length')
  const bytes = Buffer.from(await response.arrayBuffer())
  const said = JSON.parse(bytes.toString('utf8', 0, Number(header ?? bytes.length))) as { outputs: object[] }
  expect(said.outputs).toMatchObject([binary ? { parameters: { binary_data_size: 8 } } : { data: [3, 7.5] }])
  if (binary) expect([...new Float32Array(new Uint8Array(bytes.subarray(Number(header))).buffer)]).toEqual([3, 7.5])
})

it('says that a body is too long before it comes', async () => {
  const socket = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1' })
  socket.write('POST /v2/models/triple/infer HTTP/1.1\r\nHost: h\r\nContent-Length: 4097\r\n\r\n')
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  expect(chunk.toString()).toMatch(/^HTTP\/1.1 413 [^]*\r\nConnection: close\r\n/)
  socket.destroy()
})

it.each([
  [20, true],
  [0, false],
])('keeps idle connections for %i ms: closed %s; busy ones longer', async (keepAliveMs, closes) => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  let inside = () => undefined as void
  const entered = new Promise<void>((resolve) => (inside = resolve))
  const own = await startOipServer(
    tripleService({
      before() {
        inside()
        return new Promise(() => undefined)
      },
    }),
    { keepAliveMs },
  )
  const [idle, busy] = [1, 2].map(() => connect({ port: Number(new URL(own.url).port), host: '127.0.0.1' }))
  const closed: string[] = []
  idle?.once('close', () => closed.push('idle'))
  busy?.once('close', () => closed.push('busy'))
  busy?.write(`POST /v2/models/triple/infer HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  await entered
  await new Promise((resolve) => setTimeout(resolve, 50))
  vi.advanceTimersByTime(5000)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(closed).toEqual(closes ? ['idle'] : [])
  vi.useRealTimers()
  own.destroy()
  idle?.destroy()
})

it('refuses certificates that are none', async () => {
  for (const tls of [
    { ...testCertificate, cert: 'x' },
    { ...testCertificate, key: 'y' },
  ])
    await expect(startOipServer(tripleService(), { tls })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

it('says what it is: live, ready, server and model metadata', async () => {
  const get = async (path: string) => (await fetch(server.url + path)).json() as Promise<Record<string, unknown>>
  expect(await get('/v2/health/live')).toEqual({ live: true })
  expect(await get('/v2/health/ready')).toEqual({ ready: true })
  expect((await get('/v2'))['extensions']).toEqual(['binary_tensor_data'])
  expect(await get('/v2/models/triple/ready')).toEqual({ name: 'triple', ready: true })
  expect((await get('/v2/models/triple'))['platform']).toBe('test')
})

it.each([
  ['an unknown path', '/v1/models/triple', 'POST', body, 404],
  ['an unknown model', '/v2/models/other/infer', 'POST', body, 404],
  ['an unknown version', '/v2/models/triple/versions/2/infer', 'POST', body, 404],
  ['a wrong method', '/v2/models/triple/infer', 'GET', undefined, 405],
  ['a body that is no JSON', '/v2/models/triple/infer', 'POST', 'x', 400],
  ['a body over the limit', '/v2/models/triple/infer', 'POST', ' '.repeat(5000), 413],
  [
    'an output that the model lacks',
    '/v2/models/triple/infer',
    'POST',
    body.replace('{', '{"outputs":[{"name":"z"}],'),
    400,
  ],
  ['a broken name', '/v2/models/%E0%A4%A/infer', 'POST', body, 400],
])('refuses %s and keeps serving', async (_name, path, method, text, status) => {
  const response = await fetch(server.url + path, { method, ...(text === undefined ? {} : { body: text }) })
  expect(response.status).toBe(status)
  expect(typeof ((await response.json()) as { error: unknown }).error).toBe('string')
  expect((await post('/v2/models/triple/infer', body)).status).toBe(200)
})

it('speaks bytes over a local socket too, and aborts the work of a client that leaves', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parm-test-'))
  const entered = new AbortController()
  let left: Promise<unknown> = Promise.resolve()
  let slow = false
  const local = await startOipServer(
    tripleService({
      before: async ({ signal }) => {
        if (!slow) return
        left = once(signal, 'abort')
        entered.abort()
        await left
      },
    }),
    { socketPath: join(folder, 's') },
  )
  const client = createOipClient(local.url)
  try {
    const request = { parameters: {}, inputs: [floats('x', [1, 2], [1, 2])], binaryOutput: true }
    const answer = await client.infer('triple', { request })
    expect(answer.outputs.map((t) => Array.from(toNamedTensor(t)?.data ?? []))).toEqual([[3, 6]])
    await expect(client.infer('other', { request })).rejects.toMatchObject({ status: 404 })
    slow = true
    const stop = new AbortController()
    const late = client.infer('triple', { request, signal: stop.signal })
    const outcome = expect(late).rejects.toMatchObject({ code: 'ABORTED' })
    await once(entered.signal, 'abort')
    stop.abort()
    await outcome
    await left
  } finally {
    await client.close()
    await local.close()
    rmSync(folder, { recursive: true })
  }
})

it('gives IO for a server that is not there', async () => {
  const client = createOipClient('http://127.0.0.1:9', { binary: true })
  await expect(client.metadata('m')).rejects.toMatchObject({ code: 'IO' })
  await client.close()
  expect(() => createOipClient('ftp://x')).toThrow(/http URL/)
})

it('closes although a client keeps asking on its connection', async () => {
  let close = () => {}
  let closed: Promise<void> | undefined
  const own = await startOipServer(tripleService({ before: () => close() }))
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = () =>
    new Promise<string | undefined>((resolve, reject) => {
      const asked = request(`${own.url}/v2/models/triple/infer`, { agent, method: 'POST' }, (response) => {
        response.resume().once('end', () => resolve(response.headers.connection))
      })
      asked.once('error', reject).end(body)
    })
  expect(await ask()).toBe('keep-alive')
  close = () => void (closed ??= own.close())
  // Told to close while it works on this request: answers it, and takes no other
  expect(await ask()).toBe('close')
  for (let more = 0; more < 20; more++) await expect(ask()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await closed
  agent.destroy()
})

it('ends calls that wait for a connection when they are aborted, cut off, or the client is closed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parm-test-'))
  const never = tripleService({ before: () => new Promise(() => undefined) })
  const local = await startOipServer(never, { socketPath: join(folder, 's') })
  const client = createOipClient(local.url, { binary: true, connections: 1 })
  const infer = (o: { signal?: AbortSignal; started?: (cut: (reason: unknown) => void) => void } = {}) => {
    const call = { parameters: {}, inputs: [floats('x', [1, 2], [1, 2])], binaryOutput: true }
    const settled = client.infer('triple', { request: call, ...o }).catch((error: unknown) => error)
    return settled as Promise<{ code: string; cause: unknown }>
  }
  const stop = new AbortController()
  let cut: (reason: unknown) => void = () => undefined
  const [sent, aborted, cutOff, waiting] = [
    infer(),
    infer({ signal: stop.signal }),
    infer({ started: (own) => (cut = own) }),
    infer(),
  ]
  stop.abort()
  expect(await aborted).toMatchObject({ code: 'ABORTED' })
  await expect.poll(() => cut.length).toBe(1)
  cut('enough')
  expect(await cutOff).toMatchObject({ code: 'IO', cause: 'enough' })
  await client.close()
  expect(await waiting).toMatchObject({ code: 'IO', cause: { code: 'ABORTED' } })
  expect(await sent).toMatchObject({ code: 'IO', cause: { code: 'ABORTED' } })
  local.destroy()
  rmSync(folder, { recursive: true })
})

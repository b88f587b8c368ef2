// What a gateway makes of instances that do not answer as their model should, have another one, or are not there.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  createGateway,
  firstWins,
  startOipServer,
  sum,
  toNamedTensor,
  toWireTensor,
  type Gateway,
  type GatewayOptions,
  type InferResponse,
  type OipServer,
  type OipServerOptions,
  type OipService,
  type TensorMetadata,
} from '../src/index.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Model {
  input?: TensorMetadata
  outputs?: TensorMetadata[]
  properties?: Record<string, string>
  /** Instead of three times the input. */
  reply?(): InferResponse['outputs']
  before?(signal: AbortSignal): Promise<void>
}

async function serve(model: Model = {}, options: OipServerOptions = {}): Promise<OipServer & { asked: number }> {
  const { input = { name: 'x', datatype: 'FP32', shape: [-1, 2] } } = model
  const outputs = model.outputs ?? [{ ...input, name: 'y', datatype: 'FP32' }]
  const service: OipService = {
    name: 'test',
    version: '1',
    ready: () => true,
    metadata: (name) => ({ name, platform: 'test', inputs: [input], outputs, properties: model.properties ?? {} }),
    async infer(modelName, { request, context }) {
      own.asked++
      await model.before?.(context.signal)
      const x = toNamedTensor(request.inputs[0] as InferResponse['outputs'][number])
      const y = () => {
        const data = Float32Array.from(x?.data ?? [], (value) => 3 * value)
        return [toWireTensor({ name: 'y', shape: x?.shape ?? [], dtype: 'float32', data })]
      }
      return { modelName, outputs: model.reply?.() ?? y() }
    },
  }
  const own = { ...(await startOipServer(service, options)), asked: 0 }
  ends.push(() => own.destroy())
  return own
}

async function start(options: Partial<GatewayOptions> & Pick<GatewayOptions, 'instances'>): Promise<Gateway> {
  const gateway = await createGateway({ model: 'm', policy: firstWins(), deadlineMs: 3000, ...options })
  ends.push(() => gateway.close())
  return gateway
}

interface Reply {
  status: number
  error?: string
  outputs?: { name: string; data: number[]; shape: number[] }[]
}

async function ask(gateway: Gateway, data: number[] = [1, 2]): Promise<Reply> {
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [data.length / 2, 2], data }] })
  const response = await fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body })
  return { status: response.status, ...((await response.json()) as object) }
}

const tensor = (o: { name?: string; datatype?: 'FP32' | 'INT32' | 'BYTES'; shape: number[] }) => ({
  name: 'y',
  datatype: 'FP32' as const,
  bytes: new Uint8Array(4 * o.shape.reduce((a, b) => a * b, 1)),
  ...o,
})

describe.each([
  ['too few elements', [tensor({ shape: [1, 1] })]],
  ['too many', [tensor({ shape: [1, 3] })]],
  ['two rows for one', [tensor({ shape: [2, 2] })]],
  ['no axis of rows', [tensor({ shape: [2] })]],
  ['no output', []],
  ['an output of another name', [tensor({ name: 'z', shape: [1, 2] })]],
  ['one output more', [tensor({ shape: [1, 2] }), tensor({ name: 'z', shape: [1, 2] })]],
  ['another type', [tensor({ datatype: 'INT32', shape: [1, 2] })]],
  ['a type that is no number', [tensor({ datatype: 'BYTES', shape: [1, 0] })]],
])('an instance that answers %s', (_what, outputs) => {
  it('gives way to another one, and is left out', async () => {
    const [bad, good] = await Promise.all([serve({ reply: () => outputs }), serve()])
    const gateway = await start({ instances: [{ url: bad.url }, { url: good.url }] })
    for (let i = 0; i < 8; i++) {
      expect(await ask(gateway, [i, 1])).toMatchObject({ status: 200, outputs: [{ data: [3 * i, 3] }] })
      expect(await ask(gateway, [i, 1, i, 2])).toMatchObject({ status: 200, outputs: [{ data: [3 * i, 3, 3 * i, 6] }] })
    }
    const [first, second] = gateway.snapshot().instances
    expect(first).toMatchObject({ out: true, answered: 0 })
    expect(first?.failed).toBeGreaterThanOrEqual(3)
    expect(second).toMatchObject({ out: false, failed: 0 })
    expect(bad.asked).toBe(first?.failed)
  })

  it('is no fault of the client', async () => {
    const bad = await serve({ reply: () => outputs })
    const gateway = await start({ instances: [{ url: bad.url }] })
    expect(await ask(gateway)).toMatchObject({ status: 502, error: 'an instance gave an answer that cannot be used' })
  })
})

it('takes outputs in any order', async () => {
  const outputs = [
    { name: 'y', datatype: 'FP32', shape: [-1, 2] },
    { name: 'z', datatype: 'FP32', shape: [-1, 1] },
  ]
  const reply = () => [tensor({ name: 'z', shape: [1, 1] }), tensor({ shape: [1, 2] })]
  const server = await serve({ outputs, reply })
  const gateway = await start({ instances: [{ url: server.url }] })
  const { status, outputs: got } = await ask(gateway, [1, 2, 3, 4])
  expect(status).toBe(200)
  expect(got?.map(({ name, shape }) => [name, shape])).toEqual([
    ['y', [2, 2]],
    ['z', [2, 1]],
  ])
})

it('checks what passes through uncoded as well', async () => {
  const input = { name: 'x', datatype: 'FP32', shape: [2, 2] }
  const bad = await serve({ input, reply: () => [tensor({ shape: [1, 2] })] })
  const gateway = await start({ instances: [{ url: bad.url }] })
  expect((await ask(gateway, [1, 2, 3, 4])).status).toBe(502)
  expect(gateway.snapshot().instances[0]).toMatchObject({ failed: 1 })
})

it('wants a parity instance that takes the coded inputs, which are float32', async () => {
  const input = { name: 'x', datatype: 'UINT8', shape: [-1, 2] }
  const outputs = [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }]
  const [base, same, coded, words] = await Promise.all([
    serve({ input, outputs }),
    serve({ input, outputs }),
    serve(),
    serve({ outputs: [{ name: 'y', datatype: 'BYTES', shape: [-1, 2] }] }),
  ])
  const options = (parity: OipServer) => ({
    instances: [{ url: base.url }],
    parityInstances: [{ url: parity.url }],
    code: sum({ k: 2 }),
  })
  await expect(start(options(same))).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
  await expect(start(options(words))).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
  await expect(start({ instances: [{ url: base.url }, { url: coded.url }] })).rejects.toThrow(/instances of 'base'/)
  await start(options(coded))
})

/** A server that answers everything but inferences as such a model, and those with a status. */
async function refusing(status: number): Promise<{ url: string; asked: number }> {
  const own = { url: '', asked: 0 }
  const form = (name: string) => ({ name, datatype: 'FP32', shape: [-1, 2] })
  const metadata = JSON.stringify({ name: 'm', platform: 'test', inputs: [form('x')], outputs: [form('y')] })
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      if (!request.url?.endsWith('/infer')) return void response.end(request.url === '/v2' ? '{}' : metadata)
      own.asked++
      response.statusCode = status
      if (status === 302) response.setHeader('location', '/elsewhere')
      response.end(status === 204 || status === 304 ? undefined : '{"error":"no"}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => (server.closeAllConnections(), server.close()))
  own.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return own
}

describe.each([204, 206, 302, 304, 401, 403, 404, 405, 418])('an instance that answers with status %d', (status) => {
  it('gives way to another one, and is left out', async () => {
    const [bad, good] = await Promise.all([refusing(status), serve()])
    const gateway = await start({ instances: [{ url: bad.url }, { url: good.url }] })
    for (let i = 0; i < 12; i++) expect((await ask(gateway, [i, 1])).outputs?.[0]?.data).toEqual([3 * i, 3])
    expect(gateway.snapshot().instances).toMatchObject([
      { out: true, failed: 3 },
      { out: false, failed: 0 },
    ])
    expect(bad.asked).toBe(3)
  })

  it('is no fault of the client', async () => {
    const bad = await refusing(status)
    const gateway = await start({ instances: [{ url: bad.url }] })
    expect((await ask(gateway)).status).toBe(502)
  })
})

it.each([400, 413, 422])('passes on the status %d, which is about the query', async (status) => {
  const bad = await refusing(status)
  const gateway = await start({ instances: [{ url: bad.url }, { url: bad.url }] })
  for (let i = 0; i < 4; i++) expect(await ask(gateway)).toMatchObject({ status, error: 'no' })
  expect(gateway.snapshot().instances).toMatchObject([{ failed: 0 }, { failed: 0 }])
  expect(bad.asked).toBe(4)
})

describe('an instance that was away', () => {
  const weights = (text: string) => ({ properties: { 'ft.fingerprint': text } })

  it.each([
    ['other outputs', { outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }] }, /must have inputs and outputs/],
    ['other weights', weights('b'), /must belong to the base model a, got b/],
  ])('does not come back with %s', async (_what, other, reason) => {
    const [first, second] = await Promise.all([serve(weights('a')), serve(weights('a'))])
    const gateway = await start({ instances: [{ url: first.url }, { url: second.url }] })
    const port = Number(new URL(first.url).port)
    const own = () => gateway.snapshot().instances[0]
    first.destroy()
    const replies = await Promise.all([1, 2, 3, 4].map((i) => ask(gateway, [i, 0])))
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    await expect.poll(() => own()?.out).toBe(true)
    const wrong = await serve({ ...weights('a'), ...other }, { port })
    await expect.poll(() => own()?.unfit, { timeout: 5000 }).toMatch(reason)
    for (let i = 0; i < 4; i++) expect((await ask(gateway, [i, 0])).outputs?.[0]?.data).toEqual([3 * i, 0])
    expect(own()?.out).toBe(true)
    expect(wrong.asked).toBe(0)
    expect(await (await fetch(`${gateway.url}/status`)).text()).toContain('out, has another model')
    wrong.destroy()
    await serve(weights('a'), { port })
    await expect.poll(own, { timeout: 5000 }).toMatchObject({ out: false, unfit: undefined })
  })

  it('joins when it is there, the gateway having started without it', async () => {
    const [here, parity, gone] = await Promise.all([serve(), serve(), serve()])
    const port = Number(new URL(gone.url).port)
    gone.destroy()
    const instances = [{ url: gone.url }, { url: here.url }]
    const gateway = await start({
      instances,
      parityInstances: [{ url: parity.url }],
      code: sum({ k: 2 }),
      startTimeoutMs: 300,
    })
    expect(gateway.snapshot().instances.map(({ out }) => out)).toEqual([true, false, false])
    for (let i = 0; i < 4; i++) expect((await ask(gateway, [i, 0])).outputs?.[0]?.data).toEqual([3 * i, 0])
    const back = await serve({}, { port })
    await expect.poll(() => gateway.snapshot().instances[0]?.out, { timeout: 5000 }).toBe(false)
    for (let i = 0; i < 4; i++) expect((await ask(gateway, [i, 0])).outputs?.[0]?.data).toEqual([3 * i, 0])
    expect(back.asked).toBeGreaterThan(0)
  })

  it('is waited for no longer than it may take, whether it refuses or says nothing', async () => {
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    ends.push(() => (silent.closeAllConnections(), silent.close()))
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const alone = start({ instances: [{ url }], startTimeoutMs: 200 })
    await expect(alone).rejects.toThrow(/base-0 must be ready within 200 ms/)
    const here = await serve()
    const gateway = await start({ instances: [{ url }, { url: here.url }], startTimeoutMs: 200 })
    expect((await ask(gateway)).status).toBe(200)
  })
})

it.each([
  ['a row', [-1, 2]],
  ['what passes through uncoded', [1, 1, 2]],
])('tells the instance when the client of %s leaves, and counts nothing against it', async (_what, shape) => {
  const input = { name: 'x', datatype: 'FP32', shape }
  let entered = 0
  let told = 0
  const before = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      if (entered++ >= 2) return resolve()
      signal.addEventListener('abort', () => (told++, resolve()))
    })
  const server = await serve({ input, before })
  const gateway = await start({ instances: [{ url: server.url, concurrency: 2 }] })
  const data = { name: 'x', datatype: 'FP32', shape: shape.map(Math.abs), data: [1, 2] }
  const body = JSON.stringify({ inputs: [data] })
  const send = (signal?: AbortSignal) =>
    fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body, ...(signal ? { signal } : {}) })
  const leaving = new AbortController()
  const both = [send(leaving.signal), send(leaving.signal)].map((one) => one.catch(() => 'left'))
  await expect.poll(() => entered).toBe(2)
  leaving.abort()
  expect(await Promise.all(both)).toEqual(['left', 'left'])
  await expect.poll(() => told).toBe(2)
  await expect.poll(() => gateway.snapshot().instances[0]).toMatchObject({ outstanding: 0, failed: 0, out: false })
  expect((await send()).status).toBe(200)
})

it('refuses an instance whose metadata is none', async () => {
  const server = createServer((_request, response) => response.end('{"inputs":{}}'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => (server.closeAllConnections(), server.close()))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await expect(start({ instances: [{ url }] })).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
})

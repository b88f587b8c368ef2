// What a client says to the model besides its inputs, and of which version it asks, reaches the instance; what it says to the
// gateway does not.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  createGateway,
  createGrpcClient,
  firstWins,
  startGrpcServer,
  startOipServer,
  sum,
  toNamedTensor,
  toWireTensor,
  type Gateway,
  type GatewayOptions,
  type InferRequest,
  type NamedTensor,
  type OipService,
  type WireTensor,
} from '../src/index.ts'
import { inferRequest } from '../src/grpc/messages.ts'
import { parseRequest, parseResponse } from '../src/oip/parse.ts'
import { writeRequest, writeResponse, type Written } from '../src/oip/serialise.ts'
import { floats } from './support/echo.ts'
import { buildWorker, tripleModule } from './support/worker.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Seen {
  rows: number | undefined
  version: string | undefined
  parameters: InferRequest['parameters']
}

/** A server of y = 3 x, by REST or gRPC, and what it was asked. */
async function serve(kind: 'rest' | 'grpc', o: { first?: number; versions?: string[] } = {}) {
  const { first = -1, versions = ['1', '2'] } = o
  const seen: Seen[] = []
  const form = (name: string) => ({ name, datatype: 'FP32', shape: [first, 2] })
  const service: OipService = {
    name: 'test',
    version: '1',
    ready: () => true,
    metadata: (name) => ({ name, versions, platform: 'test', inputs: [form('x')], outputs: [form('y')] }),
    infer(modelName, { request, context }) {
      // How outputs are to be written is said to the server, not to the model
      const { binary_data_output: _asked, ...parameters } = request.parameters
      const [x] = request.inputs as [WireTensor]
      seen.push({ rows: x.shape[0], version: context.version, parameters })
      const { data, shape } = toNamedTensor(x) as NamedTensor
      const y = Float32Array.from(data, (value) => 3 * value)
      return Promise.resolve({
        modelName,
        modelVersion: context.version ?? 'newest',
        outputs: [toWireTensor({ name: 'y', data: y, shape, dtype: 'float32' })],
        ...(request.id === undefined ? {} : { id: request.id }),
      })
    },
  }
  const server = kind === 'rest' ? await startOipServer(service) : await startGrpcServer(service)
  ends.push(() => server.close())
  return { url: server.url, seen }
}

async function start(options: Partial<GatewayOptions> & Pick<GatewayOptions, 'instances'>): Promise<Gateway> {
  const gateway = await createGateway({ model: 'm', policy: firstWins(), deadlineMs: 3000, ...options })
  ends.push(() => gateway.close())
  return gateway
}

async function ask(gateway: Gateway, o: { rows?: number; version?: string; parameters?: object } = {}) {
  const { rows = 2, version, parameters } = o
  const data = Array.from({ length: 2 * rows }, (_, i) => i + 1)
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [rows, 2], data }]
  const path = version === undefined ? '' : `/versions/${version}`
  const response = await fetch(`${gateway.url}/v2/models/m${path}/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs, ...(parameters ? { parameters } : {}) }),
  })
  const answer = (await response.json()) as Record<string, unknown>
  return { status: response.status, ...answer }
}

const said = { temperature: 0.5, greedy: true, stop: 'end', beams: 4 }

describe.each(['rest', 'grpc'] as const)('of a request that passes through to an instance behind %s', (kind) => {
  it('parameters and version arrive, those of the gateway do not, by REST in front', async () => {
    const { url, seen } = await serve(kind, { first: 2 })
    const gateway = await start({ instances: [{ url }] })
    const parameters = { ...said, 'ft.deadlineMs': 2000, 'ft.allowDegraded': false, binary_data_output: false }
    expect(await ask(gateway, { version: '2', parameters })).toMatchObject({
      status: 200,
      model_version: '2',
      parameters: { 'ft.quality': 'exact' },
      outputs: [{ data: [3, 6, 9, 12] }],
    })
    expect(await ask(gateway)).toMatchObject({ status: 200, model_version: 'newest' })
    expect(await ask(gateway, { version: '3' })).toMatchObject({ status: 404 })
    expect(seen).toEqual([
      { rows: 2, version: '2', parameters: said },
      { rows: 2, version: undefined, parameters: {} },
    ])
  })

  it('parameters and version arrive, by gRPC in front', async () => {
    const { url, seen } = await serve(kind, { first: 2 })
    const gateway = await start({ instances: [{ url }], grpc: {} })
    const client = createGrpcClient(gateway.grpcUrl as string)
    ends.push(() => client.close())
    const parameters = { ...said, 'ft.allowDegraded': false }
    const request = { parameters, inputs: [floats('x', [1, 2, 3, 4], [2, 2])], binaryOutput: true }
    const answer = await client.infer('m', { request, version: '1' })
    expect(answer).toMatchObject({ modelName: 'm', modelVersion: '1', parameters: { 'ft.quality': 'exact' } })
    expect(seen).toEqual([{ rows: 2, version: '1', parameters: said }])
  })
})

/** Beyond what a double holds: rounded, they would be those of another sequence. */
const wide = { sequence_id: 2n ** 64n - 1n, other_id: -(2n ** 63n), small_id: 2 ** 53 - 1 }

describe.each(['rest', 'grpc'] as const)('integers of 64 bits arrive with all their digits behind %s', (kind) => {
  it('by REST in front, and floats as floats', async () => {
    const { url, seen } = await serve(kind, { first: 2 })
    const gateway = await start({ instances: [{ url }] })
    const body =
      '{"parameters":{"sequence_id":18446744073709551615,"other_id":-9223372036854775808,"small_id":9007199254740991,"float":1e20},' +
      '"inputs":[{"name":"x","datatype":"FP32","shape":[2,2],"data":[1,2,3,4]}]}'
    const { status } = await fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body })
    expect(status).toBe(200)
    expect(seen).toEqual([{ rows: 2, version: undefined, parameters: { ...wide, float: 1e20 } }])
    const parameters = '{"ft.deadlineMs":9223372036854775807}'
    const forever = body.replace(/^\{"parameters":[^}]*\}/, `{"parameters":${parameters}`)
    expect((await fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body: forever })).status).toBe(200)
  })

  it('by gRPC in front', async () => {
    const { url, seen } = await serve(kind, { first: 2 })
    const gateway = await start({ instances: [{ url }], grpc: {} })
    const client = createGrpcClient(gateway.grpcUrl as string)
    ends.push(() => client.close())
    await client.infer('m', {
      request: { parameters: wide, inputs: [floats('x', [1, 2, 3, 4], [2, 2])], binaryOutput: true },
    })
    expect(seen).toEqual([{ rows: 2, version: undefined, parameters: wide }])
  })
})

it('writes and reads such integers of tensors, of outputs that are asked for, and of answers', () => {
  const said = { parameters: { id: 2n ** 63n, form: 'a "b"' } }
  const x = { ...floats('x', [1, 2], [2]), ...said }
  for (const binary of [true, false]) {
    const whole = (written: Written) => {
      const bytes = new Uint8Array(Buffer.concat(written.parts))
      return { bytes, ...(written.headerLength === undefined ? {} : { headerLength: String(written.headerLength) }) }
    }
    const request = { ...said, inputs: [x], outputs: [{ name: 'y', ...said }], binaryOutput: binary }
    const read = parseRequest(whole(writeRequest(request, { binary })))
    expect([read.inputs[0]?.parameters, read.outputs?.[0]?.parameters]).toEqual([said.parameters, said.parameters])
    expect(read.parameters).toMatchObject(said.parameters)
    const response = { modelName: 'm', ...said, outputs: [x] }
    const answer = parseResponse(whole(writeResponse(response, { binary: () => binary })))
    expect([answer.parameters, answer.outputs[0]?.parameters]).toEqual([said.parameters, said.parameters])
  }
})

describe('of a model that is coded', () => {
  async function coded(versions: string[]) {
    const [a, b, parity] = await Promise.all([serve('rest', { versions }), serve('rest', { versions }), serve('rest')])
    const gateway = await start({
      instances: [{ url: a.url }, { url: b.url }],
      parityInstances: [{ url: parity.url }],
      code: sum({ k: 2 }),
      maxBatchRows: 4,
      maxBatchWaitMs: 5,
    })
    return { gateway, seen: () => [...a.seen, ...b.seen], parity: parity.seen }
  }

  it('a request with parameters of its own, or for one of several versions, passes through as a whole', async () => {
    const { gateway, seen, parity } = await coded(['1', '2'])
    const exact = { status: 200, parameters: { 'ft.quality': 'exact' }, outputs: [{ data: [3, 6, 9, 12] }] }
    expect(await ask(gateway, { parameters: said })).toMatchObject(exact)
    expect(await ask(gateway, { version: '1' })).toMatchObject({ ...exact, model_version: '1' })
    expect(await ask(gateway, { rows: 1, parameters: said })).toMatchObject({ outputs: [{ data: [3, 6] }] })
    expect(seen()).toEqual(
      expect.arrayContaining([
        { rows: 2, version: undefined, parameters: said },
        { rows: 2, version: '1', parameters: {} },
        { rows: 1, version: undefined, parameters: said },
      ]),
    )
    // Rows that would share a request without them
    await Promise.all([1, 2, 3, 4].map((beams) => ask(gateway, { rows: 1, parameters: { beams } })))
    const last = seen().filter(({ parameters }) => !('stop' in parameters) && 'beams' in parameters)
    expect(last.map(({ rows, parameters }) => [rows, parameters['beams']]).sort()).toEqual(
      [1, 2, 3, 4].map((beams) => [1, beams]),
    )
    expect([seen().length, parity]).toEqual([7, []])
    expect(gateway.snapshot().counts).toMatchObject({ query: 7, exact: 7 })
  })

  it('a request for its only version, or that speaks to the gateway alone, is coded', async () => {
    const { gateway, seen, parity } = await coded(['1'])
    for (const o of [{ version: '1' }, { parameters: { 'ft.deadlineMs': 2000, binary_data_output: false } }])
      expect((await ask(gateway, o)).status).toBe(200)
    expect(gateway.snapshot().counts).toMatchObject({ query: 4, parity: 2 })
    await expect.poll(() => parity.length).toBeGreaterThan(0)
    for (const one of [...seen(), ...parity]) expect(one).toMatchObject({ version: undefined, parameters: {} })
  })

  it('an answer of fewer rows to a request that passes through is refused as any other', async () => {
    const { url } = await serve('rest')
    const server = await startOipServer({
      name: 'test',
      version: '1',
      ready: () => true,
      metadata: (name) => ({
        name,
        platform: 'test',
        inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
        outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
      }),
      infer: (modelName) => Promise.resolve({ modelName, outputs: [floats('y', [1, 1], [1, 2])] }),
    })
    ends.push(() => server.destroy())
    const gateway = await start({ instances: [{ url: server.url }] })
    expect((await ask(gateway, { parameters: said })).status).toBe(502)
    expect((await ask(await start({ instances: [{ url }] }), { parameters: said })).status).toBe(200)
  })
})

it('reads unsigned parameters of gRPC clients', () => {
  // model_name "m"; parameters { key "seq", value { uint64_param 7 } }
  const bytes = Buffer.from('0a016d22090a0373657112022807', 'hex')
  expect({ ...inferRequest.read(bytes).request.parameters }).toEqual({ seq: 7 })
})

describe('a worker', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>
  beforeAll(async () => {
    built = await buildWorker()
  })
  afterAll(() => built.remove())

  it('is told them as well', async () => {
    const worker = { module: tripleModule, options: { parameters: true } }
    const gateway = await start({ instances: [{ worker, workerFile: built.workerFile }] })
    const one = (parameters?: object) => ask(gateway, { rows: 1, ...(parameters ? { parameters } : {}) })
    expect(await one({ temperature: 0.5, 'ft.deadlineMs': 900 })).toMatchObject({ outputs: [{ data: [0.5, 1] }] })
    expect(await one()).toMatchObject({ outputs: [{ data: [-1, 0] }] })
  })
})

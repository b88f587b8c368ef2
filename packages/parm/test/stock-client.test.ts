// Clients that know nothing of this package: requests written by hand as the protocol's specification shows them, and a gRPC
// client made from the specification's messages by the library that everybody uses for that.
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  createGateway,
  firstWins,
  startGrpcServer,
  startOipServer,
  sum,
  toNamedTensor,
  toWireTensor,
  type Gateway,
  type NamedTensor,
  type OipService,
  type WireTensor,
} from '../src/index.ts'

// It comes with grpc-js, which is where it is found
const { resolve } = createRequire(import.meta.url)
const { loadSync } = createRequire(resolve('@grpc/grpc-js'))('@grpc/proto-loader') as {
  loadSync(file: string, options: object): Parameters<typeof grpc.loadPackageDefinition>[0]
}
const proto = join(fileURLToPath(new URL('.', import.meta.url)), 'support', 'openInference.proto')

const form = (name: string, datatype: string, shape: number[]) => ({ name, datatype, shape })
/** sum = a + b by rows; a is of words, b of floats. */
const service: OipService = {
  name: 'test',
  version: '1',
  ready: () => true,
  metadata: (name) => ({
    name,
    versions: ['1'],
    platform: 'test',
    inputs: [form('input0', 'UINT32', [-1, 2]), form('input1', 'FP32', [-1, 2])],
    outputs: [form('output0', 'FP32', [-1, 2])],
  }),
  infer(modelName, { request }) {
    const of = (name: string) =>
      toNamedTensor(request.inputs.find((input) => input.name === name) as WireTensor) as NamedTensor
    const [a, b] = [of('input0'), of('input1')]
    const data = Float32Array.from(a.data, (value, i) => value + (b.data[i] as number))
    const outputs = [toWireTensor({ name: 'output0', shape: a.shape, data, dtype: 'float32' })]
    return Promise.resolve({ modelName, outputs, ...(request.id === undefined ? {} : { id: request.id }) })
  },
}
/** The same of coded inputs, which are floats: a sum of sums. */
const parity: OipService = {
  ...service,
  metadata: (name) => ({
    name,
    platform: 'test',
    inputs: [form('input0', 'FP32', [-1, 2]), form('input1', 'FP32', [-1, 2])],
    outputs: [form('output0', 'FP32', [-1, 2])],
  }),
}

let gateway: Gateway
const ends: (() => unknown)[] = []
beforeAll(async () => {
  const [a, b, coded] = [await startOipServer(service), await startGrpcServer(service), await startOipServer(parity)]
  gateway = await createGateway({
    model: 'simple',
    policy: firstWins(),
    code: sum({ k: 2 }),
    instances: [{ url: a.url }, { url: b.url }],
    parityInstances: [{ url: coded.url }],
    grpc: {},
  })
  ends.push(
    () => a.destroy(),
    () => b.close(),
    () => coded.destroy(),
    () => gateway.close(),
  )
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

describe('by REST', () => {
  const get = async (path: string) => {
    const response = await fetch(`${gateway.url}${path}`)
    return [response.status, await response.json()] as const
  }
  const post = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}/v2/models/simple${path}`, { method: 'POST', body: body as BodyInit, headers })

  it('the server and the model say what they are', async () => {
    expect((await get('/v2/health/live'))[0]).toBe(200)
    expect((await get('/v2/health/ready'))[0]).toBe(200)
    expect((await get('/v2/models/simple/ready'))[0]).toBe(200)
    expect((await get('/v2/models/simple/versions/1/ready'))[0]).toBe(200)
    expect(await get('/v2')).toEqual([
      200,
      { name: 'ft-parm', version: '1', extensions: expect.arrayContaining(['binary_tensor_data']) as unknown },
    ])
    expect(await get('/v2/models/simple')).toEqual([200, { ...service.metadata('simple'), name: 'simple' }])
    expect(await get('/v2/models/none')).toEqual([404, { error: expect.any(String) as unknown }])
  })

  it('inputs nested or flat, an id, and a choice of outputs are answered in the form that is shown', async () => {
    const body = {
      id: '42',
      inputs: [
        { name: 'input0', shape: [2, 2], datatype: 'UINT32', data: [1, 2, 3, 4] },
        {
          name: 'input1',
          shape: [2, 2],
          datatype: 'FP32',
          data: [
            [0.5, 0.25],
            [1, 2],
          ],
        },
      ],
      outputs: [{ name: 'output0' }],
    }
    for (const path of ['/infer', '/versions/1/infer']) {
      const response = await post(path, JSON.stringify(body), { 'content-type': 'application/json' })
      expect(response.status).toBe(200)
      const answer = (await response.json()) as { parameters: object }
      expect(answer).toEqual({
        model_name: 'simple',
        id: '42',
        parameters: answer.parameters,
        outputs: [{ name: 'output0', shape: [2, 2], datatype: 'FP32', data: [1.5, 2.25, 4, 6] }],
      })
    }
    const refused = await post('/infer', JSON.stringify({ ...body, outputs: [{ name: 'none' }] }))
    expect([refused.status, await refused.json()]).toEqual([400, { error: expect.any(String) as unknown }])
  })

  it('tensors as bytes after the JSON are read and written so, and mixed with JSON', async () => {
    const raw = Buffer.alloc(16)
    ;[1, 2, 3, 4].forEach((value, i) => raw.writeUInt32LE(value, 4 * i))
    const head = (binary: boolean) =>
      JSON.stringify({
        inputs: [
          { name: 'input0', shape: [2, 2], datatype: 'UINT32', parameters: { binary_data_size: 16 } },
          { name: 'input1', shape: [2, 2], datatype: 'FP32', data: [0.5, 0.25, 1, 2] },
        ],
        outputs: [{ name: 'output0', parameters: { binary_data: binary } }],
      })
    const ask = (binary: boolean) =>
      post('/infer', Buffer.concat([Buffer.from(head(binary)), raw]), {
        'content-type': 'application/octet-stream',
        'inference-header-content-length': String(head(binary).length),
      })
    const inJson = await ask(false)
    expect(await inJson.json()).toMatchObject({ outputs: [{ data: [1.5, 2.25, 4, 6] }] })
    const response = await ask(true)
    const bytes = Buffer.from(await response.arrayBuffer())
    const length = Number(response.headers.get('inference-header-content-length'))
    const answer = JSON.parse(bytes.toString('utf8', 0, length)) as { outputs: unknown[] }
    expect(answer.outputs).toEqual([
      { name: 'output0', shape: [2, 2], datatype: 'FP32', parameters: { binary_data_size: 16 } },
    ])
    const values = [0, 1, 2, 3].map((i) => bytes.readFloatLE(length + 4 * i))
    expect([values, bytes.length - length]).toEqual([[1.5, 2.25, 4, 6], 16])
  })
})

describe('by gRPC', () => {
  type Call = (
    request: object,
    callback: (error: grpc.ServiceError | null, response: Record<string, unknown>) => void,
  ) => void
  let client: InstanceType<grpc.ServiceClientConstructor>
  beforeAll(() => {
    const loaded = grpc.loadPackageDefinition(loadSync(proto, { keepCase: true, longs: Number, oneofs: true }))
    const { GRPCInferenceService: Client } = loaded['inference'] as {
      GRPCInferenceService: grpc.ServiceClientConstructor
    }
    client = new Client((gateway.grpcUrl as string).replace('grpc://', ''), grpc.credentials.createInsecure())
  })
  afterAll(() => client.close())
  const call = (method: string, request: object = {}) =>
    new Promise<Record<string, unknown>>((resolve, reject) =>
      (client[method] as unknown as Call).call(client, request, (error, response) =>
        error ? reject(error) : resolve(response),
      ),
    )

  it('the server and the model say what they are', async () => {
    expect(await call('ServerLive')).toMatchObject({ live: true })
    expect(await call('ServerReady')).toMatchObject({ ready: true })
    expect(await call('ModelReady', { name: 'simple' })).toMatchObject({ ready: true })
    expect(await call('ServerMetadata')).toMatchObject({ name: 'ft-parm', version: '1' })
    const { inputs, outputs, versions, platform } = service.metadata('simple') as object as Record<string, unknown>
    const found = await call('ModelMetadata', { name: 'simple', version: '1' })
    expect(found).toMatchObject({ name: 'simple', inputs, outputs, versions, platform })
    await expect(call('ModelMetadata', { name: 'none' })).rejects.toMatchObject({ code: grpc.status.NOT_FOUND })
  })

  const inputs = (a?: object, b?: object) => [
    { name: 'input0', datatype: 'UINT32', shape: [2, 2], ...a },
    { name: 'input1', datatype: 'FP32', shape: [2, 2], ...b },
  ]
  const answered = async (request: object) => {
    const response = await call('ModelInfer', { model_name: 'simple', id: '42', ...request })
    expect(response).toMatchObject({
      model_name: 'simple',
      id: '42',
      outputs: [{ name: 'output0', datatype: 'FP32', shape: [2, 2] }],
    })
    const [raw] = response['raw_output_contents'] as Buffer[]
    return [0, 1, 2, 3].map((i) => (raw as Buffer).readFloatLE(4 * i))
  }

  it('tensors as typed contents and as raw bytes are answered', async () => {
    const contents = inputs(
      { contents: { uint_contents: [1, 2, 3, 4] } },
      { contents: { fp32_contents: [0.5, 0.25, 1, 2] } },
    )
    expect(await answered({ inputs: contents, outputs: [{ name: 'output0' }] })).toEqual([1.5, 2.25, 4, 6])
    const raw = [Uint32Array.of(1, 2, 3, 4), Float32Array.of(0.5, 0.25, 1, 2)].map(({ buffer }) => Buffer.from(buffer))
    const parameters = { 'ft.allowDegraded': { bool_param: true } }
    const request = { inputs: inputs(), raw_input_contents: raw, model_version: '1', parameters }
    expect(await answered(request)).toEqual([1.5, 2.25, 4, 6])
  })

  it('what is wrong is refused with its status', async () => {
    const raw = { raw_input_contents: [Buffer.alloc(16)] }
    const refused = call('ModelInfer', { model_name: 'simple', inputs: inputs(), ...raw })
    await expect(refused).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT })
  })
})

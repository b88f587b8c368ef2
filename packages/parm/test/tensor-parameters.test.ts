// What a client says of single tensors of its request reaches the instance, and what the instance says of its outputs comes
// back. Of such a request no code knows what it means: it shares neither group nor batch with another.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  createGateway,
  createGrpcClient,
  createOipClient,
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
import { floats } from './support/echo.ts'
import { buildWorker, tripleModule } from './support/worker.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Seen {
  inputs: WireTensor['parameters'][]
  outputs: InferRequest['outputs']
  rows: number | undefined
}

const labels = (...texts: string[]): Uint8Array =>
  Buffer.concat(texts.flatMap((text) => [Buffer.from([text.length, 0, 0, 0]), Buffer.from(text)]))

/** A server of y = 3 x that says what y is in, and, asked for a classification of y, gives a label a row instead. */
async function serve(kind: 'rest' | 'grpc', first: number) {
  const seen: Seen[] = []
  const form = (name: string) => ({ name, datatype: 'FP32', shape: [first, 2] })
  const service: OipService = {
    name: 'test',
    version: '1',
    ready: () => true,
    metadata: (name) => ({ name, platform: 'test', inputs: [form('x')], outputs: [form('y'), form('z')] }),
    infer(modelName, { request }) {
      const [x] = request.inputs as [WireTensor]
      const rows = x.shape[0] as number
      const outputs = request.outputs?.map(({ name, parameters }) => ({ name, ...(parameters ? { parameters } : {}) }))
      seen.push({ inputs: request.inputs.map(({ parameters }) => parameters), outputs, rows })
      const { data, shape } = toNamedTensor(x) as NamedTensor
      const scaled = (name: string, by: number) =>
        toWireTensor({ name, data: Float32Array.from(data, (value) => by * value), shape, dtype: 'float32' })
      const classified = outputs?.find(({ name }) => name === 'y')?.parameters?.['classification'] !== undefined
      const bytes = labels(...Array.from({ length: rows }, (_, row) => `class ${row}`))
      const y: WireTensor = classified
        ? { name: 'y', datatype: 'BYTES', shape: [rows, 1], bytes }
        : { ...scaled('y', 3), parameters: { unit: 'metre' } }
      return Promise.resolve({ modelName, outputs: [y, scaled('z', 5)] })
    },
  }
  const server = kind === 'rest' ? await startOipServer(service) : await startGrpcServer(service)
  ends.push(() => server.close())
  return { url: server.url, seen }
}

async function start(options: Partial<GatewayOptions> & Pick<GatewayOptions, 'instances'>): Promise<Gateway> {
  const gateway = await createGateway({ model: 'm', policy: firstWins(), deadlineMs: 3000, grpc: {}, ...options })
  ends.push(() => gateway.close())
  return gateway
}

const said = { content_type: 'np', scale: 0.5, last: true, part: 3 }
const y = { name: 'y', parameters: { unit: 'metre' } }

/** The gateway by REST as JSON, by REST as bytes, or by gRPC. */
function clientOf(front: 'json' | 'binary' | 'grpc', gateway: Gateway) {
  const client =
    front === 'grpc'
      ? createGrpcClient(gateway.grpcUrl as string)
      : createOipClient(gateway.url, { binary: front === 'binary' })
  ends.push(() => client.close())
  return (request: Partial<InferRequest>) =>
    client.infer('m', { request: { parameters: {}, inputs: [], binaryOutput: front !== 'json', ...request } })
}

const numbers = (tensor: WireTensor | undefined) =>
  Array.from((toNamedTensor(tensor as WireTensor) as NamedTensor).data)

describe.each(['rest', 'grpc'] as const)('to an instance behind %s', (behind) => {
  describe.each(['json', 'binary', 'grpc'] as const)('from a client of %s', (front) => {
    it('a request that passes through takes parameters of its tensors along, and brings those of outputs back', async () => {
      const { url, seen } = await serve(behind, 2)
      const ask = clientOf(front, await start({ instances: [{ url }] }))
      const x = floats('x', [1, 2, 3, 4], [2, 2])
      // Twice, and then without: what is known of a header is not another's
      for (const parameters of [said, said, undefined]) {
        const answer = await ask({ inputs: [parameters ? { ...x, parameters } : x] })
        expect(answer.outputs.map(({ name, parameters: own }) => [name, own])).toEqual([
          ['y', { unit: 'metre' }],
          ['z', undefined],
        ])
        expect(numbers(answer.outputs[0])).toEqual([3, 6, 9, 12])
      }
      expect(seen.map(({ inputs }) => inputs)).toEqual([[said], [said], [undefined]])
    })

    it('an output that something is said of may come in another form, and no other', async () => {
      const { url, seen } = await serve(behind, -1)
      const ask = clientOf(front, await start({ instances: [{ url }] }))
      const inputs = [floats('x', [1, 2, 3, 4], [2, 2])]
      const wanted = [{ name: 'z' }, { name: 'y', parameters: { classification: 1 } }]
      const { outputs, parameters } = await ask({ inputs, outputs: wanted })
      expect(outputs.map(({ name, datatype }) => [name, datatype])).toEqual([
        ['z', 'FP32'],
        ['y', 'BYTES'],
      ])
      expect(Buffer.from(outputs[1]?.bytes as Uint8Array)).toEqual(labels('class 0', 'class 1'))
      expect(parameters).toMatchObject({ 'ft.quality': 'exact' })
      expect(seen).toEqual([{ rows: 2, inputs: [undefined], outputs: wanted }])
      const unknown = [{ name: 'w', parameters: { classification: 1 } }]
      const twice = [{ name: 'y', parameters: { classification: 1 } }, { name: 'y' }]
      for (const refused of [unknown, twice])
        await expect(ask({ inputs, outputs: refused })).rejects.toMatchObject({ status: 400 })
      expect(seen).toHaveLength(1)
    })

    it('shared memory is refused, to read from and to write into', async () => {
      const { url, seen } = await serve(behind, -1)
      const ask = clientOf(front, await start({ instances: [{ url }] }))
      const parameters = { shared_memory_region: 'r' }
      const x = floats('x', [1, 2], [1, 2])
      const reason = { status: 400, message: expect.stringContaining('shared memory') as unknown }
      await expect(ask({ inputs: [{ ...x, parameters }] })).rejects.toMatchObject(reason)
      await expect(ask({ inputs: [x], outputs: [{ name: 'y', parameters }] })).rejects.toMatchObject(reason)
      expect(seen).toEqual([])
    })
  })
})

it('requests whose tensors say something share neither group nor batch with others', async () => {
  const [a, b, parity] = await Promise.all([serve('rest', -1), serve('rest', -1), serve('rest', -1)])
  const gateway = await start({
    instances: [{ url: a.url }, { url: b.url }],
    parityInstances: [{ url: parity.url }],
    code: sum({ k: 2 }),
    maxBatchRows: 4,
    maxBatchWaitMs: 5,
  })
  const ask = clientOf('binary', gateway)
  const x = (value: number) => floats('x', [value, value], [1, 2])
  const answers = await Promise.all([
    ...[1, 2].map((part) => ask({ inputs: [{ ...x(part), parameters: { part } }] })),
    ...[3, 4].map((value) => ask({ inputs: [x(value)], outputs: [y] })),
    ...[5, 6].map((value) => ask({ inputs: [x(value)] })),
  ])
  expect(answers.map(({ outputs }) => numbers(outputs[0])[0])).toEqual([3, 6, 9, 12, 15, 18])
  const asked = [...a.seen, ...b.seen]
  expect(asked.flatMap(({ inputs, rows }) => (inputs[0] ? [[inputs[0]['part'], rows]] : [])).sort()).toEqual([
    [1, 1],
    [2, 1],
  ])
  expect(asked.filter(({ outputs }) => outputs).map(({ outputs, rows }) => [outputs, rows])).toEqual([
    [[y], 1],
    [[y], 1],
  ])
  expect(gateway.snapshot().counts).toMatchObject({ query: 6, parity: 1 })
  // What an instance says of an output is said where the output is its own, and of one that was coded it is not
  expect(answers.map(({ outputs }) => outputs[0]?.parameters)).toEqual([
    y.parameters,
    y.parameters,
    y.parameters,
    y.parameters,
    undefined,
    undefined,
  ])
})

describe('a worker', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>
  beforeAll(async () => {
    built = await buildWorker()
  })
  afterAll(() => built.remove())

  it('is told them as well', async () => {
    const worker = { module: tripleModule, options: { tensorParameters: true } }
    const ask = clientOf('json', await start({ instances: [{ worker, workerFile: built.workerFile }] }))
    const x = floats('x', [0, 0], [1, 2])
    const first = async (request: Partial<InferRequest>) => numbers((await ask(request)).outputs[0])
    expect(await first({ inputs: [{ ...x, parameters: { scale: 7 } }] })).toEqual([7, 0])
    expect(await first({ inputs: [x], outputs: [{ name: 'y', parameters: { scale: 9 } }] })).toEqual([0, 9])
  })
})

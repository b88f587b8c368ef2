// gRPC in front and behind: laws of the messages, bytes written by hand, and a gateway that speaks it on both sides.
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import {
  OipError,
  createGateway,
  createGrpcClient,
  firstWins,
  startGrpcServer,
  startOipServer,
  sum,
  toNamedTensor,
  type Gateway,
  type GrpcServer,
} from '../src/index.ts'
import { inferRequest, inferResponse, metadata } from '../src/grpc/messages.ts'
import { floats, tripleService } from './support/echo.ts'

describe('messages', () => {
  const wide = fc
    .bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n })
    .filter((value) => !Number.isSafeInteger(Number(value)))
  const tensors = fc.array(
    fc.record({
      name: fc.string({ minLength: 1, maxLength: 5 }),
      values: fc.array(fc.float({ noNaN: true }), { maxLength: 6 }),
    }),
    { minLength: 1, maxLength: 3 },
  )

  it('keeps every bit of requests and responses', () => {
    fc.assert(
      fc.property(
        tensors,
        fc.dictionary(
          fc.string(),
          fc.oneof(fc.string(), fc.boolean(), fc.maxSafeInteger(), wide, fc.double({ noNaN: true })),
        ),
        fc.string({ minLength: 1 }),
        (list, parameters, id) => {
          const inputs = list.map(({ name, values }, i) => floats(`${name}${i}`, values, [values.length]))
          const request = { id, parameters, inputs, binaryOutput: true }
          const read = inferRequest.read(inferRequest.write({ model: 'm', version: '2', request }))
          expect([read.model, read.version, read.request.id]).toEqual(['m', '2', id])
          expect({ ...read.request.parameters }).toEqual({ ...parameters })
          const bits = (all: typeof inputs) => all.map((one) => ({ ...one, bytes: [...one.bytes] }))
          expect(bits([...read.request.inputs])).toEqual(bits(inputs))
          const response = inferResponse.read(inferResponse.write({ modelName: 'm', outputs: inputs }))
          expect(bits([...response.outputs])).toEqual(bits(inputs))
        },
      ),
    )
  })

  it('reads typed contents, packed or not, from bytes written by hand', () => {
    // model_name "m"; inputs { name "x", datatype "FP32", shape [1, 2], contents { fp32_contents [1, 2] } }
    const packed = '0a016d2a190a0178120446503332 1a020102 2a0a 3208 0000803f00000040'
    const single = '0a016d2a190a0178120446503332 1a020102 2a0a 350000803f 3500000040'
    for (const text of [packed, single]) {
      const { model, request } = inferRequest.read(Buffer.from(text.replaceAll(' ', ''), 'hex'))
      const x = request.inputs[0] && toNamedTensor(request.inputs[0])
      expect([model, x?.name, x?.shape, Array.from(x?.data ?? [])]).toEqual(['m', 'x', [1, 2], [1, 2]])
    }
  })

  it('gives a reason with status 400, or an undamaged reading, whatever bytes change', () => {
    const good = inferRequest.write({
      model: 'm',
      version: '',
      request: { parameters: { a: 1, b: 'x', c: true }, inputs: [floats('x', [1, 2], [1, 2])], binaryOutput: true },
    })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(good.length),
        (changes, cut) => {
          const bytes = Buffer.from(good)
          for (const [at, value] of changes) bytes[at] = value
          try {
            for (const { shape, datatype, bytes: data } of inferRequest.read(bytes.subarray(0, cut)).request.inputs)
              if (datatype === 'FP32') expect(data.length).toBe(4 * shape.reduce((a, b) => a * b, 1))
          } catch (error) {
            expect(error, String(error)).toBeInstanceOf(OipError)
            expect((error as OipError).status).toBe(400)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('keeps metadata', () => {
    const own = {
      name: 'm',
      versions: ['1', '2'],
      platform: 'p',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype: 'INT64', shape: [] }],
      properties: { 'ft.code': 'sum/2' },
    }
    expect(metadata.read(metadata.write(own))).toEqual(own)
  })
})

describe('a gateway', () => {
  const servers: GrpcServer[] = []
  const gateways: Gateway[] = []
  afterEach(async () => {
    await Promise.all(gateways.splice(0).map((gateway) => gateway.close()))
    await Promise.all(servers.splice(0).map((server) => server.close()))
  })

  async function start(): Promise<Gateway> {
    for (let i = 0; i < 3; i++) servers.push(await startGrpcServer(tripleService()))
    const [a, b, parity] = servers.map(({ url }) => ({ url, model: 'triple' }))
    const gateway = await createGateway({
      model: 'm',
      policy: firstWins(),
      code: sum({ k: 2 }),
      instances: [a!, b!],
      parityInstances: [parity!],
      grpc: {},
    })
    gateways.push(gateway)
    return gateway
  }

  it('speaks gRPC on both sides, REST beside it', async () => {
    const gateway = await start()
    const client = createGrpcClient(gateway.grpcUrl as string)
    expect(await client.ready()).toBe(true)
    expect((await client.metadata('m'))?.inputs).toEqual([{ name: 'x', datatype: 'FP32', shape: [-1, 2] }])
    const answer = await client.infer('m', {
      request: { id: 'q', parameters: {}, inputs: [floats('x', [1, 2, 3, 4], [2, 2])], binaryOutput: true },
    })
    const y = answer.outputs[0] && toNamedTensor(answer.outputs[0])
    expect(Array.from(y?.data ?? [])).toEqual([3, 6, 9, 12])
    expect([answer.id, answer.modelName]).toEqual(['q', 'm'])
    expect(['exact', 'reconstructed']).toContain(answer.parameters?.['ft.quality'])
    const rest = await fetch(`${gateway.url}/v2/health/ready`)
    expect(rest.status).toBe(200)
    await client.close()
  })

  it('refuses with the right status, and keeps serving', async () => {
    const gateway = await start()
    const client = createGrpcClient(gateway.grpcUrl as string)
    const ask = (model: string, shape: number[]) =>
      client.infer(model, {
        request: { parameters: {}, inputs: [floats('x', [1, 2], shape)], binaryOutput: true },
      })
    await expect(ask('other', [1, 2])).rejects.toMatchObject({ status: 404 })
    await expect(ask('m', [2, 1])).rejects.toMatchObject({ status: 400, message: /must be FP32 \[-1, 2\]/ })
    await expect(ask('m', [1, 3])).rejects.toMatchObject({ status: 400 })
    expect((await ask('m', [1, 2])).outputs).toHaveLength(1)
    expect(await client.metadata('other')).toBeUndefined()
    await client.close()
  })

  it('leaves out the headers that gRPC cannot carry, and passes the others on', async () => {
    const seen: Readonly<Record<string, string>>[] = []
    servers.push(await startGrpcServer(tripleService({ before: ({ headers }) => void seen.push(headers) })))
    const instance = { url: servers[0]?.url as string, model: 'triple' }
    const gateway = await createGateway({ model: 'm', policy: firstWins(), instances: [instance, instance] })
    gateways.push(gateway)
    for (const [name, value] of [
      ['x-trace-bin', 'text'],
      ['x-user', 'Zo\u00eb'],
      ['x-a*b', 'star'],
    ] as const) {
      const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
        method: 'POST',
        headers: { [name]: value, 'x-tenant': '7' },
        body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }),
      })
      expect(await response.json()).toMatchObject({ outputs: [{ data: [3, 6] }] })
      expect(seen.pop()).toEqual({ 'x-tenant': '7' })
    }
    expect(gateway.snapshot().instances).toMatchObject([
      { failed: 0, out: false },
      { failed: 0, out: false },
    ])
  })

  it('does not keep its REST front when gRPC cannot start', async () => {
    servers.push(await startGrpcServer(tripleService()))
    const url = servers[0]?.url as string
    const free = await startOipServer(tripleService())
    const port = Number(new URL(free.url).port)
    await free.close()
    const taken = { port: Number(url.split(':').at(-1)) }
    const instances = [{ url, model: 'triple' }]
    await expect(
      createGateway({ model: 'm', policy: firstWins(), instances, port, grpc: taken }),
    ).rejects.toMatchObject({ code: 'IO' })
    // The port is free again
    const again = await startOipServer(tripleService(), { port })
    await again.close()
  })
})

// What a gateway makes of requests that ask for more than they bring, or for what the model does not take.
import { afterEach, expect, it } from 'vitest'
import {
  OipError,
  createGateway,
  createGrpcClient,
  firstWins,
  startOipServer,
  type Gateway,
  type GatewayOptions,
  type OipServer,
  type OipService,
  type TensorMetadata,
} from '../src/index.ts'
import { parseRequest } from '../src/oip/parse.ts'

const open: (Gateway | OipServer)[] = []
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await ('destroy' in one ? one.destroy() : one.close())
})

/** A gateway in front of a model of such a signature; it answers its first input under the output's name. */
async function gatewayOf(
  { input, output = { ...input, name: 'y' } }: { input: TensorMetadata; output?: TensorMetadata },
  options: Partial<GatewayOptions> = {},
): Promise<{ gateway: Gateway; asked: { rows: (number | undefined)[] } }> {
  const asked: { rows: (number | undefined)[] } = { rows: [] }
  const service: OipService = {
    name: 'test',
    version: '1',
    ready: () => true,
    metadata: (name) => ({ name, platform: 'test', inputs: [input], outputs: [output] }),
    infer(modelName, { request }) {
      const [x] = request.inputs
      if (!x) return Promise.reject(new OipError(400, 'no input'))
      asked.rows.push(x.shape[0])
      return Promise.resolve({ modelName, outputs: [{ ...x, name: 'y' }] })
    },
  }
  const server = await startOipServer(service)
  open.push(server)
  const gateway = await createGateway({ model: 'm', policy: firstWins(), instances: [{ url: server.url }], ...options })
  open.push(gateway)
  return { gateway, asked }
}

async function ask(gateway: Gateway, input: object): Promise<{ status: number; error?: string; headers: Headers }> {
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', ...input }] })
  const response = await fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body })
  return { status: response.status, headers: response.headers, ...((await response.json()) as object) }
}

const anyShape = { name: 'x', datatype: 'FP32', shape: [-1, -1] }

it.each([
  ['that the model does not take', [-1, 2], 400, /must be FP32 \[-1, 2\], got FP32 \[\d+, 0\]/],
  ['of no elements', [-1, -1], 413, /at most 1000 rows/],
])('refuses a request of a few bytes for many rows %s, at once', async (_what, shape, status, error) => {
  const { gateway, asked } = await gatewayOf({ input: { ...anyShape, shape } }, { grpc: {} })
  for (const rows of [1_000_000, 100_000_000, 2 ** 49]) {
    const reply = await ask(gateway, { shape: [rows, 0], data: [] })
    expect(reply).toMatchObject({ status, error: expect.stringMatching(error) as string })
    expect(reply.headers.get('retry-after')).toBeNull()
  }
  const client = createGrpcClient(gateway.grpcUrl as string)
  const tensor = { name: 'x', datatype: 'FP32' as const, shape: [100_000_000, 0], bytes: new Uint8Array() }
  const request = { parameters: {}, inputs: [tensor], binaryOutput: true }
  await expect(client.infer('m', { request })).rejects.toMatchObject({ status: 400 })
  await client.close()
  expect(asked.rows).toEqual([])
  expect((await ask(gateway, { shape: [1, 2], data: [1, 2] })).status).toBe(200)
})

it('refuses more rows than may ever wait, for good', async () => {
  const { gateway } = await gatewayOf({ input: anyShape }, { queueLimit: 3 })
  const rows = (count: number) => ask(gateway, { shape: [count, 1], data: Array<number>(count).fill(1) })
  expect((await rows(3)).status).toBe(200)
  const refused = await rows(4)
  expect(refused).toMatchObject({ status: 413, error: 'a request must have at most 3 rows, got 4' })
  expect(refused.headers.get('retry-after')).toBeNull()
})

it('does not split the requests of a model whose first axis is not that of rows', async () => {
  const input = { name: 'x', datatype: 'FP32', shape: [4] }
  const { gateway, asked } = await gatewayOf({ input })
  expect(await ask(gateway, { shape: [4], data: [1, 2, 3, 4] })).toMatchObject({
    status: 200,
    parameters: { 'ft.quality': 'exact' },
    outputs: [{ name: 'y', shape: [4], data: [1, 2, 3, 4] }],
  })
  expect(asked.rows).toEqual([4])
  // Counted like any other
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
  expect(metrics).toContain('ft_parm_queries_total{quality="exact"} 1')
  expect(metrics).toContain('ft_parm_latency_seconds_count 1')
})

it('refuses contents of another type before it reads them', async () => {
  const { gateway } = await gatewayOf({ input: anyShape })
  // Read first, the contents would be refused for what they are
  const reply = await ask(gateway, { datatype: 'INT64', shape: [1, 2], data: ['no', 'numbers'] })
  expect(reply).toMatchObject({ status: 400, error: "inputs: 'x' must be FP32 [-1, -1], got INT64 [1, 2]" })
  const seen: unknown[] = []
  const body = { inputs: [{ name: 'x', datatype: 'BYTES', shape: [1], data: [1] }] }
  const refuse = (form: object) => {
    seen.push(form)
    throw new OipError(400, 'not this one')
  }
  expect(() => parseRequest({ bytes: Buffer.from(JSON.stringify(body)) }, refuse)).toThrow('not this one')
  expect(seen).toEqual([{ name: 'x', datatype: 'BYTES', shape: [1], size: 1 }])
})

// A model of several inputs and outputs: clients that write the inputs in other orders are in one group, and what is
// reconstructed is every output of the right query.
import { afterEach, expect, it } from 'vitest'
import {
  createGateway,
  createGrpcClient,
  createOipClient,
  firstWins,
  startOipServer,
  sum,
  toNamedTensor,
  toWireTensor,
  type InferRequest,
  type NamedTensor,
  type WireTensor,
} from '../src/index.ts'
import { floats } from './support/echo.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const numbers = (tensors: readonly WireTensor[], name: string) =>
  Array.from((toNamedTensor(tensors.find((one) => one.name === name) as WireTensor) as NamedTensor).data)
const form = (name: string, width: number) => ({ name, datatype: 'FP32', shape: [-1, width] })

/** p = 2 a, q = a + the sum of b; one that begins with 7 is never answered. Linear: its own parity model. */
async function serve() {
  const server = await startOipServer({
    name: 'test',
    version: '1',
    ready: () => true,
    metadata: (name) => ({
      name,
      platform: 'test',
      inputs: [form('a', 2), form('b', 3)],
      outputs: [form('p', 2), form('q', 1)],
    }),
    infer(modelName, { request }) {
      const [a, b] = [numbers(request.inputs, 'a'), numbers(request.inputs, 'b')]
      if (a[0] === 7) return new Promise(() => undefined)
      const tensor = (name: string, values: number[]) =>
        toWireTensor({ name, shape: [1, values.length], data: Float32Array.from(values), dtype: 'float32' })
      const q = b.reduce((total, value) => total + value, a[0] as number)
      const p = a.map((value) => 2 * value)
      // In another order than it says
      return Promise.resolve({ modelName, outputs: [tensor('q', [q]), tensor('p', p)] })
    },
  })
  ends.push(() => server.destroy())
  return { url: server.url }
}

it('inputs in any order make one group', async () => {
  const gateway = await createGateway({
    model: 'm',
    code: sum({ k: 2 }),
    policy: firstWins(),
    deadlineMs: 3000,
    maxGroupWaitMs: 1000,
    residualShare: 0,
    instances: [await serve(), await serve()],
    parityInstances: [await serve()],
    grpc: {},
  })
  ends.push(() => gateway.close())
  const clients = [createOipClient(gateway.url), createGrpcClient(gateway.grpcUrl as string)]
  for (const client of clients) ends.push(() => client.close())
  for (const client of clients) {
    const ask = (inputs: readonly WireTensor[]) => {
      const request: InferRequest = { parameters: {}, inputs, binaryOutput: true }
      return client.infer('m', { request })
    }
    const a = (first: number) => floats('a', [first, first + 1], [1, 2])
    const b = (first: number) => floats('b', [first, first + 1, first + 2], [1, 3])
    const answers = await Promise.all([ask([a(7), b(20)]), ask([b(40), a(3)])])
    expect(answers.map(({ parameters }) => parameters?.['ft.quality'])).toEqual(['reconstructed', 'exact'])
    expect(answers[0]?.parameters?.['ft.group']).toBe(answers[1]?.parameters?.['ft.group'])
    for (const { outputs } of answers) expect(outputs.map(({ name }) => name)).toEqual(['p', 'q'])
    expect(answers.map(({ outputs }) => numbers(outputs, 'p'))).toEqual([
      [14, 16],
      [6, 8],
    ])
    expect(answers.map(({ outputs }) => numbers(outputs, 'q'))).toEqual([[70], [126]])
  }
  expect(gateway.snapshot().counts).toMatchObject({ query: 4, parity: 2, reconstructed: 2, exact: 2 })
})

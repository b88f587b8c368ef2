// A gateway before a server that speaks JSON only, and writes what servers in the field write.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createGateway, createOipClient, firstWins, toNamedTensor, type Gateway } from '../src/index.ts'
import { floats } from './support/echo.ts'

let server: Server
let gateway: Gateway
const bodies: { inputs: unknown }[] = []
afterEach(async () => {
  await gateway.close()
  server.closeAllConnections()
  server.close()
  bodies.splice(0)
})

/** A gateway with one instance that answers every query with this text. */
async function start(answer: string, datatype = 'FP32'): Promise<void> {
  const texts: Record<string, string> = {
    '/v2': '{"name":"json","version":"1","extensions":[]}',
    '/v2/health/ready': '{}',
    '/v2/models/m/infer': answer,
    '/v2/models/m': JSON.stringify({
      name: 'm',
      versions: [],
      platform: 'p',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
      outputs: [{ name: 'y', datatype, shape: [-1, 2] }],
    }),
  }
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request
      .on('data', (chunk: Buffer) => chunks.push(chunk))
      .on('end', () => {
        if (request.method === 'POST') {
          expect(request.headers['inference-header-content-length']).toBeUndefined()
          bodies.push(JSON.parse(Buffer.concat(chunks).toString()) as { inputs: unknown })
        }
        response.setHeader('content-type', 'application/json')
        response.end(texts[request.url ?? ''] ?? '{}')
      })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  gateway = await createGateway({ model: 'm', policy: firstWins(), instances: [{ url }] })
}

const outputs = (datatype: string, data: string) =>
  `{"model_name":"m","parameters":{"a":null,"headers":{"b":[1]}},"outputs":[{"name":"y","datatype":"${datatype}","shape":[1,2],"parameters":{"content_type":"np","more":{}},"data":[${data}]}]}`

async function askJson(): Promise<{ status: number; text: string }> {
  const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2.5] }] }),
  })
  return { status: response.status, text: await response.text() }
}

it('asks it in JSON, and gives its answer on', async () => {
  await start(outputs('FP32', '3, 7.5'))
  expect(await askJson()).toMatchObject({ status: 200, text: expect.stringContaining('"data":[3,7.5]') as string })
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2.5] }]
  expect(bodies).toEqual([{ id: expect.stringMatching(/^\d+$/) as string, inputs }])
})

it('keeps the digits of its integers', async () => {
  await start(outputs('INT64', '9007199254740993, -9223372036854775808'), 'INT64')
  const { status, text } = await askJson()
  expect(status).toBe(200)
  expect(text).toContain('"data":[9007199254740993,-9223372036854775808]')
})

it.each(['NaN, -Infinity', 'null, -Infinity'])('gives on that its answer is %s, as bytes', async (data) => {
  await start(outputs('FP32', data))
  const client = createOipClient(gateway.url)
  const answer = await client.infer('m', {
    request: { parameters: {}, inputs: [floats('x', [1, 2], [1, 2])], binaryOutput: true },
  })
  expect(Array.from((answer.outputs[0] && toNamedTensor(answer.outputs[0])?.data) ?? [])).toEqual([NaN, -Infinity])
  await client.close()
  // JSON has no such numbers
  expect(await askJson()).toMatchObject({ status: 500, text: expect.stringContaining('ask for binary data') as string })
})

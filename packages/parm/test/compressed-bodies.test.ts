// Clients that compress what they send, and balancers that ask for no body, are answered as all others.
import { request } from 'node:http'
import { deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startOipServer, type OipServer } from '../src/index.ts'
import { tripleService } from './support/echo.ts'

const maxBodyBytes = 10_000
let server: OipServer
beforeAll(async () => {
  server = await startOipServer(tripleService(), { maxBodyBytes })
})
afterAll(() => server.close())

const header = JSON.stringify({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], parameters: { binary_data_size: 8 } }],
})
const binary = Buffer.concat([Buffer.from(header), Buffer.from(Float32Array.of(1, 2).buffer)])
const json = Buffer.from(JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }))
/** Of the header as it was before it was compressed, as Triton's clients say it. */
const sized = { 'inference-header-content-length': String(header.length) }

function ask(body: Uint8Array, headers: Record<string, string>): Promise<{ status: number; body: string }> {
  return fetch(`${server.url}/v2/models/triple/infer`, { method: 'POST', body: Buffer.from(body), headers }).then(
    async (response) => ({
      status: response.status,
      body: await response.text(),
    }),
  )
}

describe.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['identity', (bytes: Uint8Array) => bytes],
  ['GZIP', gzipSync],
  ['x-gzip', gzipSync],
] as const)('Content-Encoding: %s', (encoding, compress) => {
  it('is read, as JSON and with binary tensors', async () => {
    const headers = { 'content-encoding': encoding }
    for (const [bytes, more] of [
      [json, {}],
      [binary, sized],
    ] as const) {
      const { status, body } = await ask(compress(bytes), { ...headers, ...more })
      expect([status, body]).toEqual([200, expect.stringContaining('"data":[3,6]')])
    }
  })
})

it('many at once are all answered, whatever some of them hold', async () => {
  const bomb = gzipSync(Buffer.alloc(100 * maxBodyBytes, 0x20))
  const statuses = await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const body = [gzipSync(json), bomb, gzipSync(json).subarray(0, 20)][i % 3] as Buffer
      return (await ask(body, { 'content-encoding': 'gzip' })).status
    }),
  )
  expect(statuses).toEqual(Array.from({ length: 60 }, (_, i) => [200, 413, 400][i % 3]))
})

it('bytes that are not so encoded, other encodings and bodies that would be too long are refused', async () => {
  const bomb = gzipSync(Buffer.alloc(100 * maxBodyBytes, 0x20))
  expect(bomb.length).toBeLessThan(maxBodyBytes)
  expect((await ask(bomb, { 'content-encoding': 'gzip' })).status).toBe(413)
  expect((await ask(json, { 'content-encoding': 'gzip' })).status).toBe(400)
  expect((await ask(gzipSync(json).subarray(0, 20), { 'content-encoding': 'gzip' })).status).toBe(400)
  expect((await ask(json, { 'content-encoding': 'br' })).status).toBe(415)
  expect((await ask(json, {})).status).toBe(200)
})

it.each([
  ['/v2/health/ready', 200],
  ['/v2/models/triple', 200],
  ['/v2/models/other', 404],
  ['/v2/models/triple/infer', 405],
])('HEAD %s has the status of GET, %i, and no body', async (path, expected) => {
  const [status, length] = await new Promise<[number | undefined, number]>((resolve, reject) => {
    request(`${server.url}${path}`, { method: 'HEAD' }, (response) => {
      let bytes = 0
      response.on('data', (chunk: Buffer) => (bytes += chunk.length))
      response.on('end', () => resolve([response.statusCode, bytes]))
    })
      .on('error', reject)
      .end()
  })
  expect([status, length]).toEqual([expected, 0])
})

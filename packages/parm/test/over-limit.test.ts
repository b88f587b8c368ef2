// Answers that are longer than a client takes, and requests that are longer than a server takes: neither is a server that is
// busy, or that is not there.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as grpc from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import {
  createGateway,
  createGrpcClient,
  createOipClient,
  firstWins,
  startGrpcServer,
  startOipServer,
  type OipClient,
} from '../src/index.ts'
import { service as definition } from '../src/grpc/peer.ts'
import { floats, tripleService } from './support/echo.ts'

const LIMIT = 2000

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const keep = (client: OipClient) => {
  ends.push(() => client.close())
  return client
}

const rows = (count: number) => ({
  request: {
    parameters: {},
    inputs: [floats('x', new Array<number>(2 * count).fill(1), [count, 2])],
    binaryOutput: true,
  },
})

describe.each(['http', 'socket', 'grpc'] as const)('an answer over the limit by %s', (by) => {
  async function open(): Promise<OipClient> {
    if (by === 'grpc') {
      const server = await startGrpcServer(tripleService())
      ends.push(() => server.close())
      return keep(createGrpcClient(server.url, { maxBodyBytes: LIMIT }))
    }
    const folder = mkdtempSync(join(tmpdir(), 'parm-limit-'))
    const socketPath = join(folder, 's')
    const server = await startOipServer(tripleService(), by === 'socket' ? { socketPath } : {})
    ends.push(
      () => rmSync(folder, { recursive: true }),
      () => server.destroy(),
    )
    return keep(createOipClient(by === 'socket' ? socketPath : server.url, { maxBodyBytes: LIMIT }))
  }

  it('cannot be used; the server is there, and the next answer can', async () => {
    const client = await open()
    await expect(client.infer('triple', rows(LIMIT))).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
    expect((await client.infer('triple', rows(3))).outputs[0]?.shape).toEqual([3, 2])
  })
})

/** A server by the library alone, that answers every request so. */
async function rawServer(answer: grpc.handleUnaryCall<Buffer, Buffer>, options: grpc.ServerOptions = {}) {
  const server = new grpc.Server(options)
  const { ModelInfer, ServerReady, ModelMetadata } = definition
  const form = (name: string) => ({ name, datatype: 'FP32', shape: [-1, 2] })
  const model = { name: 'm', platform: 'test', inputs: [form('x')], outputs: [form('y')] }
  server.addService(
    { ModelInfer, ServerReady, ModelMetadata },
    {
      ModelInfer: answer,
      ServerReady: (_call: unknown, callback: grpc.sendUnaryData<unknown>) => callback(null, { ready: true }),
      ModelMetadata: (_call: unknown, callback: grpc.sendUnaryData<unknown>) => callback(null, model),
    },
  )
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  ends.push(() => server.forceShutdown())
  return `grpc://127.0.0.1:${port}`
}

const { RESOURCE_EXHAUSTED } = grpc.status

describe('what else gRPC calls exhausted', () => {
  it('is a request over the limit of its server, which says so', async () => {
    const server = await startGrpcServer(tripleService(), { maxBodyBytes: LIMIT })
    ends.push(() => server.close())
    const client = keep(createGrpcClient(server.url))
    await expect(client.infer('triple', rows(LIMIT))).rejects.toMatchObject({ status: 413 })
  })

  it.each([
    'Received message larger than max (LENGTH vs. 4194304)',
    'SERVER: Received message larger than max (LENGTH vs. 4194304)',
    'grpc: received message larger than max (LENGTH vs. 4194304)',
    'gRPC message exceeds maximum size 4194304: LENGTH',
  ])('is that in the words of another server: %s', async (text) => {
    const url = await rawServer((call, callback) => {
      const details = text.replace('LENGTH', String(call.request.length))
      callback({ code: RESOURCE_EXHAUSTED, details })
    })
    await expect(keep(createGrpcClient(url)).infer('m', rows(5))).rejects.toMatchObject({ status: 413 })
  })

  it.each(['queue is full', 'a batch larger than 8 waits'])('is a server that is busy: %s', async (details) => {
    const url = await rawServer((_call, callback) => callback({ code: RESOURCE_EXHAUSTED, details }))
    await expect(keep(createGrpcClient(url)).infer('m', rows(5))).rejects.toMatchObject({ status: 429 })
  })

  it('is an answer that is too long once it is unpacked', async () => {
    const url = await rawServer((call, callback) => {
      const metadata = new grpc.Metadata()
      metadata.set('grpc-encoding', 'gzip')
      call.sendMetadata(metadata)
      callback(null, Buffer.alloc(100 * LIMIT))
    })
    expect(gzipSync(Buffer.alloc(100 * LIMIT)).length).toBeLessThan(LIMIT)
    const client = keep(createGrpcClient(url, { maxBodyBytes: LIMIT }))
    await expect(client.infer('m', rows(5))).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
  })

  it('is told to clients of a gateway by its own status, and takes no instance from others', async () => {
    const servers = await Promise.all([1, 2].map(() => startGrpcServer(tripleService(), { maxBodyBytes: LIMIT })))
    ends.push(() => Promise.all(servers.map((server) => server.close())))
    const instances = servers.map(({ url }) => ({ url, model: 'triple' }))
    const gateway = await createGateway({ model: 'm', policy: firstWins(), instances })
    ends.push(() => gateway.close())
    const client = keep(createOipClient(gateway.url))
    const long = { ...rows(1).request, parameters: { note: 'x'.repeat(LIMIT) } }
    for (let i = 0; i < 4; i++)
      await expect(client.infer('m', { request: long })).rejects.toMatchObject({ status: 413 })
    expect(gateway.snapshot().instances.map(({ out, failed }) => [out, failed])).toEqual([
      [false, 0],
      [false, 0],
    ])
    expect((await client.infer('m', rows(1))).outputs[0]?.shape).toEqual([1, 2])
  })
})

// Instances behind gRPC that refuse a request are there: one request that they refuse does not take them from all others.
import { constants, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import * as grpc from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { createGateway, createGrpcClient, createOipClient, firstWins, type InferRequest } from '../src/index.ts'
import { inferRequest, inferResponse, service as definition } from '../src/grpc/peer.ts'
import { floats } from './support/echo.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** y = x, but for requests with a parameter `code`, which are refused with that. */
async function serve(): Promise<{ url: string }> {
  const server = new grpc.Server()
  const answer =
    <T>(value: T) =>
    (_call: unknown, callback: grpc.sendUnaryData<T>) =>
      callback(null, value)
  const form = (name: string) => ({ name, datatype: 'FP32', shape: [-1, 2] })
  server.addService(definition, {
    ServerLive: answer({ ready: true }),
    ServerReady: answer({ ready: true }),
    ModelReady: answer({ ready: true }),
    ServerMetadata: answer({ name: 'test', version: '1' }),
    ModelMetadata: answer({ name: 'm', platform: 'test', inputs: [form('x')], outputs: [form('y')] }),
    ModelInfer(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      const { request } = inferRequest.read(call.request)
      const { code } = request.parameters
      if (code !== undefined) return callback({ code: Number(code), details: 'refused' })
      const outputs = request.inputs.map((x) => ({ ...x, name: 'y' }))
      callback(null, inferResponse.write({ modelName: 'm', outputs }))
    },
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  ends.push(() => server.forceShutdown())
  return { url: `grpc://127.0.0.1:${port}` }
}

const { status } = grpc
describe.each([
  ['INVALID_ARGUMENT', 400],
  ['OUT_OF_RANGE', 400],
  ['UNIMPLEMENTED', 501],
  ['FAILED_PRECONDITION', 502],
  ['PERMISSION_DENIED', 502],
  ['UNAUTHENTICATED', 502],
  ['ABORTED', 502],
  ['DATA_LOSS', 500],
] as const)('%s', (name, expected) => {
  it(`is answered with ${expected}, and the instances serve on`, async () => {
    const gateway = await createGateway({ model: 'm', policy: firstWins(), instances: [await serve(), await serve()] })
    ends.push(() => gateway.close())
    const client = createOipClient(gateway.url)
    ends.push(() => client.close())
    const ask = (parameters: InferRequest['parameters']) =>
      client.infer('m', { request: { parameters, inputs: [floats('x', [1, 2], [1, 2])], binaryOutput: true } })
    await expect(ask({ code: status[name] })).rejects.toMatchObject({ status: expected })
    expect(gateway.snapshot().instances.map(({ out }) => out)).toEqual([false, false])
    expect((await ask({})).parameters).toMatchObject({ 'ft.quality': 'exact' })
  })
})

it('is no answer of the model when calls are cut off without one', async () => {
  // Streams are reset as by a server that closes its connection for its own reasons, such as too many cancelled calls
  const server = createServer()
  server.on('stream', (stream) => stream.on('error', () => undefined).close(constants.NGHTTP2_INTERNAL_ERROR))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => new Promise((resolve) => server.close(resolve)))
  const client = createGrpcClient(`grpc://127.0.0.1:${(server.address() as AddressInfo).port}`)
  ends.push(() => client.close())
  const request = { parameters: {}, inputs: [floats('x', [1, 2], [1, 2])], binaryOutput: true }
  await expect(client.infer('m', { request })).rejects.toMatchObject({ code: 'IO' })
})

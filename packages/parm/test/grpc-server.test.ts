// The gRPC front as stock clients of the library see it: statuses, requested outputs, limits, cancellation, TLS.
import { once } from 'node:events'
import * as grpc from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import {
  OipError,
  createGateway,
  firstWins,
  startGrpcServer,
  startOipServer,
  type GrpcServer,
  type OipService,
} from '../src/index.ts'
import { inferRequest, inferResponse, ready } from '../src/grpc/messages.ts'
import { testCertificate } from './support/certificate.ts'
import { floats, tripleService } from './support/echo.ts'

const cleanup: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const one of cleanup.splice(0).reverse()) await one()
})

async function start(...args: Parameters<typeof startGrpcServer>): Promise<GrpcServer> {
  const server = await startGrpcServer(...args)
  cleanup.push(() => server.close())
  return server
}

function clientOf(url: string, credentials = grpc.credentials.createInsecure()) {
  const client = new grpc.Client(`localhost:${url.split(':').at(-1)}`, credentials)
  cleanup.push(() => client.close())
  const call = (method: string, message: Buffer) => {
    let cancel = () => undefined as void
    const answer = new Promise<Buffer>((resolve, reject) => {
      const path = `/inference.GRPCInferenceService/${method}`
      const same = (bytes: Buffer) => bytes
      const running = client.makeUnaryRequest(path, same, same, message, (error, bytes) =>
        error ? reject(error) : resolve(bytes as Buffer),
      )
      cancel = () => running.cancel()
    })
    return { answer, cancel }
  }
  return { call, ask: (method: string, message: Buffer) => call(method, message).answer }
}

const query = (outputs: string[] = [], values = [1, 2]) =>
  inferRequest.write({
    model: 'triple',
    version: '',
    request: {
      parameters: {},
      inputs: [floats('x', values, [values.length / 2, 2])],
      outputs: outputs.map((name) => ({ name })),
      binaryOutput: true,
    },
  })

const twoOutputs = (): OipService => {
  const service = tripleService()
  return {
    ...service,
    async infer(...args) {
      const answer = await service.infer(...args)
      return { ...answer, outputs: [...answer.outputs, floats('z', [7], [1])] }
    },
  }
}

it('gives the requested outputs in their order, all without a request for any, and refuses others', async () => {
  const { ask } = clientOf((await start(twoOutputs())).url)
  const named = async (outputs: string[]) =>
    inferResponse.read(await ask('ModelInfer', query(outputs))).outputs.map(({ name }) => name)
  expect(await named([])).toEqual(['y', 'z'])
  expect(await named(['z'])).toEqual(['z'])
  expect(await named(['z', 'y'])).toEqual(['z', 'y'])
  await expect(named(['none'])).rejects.toMatchObject({
    code: grpc.status.INVALID_ARGUMENT,
    details: "outputs: the model has no output 'none'",
  })
})

it.each(['ModelReady', 'ModelMetadata', 'ModelInfer'])('says that a damaged %s is damaged', async (method) => {
  const { ask } = clientOf((await start(tripleService())).url)
  await expect(ask(method, Buffer.from([0x0a, 0x7f, 1]))).rejects.toMatchObject({
    code: grpc.status.INVALID_ARGUMENT,
    details: expect.stringContaining('must be a protobuf') as string,
  })
  const asked = await ask('ModelReady', Buffer.from('0a06747269706c65', 'hex'))
  expect(ready.read(asked)).toEqual({ ready: true })
})

it('refuses messages over the limit of the gateway, and keeps serving', async () => {
  const instance = await startOipServer(tripleService())
  const gateway = await createGateway({
    model: 'triple',
    policy: firstWins(),
    instances: [{ url: instance.url }],
    grpc: {},
    maxBodyBytes: 1000,
  })
  cleanup.push(() => instance.destroy())
  cleanup.push(() => gateway.close())
  const { ask } = clientOf(gateway.grpcUrl as string)
  const many = Array.from({ length: 400 }, (_, i) => i)
  await expect(ask('ModelInfer', query([], many))).rejects.toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED })
  expect(inferResponse.read(await ask('ModelInfer', query())).outputs).toHaveLength(1)
})

it('aborts the work of a caller that cancels', async () => {
  const entered = new AbortController()
  let left: Promise<unknown> = Promise.resolve()
  const service = tripleService({
    before: async ({ signal }) => {
      left = once(signal, 'abort')
      entered.abort()
      await left
    },
  })
  const { call } = clientOf((await start(service)).url)
  const { answer, cancel } = call('ModelInfer', query())
  const outcome = expect(answer).rejects.toMatchObject({ code: grpc.status.CANCELLED })
  await once(entered.signal, 'abort')
  cancel()
  await outcome
  await left
})

describe('over TLS', () => {
  const pem = (text: string) => Buffer.from(text)
  const { cert, key } = testCertificate
  const anybody = grpc.credentials.createSsl(pem(cert))
  const known = grpc.credentials.createSsl(pem(cert), pem(key), pem(cert))

  it('answers clients that trust its certificate, and no others', async () => {
    const { url } = await start(tripleService(), { tls: testCertificate })
    expect(url).toMatch(/^grpcs:/)
    expect(inferResponse.read(await clientOf(url, anybody).ask('ModelInfer', query())).outputs).toHaveLength(1)
    await expect(clientOf(url).ask('ModelInfer', query())).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE })
  })

  it('takes only clients with a certificate of the authority that it is given', async () => {
    const { url } = await start(tripleService(), { tls: { ...testCertificate, ca: cert } })
    expect(inferResponse.read(await clientOf(url, known).ask('ModelInfer', query())).outputs).toHaveLength(1)
    await expect(clientOf(url, anybody).ask('ModelInfer', query())).rejects.toMatchObject({
      code: grpc.status.UNAVAILABLE,
    })
  })
})

it.each([
  [400, 'INVALID_ARGUMENT'],
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [409, 'ABORTED'],
  [412, 'FAILED_PRECONDITION'],
  [413, 'INVALID_ARGUMENT'],
  [422, 'INVALID_ARGUMENT'],
  [429, 'RESOURCE_EXHAUSTED'],
  [499, 'CANCELLED'],
  [500, 'INTERNAL'],
  [501, 'UNIMPLEMENTED'],
  [502, 'INTERNAL'],
  [503, 'UNAVAILABLE'],
  [504, 'DEADLINE_EXCEEDED'],
] as const)('says of a failure with status %i %s', async (http, name) => {
  const service = { ...tripleService(), infer: () => Promise.reject(new OipError(http, 'no')) }
  const { url } = await start(service)
  await expect(clientOf(url).ask('ModelInfer', query())).rejects.toMatchObject({ code: grpc.status[name] })
})

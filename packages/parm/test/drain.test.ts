// Closing servers: requests in progress are answered, and nobody who sends half a request keeps them up.
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import {
  createGateway,
  createGrpcClient,
  firstWins,
  startGrpcServer,
  startOipServer,
  toNamedTensor,
} from '../src/index.ts'
import { testCertificate } from './support/certificate.ts'
import { floats, tripleService } from './support/echo.ts'

const sockets: Socket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

/** A client's side, after it has sent these bytes. */
async function opened(url: string, bytes: string): Promise<Socket> {
  const socket = connect({ port: Number(url.split(':').at(-1)), host: '127.0.0.1' })
  sockets.push(socket)
  socket.on('error', () => undefined)
  await new Promise<void>((resolve) => socket.once('connect', resolve))
  await new Promise<void>((resolve) => (bytes === '' ? resolve() : void socket.write(bytes, () => resolve())))
  // Until the server has read them
  await new Promise((resolve) => setTimeout(resolve, 100))
  return socket
}

const gone = (socket: Socket) =>
  new Promise((resolve) => (socket.destroyed ? resolve(undefined) : socket.once('close', resolve).resume()))

const path = 'POST /v2/models/triple/infer HTTP/1.1\r\nHost: h\r\n'
it.each([
  ['half a head', path.slice(0, 40)],
  ['half a body', `${path}Content-Length: 100\r\n\r\n{`],
  ['half a body, read by the server of Node', `${path}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n{`],
  ['half a chunk', `${path}Transfer-Encoding: chunked\r\n\r\n5\r\n{`],
])('does not wait for ever for the rest of %s', async (_what, bytes) => {
  const server = await startOipServer(tripleService(), { drainMs: 50 })
  const socket = await opened(server.url, bytes)
  await server.close()
  await gone(socket)
})

it('does not wait for ever for a client that reads nothing', async () => {
  const text = 'x'.repeat(1 << 20)
  const metrics = () => Promise.resolve({ contentType: 'text/plain', text })
  const server = await startOipServer({ ...tripleService(), metrics }, { drainMs: 50 })
  const socket = await opened(server.url, '')
  socket.pause()
  socket.write('GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n'.repeat(20))
  await new Promise((resolve) => setTimeout(resolve, 200))
  await server.close()
})

it('does not wait for ever for a handshake, over REST or gRPC', async () => {
  const options = { drainMs: 50, tls: testCertificate }
  for (const server of [
    await startOipServer(tripleService(), options),
    await startGrpcServer(tripleService(), options),
  ]) {
    const socket = await opened(server.url, '')
    await server.close()
    await gone(socket)
  }
})

it('does not wait for ever for half a gRPC message', async () => {
  const server = await startGrpcServer(tripleService(), { drainMs: 50 })
  const session = connectHttp2(server.url.replace('grpc:', 'http:'))
  session.on('error', () => undefined)
  const call = session.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ModelInfer',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  const ended = new Promise((resolve) => call.on('error', () => undefined).once('close', resolve))
  call.write(Buffer.from([0, 0, 0, 0, 100, 1]))
  await new Promise((resolve) => setTimeout(resolve, 100))
  await server.close()
  await ended
  session.destroy()
})

it('answers the calls in progress before it closes, over REST and gRPC', async () => {
  let release = () => undefined as void
  const held = new Promise<void>((resolve) => (release = resolve))
  let inside = 0
  const service = tripleService({
    before() {
      inside++
      return held
    },
  })
  const rest = await startOipServer(service)
  const grpc = await startGrpcServer(service)
  const client = createGrpcClient(grpc.url)
  const asked = client.infer('triple', {
    request: { parameters: {}, inputs: [floats('x', [1, 2], [1, 2])], binaryOutput: true },
  })
  const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] })
  const posted = fetch(`${rest.url}/v2/models/triple/infer`, { method: 'POST', body })
  await expect.poll(() => inside).toBe(2)
  const closed = Promise.all([rest.close(), grpc.close()])
  release()
  const [y] = (await asked).outputs
  expect(Array.from((y && toNamedTensor(y)?.data) ?? [])).toEqual([3, 6])
  expect((await posted).status).toBe(200)
  await closed
  await client.close()
})

it('closes a gateway a second after its longest deadline, whatever clients do', async () => {
  const instance = await startOipServer(tripleService())
  const gateway = await createGateway({
    model: 'm',
    policy: firstWins(),
    instances: [{ url: instance.url, model: 'triple' }],
    deadlineMs: 100,
    grpc: {},
    tls: testCertificate,
  })
  const left = [await opened(gateway.url, ''), await opened(gateway.grpcUrl as string, '')]
  const startedMs = performance.now()
  await gateway.close()
  const tookMs = performance.now() - startedMs
  expect(tookMs).toBeGreaterThan(1000)
  expect(tookMs).toBeLessThan(10_000)
  await Promise.all(left.map(gone))
  instance.destroy()
})

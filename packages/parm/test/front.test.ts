// What a gateway says of itself: whether it is ready, that it is closing, and names and counts in its metrics.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import {
  createGateway,
  createGrpcClient,
  deadlineOnly,
  startOipServer,
  sum,
  type Gateway,
  type GatewayOptions,
  type OipServer,
} from '../src/index.ts'
import { tripleService } from './support/echo.ts'

let instance: OipServer
let gateway: Gateway
afterEach(async () => {
  await gateway.close()
  instance.destroy()
})

async function start(options: Partial<GatewayOptions> = {}): Promise<void> {
  instance = await startOipServer(tripleService())
  const instances = [{ url: instance.url, model: 'triple' }]
  gateway = await createGateway({ model: 'm', policy: deadlineOnly(), instances, deadlineMs: 500, ...options })
}

const path = '/v2/models/m/infer'
const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] })
const ask = () => fetch(gateway.url + path, { method: 'POST', body })

it('is not ready while none of its instances is, over REST and gRPC, and ready again', async () => {
  await start({ grpc: {} })
  const client = createGrpcClient(gateway.grpcUrl as string)
  const states = async () => {
    const paths = ['/v2/health/ready', '/v2/models/m/ready', '/v2/health/live']
    const rest = await Promise.all(paths.map(async (one) => (await fetch(gateway.url + one)).status))
    return [...rest, await client.ready()]
  }
  expect(await states()).toEqual([200, 200, 200, true])
  const port = Number(new URL(instance.url).port)
  instance.destroy()
  expect((await ask()).status).toBe(503)
  await expect.poll(states).toEqual([503, 503, 200, false])
  instance = await startOipServer(tripleService(), { port })
  await expect.poll(states, { timeout: 10_000 }).toEqual([200, 200, 200, true])
  await client.close()
})

it('says that it is closing to a request that becomes whole only then', async () => {
  await start()
  const socket = connect({ port: Number(new URL(gateway.url).port), host: '127.0.0.1' })
  socket.write(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 9)}`)
  await new Promise((resolve) => setTimeout(resolve, 100))
  const closed = gateway.close()
  socket.write(body.slice(9))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  expect(answer.toString()).toMatch(/^HTTP\/1.1 503 [^]*\r\nRetry-After: 1\r\n[^]*the gateway is closing/)
  await closed
})

it('refuses instances of one name', async () => {
  await start()
  const one = { url: instance.url, model: 'triple' }
  const policy = deadlineOnly()
  for (const names of [
    ['a', 'a'],
    [undefined, 'base-0'],
  ])
    await expect(
      createGateway({ model: 'm', policy, instances: names.map((name) => (name ? { ...one, name } : one)) }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', details: { name: names[1] } })
  await expect(
    createGateway({
      model: 'm',
      policy,
      code: sum({ k: 2 }),
      instances: [{ ...one, name: 'a' }],
      parityInstances: [{ ...one, name: 'a' }],
    }),
  ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
})

it('counts coding groups only where there is a code', async () => {
  await start()
  expect((await ask()).status).toBe(200)
  expect(gateway.snapshot().counts).toMatchObject({ query: 1, exact: 1 })
  expect(gateway.snapshot().counts['group-full']).toBeUndefined()
})

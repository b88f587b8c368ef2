// Starts of a gateway whose instances are not all there, or never will be.
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import {
  createGateway,
  createOipClient,
  firstWins,
  startGrpcServer,
  startOipServer,
  sum,
  toNamedTensor,
  type Gateway,
  type GatewayOptions,
} from '../src/index.ts'
import { floats, tripleService } from './support/echo.ts'
import { buildWorker, tripleModule } from './support/worker.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const start = async (options: Partial<GatewayOptions> & Pick<GatewayOptions, 'instances'>): Promise<Gateway> => {
  const gateway = await createGateway({ model: 'triple', policy: firstWins(), deadlineMs: 5000, ...options })
  ends.push(() => gateway.close())
  return gateway
}

/** A port of this machine where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function ask(gateway: Gateway, values: readonly number[]): Promise<number[]> {
  const client = createOipClient(gateway.url)
  const request = { parameters: {}, inputs: [floats('x', values, [values.length / 2, 2])], binaryOutput: true }
  const { outputs } = await client.infer('triple', { request })
  await client.close()
  return Array.from((outputs[0] && toNamedTensor(outputs[0])?.data) ?? [])
}

it('warns of no leak when many instances are asked at once', async () => {
  const warnings: Error[] = []
  const warned = (warning: Error) => void warnings.push(warning)
  process.on('warning', warned)
  ends.push(() => process.off('warning', warned))
  const servers = await Promise.all(Array.from({ length: 12 }, () => startOipServer(tripleService())))
  ends.push(() => Promise.all(servers.map((server) => server.close())))
  await start({ instances: servers.map(({ url }) => ({ url })) })
  await new Promise((resolve) => setImmediate(resolve))
  expect(warnings).toEqual([])
})

describe('instances behind gRPC', () => {
  const serve = async (...args: Parameters<typeof startGrpcServer>) => {
    const server = await startGrpcServer(...args)
    ends.push(() => server.close())
    return server
  }

  it('are waited for that come after the gateway', async () => {
    const ports = await Promise.all([freePort(), freePort(), freePort()])
    const [a, b, parity] = ports.map((port) => ({ url: `grpc://127.0.0.1:${port}`, model: 'triple' }))
    const starting = start({
      instances: [a!, b!],
      parityInstances: [parity!],
      code: sum({ k: 2 }),
      startTimeoutMs: 20_000,
    })
    // It has asked them by then
    await new Promise((resolve) => setTimeout(resolve, 300))
    for (const port of ports) await serve(tripleService(), { port })
    const gateway = await starting
    expect(await ask(gateway, [1, 2, 3, 4])).toEqual([3, 6, 9, 12])
    expect(gateway.snapshot().instances.map(({ out }) => out)).toEqual([false, false, false])
  }, 30_000)

  it('are waited for that fail while they load', async () => {
    let asked = 0
    const loading = {
      ...tripleService(),
      ready() {
        if (asked++ < 3) throw new Error('loading')
        return true
      },
    }
    const { url } = await serve(loading)
    const gateway = await start({ instances: [{ url }] })
    expect(asked).toBeGreaterThan(3)
    expect(await ask(gateway, [1, 2])).toEqual([3, 6])
  })

  it('join when they come, the gateway having started without them', async () => {
    const port = await freePort()
    const here = await serve(tripleService())
    const gateway = await start({
      instances: [{ url: `grpc://127.0.0.1:${port}` }, { url: here.url }],
      startTimeoutMs: 300,
    })
    expect(gateway.snapshot().instances.map(({ out }) => out)).toEqual([true, false])
    expect(await ask(gateway, [1, 2])).toEqual([3, 6])
    await serve(tripleService(), { port })
    await expect.poll(() => gateway.snapshot().instances[0]?.out, { timeout: 10_000 }).toBe(false)
    expect(await ask(gateway, [1, 2, 3, 4])).toEqual([3, 6, 9, 12])
  }, 20_000)
})

it('does not wait for an instance that says nothing when another has not the model', async () => {
  const silent = createServer(() => undefined)
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  ends.push(() => silent.close())
  const other = await startOipServer(tripleService())
  ends.push(() => other.destroy())
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  // Longer than this test may take
  const options = { instances: [{ url }, { url: other.url, model: 'none' }], startTimeoutMs: 600_000 }
  await expect(start(options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: /have the model 'none'/ })
})

describe('a worker that ends at its start', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>
  beforeAll(async () => {
    built = await buildWorker()
  })
  afterAll(() => built.remove())

  /** A module that says its process, then does so. */
  const moduleOf = (name: string, then: string) => {
    const file = join(built.folder, `${name}.mjs`)
    const pidFile = join(built.folder, `${name}.pid`)
    writeFileSync(
      file,
      `import { writeFileSync } from 'node:fs'
import create from ${JSON.stringify(tripleModule)}
writeFileSync(${JSON.stringify(pidFile)}, String(process.pid))
export default (options) => { ${then}; return create(options) }`,
    )
    return {
      spec: { worker: { module: file }, workerFile: built.workerFile },
      pid: () => Number(readFileSync(pidFile)),
    }
  }
  const isThere = (pid: number) => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }

  it.each([
    ['by itself', 'process.exit(3)', /did not start: it ended/],
    ['with an error', "throw new Error('no weights')", /did not start: no weights/],
  ])('%s ends the start, and the workers that did', async (_what, then, message) => {
    const [good, dead, parity] = [moduleOf('good', ''), moduleOf('dead', then), moduleOf('parity', '')]
    await expect(
      start({ instances: [good.spec, dead.spec], parityInstances: [parity.spec], code: sum({ k: 2 }) }),
    ).rejects.toMatchObject({ code: 'IO', message })
    expect(dead.pid()).toBeGreaterThan(0)
    for (const { pid } of [good, dead]) expect(isThere(pid())).toBe(false)
  })
})

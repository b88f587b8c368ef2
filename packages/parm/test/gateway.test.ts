// The gateway with real worker processes, through a stock HTTP client: answers, marks, refusals, and what happens when
// processes stop, die or answer nonsense.
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import {
  concat,
  createGateway,
  deadlineOnly,
  firstWins,
  hold,
  OipError,
  startOipServer,
  sum,
  writeModelFolder,
  fingerprintOf,
  type DenseLayer,
  type Gateway,
  type GatewayOptions,
  type InstanceSpec,
} from '../src/index.ts'
import { DropConnection } from '../src/oip/service.ts'
import { tripleService } from './support/echo.ts'
import { buildWorker, tripleModule } from './support/worker.ts'

let built: Awaited<ReturnType<typeof buildWorker>>
const open: Gateway[] = []
beforeAll(async () => {
  built = await buildWorker()
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((gateway) => gateway.close()))
})
afterAll(() => built.remove())

const triple = (options: Record<string, unknown> = {}): InstanceSpec => ({
  worker: { module: tripleModule, options },
  workerFile: built.workerFile,
})
const folderInstance = (folder: string): InstanceSpec => ({ worker: { folder }, workerFile: built.workerFile })

async function start(options: Partial<GatewayOptions> & Pick<GatewayOptions, 'instances'>): Promise<Gateway> {
  const gateway = await createGateway({
    model: 'm',
    policy: firstWins(),
    deadlineMs: 5000,
    maxGroupWaitMs: 20,
    ...options,
  })
  open.push(gateway)
  return gateway
}

interface Reply {
  status: number
  error?: string
  parameters?: Record<string, unknown>
  outputs?: { data: number[]; shape: number[] }[]
}

async function ask(
  gateway: Gateway,
  data: readonly number[],
  o: { shape?: number[]; parameters?: object; name?: string; input?: string } = {},
): Promise<Reply> {
  const response = await fetch(`${gateway.url}/v2/models/${o.name ?? 'm'}/infer`, {
    method: 'POST',
    body: JSON.stringify({
      ...(o.parameters ? { parameters: o.parameters } : {}),
      inputs: [{ name: o.input ?? 'x', datatype: 'FP32', shape: o.shape ?? [data.length / 2, 2], data }],
    }),
  })
  return { status: response.status, ...((await response.json()) as object) }
}

const pidOf = (gateway: Gateway, name: string) => {
  const pid = gateway.snapshot().instances.find((instance) => instance.name === name)?.pid
  if (pid === undefined) throw new Error(`no worker ${name}`)
  return pid
}

describe('answers', () => {
  it('splits a request into rows and joins it again, each row in a group', async () => {
    const gateway = await start({ instances: [triple(), triple()], parityInstances: [triple()], code: sum({ k: 2 }) })
    const reply = await ask(gateway, [1, 2, 3, 4, 5, 6])
    expect(reply.outputs).toEqual([{ name: 'y', datatype: 'FP32', shape: [3, 2], data: [3, 6, 9, 12, 15, 18] }])
    // The third row waits for a partner in vain: it stays in group 1, or gets a copy in group 2
    expect(reply.parameters?.['ft.group']).toMatch(/^0,0,[12]$/)
    expect(String(reply.parameters?.['ft.qualities']).split(',')).toHaveLength(3)
  })

  it('refuses what is wrong with the right status, and keeps serving', async () => {
    const gateway = await start({ instances: [triple()] })
    expect((await ask(gateway, [1, 2], { name: 'other' })).status).toBe(404)
    expect(await ask(gateway, [1, 2, 3], { shape: [1, 3] })).toMatchObject({
      status: 400,
      error: /must be FP32 \[-1, 2\]/,
    })
    expect((await ask(gateway, [1, 2], { parameters: { 'ft.allowDegraded': 'no' } })).status).toBe(400)
    expect((await ask(gateway, [1, 2], { parameters: { 'ft.deadlineMs': -1 } })).status).toBe(400)
    expect(await ask(gateway, [1, 2])).toMatchObject({ status: 200, parameters: { 'ft.quality': 'exact' } })
  })

  it('passes BYTES through, exact', async () => {
    const gateway = await start({
      instances: [triple({ bytes: true })],
      parityInstances: [triple({ bytes: true })],
      code: sum({ k: 2 }),
    })
    const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
      method: 'POST',
      body: JSON.stringify({ id: 'b', inputs: [{ name: 'x', datatype: 'BYTES', shape: [2], data: ['a', 'ü'] }] }),
    })
    expect(await response.json()).toMatchObject({
      id: 'b',
      parameters: { 'ft.quality': 'exact' },
      outputs: [{ data: ['a', 'ü'] }],
    })
  })

  it('refuses with 429 and Retry-After when too much waits', async () => {
    const gateway = await start({ instances: [triple()], queueLimit: 2, deadlineMs: 300 })
    // One is in progress and never answered, two wait, the fourth is refused
    const waiting = [1, 2, 3].map(() => ask(gateway, [555, 1]))
    await expect.poll(() => gateway.snapshot().queued).toBe(2)
    const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }),
    })
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '1'])
    expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([504, 504, 504])
  })

  it('gives the default output at the deadline where there is one, but not to those who want exact answers', async () => {
    const defaultOutputs = [{ name: 'y', data: Float32Array.of(-1, -1), shape: [1, 2], dtype: 'float32' as const }]
    const gateway = await start({ instances: [triple(), triple()], defaultOutputs, deadlineMs: 150 })
    const [first, second] = await Promise.all([
      ask(gateway, [555, 1]),
      ask(gateway, [555, 1], { parameters: { 'ft.allowDegraded': false } }),
    ])
    expect(first).toMatchObject({ status: 200, parameters: { 'ft.quality': 'default' }, outputs: [{ data: [-1, -1] }] })
    expect(second.status).toBe(504)
  })

  it('serves behind servers by URL as well', async () => {
    const servers = await Promise.all([1, 2, 3].map(() => startOipServer(tripleService())))
    const [a, b, parity] = servers.map(({ url }) => ({ url, model: 'triple' })) as [
      InstanceSpec,
      InstanceSpec,
      InstanceSpec,
    ]
    const gateway = await start({ instances: [a, b], parityInstances: [parity], code: sum({ k: 2 }) })
    expect((await ask(gateway, [1, 2, 3, 4])).outputs?.[0]?.data).toEqual([3, 6, 9, 12])
    await gateway.close()
    for (const server of servers) server.destroy()
  })
})

describe('a model that is its own parity model', () => {
  const random = createRandom(3)
  const weights = {
    data: random.stream('w').fillNormal(new Float32Array(20 * 5)),
    shape: [20, 5],
    dtype: 'float32' as const,
  }
  const bias = random.stream('b').fillNormal(new Float32Array(5))
  const linear = (scale: number): DenseLayer[] => [
    { weights, bias: { data: bias.map((b) => scale * b), shape: [5], dtype: 'float32' }, relu: false },
  ]
  const folders = async () => {
    const base = join(built.folder, 'base')
    const parity = join(built.folder, 'parity')
    await writeModelFolder(base, { layers: linear(1) })
    // F(a) + F(b) has the bias twice
    await writeModelFolder(parity, {
      layers: linear(2),
      parity: { baseFingerprint: fingerprintOf(linear(1)), code: 'sum', k: 2 },
    })
    return { base, parity }
  }

  it('reconstructs exactly, to float rounding, through the whole gateway', async () => {
    const { base, parity } = await folders()
    const gateway = await start({
      instances: [folderInstance(base), folderInstance(base)],
      parityInstances: [folderInstance(parity)],
      code: sum({ k: 2 }),
      policy: hold({ afterMs: 30 }),
    })
    process.kill(pidOf(gateway, 'base-0'), 'SIGSTOP')
    let reconstructed = 0
    for (let pair = 0; pair < 4; pair++) {
      const rows = [0, 1].map((i) => random.stream('x', 2 * pair + i).fillNormal(new Float32Array(20)))
      const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
        method: 'POST',
        body: JSON.stringify({
          inputs: [{ name: 'input', datatype: 'FP32', shape: [2, 20], data: rows.flatMap((row) => [...row]) }],
        }),
      })
      const reply = (await response.json()) as Reply
      reconstructed += String(reply.parameters?.['ft.qualities']).split('reconstructed').length - 1
      rows.forEach((row, i) =>
        bias.forEach((b, j) => {
          let expected = b
          row.forEach((x, n) => (expected += x * (weights.data[n * 5 + j] as number)))
          // 20 products of standard normals in float32, three such sums: about 60 roundings of values below 32
          expect(Math.abs((reply.outputs?.[0]?.data[i * 5 + j] as number) - expected)).toBeLessThan(60 * 32 * 2 ** -24)
        }),
      )
    }
    expect(reconstructed).toBeGreaterThan(0)
    process.kill(pidOf(gateway, 'base-0'), 'SIGCONT')
  })

  it("refuses another model's parity model, and one of another code", async () => {
    const { base, parity } = await folders()
    const other = join(built.folder, 'other')
    await writeModelFolder(other, { layers: linear(1.5) })
    const options = { parityInstances: [folderInstance(parity)], code: sum({ k: 2 }) }
    await expect(start({ ...options, instances: [folderInstance(other)] })).rejects.toMatchObject({
      code: 'FINGERPRINT_MISMATCH',
    })
    await expect(start({ ...options, instances: [folderInstance(base)], code: sum({ k: 3 }) })).rejects.toMatchObject({
      code: 'FINGERPRINT_MISMATCH',
    })
    await expect(
      start({ ...options, instances: [folderInstance(base)], code: concat({ k: 2, image: { height: 4, width: 5 } }) }),
    ).rejects.toMatchObject({ code: 'FINGERPRINT_MISMATCH' })
  })
})

describe('faults', () => {
  const coded = (o: Partial<GatewayOptions> = {}) =>
    start({ instances: [triple(), triple(), triple()], parityInstances: [triple()], code: sum({ k: 2 }), ...o })

  it.each(['SIGSTOP', 'SIGKILL'] as const)(
    'answers every query rightly and in time while a worker gets %s',
    async (signal) => {
      const gateway = await coded({ policy: hold({ afterMs: 50 }) })
      const all: Promise<Reply>[] = []
      for (let i = 0; i < 60; i++) {
        if (i === 20) process.kill(pidOf(gateway, 'base-1'), signal)
        all.push(ask(gateway, [i, 2 * i]))
        if (i % 10 === 9) await Promise.all(all.slice(-10))
      }
      const replies = await Promise.all(all)
      replies.forEach((reply, i) => expect(reply.outputs?.[0]?.data, JSON.stringify(reply)).toEqual([3 * i, 6 * i]))
      if (signal === 'SIGSTOP') {
        await expect.poll(() => gateway.snapshot().instances[1]?.out, { timeout: 5000 }).toBe(true)
        process.kill(pidOf(gateway, 'base-1'), 'SIGCONT')
      }
      // Comes back: continued, or started again
      await expect.poll(() => gateway.snapshot().instances[1]?.out, { timeout: 20_000 }).toBe(false)
      expect((await ask(gateway, [7, 7])).outputs?.[0]?.data).toEqual([21, 21])
      expect(gateway.snapshot()).toMatchObject({ openQueries: 0 })
    },
  )

  it('does not use a worker that came back with other weights, until it has those of the start again', async () => {
    const folder = join(built.folder, 'rewritten')
    const layers = (scale: number): DenseLayer[] => [
      {
        weights: { data: Float32Array.of(scale, 0, 0, scale), shape: [2, 2], dtype: 'float32' },
        bias: { data: new Float32Array(2), shape: [2], dtype: 'float32' },
        relu: false,
      },
    ]
    await writeModelFolder(folder, { layers: layers(1) })
    const gateway = await start({ instances: [folderInstance(folder), folderInstance(folder)] })
    const own = () => gateway.snapshot().instances[0]
    await writeModelFolder(folder, { layers: layers(5) })
    process.kill(pidOf(gateway, 'base-0'), 'SIGKILL')
    await expect.poll(() => own()?.unfit, { timeout: 10_000 }).toMatch(/must belong to the base model/)
    for (let i = 0; i < 4; i++)
      expect((await ask(gateway, [i, 1], { input: 'input' })).outputs?.[0]?.data).toEqual([i, 1])
    expect(own()?.out).toBe(true)
    await writeModelFolder(folder, { layers: layers(1) })
    await expect.poll(own, { timeout: 10_000 }).toMatchObject({ out: false, unfit: undefined })
  })

  it('takes the units of a worker that falls silent before its first answer, and after it came back', async () => {
    const deadlineMs = 300
    const gateway = await start({ instances: [triple()], deadlineMs })
    const own = () => gateway.snapshot().instances[0]
    // Never answered, while the worker itself is well: it is probed, and comes back with the unit in progress
    expect((await ask(gateway, [555, 1])).status).toBe(504)
    await new Promise((resolve) => setTimeout(resolve, deadlineMs))
    expect(own()).toMatchObject({ answered: 0, outstanding: 1 })
    process.kill(pidOf(gateway, 'base-0'), 'SIGSTOP')
    await expect.poll(() => own()?.outstanding, { timeout: 5000 }).toBe(0)
    expect(own()?.out).toBe(true)
    process.kill(pidOf(gateway, 'base-0'), 'SIGCONT')
    await expect.poll(() => own()?.out, { timeout: 5000 }).toBe(false)
    expect((await ask(gateway, [7, 7])).outputs?.[0]?.data).toEqual([21, 21])
  })

  it('answers those whose request a worker died over, because of one of them', async () => {
    const gateway = await start({
      instances: [triple(), triple(), triple()],
      maxBatchRows: 4,
      maxBatchWaitMs: 50,
    })
    const values = [1, 2, 3, 666]
    const replies = await Promise.all(values.map((value) => ask(gateway, [value, 1])))
    expect(gateway.snapshot().batches['base']?.sum).toBeGreaterThan(4)
    expect(replies.slice(0, 3).map(({ outputs }) => outputs?.[0]?.data)).toEqual([3, 6, 9].map((y) => [y, 3]))
    expect([503, 504]).toContain(replies[3]?.status)
    await expect.poll(() => gateway.snapshot().instances.every(({ out }) => !out), { timeout: 20_000 }).toBe(true)
  })

  it('survives a query that crashes every worker it reaches', async () => {
    const gateway = await coded({ deadlineMs: 400, policy: deadlineOnly() })
    // 504 where it still waits for a worker at its deadline, having killed them all
    const { status } = await ask(gateway, [666, 0], { parameters: { 'ft.allowDegraded': false } })
    expect([503, 504]).toContain(status)
    await expect.poll(() => gateway.snapshot().instances.some(({ out }) => !out), { timeout: 20_000 }).toBe(true)
    await expect.poll(async () => (await ask(gateway, [2, 2])).outputs?.[0]?.data, { timeout: 20_000 }).toEqual([6, 6])
  })

  it.each([
    ['a refusal', () => new OipError(422, 'not this one'), { status: 422, error: 'not this one' }, null],
    ['a failure of the model', () => new OipError(500, 'out of memory'), { status: 500, error: 'out of memory' }, null],
    ['too much work', () => new OipError(503, 'busy'), { status: 503, error: 'busy' }, '1'],
    ['a broken connection', () => new DropConnection(), { status: 503, error: 'no instance could answer' }, '1'],
  ])('tells at once what instances failed with: %s', async (_what, failure, expected, retryAfter) => {
    const service = tripleService({
      before() {
        throw failure()
      },
    })
    const servers = await Promise.all([startOipServer(service), startOipServer(service)])
    const gateway = await start({ instances: servers.map(({ url }) => ({ url, model: 'triple' })), deadlineMs: 30_000 })
    const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }),
    })
    // Within the test's time, a sixth of the deadline
    expect({ status: response.status, ...((await response.json()) as object) }).toEqual(expected)
    expect(response.headers.get('retry-after')).toBe(retryAfter)
    for (const server of servers) server.destroy()
  })

  it('does not decode from a parity instance that answers another shape', async () => {
    const gateway = await start({
      instances: [triple(), triple()],
      parityInstances: [triple({ garbage: true })],
      code: sum({ k: 2 }),
      deadlineMs: 1000,
    })
    const [late, fine] = await Promise.all([ask(gateway, [555, 0]), ask(gateway, [1, 2])])
    expect([late.status, fine.status]).toEqual([504, 200])
    expect(gateway.snapshot().counts.reconstructed).toBeUndefined()
    expect(gateway.snapshot().instances[2]?.failed).toBeGreaterThan(0)
  })

  it('says which instance does not start', async () => {
    await expect(
      start({ instances: [{ worker: { module: join(built.folder, 'none.mjs') }, workerFile: built.workerFile }] }),
    ).rejects.toMatchObject({ code: 'IO' })
    await expect(start({ instances: [triple({ never: true })], startTimeoutMs: 400 })).rejects.toThrow(
      /it was silent for 400 ms/,
    )
    await expect(start({ instances: [{ url: 'http://127.0.0.1:9' }], startTimeoutMs: 100 })).rejects.toThrow(
      /base-0 must be ready/,
    )
  })
})

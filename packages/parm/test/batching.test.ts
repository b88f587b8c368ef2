// Rows that share a request to an instance: when it goes, who is in it, and what comes of it when something fails.
import { afterEach, describe, expect, it } from 'vitest'
import { FtError } from '@ft/core'
import {
  createGateway,
  deadlineOnly,
  firstWins,
  OipError,
  startOipServer,
  sum,
  type Gateway,
  type GatewayOptions,
  type OipServer,
  type TensorMetadata,
} from '../src/index.ts'
import type { Pool } from '../src/gateway/pool.ts'
import type { Job } from '../src/gateway/unit.ts'
import { DropConnection } from '../src/oip/service.ts'
import { batchingPool, firstOf, rowJob } from './support/batching.ts'
import { tripleService } from './support/echo.ts'

const atOnce = () => ({ ms: 5 })

/** A row whose answer nobody looks at. */
const send = (pool: Pool, job: Job) => void pool.run(job).catch(() => undefined)

describe('a request to an instance', () => {
  it('goes when it is full, and when its first row has waited long enough', async () => {
    const { pool, asked, advance } = batchingPool(['a'], atOnce, {
      maxBatchRows: 3,
      maxBatchWaitMs: 10,
      concurrency: 9,
    })
    for (const value of [1, 2, 3, 4]) send(pool, rowJob(value))
    expect(asked.map(({ rows }) => rows)).toEqual([[1, 2, 3]])
    await advance(6)
    send(pool, rowJob(5))
    await advance(9)
    expect([asked.length, pool.queued()]).toEqual([1, 2])
    await advance(10)
    expect(asked[1]).toMatchObject({ rows: [4, 5], atMs: 10 })
    pool.close()
  })

  it('takes along what waits for an instance, with no waiting time as well', async () => {
    const { pool, asked, advance } = batchingPool(['a'], atOnce, { maxBatchRows: 3 })
    const answers = [1, 2, 3, 4, 5].map((value) => pool.run(rowJob(value)))
    await advance(20)
    expect(asked.map(({ rows }) => rows)).toEqual([[1], [2, 3, 4], [5]])
    const outputs = (await Promise.all(answers)).map((answer) => firstOf(answer.outputs))
    expect(outputs).toEqual([3, 6, 9, 12, 15].map((y) => ({ shape: [1, 2], values: [y, y] })))
    expect(pool.instances[0]).toMatchObject({ answered: 5, judged: 3, outstanding: 0 })
    pool.close()
  })

  it('has one row of a group, and goes where the groups of its rows are not yet', async () => {
    const { pool, asked } = batchingPool(['a', 'b'], atOnce, { maxBatchRows: 2, maxBatchWaitMs: 10 })
    const [g, h] = [new Set<string>(), new Set<string>()]
    for (const [value, placed] of [
      [1, g],
      [2, g],
      [3, h],
      [4, h],
    ] as const)
      send(pool, rowJob(value, { placed }))
    expect(asked.map(({ rows }) => rows)).toEqual([
      [1, 3],
      [2, 4],
    ])
    expect(new Set(asked.map(({ instance }) => instance)).size).toBe(2)
    pool.close()
  })

  it('takes no row along to where its group or its first copy is, while another instance is there', async () => {
    const { pool, asked, advance } = batchingPool(['a', 'b'], atOnce, { maxBatchRows: 4, maxBatchWaitMs: 3 })
    // Ties between instances go round: whichever the first row goes to
    for (let round = 0; round < 8; round++) {
      send(pool, rowJob(1))
      send(pool, rowJob(2, { placed: new Set(['a']) }))
      await advance(20 * round + 10)
      send(pool, rowJob(1))
      send(pool, rowJob(3, { holders: ['a'] }))
      await advance(20 * round + 20)
    }
    const at = (value: number) => asked.filter(({ rows }) => rows.includes(value)).map(({ instance }) => instance)
    expect([at(2), at(3)]).toEqual([Array(8).fill('b'), Array(8).fill('b')])
    expect(new Set(at(1)).size).toBe(2)
    expect(asked.some(({ rows }) => rows.length === 2)).toBe(true)
    pool.close()
  })

  it('counts as one of its instance, waiting or not', () => {
    const { pool } = batchingPool(['a'], atOnce, { maxBatchRows: 4, maxBatchWaitMs: 10 })
    const utilisations = [1, 2, 3, 4, 5].map((value) => (send(pool, rowJob(value)), pool.utilisation()))
    expect(utilisations).toEqual([1, 1, 1, 1, 2])
    pool.close()
  })

  it('does not wait for company with a deadline near, and not with a copy of a late row', async () => {
    const { pool, asked, advance, clock } = batchingPool(['a', 'b'], () => ({ ms: 10 }), {
      maxBatchRows: 8,
      maxBatchWaitMs: 100,
    })
    for (const value of [1, 2]) send(pool, rowJob(value, { dueMs: clock.now() }))
    await advance(20)
    // Ten milliseconds are what a row takes: it goes when thrice that is left
    const from = clock.now()
    send(pool, rowJob(3, { dueMs: from + 500 }))
    send(pool, rowJob(4, { dueMs: from + 70 }))
    await advance(from + 60)
    expect(asked.at(-1)).toMatchObject({ rows: [3, 4], atMs: from + 40 })
    send(pool, rowJob(5, { holders: ['a'] }))
    expect(asked.at(-1)).toMatchObject({ rows: [5], instance: 'b' })
    pool.close()
  })

  it('is of rows alike in form and headers, but for those of tracing', () => {
    const { pool, asked } = batchingPool(['a'], atOnce, { maxBatchRows: 2, maxBatchWaitMs: 10, concurrency: 9 })
    send(pool, rowJob(1, { headers: { 'x-tenant': 'a', traceparent: '1', 'x-request-id': '1' } }))
    send(pool, rowJob(2, { headers: { 'x-tenant': 'b' } }))
    send(pool, rowJob(3, { headers: { 'x-tenant': 'a' }, size: 3 }))
    expect(asked).toEqual([])
    send(pool, rowJob(4, { headers: { 'x-tenant': 'a', traceparent: '2' } }))
    expect(asked).toMatchObject([{ rows: [1, 4], headers: { traceparent: '1' } }])
    pool.close()
  })

  it('leaves a row that is cancelled while the others wait, and is cut off when nobody is left', async () => {
    const { pool, asked, advance } = batchingPool(['a'], () => ({ ms: 50 }), { maxBatchRows: 2, maxBatchWaitMs: 10 })
    const jobs = [1, 2, 3, 4, 5].map((value) => rowJob(value))
    const ends = jobs.map((job) => pool.run(job).then(({ outputs }) => firstOf(outputs).values[0], String))
    expect(asked.map(({ rows }) => rows)).toEqual([[1, 2]])
    // One in the queue, one at the instance
    jobs[2]?.work.cancel()
    jobs[0]?.work.cancel({ abandoned: true })
    await advance(51)
    expect(asked.map(({ rows }) => rows)).toEqual([
      [1, 2],
      [4, 5],
    ])
    for (const i of [3, 4]) jobs[i]?.work.cancel({ abandoned: true })
    await advance(60)
    const gone = expect.stringContaining('no longer needed') as string
    expect(await Promise.all(ends)).toEqual([gone, 6, gone, gone, gone])
    expect(asked.map(({ cut }) => cut.by !== undefined)).toEqual([false, true])
    expect(pool.instances[0]).toMatchObject({ failed: 0, out: false })
    pool.close()
  })
})

describe('a request that fails', () => {
  const poisoned = (error: Error) => (one: { rows: readonly number[] }) =>
    one.rows.includes(2) ? { ms: 5, error } : { ms: 5 }
  const askFour = async (names: string[], behave: Parameters<typeof batchingPool>[1]) => {
    const made = batchingPool(names, behave, { maxBatchRows: 4, maxBatchWaitMs: 10 })
    const ends = [1, 2, 3, 4].map((value) =>
      made.pool.run(rowJob(value)).then(
        ({ outputs }) => firstOf(outputs).values[0],
        (error: Error) => error.message,
      ),
    )
    await made.advance(100)
    made.pool.close()
    return { ...made, ends: await Promise.all(ends), sent: made.asked.map(({ rows }) => rows) }
  }

  it.each([
    ['refused', new OipError(400, 'not this one'), 'not this one'],
    ['too long', new OipError(413, 'too long'), 'too long'],
    ['failed by the model', new OipError(500, 'out of range'), 'out of range'],
  ])('because one row is %s is asked again row by row, and nobody else is told', async (_what, error, told) => {
    for (const names of [['a'], ['a', 'b']]) {
      const { ends, sent } = await askFour(names, poisoned(error))
      expect(ends).toEqual([3, told, 9, 12])
      expect(sent).toHaveLength(5)
    }
  })

  it('with its instance goes to another one row by row, and with the only one is the error of each', async () => {
    const dead = new FtError('IO', 'the connection broke', {})
    const one = await askFour(['a', 'b'], ({ instance }) => (instance === 'a' ? { ms: 5, error: dead } : { ms: 5 }))
    expect(one.ends).toEqual([3, 6, 9, 12])
    const alone = await askFour(['a'], () => ({ ms: 5, error: dead }))
    expect([alone.ends, alone.sent]).toEqual([Array(4).fill('the connection broke'), [[1, 2, 3, 4]]])
    expect(alone.instances[0]).toMatchObject({ failed: 4, outstanding: 0 })
  })

  it.each([-1, 1])('with %d rows too many is nobody\u2019s answer', async (more) => {
    const { ends, sent } = await askFour(['a'], ({ rows }) => ({ ms: 5, ...(rows.length > 1 ? { more } : {}) }))
    expect(ends).toEqual([3, 6, 9, 12])
    expect(sent).toEqual([[1, 2, 3, 4], [1], [2], [3], [4]])
  })
})

describe('a gateway', () => {
  const open: (Gateway | OipServer)[] = []
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await ('destroy' in one ? one.destroy() : one.close())
  })

  /** A server of y = 3 x that keeps what it was asked. `fail` is called with the first elements of the rows. */
  async function serve(o: { first?: number; fail?: (rows: readonly number[]) => unknown } = {}) {
    const sizes: number[] = []
    const own = tripleService()
    const form = (name: string): TensorMetadata => ({ name, datatype: 'FP32', shape: [o.first ?? -1, 2] })
    const server = await startOipServer({
      ...own,
      metadata: (name) => ({ name, platform: 'test', inputs: [form('x')], outputs: [form('y')] }),
      infer(model, call) {
        const [x] = call.request.inputs
        const { values = [] } = x ? firstOf([x]) : {}
        const rows = values.filter((_, i) => i % 2 === 0)
        sizes.push(rows.length)
        const failure = o.fail?.(rows)
        return failure ? Promise.reject(failure) : own.infer(model, call)
      },
    })
    open.push(server)
    return { url: server.url, sizes }
  }

  async function start(options: Partial<GatewayOptions> & Pick<GatewayOptions, 'instances'>): Promise<Gateway> {
    const gateway = await createGateway({ model: 'm', policy: firstWins(), deadlineMs: 3000, ...options })
    open.push(gateway)
    return gateway
  }

  async function ask(gateway: Gateway, values: readonly number[]): Promise<{ status: number; y: number[] }> {
    const data = values.flatMap((value) => [value, value])
    const body = JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [values.length, 2], data }] })
    const response = await fetch(`${gateway.url}/v2/models/m/infer`, { method: 'POST', body })
    const { outputs } = (await response.json()) as { outputs?: { data: number[] }[] }
    return { status: response.status, y: (outputs?.[0]?.data ?? []).filter((_, i) => i % 2 === 0) }
  }

  it('sends rows of several clients and groups together, parities too, and gives each its own', async () => {
    const [a, b, parity] = await Promise.all([serve(), serve(), serve()])
    const gateway = await start({
      instances: [{ url: a.url }, { url: b.url }],
      parityInstances: [{ url: parity.url }],
      code: sum({ k: 2 }),
      // A reconstruction that came first would take its row off the queue
      policy: deadlineOnly(),
      maxBatchRows: 4,
      maxBatchWaitMs: 20,
    })
    const callers = Array.from({ length: 16 }, (_, i) => [10 * i + 1, 10 * i + 2, 10 * i + 3])
    const replies = await Promise.all(callers.map((values) => ask(gateway, values)))
    expect(replies).toEqual(callers.map((values) => ({ status: 200, y: values.map((value) => 3 * value) })))
    const { base, parity: coded } = gateway.snapshot().batches
    expect([base?.sum, base?.count]).toEqual([48, a.sizes.length + b.sizes.length])
    expect(Math.max(...a.sizes, ...b.sizes)).toBe(4)
    expect(Math.max(...parity.sizes)).toBeGreaterThan(1)
    expect(coded?.count).toBe(parity.sizes.length)
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text()
    expect(metrics).toContain(`ft_parm_batch_rows_sum{model="base"} 48`)
    expect(metrics).toMatch(new RegExp(`ft_parm_batch_rows_bucket\\{[^}]*le="4"[^}]*\\} ${base?.count}\n`))
  })

  it('sends every row by itself by default, and to a model that takes one row', async () => {
    for (const [first, options] of [
      [-1, {}],
      [1, { maxBatchRows: 4, maxBatchWaitMs: 20 }],
    ] as const) {
      const server = await serve({ first })
      const gateway = await start({ instances: [{ url: server.url, concurrency: 1 }], ...options })
      const ones = await Promise.all([1, 2, 3, 4, 5].map((value) => ask(gateway, [value])))
      expect(ones.map(({ y }) => y[0])).toEqual([3, 6, 9, 12, 15])
      expect(server.sizes).toEqual([1, 1, 1, 1, 1])
    }
  })

  it('answers everybody rightly whose request an instance drops, or refuses for one of them', async () => {
    const dropping = await serve({ fail: (rows) => (rows.length > 1 ? new DropConnection() : undefined) })
    const refusing = await serve({ fail: (rows) => (rows.includes(7) ? new OipError(400, 'not 7') : undefined) })
    const gateway = await start({
      instances: [{ url: dropping.url }, { url: refusing.url }],
      maxBatchRows: 4,
      maxBatchWaitMs: 10,
    })
    const values = Array.from({ length: 24 }, (_, i) => i + 1)
    const replies = await Promise.all(values.map((value) => ask(gateway, [value])))
    replies.forEach(({ status, y }, i) => {
      if (values[i] === 7) expect([200, 400]).toContain(status)
      if (values[i] !== 7) expect(status).toBe(200)
      if (status === 200) expect(y).toEqual([3 * (values[i] as number)])
    })
    expect(gateway.snapshot()).toMatchObject({ openQueries: 0, queued: 0 })
  })

  it.each([{ maxBatchRows: 0 }, { maxBatchRows: 1.5 }, { maxBatchWaitMs: -1 }])('refuses %j', async (options) => {
    const { url } = await serve()
    await expect(start({ instances: [{ url }], ...options })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})

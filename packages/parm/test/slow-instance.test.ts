// A unit that waited and has too little time left for a slow instance is a faster one's while that has time for it.
import { expect, it } from 'vitest'
import type { FtError } from '@ft/core'
import { virtualClock, type InferRequest } from '../src/index.ts'
import type { Instance } from '../src/gateway/instance.ts'
import { createPool } from '../src/gateway/pool.ts'
import { Cancellation } from '../src/serving/cancellation.ts'
import { floats } from './support/echo.ts'

/** Two instances of one place each: 'fast' usually takes 10 ms, 'slow' 300; how long they take now is said with each row. */
function startPool(maxBatchRows: number) {
  const clock = virtualClock()
  const asked: [string, number, number][] = []
  const instanceOf = (name: string, latencyMs: number): Instance => ({
    name,
    domain: name,
    model: 'm',
    concurrency: 1,
    client: {
      infer: (_model, { request }: { request: InferRequest }) => {
        const [x] = request.inputs
        const takesMs = Buffer.from(x?.bytes ?? []).readFloatLE(0)
        asked.push([name, clock.now(), x?.shape[0] ?? 0])
        return new Promise((resolve) =>
          clock.schedule(takesMs, () => resolve({ modelName: name, outputs: x ? [x] : [] })),
        )
      },
      ready: () => Promise.resolve(true),
      metadata: () => Promise.resolve(undefined),
      close: () => Promise.resolve(),
    },
    outstanding: 0,
    out: false,
    unfit: undefined,
    failuresInRow: 0,
    answered: 0,
    failed: 0,
    latencyMs,
    judged: 100,
    pauses: 0,
    answeredAtMs: 0,
  })
  const instances = [instanceOf('fast', 10), instanceOf('slow', 300)]
  const outputs = [{ name: 'x', datatype: 'FP32', shape: [-1, 1] }]
  const pool = createPool({ instances, clock, maxBatchRows, outputs, probeEveryMs: 1e6 })
  const ends: string[] = []
  const run = (o: { takesMs: number; dueMs: number; placed?: string[] }) => {
    const inputs = [floats('x', [o.takesMs], [1, 1])]
    const job = { inputs, rows: 1, headers: {}, work: new Cancellation(), dueMs: o.dueMs }
    void pool.run({ ...job, placed: new Set(o.placed) }).then(
      ({ modelName }) => ends.push(`${modelName} at ${clock.now()}`),
      (error: unknown) => ends.push(`${(error as FtError).code} at ${clock.now()}`),
    )
  }
  async function until(ms: number) {
    for (let now = clock.now(); now <= ms; now++) {
      clock.advanceTo(now)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return { pool, asked, ends, run, until }
}

it('waits for the fast one when the slow one is free first', async () => {
  const { pool, asked, ends, run, until } = startPool(1)
  run({ takesMs: 50, dueMs: 400, placed: ['slow'] })
  run({ takesMs: 40, dueMs: 400, placed: ['fast'] })
  run({ takesMs: 10, dueMs: 400 })
  await until(100)
  expect(asked).toEqual([
    ['fast', 0, 1],
    ['slow', 0, 1],
    ['fast', 50, 1],
  ])
  expect(ends).toEqual(['slow at 40', 'fast at 50', 'fast at 60'])
  pool.close()
})

it('is told so when no instance has time for it', async () => {
  const { pool, ends, run, until } = startPool(1)
  run({ takesMs: 185, dueMs: 190, placed: ['slow'] })
  run({ takesMs: 180, dueMs: 190, placed: ['fast'] })
  run({ takesMs: 10, dueMs: 190 })
  await until(184)
  expect(ends).toEqual(['slow at 180', 'OVERLOADED at 180'])
  pool.close()
})

it('joins no request to the slow one, of a row that has time for it', async () => {
  const { pool, asked, ends, run, until } = startPool(4)
  run({ takesMs: 50, dueMs: 400, placed: ['slow'] })
  run({ takesMs: 40, dueMs: 400, placed: ['fast'] })
  run({ takesMs: 300, dueMs: 1000 })
  run({ takesMs: 10, dueMs: 400 })
  await until(100)
  expect(asked.slice(2)).toEqual([
    ['slow', 40, 1],
    ['fast', 50, 1],
  ])
  expect(ends).toEqual(['slow at 40', 'fast at 50', 'fast at 60'])
  pool.close()
})

it('lets those behind it have the slow one, where they have time for it', async () => {
  const { pool, asked, ends, run, until } = startPool(1)
  run({ takesMs: 50, dueMs: 400, placed: ['slow'] })
  run({ takesMs: 40, dueMs: 400, placed: ['fast'] })
  run({ takesMs: 10, dueMs: 400 })
  run({ takesMs: 300, dueMs: 1000 })
  run({ takesMs: 10, dueMs: 400 })
  await until(400)
  expect(asked.slice(2)).toEqual([
    ['slow', 40, 1],
    ['fast', 50, 1],
    ['fast', 60, 1],
  ])
  expect(ends.slice(2)).toEqual(['fast at 60', 'fast at 70', 'slow at 340'])
  pool.close()
})

it('lets no later one past those that wait, to an instance that would answer it too late', async () => {
  const { pool, asked, ends, run, until } = startPool(1)
  run({ takesMs: 50, dueMs: 400, placed: ['slow'] })
  run({ takesMs: 40, dueMs: 400, placed: ['fast'] })
  run({ takesMs: 10, dueMs: 400 })
  await until(45)
  run({ takesMs: 10, dueMs: 300 })
  await until(46)
  expect(asked.length).toBe(2)
  // Of the slow one's 284 ms it has 350
  run({ takesMs: 300, dueMs: 396 })
  await until(400)
  expect(asked.slice(2)).toEqual([
    ['slow', 46, 1],
    ['fast', 50, 1],
    ['fast', 60, 1],
  ])
  expect(ends.slice(2)).toEqual(['fast at 60', 'fast at 70', 'slow at 346'])
  pool.close()
})

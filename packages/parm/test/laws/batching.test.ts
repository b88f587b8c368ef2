// Laws of rows that share requests, over random schedules on a virtual clock: each gets its own answer or error once, no two of
// a group are in one request, and none waits longer than it may.
import { FtError } from '@ft/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { OipError } from '../../src/index.ts'
import { batchingPool, firstOf, rowJob, type Behave } from '../support/batching.ts'

const ms = fc.integer({ min: 0, max: 30 })
const fate = fc.oneof(
  { weight: 6, arbitrary: fc.record({ ms }) },
  { weight: 1, arbitrary: fc.record({ ms, error: fc.constant(new FtError('IO', 'dead', {})) }) },
  { weight: 1, arbitrary: fc.record({ ms, error: fc.constant(new OipError(400, 'no')) }) },
  { weight: 1, arbitrary: fc.record({ ms, error: fc.constant(new OipError(500, 'no')) }) },
  { weight: 1, arbitrary: fc.record({ ms, more: fc.constantFrom(-1, 1) }) },
)
const plan = fc.record({
  maxBatchRows: fc.integer({ min: 1, max: 4 }),
  maxBatchWaitMs: fc.integer({ min: 0, max: 12 }),
  instances: fc.integer({ min: 1, max: 3 }),
  concurrency: fc.constantFrom(1, 2, 64),
  /** Consecutive rows in a group. */
  k: fc.integer({ min: 1, max: 3 }),
  rows: fc.array(
    fc.record({
      gapMs: fc.integer({ min: 0, max: 6 }),
      size: fc.constantFrom(2, 2, 2, 3),
      tenant: fc.constantFrom('a', 'a', 'a', 'b'),
      deadlineMs: fc.constantFrom(5, 60, 200, 200),
      cancelAfterMs: fc.option(fc.integer({ min: 0, max: 40 }), { freq: 5 }),
      abandoned: fc.boolean(),
    }),
    { minLength: 4, maxLength: 20 },
  ),
  fates: fc.array(fate, { minLength: 1, maxLength: 40 }),
})

it('gives every row its own answer once, whatever it shares its request with', async () => {
  let shared = 0
  await fc.assert(
    fc.asyncProperty(plan, async (p) => {
      let requests = 0
      const names = ['a', 'b', 'c'].slice(0, p.instances)
      const { maxBatchRows, maxBatchWaitMs, concurrency } = p
      const { pool, clock, asked, advance } = batchingPool(
        names,
        () => p.fates[requests++ % p.fates.length] as ReturnType<Behave>,
        { maxBatchRows, maxBatchWaitMs, concurrency },
      )
      const groupOf = (i: number) => Math.floor(i / p.k)
      const placed = p.rows.map(() => new Set<string>())
      const arrivedMs: number[] = []
      const ends = p.rows.map((): { kind: 'answer' | 'error' | 'cancelled'; atMs: number }[] => [])
      let at = 0
      p.rows.forEach(({ gapMs, size, tenant, deadlineMs, cancelAfterMs, abandoned }, i) => {
        at += gapMs
        clock.schedule(at, () => {
          arrivedMs[i] = clock.now()
          const job = rowJob(i + 1, {
            size,
            headers: { 'x-tenant': tenant, traceparent: String(i) },
            placed: placed[groupOf(i)] as Set<string>,
            dueMs: clock.now() + deadlineMs,
          })
          const end = (kind: 'answer' | 'error' | 'cancelled') => ends[i]?.push({ kind, atMs: clock.now() })
          pool.run(job).then(
            ({ outputs }) => {
              end('answer')
              expect(firstOf(outputs)).toEqual({ shape: [1, size], values: Array<number>(size).fill(3 * (i + 1)) })
            },
            (error: unknown) => end((error as FtError).code === 'ABORTED' ? 'cancelled' : 'error'),
          )
          // As the coordinator does, whatever the pool makes of it
          clock.schedule(deadlineMs, () => job.work.cancel())
          if (cancelAfterMs !== null) clock.schedule(cancelAfterMs, () => job.work.cancel({ abandoned }))
        })
      })
      await advance(at + 1000)
      p.rows.forEach(({ cancelAfterMs, deadlineMs }, i) => {
        expect(ends[i]).toHaveLength(1)
        const [end] = ends[i] as [{ kind: string; atMs: number }]
        const lastMs = Math.min(cancelAfterMs ?? deadlineMs, deadlineMs)
        expect(end.atMs - (arrivedMs[i] as number)).toBeLessThanOrEqual(lastMs)
        if (end.kind === 'cancelled') expect(end.atMs - (arrivedMs[i] as number)).toBe(lastMs)
      })
      const attempts = p.rows.map(() => 0)
      for (const { rows, headers, atMs } of asked) {
        if (rows.length > 1) shared++
        expect(rows.length).toBeLessThanOrEqual(maxBatchRows)
        const of = rows.map((value) => p.rows[value - 1] as (typeof p.rows)[number])
        for (const { tenant, size } of of) {
          expect(tenant).toBe(headers['x-tenant'])
          expect(size).toBe(of[0]?.size)
        }
        expect(new Set(rows.map((value) => groupOf(value - 1))).size).toBe(rows.length)
        for (const value of rows) {
          attempts[value - 1] = (attempts[value - 1] as number) + 1
          // With room everywhere, and no failure before
          const first = attempts[value - 1] === 1
          if (first && concurrency === 64 && p.fates.every((one) => !('error' in one) && !('more' in one)))
            expect(atMs - (arrivedMs[value - 1] as number)).toBeLessThanOrEqual(maxBatchWaitMs)
        }
      }
      for (const count of attempts) expect(count).toBeLessThanOrEqual(2)
      expect(pool.queued()).toBe(0)
      for (const { outstanding } of pool.instances) expect(outstanding).toBe(0)
      pool.close()
    }),
    { numRuns: 150 },
  )
  expect(shared).toBeGreaterThan(30)
}, 60_000)

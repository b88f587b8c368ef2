// Half load with random faults: seconds here, ten minutes with `npm run test:soak`.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { soak } from './support/soak.ts'
import { buildWorker } from './support/worker.ts'

const long = process.env['MODE'] === 'soak'

let built: Awaited<ReturnType<typeof buildWorker>>
beforeAll(async () => {
  built = await buildWorker()
})
afterAll(() => built.remove())

it(
  'swaps, loses and doubles no answer, and keeps nothing',
  async () => {
    const report = await soak({ seconds: long ? 600 : 5, seed: 7, workerFile: built.workerFile })
    if (long) console.log(JSON.stringify(report, undefined, 2))
    const { queries, right, wrong, refused, aborted, counts, faults, heapMb } = report
    expect(queries).toBeGreaterThan(long ? 50_000 : 300)
    // Rows did share requests
    for (const { requests: sent, rows } of Object.values(report.batches)) expect(rows).toBeGreaterThan(sent)
    expect(faults.SIGKILL! + faults.SIGSTOP!).toBeGreaterThan(0)
    expect(wrong).toBe(0)
    expect(report.unsettled).toBe(0)
    // Every query has one end, here and by the gateway's own counts
    expect(right + aborted + Object.values(refused).reduce((sum, count) => sum + count, 0)).toBe(queries)
    expect(counts.query).toBe(
      (counts.exact ?? 0) + (counts.reconstructed ?? 0) + (counts.default ?? 0) + (counts.cancelled ?? 0),
    )
    // 504: no answer by the deadline, 503: both attempts failed, 429: no instance free in time; workers that are gone all at
    // once leave nothing else
    expect(Object.keys(refused).filter((status) => !['429', '503', '504'].includes(status))).toEqual([])
    expect(report.left).toEqual({ queries: 0, groups: 0 })
    if (!long) return
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
    const [early, late] = [mean(heapMb.slice(2, 5)), mean(heapMb.slice(-3))]
    expect(late).toBeLessThan(1.1 * early + 2)
    // Of 160 queries a second with a deadline of one, more than these would stay
    expect(Math.max(...report.openGroups)).toBeLessThan(160)
  },
  long ? 700_000 : 60_000,
)

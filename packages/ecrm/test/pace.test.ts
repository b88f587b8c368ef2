// How a recovery shares the servers with training, on a clock of the test's own.
import { expect, it } from 'vitest'
import { createPace, type Pace } from '../src/network/pace.ts'

interface Beside {
  /** Milliseconds a worker computes between its rows and its next request, and is answered in. */
  readonly computes: number
  readonly answered: number
  /** Milliseconds a row of a step takes. */
  readonly row: number
  /** By how much of a step's time the worker computes longer. */
  readonly slows?: number
  readonly rows: number
}

/** A recovery of `rows` beside a worker; when it ended, and the rows of each step and gap. */
function recover(pace: Pace, { computes, answered, row, slows = 0, rows }: Beside) {
  const perGap: number[] = []
  let now = 0
  let left = rows
  let late = 0
  const steps = (until: () => number): void => {
    while (left > 0 && now < until()) {
      const some = Math.min(left, pace.rows(now))
      if (some === 0) {
        now = Math.min(until(), now + pace.wait(now))
        continue
      }
      pace.begun(now, some)
      left -= some
      now += some * row
      pace.ended(now)
      perGap[perGap.length - 1]! += some
      late += some * row * slows
    }
    now = Math.max(now, until())
  }
  for (let step = 0; left > 0 && step < 100_000; step++) {
    pace.asked(now)
    perGap.push(0)
    const end = now + answered
    steps(() => end)
    pace.answered(now)
    const from = now
    late = 0
    steps(() => from + computes + late)
  }
  return { took: now, perGap, left }
}

it('takes as many rows as fit between the rows of a worker and its next request', () => {
  const { took, perGap } = recover(createPace({ stripes: 512, pause: 5, share: 1 }), {
    computes: 10,
    answered: 3,
    row: 0.01,
    rows: 50_000,
  })
  // 10 ms are 1,000 rows; estimates leave a part of it free, and what is taken does not reach into the next request.
  const settled = perGap.slice(20, -1)
  for (const rows of settled) {
    expect(rows).toBeGreaterThan(400)
    expect(rows).toBeLessThanOrEqual(1_000)
  }
  expect(took).toBeLessThan((50_000 / 400) * 13 * 1.2)
})

it('does not take the time that it has made longer itself', () => {
  const beside = { computes: 10, answered: 3, row: 0.01, rows: 400_000 }
  const mean = (slows: number): number => {
    const { perGap } = recover(createPace({ stripes: 512, pause: 5, share: 0.5 }), { ...beside, slows })
    return perGap.slice(20, -1).reduce((sum, rows) => sum + rows, 0) / (perGap.length - 21)
  }
  expect(mean(0.8)).toBeLessThan(mean(0) * 2)
})

it.each([0.05, 0.2, 0.4])('takes the share %d of the time and no more, whatever workers leave', (share) => {
  const beside = { computes: 20, answered: 2, row: 0.01, rows: 100_000 }
  const { took } = recover(createPace({ stripes: 512, pause: 5, share }), beside)
  const busy = beside.rows * beside.row
  expect(took).toBeGreaterThan((busy / share) * 0.9)
  expect(took).toBeLessThan((busy / share) * 1.2)
})

it('ends where workers leave no time', () => {
  const { took, left } = recover(createPace({ stripes: 512, pause: 5, share: 0.4 }), {
    computes: 0,
    answered: 5,
    row: 0.02,
    rows: 20_000,
  })
  expect(left).toBe(0)
  // A quarter of the share, rows at 0.02 ms.
  expect(took).toBeGreaterThan(20_000 * 0.02)
  expect(took).toBeLessThan(20_000 * 0.02 * 10 * 1.5)
})

it('does not wait for workers that ask nothing', () => {
  const pace = createPace({ stripes: 512, pause: 5, share: 0.1 })
  pace.asked(0)
  pace.answered(1)
  pace.begun(500, 512)
  pace.ended(600)
  expect(pace.rows(600)).toBe(512)
})

it('makes no step of fewer rows than its messages cost, and in a short gap no second one', () => {
  const pace = createPace({ stripes: 4096, pause: 5, share: 0.5 })
  const { perGap } = recover(pace, { computes: 2, answered: 3, row: 0.005, rows: 100_000 })
  const some = perGap.slice(5, -1).filter((rows) => rows > 0)
  expect(some.length).toBeGreaterThan(10)
  for (const rows of some) expect(rows).toBe(1024)
})

it('a step that was interrupted does not make the ones after it small', () => {
  const pace = createPace({ stripes: 512, pause: 5, share: 0.5 })
  let now = 0
  const rows = (): number => {
    pace.asked((now += 10))
    pace.answered(++now)
    return pace.rows(now)
  }
  const step = (row: number): number => {
    const some = rows()
    pace.begun(now, some)
    pace.ended((now += row * some))
    return some
  }
  for (let i = 0; i < 20; i++) step(0.01)
  const before = step(0.01)
  step(0.5)
  // What it took too long is paid off.
  for (let i = 0; i < 25; i++) rows()
  expect(step(0.01)).toBeGreaterThan(before / 2)
})

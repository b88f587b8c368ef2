// Laws of the coordinator over random schedules on a virtual clock: no answer is swapped, lost or doubled, every query is
// answered by its deadline, nothing stays in memory. Models are integer-linear, so that reconstructions are exact and an
// answer says whose it is.
import { FtError, isFtError } from '@ft/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  concat,
  createCoordinator,
  deadlineOnly,
  firstWins,
  hedge,
  hedgeThenDecode,
  hold,
  residualCheck,
  shadowCheck,
  utilisationGuard,
  replication,
  sum,
  virtualClock,
  weighted,
  type Answer,
  type Code,
  type NamedTensor,
  type Policy,
  type UtilisationGuard,
  type VirtualClock,
} from '../../src/index.ts'

const input = (value: number, size = 2): NamedTensor[] => [
  { name: 'x', data: new Float32Array(size).fill(value), shape: [1, size], dtype: 'float32' },
]
const model = (inputs: readonly NamedTensor[]): NamedTensor[] =>
  inputs.map(({ data, shape }) => ({ name: 'y', data: Float32Array.from(data, (v) => 3 * v), shape, dtype: 'float32' }))

const codes: Record<string, () => Code | undefined> = {
  none: () => undefined,
  'sum 2': () => sum({ k: 2 }),
  'sum 3 short': () => sum({ k: 3, shortGroups: true }),
  'sum 4': () => sum({ k: 4 }),
  'weighted 3 + 2': () => weighted({ k: 3, r: 2 }),
  replication: () => replication(),
}
const policies: Record<string, () => Policy> = {
  firstWins: () => firstWins(),
  hold: () => hold({ afterMs: 20 }),
  'hold q': () => hold({ quantile: 0.9, warmUp: 10, window: 20 }),
  deadlineOnly: () => deadlineOnly(),
  hedge: () => hedge({ afterMs: 15 }),
  'hedge then decode': () => hedgeThenDecode({ hedge: { afterMs: 10 }, decode: { afterMs: 30 } }),
}

/** What an instance does with one unit. */
const fate = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answer' as const), ms: fc.integer({ min: 0, max: 120 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), ms: fc.integer({ min: 0, max: 120 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('silent' as const), ms: fc.constant(0) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('twice' as const), ms: fc.integer({ min: 0, max: 120 }) }) },
)
const schedule = fc.record({
  code: fc.constantFrom(...Object.keys(codes)),
  policy: fc.constantFrom(...Object.keys(policies)),
  queries: fc.array(
    fc.record({
      gapMs: fc.integer({ min: 0, max: 15 }),
      deadlineMs: fc.integer({ min: 1, max: 100 }),
      allowDegraded: fc.boolean(),
      size: fc.constantFrom(2, 2, 2, 3),
      abortAfterMs: fc.option(fc.integer({ min: 0, max: 60 }), { freq: 6 }),
    }),
    { minLength: 1, maxLength: 24 },
  ),
  fates: fc.array(fate, { minLength: 1, maxLength: 60 }),
  encodeMs: fc.integer({ min: 0, max: 5 }),
  /** Utilisation that the guard is shown from the start: above its limit it refuses all extra units. */
  utilisation: fc.constantFrom(0, 0, 2),
  shadowShare: fc.constantFrom(0, 1),
  residualShare: fc.constantFrom(0, 1),
})

it('answers every query once, by its deadline, with its own answer', async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async (plan) => {
      const clock = virtualClock()
      const ids = new Set<string>()
      let unit = 0
      let ended = 0
      const code = codes[plan.code]?.()
      const guard = utilisationGuard({ clock, windowMs: 5 })
      guard.sample(plan.utilisation)
      const coordinator = createCoordinator({
        ...(code ? { code } : {}),
        policy: (policies[plan.policy] as () => Policy)(),
        clock,
        count: (event) => {
          if (['exact', 'reconstructed', 'default', 'cancelled'].includes(event)) ended++
        },
        maxGroupWaitMs: 25,
        guard,
        shadow: shadowCheck({ share: plan.shadowShare, seed: 1 }),
        residual: residualCheck({ share: plan.residualShare, seed: 1 }),
        defer: (work) => void clock.schedule(plan.encodeMs, work),
        dispatch: (task, { done, failed }) => {
          // A unit once, and its hedge once
          const id = task.hedge ? `${task.id} again` : String(task.id)
          expect(ids.has(id)).toBe(false)
          ids.add(id)
          const { kind, ms } = plan.fates[unit++ % plan.fates.length] ?? { kind: 'silent', ms: 0 }
          if (kind === 'silent') return
          clock.schedule(ms, () => {
            if (task.work.cancelled) return
            if (kind === 'fail') return failed(new Error('instance failed'))
            done(model(task.inputs))
            if (kind === 'twice') done(model(task.inputs))
          })
        },
      })
      const outcomes: {
        value: number
        answer?: Answer
        aborted?: boolean
        deadlineMs: number
        allow: boolean
        size: number
        at?: number
      }[] = []
      let at = 0
      plan.queries.forEach((query, i) => {
        at += query.gapMs
        clock.schedule(at, () => {
          const value = i + 1
          const outcome: (typeof outcomes)[number] = {
            value,
            deadlineMs: query.deadlineMs,
            allow: query.allowDegraded,
            size: query.size,
          }
          outcomes.push(outcome)
          const stop = new AbortController()
          if (query.abortAfterMs !== null) clock.schedule(query.abortAfterMs, () => stop.abort())
          void coordinator
            .submit({
              inputs: input(value, query.size),
              deadlineMs: query.deadlineMs,
              allowDegraded: query.allowDegraded,
              signal: stop.signal,
            })
            .then(
              (answer) => (outcome.answer = answer),
              (error: unknown) => (outcome.aborted = isFtError(error, 'ABORTED')),
            )
        })
      })
      clock.run()
      await Promise.resolve()
      await new Promise((resolve) => setImmediate(resolve))

      expect(outcomes).toHaveLength(plan.queries.length)
      // As many ends as queries, but for those whose signal had fired before they came
      expect(ended).toBe(outcomes.length)
      for (const { answer, aborted, value, deadlineMs, allow, size } of outcomes) {
        if (aborted) continue
        expect(answer).toBeDefined()
        if (!answer) continue
        expect(answer.latencyMs).toBeLessThanOrEqual(deadlineMs)
        // Before its deadline only with a reason
        if (answer.quality === 'default') expect(answer.latencyMs < deadlineMs).toBe(answer.error !== undefined)
        if (answer.quality === 'default') expect(answer.outputs).toBeUndefined()
        else expect(answer.outputs?.map(({ data }) => Array.from(data))).toEqual([Array<number>(size).fill(3 * value)])
        if (!allow) expect(answer.quality).not.toBe('reconstructed')
        if (plan.code === 'none' || plan.code === 'replication') expect(answer.quality).not.toBe('reconstructed')
      }
      expect(coordinator.open()).toEqual({ queries: 0, groups: 0 })
    }),
    { numRuns: 400 },
  )
})

/** A coordinator whose units answer when the test says so. */
function manual(options: {
  code?: Code
  policy: Policy
  maxGroupWaitMs?: number
  clock?: VirtualClock
  guard?: UtilisationGuard
}) {
  const { clock = virtualClock() } = options
  const units: {
    id: number
    model: string
    data: number[]
    signal: AbortSignal
    answer(): void
    fail(error?: Error): void
    garble(): void
  }[] = []
  const events: string[] = []
  const coordinator = createCoordinator({
    maxGroupWaitMs: 50,
    ...options,
    clock,
    count: (event) => events.push(event),
    dispatch: (task, { done, failed }) =>
      void units.push({
        id: task.id,
        model: task.model,
        data: Array.from(task.inputs[0]?.data ?? []),
        signal: task.signal,
        answer: () => done(model(task.inputs)),
        fail: (error = new Error('gone')) => failed(error),
        garble: () => done([]),
      }),
  })
  return { clock, units, events, coordinator }
}

it('sends queries at once and the parity with the k-th, under dense ids', () => {
  const { coordinator, units } = manual({ code: sum({ k: 2 }), policy: firstWins() })
  for (const value of [1, 2, 3, 4]) void coordinator.submit({ inputs: input(value) })
  expect(units.map(({ id, model }) => [id, model])).toEqual([
    [0, 'base'],
    [1, 'base'],
    [2, 'parity'],
    [3, 'base'],
    [4, 'base'],
    [5, 'parity'],
  ])
  expect(units[5]?.data).toEqual([7, 7])
})

it('holds a reconstruction until its time, and lets the own output win before', async () => {
  for (const [ownAt, expected] of [
    [29, 'exact'],
    [31, 'reconstructed'],
  ] as const) {
    const { coordinator, clock, units } = manual({ code: sum({ k: 2 }), policy: hold({ afterMs: 30 }) })
    const first = coordinator.submit({ inputs: input(5) })
    void coordinator.submit({ inputs: input(6) })
    units[1]?.answer()
    units[2]?.answer()
    clock.schedule(ownAt, () => units[0]?.answer())
    clock.run()
    const answer = await first
    expect(answer.quality).toBe(expected)
    expect(answer.latencyMs).toBe(Math.min(ownAt, 30))
    expect(answer.outputs?.[0]?.data[0]).toBe(15)
  }
})

it('does not hold when the own unit failed', async () => {
  const { coordinator, clock, units } = manual({ code: sum({ k: 2 }), policy: hold({ afterMs: 30 }) })
  const first = coordinator.submit({ inputs: input(5) })
  void coordinator.submit({ inputs: input(6) })
  units[1]?.answer()
  units[2]?.answer()
  clock.schedule(3, () => units[0]?.fail())
  clock.run()
  expect(await first).toMatchObject({ quality: 'reconstructed', latencyMs: 3 })
})

it('uses a held reconstruction at the deadline under deadlineOnly, the default without one', async () => {
  const { coordinator, clock, units } = manual({ code: sum({ k: 2 }), policy: deadlineOnly() })
  const answers = [5, 6, 7].map((value) => coordinator.submit({ inputs: input(value), deadlineMs: 40 }))
  units[1]?.answer()
  units[2]?.answer()
  clock.run()
  expect((await Promise.all(answers)).map(({ quality, latencyMs }) => [quality, latencyMs])).toEqual([
    ['reconstructed', 40],
    ['exact', 0],
    ['default', 40],
  ])
})

describe('a query whose units have all failed', () => {
  const failure = { quality: 'default', outputs: undefined, error: new Error('gone') }

  it('is told at once when it has no code, or its hedge failed too', async () => {
    const plain = manual({ policy: hold({ afterMs: 30 }) })
    const answer = plain.coordinator.submit({ inputs: input(5) })
    plain.clock.schedule(7, () => plain.units[0]?.fail())
    plain.clock.advanceTo(7)
    expect(await answer).toMatchObject({ ...failure, latencyMs: 7 })
    expect(plain.coordinator.open()).toEqual({ queries: 0, groups: 0 })

    const hedged = manual({ policy: hedge({ afterMs: 30 }) })
    const second = hedged.coordinator.submit({ inputs: input(5) })
    hedged.units[0]?.fail()
    hedged.clock.schedule(4, () => hedged.units[1]?.fail())
    hedged.clock.advanceTo(4)
    expect(await second).toMatchObject({ ...failure, latencyMs: 4 })
  })

  it('has no second attempt when there was no time for the first', async () => {
    const { coordinator, units } = manual({ policy: hedge({ afterMs: 30 }) })
    const answer = coordinator.submit({ inputs: input(5) })
    const overloaded = new FtError('OVERLOADED', 'too much waits', {})
    units[0]?.fail(overloaded)
    expect(await answer).toMatchObject({ quality: 'default', latencyMs: 0, error: overloaded })
    expect(units).toHaveLength(1)
  })

  it('waits for its own unit when its hedge failed, and for its hedge when its own unit did', async () => {
    for (const [failing, answering] of [
      [1, 0],
      [0, 1],
    ] as const) {
      const { coordinator, clock, units } = manual({ policy: hedge({ afterMs: 3 }) })
      const answer = coordinator.submit({ inputs: input(5) })
      clock.schedule(4, () => units[failing]?.fail())
      clock.schedule(9, () => units[answering]?.answer())
      clock.advanceTo(9)
      expect(await answer).toMatchObject({ quality: 'exact', latencyMs: 9 })
    }
  })

  it('is told when what could decode it fails, or does not fit together', async () => {
    for (const end of ['fail', 'garble'] as const) {
      const { coordinator, clock, units } = manual({ code: sum({ k: 2 }), policy: firstWins() })
      const [first, second] = [5, 6].map((value) => coordinator.submit({ inputs: input(value) }))
      units[0]?.fail()
      units[1]?.answer()
      expect(await second).toMatchObject({ quality: 'exact' })
      clock.schedule(8, () => units[2]?.[end]())
      clock.advanceTo(8)
      expect(await first).toMatchObject({ quality: 'default', latencyMs: 8 })
    }
  })

  it('is told at once when only a reconstruction could answer it and it wants none', async () => {
    const { coordinator, units } = manual({ code: sum({ k: 2 }), policy: firstWins() })
    const first = coordinator.submit({ inputs: input(5), allowDegraded: false })
    void coordinator.submit({ inputs: input(6) })
    units[0]?.fail()
    expect(await first).toMatchObject({ ...failure, latencyMs: 0 })
  })

  it('gets its copy first when its group did not fill', async () => {
    const { coordinator, clock, units } = manual({ code: sum({ k: 3 }), policy: firstWins(), maxGroupWaitMs: 10 })
    const [first, second] = [5, 6].map((value) => coordinator.submit({ inputs: input(value) }))
    units[0]?.fail()
    units[1]?.fail()
    clock.advanceTo(10)
    units[2]?.fail()
    units[3]?.answer()
    expect(await first).toMatchObject({ ...failure, latencyMs: 10 })
    expect(await second).toMatchObject({ quality: 'exact', latencyMs: 10 })
    expect(coordinator.open()).toEqual({ queries: 0, groups: 0 })
  })

  it('is told once the guard refused the parities and its second attempt failed', async () => {
    const clock = virtualClock()
    const guard = utilisationGuard({ clock, windowMs: 5 })
    guard.sample(2)
    clock.advanceTo(100)
    const { coordinator, units } = manual({ code: sum({ k: 2 }), policy: firstWins(), clock, guard })
    const [first] = [5, 6].map((value) => coordinator.submit({ inputs: input(value) }))
    units[0]?.fail()
    expect(units).toHaveLength(3)
    units[2]?.fail()
    expect(await first).toMatchObject(failure)
  })
})

it('aborts exactly the units that nobody needs any more', async () => {
  const { coordinator, units } = manual({ code: sum({ k: 2 }), policy: firstWins() })
  const all = [1, 2, 3, 4].map((value) => coordinator.submit({ inputs: input(value) }))
  units[4]?.answer()
  units[5]?.answer()
  await Promise.all(all.slice(2))
  expect(units.map(({ signal }) => signal.aborted)).toEqual([false, false, false, true, true, true])
  units[0]?.answer()
  units[1]?.answer()
  await Promise.all(all)
  expect(units[2]?.signal.aborted).toBe(true)
})

it('protects a group that does not fill: by copies, or by a parity model trained for short groups', async () => {
  const copies = manual({ code: sum({ k: 3 }), policy: firstWins(), maxGroupWaitMs: 10 })
  const two = [1, 2].map((value) => copies.coordinator.submit({ inputs: input(value) }))
  copies.clock.advanceTo(10)
  expect(copies.units.map(({ model, data }) => [model, data[0]])).toEqual([
    ['base', 1],
    ['base', 2],
    ['base', 1],
    ['base', 2],
  ])
  copies.units[2]?.answer()
  copies.units[1]?.answer()
  expect((await Promise.all(two)).map(({ quality, outputs }) => [quality, outputs?.[0]?.data[0]])).toEqual([
    ['exact', 3],
    ['exact', 6],
  ])

  const short = manual({ code: sum({ k: 3, shortGroups: true }), policy: firstWins(), maxGroupWaitMs: 10 })
  const pair = [1, 2].map((value) => short.coordinator.submit({ inputs: input(value) }))
  short.clock.advanceTo(10)
  expect(short.units.map(({ model, data }) => [model, data[0]]).slice(2)).toEqual([['parity', 3]])
  short.units[1]?.answer()
  short.units[2]?.answer()
  expect((await Promise.all(pair)).map(({ quality }) => quality)).toEqual(['reconstructed', 'exact'])
})

it('keeps to copies when inputs cannot be coded, and survives outputs of another form', async () => {
  const images = manual({ code: concat({ k: 2, image: { height: 2, width: 2 } }), policy: firstWins() })
  const pair = [1, 2].map((value) => images.coordinator.submit({ inputs: input(value) }))
  expect(images.units.map(({ model }) => model)).toEqual(['base', 'base', 'base', 'base'])
  for (const unit of images.units.slice(2)) unit.answer()
  expect((await Promise.all(pair)).map(({ quality }) => quality)).toEqual(['exact', 'exact'])

  const { coordinator, units, events } = manual({ code: sum({ k: 2 }), policy: firstWins() })
  const [late] = [1, 2].map((value) => coordinator.submit({ inputs: input(value) }))
  units[1]?.answer()
  units[2]?.garble()
  expect(events).toContain('decode-failed')
  units[0]?.answer()
  expect((await late)?.quality).toBe('exact')
})

it('measures the quantile that it holds for', () => {
  const policy = hold({ quantile: 0.9, initialMs: 7, warmUp: 100, window: 200 })
  expect(policy.decodeAfterMs({ deadlineMs: 1000 })).toBe(7)
  for (let i = 1; i <= 200; i++) policy.observe(i)
  // Type 7 quantile of 1..200 at 0.9: 1 + 0.9 * 199
  expect(policy.decodeAfterMs({ deadlineMs: 1000 })).toBeCloseTo(180.1, 9)
})

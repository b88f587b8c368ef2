// What a pool holds against an instance, and what not.
import { expect, it } from 'vitest'
import { FtError } from '@ft/core'
import { OipError, systemClock, virtualClock, type InferResponse, type OipClient } from '../src/index.ts'
import type { Instance } from '../src/gateway/instance.ts'
import { createPool } from '../src/gateway/pool.ts'
import { Cancellation } from '../src/serving/cancellation.ts'

const failingWith = (error: Error) => instanceOf('a', () => Promise.reject(error))

const nothing = () => ({ inputs: [], headers: {}, work: new Cancellation(), dueMs: Infinity })

function instanceOf(name: string, infer: () => Promise<InferResponse>): Instance {
  const client: OipClient = {
    infer,
    ready: () => Promise.resolve(true),
    metadata: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  }
  const state = { outstanding: 0, out: false, failuresInRow: 0, answered: 0, failed: 0, latencyMs: 0, judged: 0 }
  return {
    name,
    domain: name,
    model: 'm',
    concurrency: 1,
    client,
    ...state,
    unfit: undefined,
    pauses: 0,
    answeredAtMs: 0,
  }
}

it.each([
  ['a refusal of the request', new OipError(400, 'no'), 0],
  ['a failure of its model', new OipError(500, 'no'), 1],
  ['a connection that breaks', new FtError('IO', 'no', {}), 1],
  ['an answer that cannot be read', new FtError('CORRUPT_DATA', 'no', {}), 1],
  ['too many requests', new OipError(429, 'no'), 0],
  ['a mistake on this side', new TypeError('no'), 0],
  ['a package that is missing here', new FtError('MISSING_PEER', 'no', {}), 0],
])('counts against an instance %s or not', async (_what, error, failed) => {
  const instance = failingWith(error)
  const pool = createPool({ instances: [instance], clock: systemClock() })
  const job = { ...nothing(), placed: new Set<string>() }
  await expect(pool.run(job)).rejects.toBe(error)
  expect(instance.failed).toBe(failed)
  pool.close()
})

it('repeats a failed unit on the other instance, although it has to wait for it, and lets later units pass', async () => {
  const asked: string[] = []
  let release = () => undefined as void
  const busy = new Promise<void>((resolve) => (release = resolve))
  // 'a' fails its first unit and answers others; 'b' is busy until it is released
  const a = instanceOf('a', () => {
    asked.push('a')
    return asked.length === 1
      ? Promise.reject(new FtError('CORRUPT_DATA', 'no', {}))
      : Promise.resolve({ modelName: 'a', outputs: [] })
  })
  const b = instanceOf('b', async () => {
    asked.push('b')
    await busy
    return { modelName: 'b', outputs: [] }
  })
  const pool = createPool({ instances: [a, b], clock: systemClock() })
  const run = (...placed: string[]) => pool.run({ ...nothing(), placed: new Set(placed) })
  // On which of the two a unit starts is said by the instance that its group has already
  const first = run('b')
  const onB = run('a')
  const third = run()
  expect((await third).modelName).toBe('a')
  expect(asked).toEqual(['a', 'b', 'a'])
  expect(pool.queued()).toBe(1)
  release()
  expect((await onB).modelName).toBe('b')
  expect((await first).modelName).toBe('b')
  expect(asked).toEqual(['a', 'b', 'a', 'b'])
  pool.close()
})

it('repeats a failed unit where it failed when no other instance is in use', async () => {
  let asked = 0
  const a = instanceOf('a', () =>
    asked++ === 0 ? Promise.reject(new OipError(500, 'no')) : Promise.resolve({ modelName: 'a', outputs: [] }),
  )
  const out = instanceOf('b', () => Promise.reject(new Error('not asked')))
  out.out = true
  const pool = createPool({ instances: [a, out], clock: systemClock() })
  const response = await pool.run({ ...nothing(), placed: new Set() })
  expect([response.modelName, asked]).toEqual(['a', 2])
  pool.close()
})

it('answers others in time when more comes than it can do, instead of all too late', async () => {
  const clock = virtualClock()
  // One unit takes 10 ms; 300 come at 5 ms each, and are due 100 ms later
  const instance = instanceOf('a', () => {
    const answer: InferResponse = { modelName: 'a', outputs: [] }
    return new Promise((resolve) => clock.schedule(10, () => resolve(answer)))
  })
  const pool = createPool({ instances: [instance], clock, probeEveryMs: 1e6 })
  const ends: { readonly atMs: number; readonly dueMs: number; readonly code?: string }[] = []
  const step = async (ms: number) => {
    clock.advanceTo(ms)
    for (let i = 0; i < 5; i++) await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (let ms = 0; ms < 2000; ms++) {
    if (ms % 5 === 0 && ms < 1500) {
      const work = new Cancellation()
      const dueMs = ms + 100
      clock.schedule(100, () => work.cancel())
      void pool.run({ ...nothing(), work, dueMs, placed: new Set() }).then(
        () => ends.push({ atMs: clock.now(), dueMs }),
        (error: unknown) => ends.push({ atMs: clock.now(), dueMs, code: (error as FtError).code }),
      )
    }
    await step(ms)
  }
  expect(ends).toHaveLength(300)
  const answered = ends.filter(({ code }) => code === undefined)
  // Half of them can be done; without looking at the clock almost none would be
  expect(answered.length).toBeGreaterThan(140)
  for (const { atMs, dueMs } of answered) expect(atMs).toBeLessThanOrEqual(dueMs)
  // The others are told before they are due, but for the first ones, when nobody knew how long one takes
  const told = ends.filter(({ code, atMs, dueMs }) => code === 'OVERLOADED' && atMs < dueMs)
  expect(told.length).toBeGreaterThan(120)
  pool.close()
})

it('takes the units of an instance that falls silent soon after its first answers, and of one that is out of use already', async () => {
  for (const outAlready of [false, true]) {
    const clock = virtualClock()
    let silent = false
    // Takes 10 ms until it falls silent; what it was doing then fails only when it is cut off
    const a = instanceOf('a', () => Promise.reject(new Error('not asked')))
    const client: OipClient = {
      ...a.client,
      ready: () => (silent ? new Promise(() => undefined) : Promise.resolve(true)),
      infer: (_model, { started }) =>
        new Promise((resolve, reject) => {
          started?.(() => reject(new FtError('IO', 'cut off', {})))
          if (!silent) clock.schedule(10, () => resolve({ modelName: 'a', outputs: [] }))
        }),
    }
    a.client = client
    const b = instanceOf('b', () => Promise.resolve({ modelName: 'b', outputs: [] }))
    b.out = true
    const pool = createPool({ instances: [a, b], clock, deadlineMs: 1000 })
    const settle = () => new Promise((resolve) => setImmediate(resolve))
    const ask = () => pool.run({ ...nothing(), dueMs: clock.now() + 1000, placed: new Set() })
    for (let i = 0; i < 3; i++) {
      const answer = ask()
      clock.advanceTo(clock.now() + 10)
      expect((await answer).modelName).toBe('a')
      await settle()
    }
    silent = true
    const askedMs = clock.now()
    let found: { modelName: string; atMs: number } | undefined
    void ask().then(({ modelName }) => (found = { modelName, atMs: clock.now() }))
    await settle()
    b.out = false
    // As after a failure, or while it is left alone for being slow
    a.out = outAlready
    for (let ms = 0; ms < 1000 && !found; ms += 20) {
      clock.advanceTo(askedMs + ms)
      await settle()
    }
    expect(found?.modelName).toBe('b')
    // 200 ms of patience, at most as long until that is looked at, 100 until the probe counts as unanswered
    expect((found?.atMs ?? Infinity) - askedMs).toBeLessThanOrEqual(520)
    pool.close()
  }
})

it('sends a second copy of a unit to another instance than the first, for as long as one is in use', async () => {
  const asked: string[] = []
  const release: (() => void)[] = []
  const slow = (name: string) =>
    instanceOf(name, async () => {
      asked.push(name)
      await new Promise<void>((resolve) => release.push(resolve))
      return { modelName: name, outputs: [] }
    })
  const [a, b] = [{ ...slow('a'), concurrency: 2 }, slow('b')]
  const pool = createPool({ instances: [a, b], clock: systemClock() })
  const run = (holders: string[] = [], placed: string[] = []) =>
    pool.run({ ...nothing(), holders, placed: new Set(placed) })
  const holders: string[] = []
  // Where the first goes is said by what its group has; the other instance is busy, with more to come
  const busy = run([], ['a'])
  const first = run(holders, ['b'])
  expect([asked, holders]).toEqual([['b', 'a'], ['a']])
  const copy = run(holders)
  const other = run()
  // It waits for the busy one, although 'a' has room, and keeps nobody from that
  expect(asked).toEqual(['b', 'a', 'a'])
  expect(pool.queued()).toBe(1)
  release.shift()?.()
  expect((await busy).modelName).toBe('b')
  await expect.poll(() => asked).toEqual(['b', 'a', 'a', 'b'])
  expect(holders).toEqual(['a', 'b'])
  for (const done of release) done()
  expect((await copy).modelName).toBe('b')
  await Promise.all([first, other])
  // Alone in use, the one that has it takes it
  b.out = true
  const again: string[] = []
  const pair = [run(again), run(again)]
  await expect.poll(() => again).toEqual(['a', 'a'])
  for (const done of release) done()
  expect((await Promise.all(pair)).map(({ modelName }) => modelName)).toEqual(['a', 'a'])
  pool.close()
})

it('repeats a failed copy where the first is rather than where the copy failed, when no other instance is left', async () => {
  const asked: string[] = []
  const a = instanceOf('a', () => {
    asked.push('a')
    return Promise.reject(new OipError(500, 'no'))
  })
  const b = instanceOf('b', () => {
    asked.push('b')
    return Promise.resolve({ modelName: 'b', outputs: [] })
  })
  // 'b' has the first unit, and room for another; 'a' is the less busy, although the group is there already
  Object.assign(b, { concurrency: 3, outstanding: 2 })
  const pool = createPool({ instances: [a, b], clock: systemClock() })
  const copy = await pool.run({ ...nothing(), holders: ['b'], placed: new Set() })
  expect([copy.modelName, asked]).toEqual(['b', ['a', 'b']])
  pool.close()
})

it('asks no third time, and gives the second failure', async () => {
  const asked: string[] = []
  const failing = (name: string) =>
    instanceOf(name, () => {
      asked.push(name)
      return Promise.reject(new OipError(500, `${name} failed`))
    })
  const pool = createPool({ instances: ['a', 'b', 'c'].map(failing), clock: systemClock() })
  const failure = pool.run({ ...nothing(), placed: new Set() })
  await expect(failure).rejects.toMatchObject({ status: 500 })
  expect(new Set(asked).size).toBe(2)
  await expect(failure).rejects.toThrow(`${asked[1]} failed`)
  pool.close()
})

it('refuses what waits when no instance has been in use for a while, what comes then at once, and serves again when one is back', async () => {
  const clock = virtualClock()
  const answer: InferResponse = { modelName: 'a', outputs: [] }
  const [a, b] = [instanceOf('a', () => Promise.resolve(answer)), instanceOf('b', () => Promise.resolve(answer))]
  const pool = createPool({ instances: [a, b], clock, probeEveryMs: 1e6, outageMs: 300 })
  const ends: string[] = []
  const run = () =>
    pool.run({ ...nothing(), placed: new Set<string>() }).then(
      () => ends.push(`answered at ${clock.now()}`),
      (error: unknown) => ends.push(`${(error as FtError).code} at ${clock.now()}`),
    )
  pool.takeOut(a)
  await run()
  pool.takeOut(b)
  const early = [run()]
  clock.advanceTo(200)
  early.push(run())
  clock.advanceTo(299)
  await Promise.resolve()
  expect(ends).toEqual(['answered at 0'])
  clock.advanceTo(300)
  await Promise.all(early)
  clock.advanceTo(350)
  await run()
  expect(ends.slice(1)).toEqual(['IO at 300', 'IO at 300', 'IO at 350'])
  expect(pool.queued()).toBe(0)
  pool.restore(b)
  await run()
  // Another outage waits anew
  pool.takeOut(b)
  const late = run()
  clock.advanceTo(649)
  await Promise.resolve()
  pool.restore(a)
  await late
  expect(ends.slice(4)).toEqual(['answered at 350', 'answered at 649'])
  pool.close()
})

it('knows of an outage that nobody asked in: the first query after it is refused at once', async () => {
  const clock = virtualClock()
  const a = instanceOf('a', () => Promise.resolve({ modelName: 'a', outputs: [] }))
  const pool = createPool({ instances: [a], clock, probeEveryMs: 1e6, outageMs: 300 })
  pool.takeOut(a)
  clock.advanceTo(300)
  await expect(pool.run({ ...nothing(), placed: new Set() })).rejects.toMatchObject({ code: 'IO' })
  pool.restore(a)
  expect((await pool.run({ ...nothing(), placed: new Set() })).modelName).toBe('a')
  pool.close()
})

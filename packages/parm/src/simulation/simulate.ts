// A discrete-event simulation of a served model: instances, a shared queue a model, late responses, slow machines. The
// coordinator, codes, policies and guard are those that serve requests, on a virtual clock.
import { assertInteger, assertNumber } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import type { Code } from '../codes/code.ts'
import type { NamedTensor } from '../named.ts'
import { virtualClock, type Clock, type VirtualClock } from '../serving/clock.ts'
import type { Task } from '../serving/group.ts'
import { utilisationGuard } from '../serving/guard.ts'
import type { Policy } from '../serving/policy.ts'
import type { CoordinatorEvent } from '../serving/coordinator.ts'
import { createCoordinator } from '../serving/serveGroup.ts'

export interface SimulateOptions {
  readonly seed: number
  readonly queries: number
  /** Poisson arrivals. */
  readonly ratePerSecond: number
  /** Instances of the deployed model. */
  readonly instances: number
  /** Instances of each parity model of the code. Default 0. */
  readonly parityInstances?: number
  readonly code?: Code
  readonly policy: Policy
  /** Draws one service time in milliseconds; the instance is busy for so long. */
  readonly serviceMs: (random: Random) => number
  /** Draws how late one response is, in milliseconds; the instance is free meanwhile. Default never. */
  readonly lateMs?: (random: Random) => number
  /** Machines that other work slows down. */
  readonly slow?: SlowMachines
  /** Utilisation above which the guard stops extra units. Default: no guard. */
  readonly guardLimit?: number
  /** Default 10,000. */
  readonly deadlineMs?: number
  /** Default 1000. */
  readonly maxGroupWaitMs?: number
}

/** Each disturber keeps two instances chosen at random slower for a while, then chooses again. */
export interface SlowMachines {
  readonly disturbers: number
  readonly factor: number
  /** Shortest and longest time on one pair. */
  readonly ms: readonly [number, number]
}

export interface Simulated {
  /** Milliseconds, in the order of the queries' arrival. */
  readonly latencies: Float64Array
  readonly counts: Readonly<Partial<Record<CoordinatorEvent, number>>>
  /** Units sent besides the queries, as a share of the queries. */
  readonly extraUnits: number
  /** Share of the deployed model's instances' time in use. */
  readonly utilisation: number
}

/**
 * Simulates all queries.
 *
 * Guarantees: the same options give the same figures on every machine.
 * Cost: about 10 us a query.
 * Differs: instances take units from one queue in order of arrival (the paper's single queue), without failure domains.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export async function simulate(options: SimulateOptions): Promise<Simulated> {
  const { seed, queries, ratePerSecond, instances, parityInstances = 0, code, policy, deadlineMs = 10_000 } = options
  assertInteger(queries, { where: 'simulate', argument: 'queries', min: 1, max: 10_000_000 })
  assertInteger(instances, { where: 'simulate', argument: 'instances', min: 1, max: 1_000_000 })
  assertNumber(ratePerSecond, { where: 'simulate', argument: 'ratePerSecond', min: 1e-6 })
  const random = createRandom(seed).stream('simulate')
  const clock = virtualClock()
  const guard = options.guardLimit === undefined ? undefined : utilisationGuard({ clock, limit: options.guardLimit })
  const fleet: Machine[] = []
  const pools = new Map<string, Pool>()
  const names = new Set(['base', ...Array.from({ length: code?.n ?? 1 }, (_, slot) => code?.modelFor(slot) ?? 'base')])
  for (const name of names) {
    const machines = Array.from({ length: name === 'base' ? instances : parityInstances }, () => ({ slowedBy: 0 }))
    fleet.push(...machines)
    const onBusy = name === 'base' ? (share: number) => guard?.sample(share) : undefined
    pools.set(name, createPool({ machines, clock, options, random: random.stream(`pool-${name}`), onBusy }))
  }
  const counts: Partial<Record<CoordinatorEvent, number>> = {}
  const coordinator = createCoordinator({
    ...(code ? { code: timesOf(code) } : {}),
    ...(guard ? { guard } : {}),
    policy,
    clock,
    deadlineMs,
    maxGroupWaitMs: options.maxGroupWaitMs ?? 1000,
    dispatch: (task, { done }) => (pools.get(task.model) as Pool).run(task, () => done(nothing)),
    count: (event) => {
      counts[event] = (counts[event] ?? 0) + 1
    },
  })
  const latencies = new Float64Array(queries)
  const answers: Promise<void>[] = []
  const gaps = random.stream('arrivals')
  const arrive = (i: number): void => {
    answers.push(
      coordinator.submit({ inputs: nothing }).then(({ latencyMs }) => {
        latencies[i] = latencyMs
      }),
    )
    if (i + 1 < queries) clock.schedule(gaps.exponential(ratePerSecond / 1000), () => arrive(i + 1))
  }
  clock.schedule(0, () => arrive(0))
  if (options.slow) disturb(options.slow, { fleet, clock, random, ended: () => answers.length >= queries })
  clock.run(Infinity)
  await Promise.all(answers)
  const extra = (counts.parity ?? 0) + (counts.replica ?? 0) + (counts.hedge ?? 0)
  const busy = (pools.get('base') as Pool).busyMs()
  return { latencies, counts, extraUnits: extra / queries, utilisation: busy / instances / clock.now() }
}

/** What units carry: only their times matter. */
const nothing: readonly NamedTensor[] = []

/** A code without its arithmetic, which no empty unit would suit: its units, and from which of them it can decode. */
function timesOf(code: Code): Code {
  const { k, n, systematic, exact = false, shorten } = code
  const empty = (length: number): NamedTensor[][] => Array.from({ length }, () => [...nothing])
  return {
    ...code,
    encode: () => empty(n),
    decode: (got) => ({
      outputs: empty(k),
      quality: Array.from({ length: k }, (_, slot) =>
        exact || (systematic && got.has(slot)) ? 'exact' : 'reconstructed',
      ),
    }),
    ...(shorten
      ? {
          shorten: (size) => {
            const shorter = shorten(size)
            return shorter && timesOf(shorter)
          },
        }
      : {}),
  }
}

interface Machine {
  /** How many disturbers are on it. */
  slowedBy: number
}

interface Pool {
  run(task: Task, done: () => void): void
  busyMs(): number
}

/** One queue in order of arrival; a free machine takes the next unit that somebody still needs. */
function createPool(o: {
  machines: readonly Machine[]
  clock: Clock
  options: SimulateOptions
  random: Random
  onBusy: ((share: number) => void) | undefined
}): Pool {
  const { clock, random, options } = o
  const free = [...o.machines]
  const queue: { task: Task; done: () => void }[] = []
  let head = 0
  let busy = 0
  const factor = options.slow?.factor ?? 1

  function pull(): void {
    while (head < queue.length && free.length > 0) {
      const { task, done } = queue[head++] as (typeof queue)[number]
      if (head > 1000 && head * 2 > queue.length) {
        queue.splice(0, head)
        head = 0
      }
      if (!task.work.cancelled) serve(task, done)
    }
    o.onBusy?.((o.machines.length - free.length + queue.length - head) / o.machines.length)
  }

  function serve(task: Task, done: () => void): void {
    const [machine] = free.splice(random.integer(0, free.length - 1), 1) as [Machine]
    const ms = options.serviceMs(random) * (machine.slowedBy > 0 ? factor : 1)
    const late = options.lateMs?.(random) ?? 0
    busy += ms
    clock.schedule(ms, () => {
      free.push(machine)
      if (late === 0 && !task.work.cancelled) done()
      pull()
    })
    if (late > 0)
      clock.schedule(ms + late, () => {
        if (!task.work.cancelled) done()
      })
  }

  return {
    run(task, done) {
      queue.push({ task, done })
      pull()
    },
    busyMs: () => busy,
  }
}

function disturb(
  { disturbers, ms }: SlowMachines,
  o: { fleet: readonly Machine[]; clock: VirtualClock; random: Random; ended: () => boolean },
): void {
  for (let d = 0; d < disturbers; d++) {
    const own = o.random.stream('disturber', d)
    const next = () => {
      if (o.ended()) return
      const pair = Array.from(own.sample(o.fleet.length, Math.min(2, o.fleet.length)), (i) => o.fleet[i] as Machine)
      for (const machine of pair) machine.slowedBy++
      o.clock.schedule(own.uniform(...ms), () => {
        for (const machine of pair) machine.slowedBy--
        next()
      })
    }
    next()
  }
}

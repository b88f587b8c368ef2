// Which redundancy a service should use, by simulating all of them on what its own trace says of it.
import { FtError, assertInteger, assertNumber } from '@ft/core'
import { quantiles } from '@ft/core/statistics'
import type { Code } from '../codes/code.ts'
import { replication } from '../codes/replication.ts'
import { sum } from '../codes/weighted.ts'
import { firstWins, hedge, hold, type Policy } from '../serving/policy.ts'
import { simulate } from './simulate.ts'

export interface Trace {
  /** Milliseconds from some moment, in any order. */
  readonly arrivalsMs: ArrayLike<number>
  /** Milliseconds each request took at its instance, queueing there included. */
  readonly latenciesMs: ArrayLike<number>
  /** Which instance answered. Default: unknown. */
  readonly instances?: ArrayLike<string>
}

export interface AdviseOptions {
  readonly seed: number
  /** Instances that served the trace. */
  readonly instances: number
  /** The p99.9 in milliseconds that would do. Default: the best that any choice reaches, and 10 % more. */
  readonly targetMs?: number
  /** Simulated queries a choice. Default 30,000. */
  readonly queries?: number
}

export interface Choice {
  readonly name: string
  readonly extraInstances: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  /** Share of answers that are reconstructions: approximate. */
  readonly reconstructed: number
  /** Units besides the queries, as a share of them. */
  readonly extraUnits: number
}

export interface Advice {
  readonly cause: 'none' | 'chance' | 'capacity' | 'instance'
  readonly recommended: string
  readonly why: string
  readonly choices: readonly Choice[]
  /** What was read off the trace. */
  readonly found: {
    readonly ratePerSecond: number
    readonly medianMs: number
    /** Share of requests later than twice the median. */
    readonly lateShare: number
    readonly utilisation: number
    readonly slowInstances: readonly string[]
  }
}

/** A request later than so many medians is late. */
const LATE_FACTOR = 2
/** Utilisation above which waiting, not chance, makes the tail. */
const BUSY = 0.85

/**
 * Reads a trace, simulates no redundancy, more instances, replication, hedging and coding with k = 2 and 4, and recommends
 * the one with the fewest extra instances that reaches the target; exact answers before approximate ones at equal cost.
 *
 * The trace's latencies up to twice their median are taken as service times, what is above as lateness that does not
 * keep the instance busy. Cost: a few seconds.
 *
 * @throws FtError `INVALID_ARGUMENT` for a trace of fewer than 100 requests or with anything but finite times
 */
export async function advise(trace: Trace, options: AdviseOptions): Promise<Advice> {
  const { seed, instances, queries = 30_000 } = options
  assertInteger(instances, { where: 'advise', argument: 'instances', min: 1 })
  if (options.targetMs !== undefined) assertNumber(options.targetMs, { where: 'advise', argument: 'targetMs', min: 0 })
  const { arrivals, latencies } = checkTrace(trace)
  const median = quantiles(latencies, [0.5])[0] as number
  const usual = latencies.filter((ms) => ms <= LATE_FACTOR * median)
  const late = latencies.filter((ms) => ms > LATE_FACTOR * median).map((ms) => ms - median)
  const spanMs = (arrivals.at(-1) as number) - (arrivals[0] as number)
  const ratePerSecond = (1000 * (arrivals.length - 1)) / Math.max(spanMs, 1e-3)
  const meanUsual = usual.reduce((total, ms) => total + ms, 0) / usual.length
  const utilisation = (ratePerSecond * meanUsual) / 1000 / instances
  const slowInstances = findSlow(trace)
  const lateShare = late.length / latencies.length
  const found = { ratePerSecond, medianMs: median, lateShare, utilisation, slowInstances }

  const afterMs = LATE_FACTOR * median
  const run = async (name: string, o: { extra: number; parity?: number; code?: Code; policy: Policy }) => {
    const {
      latencies: simulated,
      counts,
      extraUnits,
    } = await simulate({
      seed,
      queries,
      ratePerSecond,
      instances: instances + (o.parity === undefined ? o.extra : 0),
      ...(o.parity === undefined ? {} : { parityInstances: o.parity }),
      ...(o.code ? { code: o.code } : {}),
      policy: o.policy,
      serviceMs: (random) => usual[random.integer(0, usual.length - 1)] as number,
      lateMs: (random) => (random.bernoulli(lateShare) ? (late[random.integer(0, late.length - 1)] as number) : 0),
      guardLimit: 0.95,
    })
    const [p50 = 0, p99 = 0, p999 = 0] = quantiles(simulated, [0.5, 0.99, 0.999])
    return {
      name,
      extraInstances: o.extra,
      p50,
      p99,
      p999,
      reconstructed: (counts.reconstructed ?? 0) / queries,
      extraUnits,
    }
  }
  const parities = (k: number) => Math.max(1, Math.ceil(instances / k))
  const coded = (k: number) =>
    run(`coding, k = ${k}`, { extra: parities(k), parity: parities(k), code: sum({ k }), policy: hold({ afterMs }) })
  const choices = [
    await run('none', { extra: 0, policy: firstWins() }),
    await run('hedging', { extra: 0, policy: hedge({ afterMs }) }),
    await run('more instances', { extra: parities(4), policy: firstWins() }),
    await run('hedging, more instances', { extra: parities(4), policy: hedge({ afterMs }) }),
    await coded(4),
    await coded(2),
    await run('replication', { extra: instances, code: replication(), policy: firstWins() }),
  ]
  return { ...decide({ choices, found, targetMs: options.targetMs }), choices, found }
}

function decide(o: {
  choices: readonly Choice[]
  found: Advice['found']
  targetMs: number | undefined
}): Pick<Advice, 'cause' | 'recommended' | 'why'> {
  const { found, choices } = o
  const ms = (value: number) => `${value.toFixed(1)} ms`
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`
  if (found.slowInstances.length > 0)
    return {
      cause: 'instance',
      recommended: 'none',
      why: `${found.slowInstances.join(', ')} answer(s) more than three times as slowly as the others: mend or eject what is slow before anything is made redundant`,
    }
  if (found.utilisation > BUSY)
    return {
      cause: 'capacity',
      recommended: 'more instances',
      why: `the instances are busy ${percent(found.utilisation)} of the time: queries wait for capacity, and every redundant unit would make them wait longer`,
    }
  const best = Math.min(...choices.map(({ p999 }) => p999))
  const target = o.targetMs ?? 1.1 * best
  const reach = choices.filter(({ p999 }) => p999 <= target)
  const byCost = (a: Choice, b: Choice) => a.extraInstances - b.extraInstances || a.reconstructed - b.reconstructed
  const chosen = [...(reach.length > 0 ? reach : choices)].sort(
    reach.length > 0 ? byCost : (a, b) => a.p999 - b.p999,
  )[0] as Choice
  const none = choices[0] as Choice
  const price = `${chosen.extraInstances} extra instance(s), ${percent(chosen.reconstructed)} of answers approximate`
  return {
    cause: chosen === none ? 'none' : 'chance',
    recommended: chosen.name,
    why:
      chosen === none
        ? `p99.9 is ${ms(none.p999)} without redundancy, within the target of ${ms(target)}`
        : `${percent(found.lateShare)} of responses are late by chance at ${percent(found.utilisation)} utilisation; p99.9 falls from ${ms(none.p999)} to ${ms(chosen.p999)} for ${price}${reach.length > 0 ? '' : `; no choice reaches ${ms(target)}`}`,
  }
}

/** Instances whose median is more than three times that of the other instances' requests. */
function findSlow({ latenciesMs, instances }: Trace): string[] {
  if (!instances) return []
  const by = new Map<string, number[]>()
  Array.from(instances).forEach((name, i) => {
    const own = by.get(name) ?? []
    own.push(latenciesMs[i] as number)
    by.set(name, own)
  })
  if (by.size < 2) return []
  const middle = (values: readonly number[]) => quantiles(values, [0.5])[0] as number
  const names = [...by.keys()]
  return names.filter((name) => {
    const others = names.filter((other) => other !== name).flatMap((other) => by.get(other) ?? [])
    return middle(by.get(name) ?? []) > 3 * middle(others)
  })
}

function checkTrace({ arrivalsMs, latenciesMs, instances }: Trace): { arrivals: number[]; latencies: number[] } {
  const n = arrivalsMs.length
  if (n < 100 || latenciesMs.length !== n || (instances && instances.length !== n))
    throw new FtError(
      'INVALID_ARGUMENT',
      `advise: \`trace\` must have at least 100 requests with an arrival and a latency each, got ${n} and ${latenciesMs.length}`,
      { arrivals: n, latencies: latenciesMs.length },
    )
  const check = (values: ArrayLike<number>, name: string) =>
    Array.from(values, (value, i) => {
      if (Number.isFinite(value) && value >= 0) return value
      throw new FtError('INVALID_ARGUMENT', `advise: \`trace.${name}\`[${i}] must be finite and not negative`, { i })
    })
  const arrivals = check(arrivalsMs, 'arrivalsMs').sort((a, b) => a - b)
  return { arrivals, latencies: check(latenciesMs, 'latenciesMs') }
}

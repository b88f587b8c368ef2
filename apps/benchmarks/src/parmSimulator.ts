// Part of bench "parm-tail": the simulator beside another one's figures, ten seeds: late responses, and machines that other
// work slows down. And what it foretells of the real run.
import { mean, quantiles } from '@ft/core/statistics'
import { firstWins, hedge, hold, replication, simulate, sum, type SimulateOptions, type Simulated } from '@ft/parm'
import type { BenchContext } from './bench.ts'

type Setting = Pick<SimulateOptions, 'instances' | 'policy'> & Partial<SimulateOptions>
type Share = 'p50' | 'p99' | 'p99.9' | 'reconstructed or hedged'
interface Row {
  readonly name: string
  readonly setting: () => Setting
  /** As published with the scenario: milliseconds, and the share of reconstructions or of extra units. */
  readonly expected: Readonly<Partial<Record<Share, number>>>
}
interface Scenario {
  readonly name: string
  readonly scenario: Partial<SimulateOptions>
  readonly rows: readonly Row[]
  /** Absent: only who is better than whom is known to carry over. */
  readonly target?: string
}

const k2 = { instances: 12, parityInstances: 6, code: sum({ k: 2 }) }
const none = () => ({ instances: 12, policy: firstWins() })
const equal = () => ({ instances: 18, policy: firstWins() })
const hedge40 = () => ({ instances: 18, policy: hedge({ afterMs: 40 }) })
const held = (afterMs: number) => () => ({ ...k2, policy: hold({ afterMs }) })
const race = () => ({ ...k2, policy: firstWins() })

/** 12 instances of 25 ms +- 5 %, 210 queries/s, 1 % of responses late by 50-150 ms, 60,000 queries. */
const scenario = {
  queries: 60_000,
  ratePerSecond: 210,
  serviceMs: (random) => random.uniform(23.75, 26.25),
  lateMs: (random) => (random.bernoulli(0.01) ? random.uniform(50, 150) : 0),
} satisfies Partial<SimulateOptions>
const slowed = (disturbers: number, factor: number): Partial<SimulateOptions> => ({
  ...scenario,
  lateMs: () => 0,
  slow: { disturbers, factor, ms: [1500, 4000] },
})

const scenarios: readonly Scenario[] = [
  {
    name: '',
    scenario,
    target: 'ratio 0.9 .. 1.1',
    rows: [
      { name: 'none', setting: none, expected: { p50: 25, 'p99.9': 163.4 } },
      { name: 'equal', setting: equal, expected: { p50: 25, 'p99.9': 162 } },
      {
        name: 'first wins',
        setting: race,
        expected: { p50: 24.7, 'p99.9': 34.9, 'reconstructed or hedged': 0.261 },
      },
      { name: 'hold 30 ms', setting: held(30), expected: { p50: 25, 'p99.9': 34.9, 'reconstructed or hedged': 0.01 } },
      { name: 'hold 40 ms', setting: held(40), expected: { p50: 25, 'p99.9': 40, 'reconstructed or hedged': 0.0095 } },
      { name: 'hedge 40 ms', setting: hedge40, expected: { p50: 25, 'p99.9': 66, 'reconstructed or hedged': 0.0095 } },
    ],
  },
  {
    name: '4 shufflers, 3 x slower, ',
    scenario: slowed(4, 3),
    rows: [
      { name: 'none', setting: none, expected: { 'p99.9': 97.6 } },
      { name: 'equal', setting: equal, expected: { 'p99.9': 78.7 } },
      { name: 'first wins', setting: race, expected: { 'p99.9': 80.7 } },
      { name: 'hedge 40 ms', setting: hedge40, expected: { 'p99.9': 78.6 } },
    ],
  },
  {
    name: '4 shufflers, 3 x slower, 270/s, ',
    scenario: { ...slowed(4, 3), ratePerSecond: 270 },
    rows: [
      { name: 'none', setting: none, expected: { 'p99.9': 209 } },
      { name: 'equal', setting: equal, expected: { 'p99.9': 78.7 } },
      { name: 'first wins', setting: race, expected: { 'p99.9': 95.9 } },
    ],
  },
  {
    name: '1 shuffler, 6 x slower, ',
    scenario: slowed(1, 6),
    rows: [
      { name: 'equal', setting: equal, expected: { p99: 154, 'p99.9': 157 } },
      { name: 'hedge 40 ms', setting: hedge40, expected: { p99: 66, 'p99.9': 146 } },
      { name: 'hold 40 ms', setting: held(40), expected: { p99: 40, 'p99.9': 146 } },
    ],
  },
]

export async function measureSimulator(context: BenchContext): Promise<void> {
  const seeds = Array.from({ length: context.quick ? 2 : 10 }, (_, i) => context.seed + i)
  for (const one of scenarios) await measureScenario(context, { ...one, seeds })
}

async function measureScenario(
  context: BenchContext,
  { name: prefix, scenario: common, rows, target, seeds }: Scenario & { seeds: readonly number[] },
): Promise<void> {
  const found = new Map<Share, { published: number; value: number }[]>()
  for (const { name, setting, expected } of rows) {
    const all: Simulated[] = []
    for (const seed of seeds) all.push(await simulate({ ...scenario, ...common, ...setting(), seed }))
    const at = (p: number) => mean(all.map(({ latencies }) => quantiles(latencies, [p])[0] as number))
    const share = () =>
      mean(all.map(({ counts, extraUnits }) => (counts.reconstructed ? counts.reconstructed / 60_000 : extraUnits)))
    const measures = {
      p50: () => at(0.5),
      p99: () => at(0.99),
      'p99.9': () => at(0.999),
      'reconstructed or hedged': share,
    }
    for (const metric of Object.keys(expected) as Share[]) {
      const [published, value] = [expected[metric] as number, measures[metric]()]
      found.set(metric, [...(found.get(metric) ?? []), { published, value }])
      context.emit({
        case: `simulator, ${prefix}${name}`,
        metric,
        value,
        unit: metric.startsWith('p') ? 'ms' : 'of queries',
        baseline: { case: 'published', value: published },
        ratio: value / published,
        n: all.length,
        ...(target === undefined ? {} : { target }),
      })
    }
  }
  for (const [metric, values] of found)
    if (metric === 'p99' || metric === 'p99.9') {
      const { differ, pairs } = orderings(values.map(({ published, value }) => [published, value]))
      const line = {
        case: `simulator, ${prefix || 'late responses, '}orderings`,
        metric: `${metric}, unlike published`,
      }
      context.emit({ ...line, value: differ, unit: `of ${pairs} pairs`, target: '= 0' })
    }
}

/** Of the pairs whose first figures differ by more than 10 %, those that the second figures order the other way round. */
function orderings(values: readonly (readonly [number, number])[]): { differ: number; pairs: number } {
  let [differ, pairs] = [0, 0]
  values.forEach(([a, first], i) => {
    for (const [b, second] of values.slice(i + 1)) {
      if (Math.max(a, b) <= 1.1 * Math.min(a, b)) continue
      pairs++
      if (a < b !== first < second) differ++
    }
  })
  return { differ, pairs }
}

/** p99.9 that the simulator foretells for the arms of the real run. */
export async function foretell(
  context: BenchContext,
  o: { instances: number; serviceMs: number; ratePerSecond: number; afterMs: number },
): Promise<Map<string, number>> {
  const foretold = new Map<string, number>()
  const m = o.instances
  const late = hold({ afterMs: o.afterMs })
  const arms: Record<string, Setting> = {
    none: { instances: m, policy: firstWins() },
    'equal resources k=2': { instances: m + m / 2, policy: firstWins() },
    'equal resources k=4': { instances: m + m / 4, policy: firstWins() },
    replication: { instances: 2 * m, code: replication(), policy: firstWins() },
    hedging: { instances: m + m / 2, policy: hedge({ afterMs: o.afterMs }) },
    'coded k=2': { instances: m, parityInstances: m / 2, code: sum({ k: 2 }), policy: late },
    'coded k=4': { instances: m, parityInstances: m / 4, code: sum({ k: 4 }), policy: late },
  }
  for (const [name, setting] of Object.entries(arms)) {
    const { latencies } = await simulate({
      ...scenario,
      ratePerSecond: o.ratePerSecond,
      serviceMs: () => o.serviceMs,
      ...setting,
      seed: context.seed,
    })
    const value = quantiles(latencies, [0.999])[0] as number
    foretold.set(name, value)
    context.emit({ case: `simulated: ${name}`, metric: 'p99.9', value, unit: 'ms' })
  }
  return foretold
}

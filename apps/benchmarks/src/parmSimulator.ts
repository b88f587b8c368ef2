// Part of bench "parm-tail": the simulator beside another one's figures for late responses, ten seeds, and what it foretells
// of the real run.
import { mean, quantiles } from '@ft/core/statistics'
import { firstWins, hedge, hold, replication, simulate, sum, type SimulateOptions, type Simulated } from '@ft/parm'
import type { BenchContext } from './bench.ts'

type Setting = Pick<SimulateOptions, 'instances' | 'policy'> & Partial<SimulateOptions>
interface Row {
  readonly name: string
  readonly setting: () => Setting
  /** p50, p99.9, and the share of reconstructions or of extra units, as published with the scenario. */
  readonly expected: readonly [number, number, number]
}

const k2 = { instances: 12, parityInstances: 6, code: sum({ k: 2 }) }
const rows: readonly Row[] = [
  { name: 'none', setting: () => ({ instances: 12, policy: firstWins() }), expected: [25, 163.4, 0] },
  { name: 'equal', setting: () => ({ instances: 18, policy: firstWins() }), expected: [25, 162, 0] },
  { name: 'first wins', setting: () => ({ ...k2, policy: firstWins() }), expected: [24.7, 34.9, 0.261] },
  { name: 'hold 30 ms', setting: () => ({ ...k2, policy: hold({ afterMs: 30 }) }), expected: [25, 34.9, 0.01] },
  { name: 'hold 40 ms', setting: () => ({ ...k2, policy: hold({ afterMs: 40 }) }), expected: [25, 40, 0.0095] },
  {
    name: 'hedge 40 ms',
    setting: () => ({ instances: 18, policy: hedge({ afterMs: 40 }) }),
    expected: [25, 66, 0.0095],
  },
]

/** 12 instances of 25 ms +- 5 %, 210 queries/s, 1 % of responses late by 50-150 ms, 60,000 queries. */
const scenario = {
  queries: 60_000,
  ratePerSecond: 210,
  serviceMs: (random) => random.uniform(23.75, 26.25),
  lateMs: (random) => (random.bernoulli(0.01) ? random.uniform(50, 150) : 0),
} satisfies Partial<SimulateOptions>

export async function measureSimulator(context: BenchContext): Promise<void> {
  const seeds = Array.from({ length: context.quick ? 2 : 10 }, (_, i) => context.seed + i)
  for (const { name, setting, expected } of rows) {
    const all: Simulated[] = []
    for (const seed of seeds) all.push(await simulate({ ...scenario, ...setting(), seed }))
    const at = (p: number) => mean(all.map(({ latencies }) => quantiles(latencies, [p])[0] as number))
    const share = mean(
      all.map(({ counts, extraUnits }) => (counts.reconstructed ? counts.reconstructed / 60_000 : extraUnits)),
    )
    const values = [
      ['p50', at(0.5), 'ms'],
      ['p99.9', at(0.999), 'ms'],
      ['reconstructed or hedged', share, 'of queries'],
    ] as const
    values.forEach(([metric, value, unit], i) => {
      const published = expected[i] as number
      if (published === 0) return
      context.emit({
        case: `simulator, ${name}`,
        metric,
        value,
        unit,
        baseline: { case: 'published', value: published },
        ratio: value / published,
        n: all.length,
        target: 'ratio 0.9 .. 1.1',
      })
    })
  }
}

/** p99.9 that the simulator foretells for the arms of the real run. */
export async function foretell(
  context: BenchContext,
  o: { instances: number; serviceMs: number; ratePerSecond: number; afterMs: number },
): Promise<void> {
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
    context.emit({ case: `simulated: ${name}`, metric: 'p99.9', value, unit: 'ms' })
  }
}

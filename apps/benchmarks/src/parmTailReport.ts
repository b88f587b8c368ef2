// What bench "parm-tail" says of its arms: quantiles of each, and arms beside each other.
import { bootstrap, quantiles } from '@ft/core/statistics'
import type { BenchContext } from './bench.ts'

/** One arm's turn. Times in milliseconds. */
export interface Block {
  readonly latencies: readonly number[]
  readonly lags: readonly number[]
  readonly unanswered: number
}

/** An arm's turns, and what was counted over them. */
export interface ArmResult {
  readonly blocks: Block[]
  readonly sums: Record<string, number>
}

export const P999 = 0.999
export const pooled = (blocks: readonly Block[], p: number) =>
  quantiles(
    blocks.flatMap(({ latencies }) => latencies),
    [p],
  )[0] as number

export function report(context: BenchContext, o: { name: string; extra: number; result: ArmResult }): void {
  const { name, result } = o
  const { blocks } = result
  context.emit({ case: name, metric: 'extra instances', value: o.extra, unit: '' })
  for (const [metric, p] of [
    ['p50', 0.5],
    ['p99', 0.99],
    ['p99.9', P999],
  ] as const) {
    // Blocks are drawn, not queries: neighbours share what the machine did
    const { value, low, high } = bootstrap(blocks, {
      statistic: (drawn) => pooled(drawn, p),
      seed: context.seed,
      resamples: 500,
    })
    const n = blocks.reduce((sum, { latencies }) => sum + latencies.length, 0)
    context.emit({ case: name, metric, value, unit: 'ms', low, high, n })
  }
  const [lag = 0] = quantiles(
    blocks.flatMap(({ lags }) => lags),
    [P999],
  )
  context.emit({ case: name, metric: "machine's delay p99.9", value: lag, unit: 'ms' })
  const unanswered = blocks.reduce((sum, one) => sum + one.unanswered, 0)
  context.emit({ case: name, metric: 'unanswered', value: unanswered, unit: 'queries', target: '= 0' })
}

export function compareArms(
  context: BenchContext,
  o: { results: ReadonlyMap<string, ArmResult>; prefix: string; targets: boolean },
): void {
  const gap = (blocks: readonly Block[]) => {
    const [middle = NaN, high = NaN] = quantiles(
      blocks.flatMap(({ latencies }) => latencies),
      [0.5, P999],
    )
    return high - middle
  }
  const compare = (
    [own, baseline]: readonly [string, string],
    metric: string,
    { of, target }: { of: (blocks: readonly Block[]) => number; target: string },
  ) => {
    const [a, b] = [o.results.get(own)?.blocks, o.results.get(baseline)?.blocks]
    if (!a || !b) return
    const pairs = a.map((block, i) => [block, b[i] as Block] as const)
    const ratio = (drawn: readonly (readonly [Block, Block])[]) =>
      of(drawn.map(([one]) => one)) / of(drawn.map(([, one]) => one))
    const { value, low, high, n } = bootstrap(pairs, { statistic: ratio, seed: context.seed, resamples: 500 })
    context.emit({
      case: o.prefix + own,
      metric,
      value: of(a),
      unit: 'ms',
      baseline: { case: baseline, value: of(b) },
      ratio: value,
      low,
      high,
      n,
      ...(o.targets ? { target } : {}),
    })
  }
  for (const k of [2, 4]) {
    const [own, equal] = [`coded k=${k}`, `equal resources k=${k}`]
    compare([own, equal], 'p99.9 - p50', { of: gap, target: 'ratio <= 1/6' })
    compare([own, equal], 'p50', { of: (blocks) => pooled(blocks, 0.5), target: 'ratio 0.95 .. 1.05' })
    compare([own, 'replication'], 'p99.9', { of: (blocks) => pooled(blocks, P999), target: 'ratio <= 1.15' })
    compare([own, 'hedging'], 'p99.9', { of: (blocks) => pooled(blocks, P999), target: 'reported' })
  }
}

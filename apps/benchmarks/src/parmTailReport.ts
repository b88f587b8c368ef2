// What bench "parm-tail" says of its arms: quantiles of each, and arms beside each other.
import type { Interval } from '@ft/core'
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

/** A statistic of one arm over that of another; their turns are drawn in pairs, which share what the machine did. */
function ratioOf(
  [a, b]: readonly [readonly Block[], readonly Block[]],
  { of, seed }: { of: (blocks: readonly Block[]) => number; seed: number },
): Interval {
  const pairs = a.map((block, i) => [block, b[i] as Block] as const)
  const statistic = (drawn: readonly (readonly [Block, Block])[]) =>
    of(drawn.map(([one]) => one)) / of(drawn.map(([, one]) => one))
  return bootstrap(pairs, { statistic, seed, resamples: 500 })
}

/**
 * Of the pairs of arms whose foretold p99.9 differ by more than 10 %: those that the run shows to be the other way round, and
 * those of which it does not show which is the lower one.
 */
export function besideForetold(
  foretold: ReadonlyMap<string, number>,
  { results, seed }: { results: ReadonlyMap<string, ArmResult>; seed: number },
): { readonly unlike: number; readonly undecided: number; readonly pairs: number } {
  let [unlike, undecided, pairs] = [0, 0, 0]
  const arms = [...foretold]
  arms.forEach(([name, a], i) => {
    for (const [other, b] of arms.slice(i + 1)) {
      const [one, two] = [results.get(name)?.blocks, results.get(other)?.blocks]
      if (!one || !two || Math.max(a, b) <= 1.1 * Math.min(a, b)) continue
      pairs++
      const { low, high } = ratioOf([one, two], { of: (blocks) => pooled(blocks, P999), seed })
      if (low <= 1 && high >= 1) undecided++
      else if (a < b !== high < 1) unlike++
    }
  })
  return { unlike, undecided, pairs }
}

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
    const { value, low, high, n } = ratioOf([a, b], { of, seed: context.seed })
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

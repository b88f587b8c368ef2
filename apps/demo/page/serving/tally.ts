// What clients of a cluster got: latencies, and answers that were rebuilt, missing or wrong.
import { quantiles } from '@ft/core/statistics'
import { binEdges, type Tail } from './messages.ts'

export interface Tally {
  latencies: number[]
  reconstructed: number
  unanswered: number
  wrong: number
}
export const blank = (): Tally => ({ latencies: [], reconstructed: 0, unanswered: 0, wrong: 0 })

export interface Got {
  readonly latencyMs: number
  readonly quality: string
  /** Absent: no answer came. */
  readonly value: number | undefined
  readonly wanted: number
}

export function count(tally: Tally, { latencyMs, quality, value, wanted }: Got): void {
  tally.latencies.push(latencyMs)
  if (quality === 'reconstructed') tally.reconstructed++
  if (value === undefined) tally.unanswered++
  // Values are below 2; a reconstruction adds a few float32 roundings
  else if (!(Math.abs(value - wanted) <= 1e-5)) tally.wrong++
}

export function tailOf({ latencies, reconstructed, unanswered, wrong }: Tally): Tail {
  const [p50 = NaN, p99 = NaN, p999 = NaN] = latencies.length > 0 ? quantiles(latencies, [0.5, 0.99, 0.999]) : []
  return { answered: latencies.length, reconstructed, unanswered, wrong, p50, p99, p999 }
}

/** Share of answers in each bin of `binEdges`. */
export function histogramOf(latencies: readonly number[]): number[] {
  const counts = new Array<number>(binEdges.length - 1).fill(0)
  const [first = 1, second = 2] = binEdges
  const ratio = Math.log(second / first)
  for (const latency of latencies) {
    const bin = Math.min(counts.length - 1, Math.max(0, Math.floor(Math.log(latency / first) / ratio)))
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return counts.map((value) => value / Math.max(1, latencies.length))
}

// Bins of histograms: common round edges for all series, in equal ratios on a log axis.
import type { PreparedChart } from './data.ts'

export interface Bin {
  readonly low: number
  readonly high: number
  readonly count: number
}

/** Counts of each series in common bins; none when there is no value. */
export function histogramBins(chart: PreparedChart, options: { bins?: number }): { index: number; bins: Bin[] }[] {
  const edges = commonEdges(chart, options.bins)
  return chart.series.map(({ values, index }) => {
    const counts = new Float64Array(Math.max(0, edges.length - 1))
    for (const value of values) {
      const bin = binOf(edges, value)
      counts[bin] = (counts[bin] ?? 0) + 1
    }
    const bins = Array.from(counts, (count, i) => ({ low: edges[i] as number, high: edges[i + 1] as number, count }))
    return { index, bins }
  })
}

function commonEdges({ series, x }: PreparedChart, wanted: number | undefined): number[] {
  let low = Infinity
  let high = -Infinity
  for (const { values } of series) {
    for (const value of values) {
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
  }
  if (low > high) return []
  if (x === 'log') {
    if (low === high) [low, high] = [low / 2, high * 2]
    const bins = wanted ?? 30
    return Array.from({ length: bins + 1 }, (_, i) => (i === bins ? high : low * (high / low) ** (i / bins)))
  }
  if (low === high) [low, high] = [low - 0.5, high + 0.5]
  if (wanted !== undefined) return Array.from({ length: wanted + 1 }, (_, i) => low + ((high - low) * i) / wanted)
  const power = 10 ** Math.floor(Math.log10((high - low) / 30))
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => (high - low) / size <= 40) ?? 10 * power
  const first = Math.floor(low / step)
  const count = Math.floor(high / step) - first + 1
  return Array.from({ length: count + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

/** The bin that holds a value: [edge, next edge), the last one closed. */
function binOf(edges: readonly number[], value: number): number {
  let low = 0
  let high = edges.length - 1
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if ((edges[middle] as number) <= value) low = middle
    else high = middle
  }
  return low
}

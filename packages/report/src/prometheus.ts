// Prometheus text from a plain snapshot of metrics, through prom-client's writer: nothing global is registered.
import { FtError } from '@ft/core'
import { Registry, type Metric } from 'prom-client'

/** A line of the text, in the form that prom-client's writer reads. */
interface Line {
  readonly metricName?: string
  readonly labels: Labels
  readonly value: number
}

export type Labels = Readonly<Record<string, string | number>>

export interface MetricSeries {
  readonly name: string
  readonly help: string
  readonly values: readonly { readonly labels?: Labels; readonly value: number }[]
}

export interface HistogramSeries {
  readonly name: string
  readonly help: string
  readonly values: readonly {
    readonly labels?: Labels
    /** Cumulative: observations of at most `le`, ascending. The bucket of all (`+Inf`) is `count`. */
    readonly buckets: readonly { readonly le: number; readonly count: number }[]
    readonly sum: number
    readonly count: number
  }[]
}

/** Metrics as plain data: what servers of these packages return from `snapshot()`. */
export interface MetricsSnapshot {
  readonly counters?: readonly MetricSeries[]
  readonly gauges?: readonly MetricSeries[]
  readonly histograms?: readonly HistogramSeries[]
}

/** The content type to serve the text with. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/**
 * Writes a snapshot in Prometheus' text format, version 0.0.4.
 *
 * @throws FtError `INVALID_ARGUMENT` for a name that the format forbids, a name used twice, a negative counter, or
 * buckets that do not ascend
 * @example
 * ```ts
 * const text = await prometheusText({ counters: [{ name: 'ft_queries_total', help: 'Queries.', values: [{ value: 3 }] }] })
 * text.split('\n')[2] // => 'ft_queries_total 3'
 * ```
 */
export async function prometheusText(snapshot: MetricsSnapshot): Promise<string> {
  const { counters = [], gauges = [], histograms = [] } = snapshot
  const registry = new Registry()
  const taken = new Set<string>()
  const add = (series: { name: string; help: string }, type: string, values: Line[]) => {
    const { name, help } = series
    checkName(name, { pattern: /^[a-zA-Z_:][a-zA-Z0-9_:]*$/, what: 'metric name' })
    if (taken.has(name)) throw invalid(`metric name '${name}' is used twice`, { name })
    taken.add(name)
    for (const { labels } of values) {
      for (const label of Object.keys(labels)) checkName(label, { pattern: /^[a-zA-Z_][a-zA-Z0-9_]*$/, what: 'label' })
    }
    registry.registerMetric(recorded({ name, help, type, values }))
  }
  for (const series of counters) add(series, 'counter', series.values.map(counterValue(series.name)))
  for (const series of gauges) {
    add(
      series,
      'gauge',
      series.values.map(({ labels = {}, value }) => ({ labels: { ...labels }, value })),
    )
  }
  for (const series of histograms) add(series, 'histogram', series.values.flatMap(histogramValues(series.name)))
  return registry.metrics()
}

/** Metrics are registered by what the writer asks of them; prom-client's own classes count, ours are counted already. */
function recorded(metric: { name: string; help: string; type: string; values: Line[] }): Metric {
  const read = () => Promise.resolve(metric)
  return { name: metric.name, get: read } as unknown as Metric
}

function counterValue(name: string) {
  return ({ labels = {}, value }: { labels?: Labels; value: number }): Line => {
    if (!(value >= 0)) throw invalid(`counter '${name}' must be at least 0, got ${value}`, { name, value })
    return { labels: { ...labels }, value }
  }
}

function histogramValues(name: string) {
  return (entry: HistogramSeries['values'][number]): Line[] => {
    const { labels = {}, buckets, sum, count } = entry
    let below = { le: -Infinity, count: 0 }
    for (const bucket of buckets) {
      if (!(bucket.le > below.le && bucket.count >= below.count && bucket.count <= count)) {
        throw invalid(`buckets of '${name}' must ascend and hold at most the count ${count}`, { name, buckets })
      }
      below = bucket
    }
    const finite = buckets.filter(({ le }) => le < Infinity)
    const rows = [...finite.map(({ le, count: held }) => ({ le: String(le), held })), { le: '+Inf', held: count }]
    return [
      ...rows.map(({ le, held }) => ({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: held })),
      { metricName: `${name}_sum`, labels: { ...labels }, value: sum },
      { metricName: `${name}_count`, labels: { ...labels }, value: count },
    ]
  }
}

function checkName(name: string, { pattern, what }: { pattern: RegExp; what: string }): void {
  if (!pattern.test(name)) throw invalid(`${what} must match ${pattern.source}, got '${name}'`, { name })
}

function invalid(message: string, details: Record<string, unknown>): FtError {
  return new FtError('INVALID_ARGUMENT', `prometheusText: ${message}`, details)
}

// The gateway's counts as metrics, for Prometheus text and for whoever reads plain data.
import process from 'node:process'
import type { MetricsSnapshot } from '@ft/report/prometheus'
import type { GatewaySnapshot } from './gateway.ts'

/** Upper bounds of the latency histogram's buckets, in milliseconds, and of those of the rows of a request to an instance. */
export const BUCKETS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
export const BUCKETS_ROWS = [1, 2, 4, 8, 16, 32, 64, 128]

export interface Histogram {
  observe(value: number): void
  /** Cumulative counts by bucket, the sum, and how many. */
  counts(): { readonly buckets: readonly { readonly le: number; readonly count: number }[]; sum: number; count: number }
}

/** @param bounds - upper bounds of the buckets, ascending */
export function createHistogram(bounds: readonly number[]): Histogram {
  const own = new Array<number>(bounds.length).fill(0)
  let sum = 0
  let count = 0
  return {
    observe(value) {
      const at = bounds.findIndex((bound) => value <= bound)
      if (at >= 0) own[at] = (own[at] as number) + 1
      sum += value
      count++
    },
    counts() {
      let below = 0
      return { buckets: bounds.map((le, i) => ({ le, count: (below += own[i] as number) })), sum, count }
    },
  }
}

export function metricsOf(snapshot: GatewaySnapshot): MetricsSnapshot {
  const { counts, instances, shadow, residual } = snapshot
  const { user, system } = process.cpuUsage()
  const kinds = ['parity', 'replica', 'hedge'] as const
  const each = (of: (instance: GatewaySnapshot['instances'][number]) => number) =>
    instances.map((instance) => ({ labels: { instance: instance.name }, value: of(instance) }))
  const one = (value: number) => [{ value }]
  return {
    counters: [
      {
        name: 'ft_parm_queries_total',
        help: 'Answered queries, by how their answers came about.',
        values: (['exact', 'reconstructed', 'default'] as const).map((quality) => ({
          labels: { quality },
          value: counts[quality] ?? 0,
        })),
      },
      {
        name: 'ft_parm_refusals_total',
        help: 'Requests that failed or were refused, by the HTTP status that their clients got.',
        values: Object.entries(snapshot.refusals).map(([status, value]) => ({ labels: { status }, value })),
      },
      {
        name: 'ft_parm_extra_units_total',
        help: 'Units sent besides the queries themselves.',
        values: kinds.map((kind) => ({ labels: { kind }, value: counts[kind] ?? 0 })),
      },
      {
        name: 'ft_parm_unit_failures_total',
        help: 'Units that no instance answered.',
        values: one(counts['unit-failed'] ?? 0),
      },
      {
        name: 'ft_parm_decode_failures_total',
        help: 'Groups whose outputs did not fit together.',
        values: one(counts['decode-failed'] ?? 0),
      },
      {
        name: 'ft_parm_guarded_total',
        help: 'Groups and hedges that the utilisation guard refused.',
        values: one(counts.guarded ?? 0),
      },
      {
        name: 'ft_parm_shadow_compared_total',
        help: 'Reconstructions compared with the own output that came later.',
        values: one(shadow.compared),
      },
      {
        name: 'ft_parm_shadow_agreed_total',
        help: 'Of them, those that chose the same class.',
        values: one(shadow.agreed),
      },
      {
        name: 'ft_parm_residual_checked_total',
        help: 'Groups whose outputs were compared with their parities.',
        values: one(residual.checked),
      },
      {
        name: 'ft_parm_residual_alarms_total',
        help: 'Of them, those that did not fit together; about 1 % of honest ones.',
        values: one(residual.alarms),
      },
      {
        name: 'ft_parm_instance_answers_total',
        help: 'Units that an instance answered.',
        values: each(({ answered }) => answered),
      },
      {
        name: 'ft_parm_instance_failures_total',
        help: 'Units that an instance failed.',
        values: each(({ failed }) => failed),
      },
      {
        name: 'process_cpu_seconds_total',
        help: "The gateway's processor time, its workers not included.",
        values: one((user + system) / 1e6),
      },
    ],
    gauges: [
      { name: 'ft_parm_open_queries', help: 'Queries without an answer.', values: one(snapshot.openQueries) },
      { name: 'ft_parm_open_groups', help: 'Coding groups in memory.', values: one(snapshot.openGroups) },
      { name: 'ft_parm_queued', help: 'Units waiting for an instance.', values: one(snapshot.queued) },
      {
        name: 'ft_parm_utilisation',
        help: "Share of the base instances' places in use, averaged; above 1 when units wait.",
        values: one(snapshot.utilisation),
      },
      {
        name: 'ft_parm_instance_out',
        help: '1 while an instance is out of use.',
        values: each(({ out }) => Number(out)),
      },
      {
        name: 'ft_parm_instance_wrong',
        help: "1 while an instance's answers do not fit those of its groups.",
        values: each(({ name }) => Number(residual.flagged.includes(name))),
      },
      {
        name: 'ft_parm_instance_latency_seconds',
        help: "Average of an instance's last latencies.",
        values: each(({ latencyMs }) => latencyMs / 1000),
      },
      {
        name: 'process_resident_memory_bytes',
        help: "The gateway's memory.",
        values: one(process.memoryUsage.rss()),
      },
      { name: 'nodejs_heap_size_used_bytes', help: "The gateway's heap.", values: one(process.memoryUsage().heapUsed) },
    ],
    histograms: [
      {
        name: 'ft_parm_latency_seconds',
        help: 'Time from a query to its answer.',
        values: [
          {
            buckets: snapshot.latency.buckets.map(({ le, count }) => ({ le: le / 1000, count })),
            sum: snapshot.latency.sum / 1000,
            count: snapshot.latency.count,
          },
        ],
      },
      {
        name: 'ft_parm_batch_rows',
        help: 'Rows of the requests that instances of a model were sent.',
        values: Object.entries(snapshot.batches).map(([name, rows]) => ({ labels: { model: name }, ...rows })),
      },
    ],
  }
}

// What the shards are doing, as metrics: for Prometheus text (`prometheusText` of @ft/report) and whoever reads plain data.
import type { MetricsSnapshot } from '@ft/report/prometheus'
import type { ServerReport, ShardStore } from './store.ts'

/**
 * Asks every server and returns its counts as metrics, labelled by shard.
 *
 * The decode rate is `rate(ft_ecrm_recovered_rows_total[1m])`; a server that was replaced counts from 0 again, as Prometheus
 * expects of counters. Cost: one small message to each server and back.
 *
 * @throws FtError `UNRECOVERABLE`, `ABORTED` when the store cannot answer any more
 * @example
 * ```ts no-run
 * import { prometheusText } from '@ft/report/prometheus'
 * response.end(await prometheusText(await storeMetrics(store)))
 * ```
 */
export async function storeMetrics(store: ShardStore): Promise<MetricsSnapshot> {
  const reports = await store.report()
  const { dataRows, parityRows, stripes } = store.layout
  const each = (of: (report: ServerReport) => number) =>
    reports.map((report, shard) => ({ labels: { shard }, value: of(report) }))
  const missing = reports.reduce((sum, { missingRows }) => sum + missingRows, 0)
  const series = (name: string, help: string, of: (report: ServerReport) => number) => ({
    name: `ft_ecrm_${name}`,
    help,
    values: each(of),
  })
  return {
    counters: [
      series('pulled_rows_total', 'Rows read.', (one) => one.pulledRows),
      series('pushed_rows_total', 'Rows updated.', (one) => one.pushedRows),
      series('delta_rows_total', 'Differences sent to parity.', (one) => one.deltaRows),
      series('delta_bytes_total', 'Their bytes with heads.', (one) => one.deltaBytes),
      series('recovered_rows_total', 'Rows decoded or encoded anew.', (one) => one.recoveredRows),
      series('cpu_seconds_total', 'Of the process, user and system.', (one) => one.cpuSeconds),
      { name: 'ft_ecrm_replacements_total', help: 'Servers replaced.', values: [{ value: store.replacements }] },
    ],
    gauges: [
      {
        name: 'ft_ecrm_degraded_stripes',
        help: 'Stripes that lack a row; exact while one server recovers, else at most so many.',
        values: [{ value: Math.min(missing, stripes) }],
      },
      series('missing_rows', 'Data and parity rows still to be recovered.', (one) => one.missingRows),
      series(
        'recovery_progress_ratio',
        'Rows that are whole, of all rows of the shard.',
        (one) => 1 - one.missingRows / (dataRows + parityRows),
      ),
      series('unacknowledged_bytes', 'Differences that parity has not answered.', (one) => one.unacknowledgedBytes),
      series(
        'delta_lag_updates',
        'Updates applied here whose differences are not yet at every parity.',
        (one) => one.unacknowledgedBatches,
      ),
      series('data_bytes', 'Rows, optimizer state and versions.', (one) => one.dataBytes),
      series('parity_bytes', 'Parity rows and the versions they contain.', (one) => one.parityBytes),
    ],
  }
}

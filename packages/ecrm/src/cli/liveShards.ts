// What every shard holds, lacks and does at the moment, for the lines that a training prints.
import type { Column } from '@ft/report'
import type { Layout } from '../layout.ts'
import type { ServerReport } from '../store.ts'

export interface LiveShard {
  readonly shard: number
  readonly rows: number
  readonly parityRows: number
  /** Stripes of which it still lacks its row. */
  readonly degraded: number
  /** Rows read and updated a second, and recovered, since the line before. */
  readonly rate: number
  readonly recoveredRate: number
}

export const liveColumns: readonly Column<LiveShard>[] = [
  { header: 'shard', value: ({ shard }) => shard, format: 'plain' },
  { header: 'rows', value: ({ rows }) => rows, format: 'count' },
  { header: 'parity rows', value: ({ parityRows }) => parityRows, format: 'count' },
  { header: 'degraded stripes', value: ({ degraded }) => degraded, format: 'count' },
  { header: 'rows/s', value: ({ rate }) => Math.round(rate), format: 'count' },
  { header: 'recovered/s', value: ({ recoveredRate }) => Math.round(recoveredRate), format: 'count' },
]

/** @param start - in ms, when counting begins; returns what has changed whenever it is called */
export function createLiveShards(
  start: number,
): (reports: readonly ServerReport[], now: number, layout: Layout) => LiveShard[] {
  let at = start
  let before: readonly ServerReport[] = []
  return (reports, now, { dataRows, parityRows }) => {
    const seconds = Math.max(1e-3, (now - at) / 1000)
    const live = reports.map((report, shard): LiveShard => {
      const since = (of: (one: ServerReport) => number): number => {
        const [last, count] = [before[shard] === undefined ? 0 : of(before[shard]), of(report)]
        // One that was replaced counts from 0 again.
        return (count < last ? count : count - last) / seconds
      }
      return {
        shard,
        rows: dataRows,
        parityRows,
        degraded: report.missingRows,
        rate: since(({ pulledRows, pushedRows }) => pulledRows + pushedRows),
        recoveredRate: since(({ recoveredRows }) => recoveredRows),
      }
    })
    before = reports
    at = now
    return live
  }
}

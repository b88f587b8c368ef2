// Traces as CSV: columns arrival_ms, latency_ms and, where known, instance.
import { parse } from 'csv-parse/sync'
import { FtError } from '@ft/core'
import type { Trace } from './advise.ts'

/** @throws FtError `CORRUPT_DATA` with the line that cannot be read */
export function parseTrace(text: string): Trace {
  let rows: Record<string, string>[]
  try {
    rows = parse(text, { columns: true, skip_empty_lines: true, trim: true, bom: true })
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', `trace: ${cause instanceof Error ? cause.message : String(cause)}`, {}, { cause })
  }
  for (const column of ['arrival_ms', 'latency_ms'])
    if (rows.length > 0 && rows[0]?.[column] === undefined)
      throw new FtError(
        'CORRUPT_DATA',
        `trace: must have the column ${column}, got ${Object.keys(rows[0] ?? {}).join(', ')}`,
        {
          column,
        },
      )
  const number = (row: Record<string, string>, column: string, i: number) => {
    const value = row[column] === '' ? NaN : Number(row[column])
    if (!Number.isFinite(value) || value < 0)
      throw new FtError(
        'CORRUPT_DATA',
        `trace: line ${i + 2}, ${column} must be a number of at least 0, got '${row[column]}'`,
        {
          line: i + 2,
        },
      )
    return value
  }
  const named = rows.length > 0 && rows[0]?.['instance'] !== undefined
  return {
    arrivalsMs: rows.map((row, i) => number(row, 'arrival_ms', i)),
    latenciesMs: rows.map((row, i) => number(row, 'latency_ms', i)),
    ...(named ? { instances: rows.map((row) => row['instance'] as string) } : {}),
  }
}

// Small flights files, written by hyparquet-writer.
import { parquetWriteBuffer } from 'hyparquet-writer'

export interface FileRow {
  /** Minutes since 2001-01-01 00:00. */
  readonly minute: number
  readonly delay: number | null
  readonly distance: number
  readonly origin: string
  readonly destination: string
}

const EPOCH_MICROS = BigInt(Date.UTC(2001, 0, 1)) * 1000n
const int64 = (name: string) => ({ name, type: 'INT64', repetition_type: 'OPTIONAL' }) as const
const text = (name: string) =>
  ({ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' }) as const

/** A file with the columns and types of flights-3m.parquet, in row groups of `rowGroupSize`. */
export function flightsFile(rows: readonly FileRow[], rowGroupSize = 1000): Uint8Array {
  const buffer = parquetWriteBuffer({
    columnData: [
      { name: 'date', data: rows.map((row) => EPOCH_MICROS + BigInt(row.minute) * 60_000_000n) },
      { name: 'delay', data: rows.map((row) => (row.delay === null ? null : BigInt(row.delay))) },
      { name: 'distance', data: rows.map((row) => BigInt(row.distance)) },
      { name: 'origin', data: rows.map((row) => row.origin) },
      { name: 'destination', data: rows.map((row) => row.destination) },
    ],
    schema: [
      { name: 'root', num_children: 5 },
      { ...int64('date'), logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: false, unit: 'MICROS' } },
      int64('delay'),
      int64('distance'),
      text('origin'),
      text('destination'),
    ],
    rowGroupSize,
  })
  return new Uint8Array(buffer)
}

export const fileRow = (minute: number, other: Partial<FileRow> = {}): FileRow => ({
  minute,
  delay: minute % 50,
  distance: 500,
  origin: 'BOS',
  destination: 'DEN',
  ...other,
})

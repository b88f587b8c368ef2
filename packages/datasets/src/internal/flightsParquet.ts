// Decodes the parquet file of flights into typed arrays, one row group at a time.
import { FtError, throwIfAborted, type LongRunning } from '@ft/core'
import { parquetMetadata, parquetRead, type DecodedArray, type FileMetaData } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { readAirports, type Airport } from '../airports.ts'
import type { Flights } from '../flightColumns.ts'
import type { Source } from './source.ts'

export interface FlightsFile extends LongRunning {
  readonly bytes: Uint8Array
  /** How errors name the file. */
  readonly name: string
  /** CSV with columns iata, latitude and longitude. */
  readonly airportPositions: Source
}

const COLUMNS = {
  date: 'INT64',
  delay: 'INT64',
  distance: 'INT64',
  origin: 'BYTE_ARRAY',
  destination: 'BYTE_ARRAY',
} as const
type ColumnName = keyof typeof COLUMNS
const COLUMN_NAMES = Object.keys(COLUMNS) as ColumnName[]
const EPOCH_MINUTES = Date.UTC(2001, 0, 1) / 60_000
/** Far above any file of this kind; keeps a damaged row count from asking for all memory. */
const MOST_ROWS = 1 << 25

/**
 * Decodes and checks all rows: every cell there once and in range, rows in the order of time.
 *
 * @throws FtError `CORRUPT_DATA`, `ABORTED`
 */
export async function decodeFlights(o: FlightsFile): Promise<Flights> {
  const file = o.bytes.slice().buffer
  const metadata = readMetadata(file, o.name)
  const rows = Number(metadata.num_rows)
  const columns = {
    date: new Int32Array(rows),
    delay: new Int16Array(rows),
    distance: new Uint16Array(rows),
    origin: new Uint16Array(rows),
    destination: new Uint16Array(rows),
  }
  // Airports get numbers in the order met; they are put in the order of their codes at the end.
  const met = new Map<string, number>()
  let first = 0
  for (const group of metadata.row_groups) {
    throwIfAborted(o.signal, 'readFlights')
    const end = first + Number(group.num_rows)
    for (const chunk of await decodeRowGroup({ file, metadata, name: o.name, first, end })) {
      const toNumber =
        chunk.column === 'origin' || chunk.column === 'destination' ? (cell: unknown) => airportOf(cell, met) : Number
      store(chunk, columns[chunk.column], { toNumber, name: o.name })
    }
    first = end
    o.onProgress?.({ phase: 'read flights', done: first, total: rows })
  }
  const airports = await readAirports(o.airportPositions, [...met.keys()].sort())
  renumber(met, airports, [columns.origin, columns.destination])
  const { date: time, ...others } = columns
  checkOrder(time, o.name)
  return { rows, time, ...others, airports }
}

/** Footer, schema and row counts, checked before anything is allocated by them. */
function readMetadata(file: ArrayBuffer, name: string): FileMetaData {
  let metadata: FileMetaData
  try {
    metadata = parquetMetadata(file)
  } catch (cause) {
    throw undecodable(name, 'its footer', cause)
  }
  const rows = Number(metadata.num_rows)
  if (!(rows >= 0 && rows <= MOST_ROWS)) throw damaged(name, `0..${MOST_ROWS} rows`, `${rows}`)
  const grouped = metadata.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0)
  if (grouped !== rows || metadata.row_groups.some((group) => Number(group.num_rows) < 0)) {
    throw damaged(name, `row groups that add up to ${rows} rows`, `${grouped}`)
  }
  for (const column of COLUMN_NAMES) {
    const found = metadata.schema.find((element) => element.name === column)?.type
    if (found !== COLUMNS[column])
      throw damaged(name, `a column \`${column}\` of type ${COLUMNS[column]}`, found ?? 'none')
  }
  return metadata
}

interface RowGroup {
  readonly file: ArrayBuffer
  readonly metadata: FileMetaData
  readonly name: string
  readonly first: number
  readonly end: number
}

interface Chunk {
  readonly column: ColumnName
  readonly cells: DecodedArray
  readonly rowStart: number
}

/** Decodes rows first..end of all columns; each column has exactly those rows. */
async function decodeRowGroup({ file, metadata, name, first, end }: RowGroup): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  try {
    await parquetRead({
      file: { byteLength: file.byteLength, slice: (from, to) => file.slice(from, to) },
      metadata,
      compressors,
      columns: COLUMN_NAMES,
      rowStart: first,
      rowEnd: end,
      // Decoded once per dictionary entry, not once per row.
      parsers: { timestampFromMicroseconds: (micros: bigint) => Number(micros / 60_000_000n) - EPOCH_MINUTES },
      // Nothing may throw here: hyparquet would not see it.
      onChunk: ({ columnName, columnData, rowStart }) =>
        chunks.push({ column: columnName as ColumnName, cells: columnData, rowStart }),
    })
  } catch (cause) {
    throw undecodable(name, `rows ${first}..${end}`, cause)
  }
  for (const column of COLUMN_NAMES) {
    let next = first
    for (const chunk of chunks) {
      if (chunk.column !== column) continue
      if (chunk.rowStart !== next) throw damaged(name, `\`${column}\` to go on at row ${next}`, `row ${chunk.rowStart}`)
      next += chunk.cells.length
    }
    if (next !== end)
      throw damaged(name, `${end - first} cells of \`${column}\` in rows ${first}..${end}`, `${next - first}`)
  }
  return chunks
}

function store(
  { column, cells, rowStart }: Chunk,
  values: Int32Array | Int16Array | Uint16Array,
  { toNumber, name }: { readonly toNumber: (cell: unknown) => number; readonly name: string },
): void {
  for (let i = 0; i < cells.length; i++) {
    const cell: unknown = cells[i]
    const value = cell == null ? NaN : toNumber(cell)
    values[rowStart + i] = value
    // A value that does not fit would be stored as another one.
    if (values[rowStart + i] !== value)
      throw damaged(name, `\`${column}\` of row ${rowStart + i} in range`, String(cell))
  }
}

function airportOf(cell: unknown, met: Map<string, number>): number {
  const known = met.get(cell as string)
  if (known !== undefined) return known
  if (typeof cell !== 'string' || !/^[A-Z0-9]{3}$/.test(cell)) return NaN
  met.set(cell, met.size)
  return met.size - 1
}

/** From the order in which codes were met to their order in `airports`. */
function renumber(met: Map<string, number>, airports: readonly Airport[], columns: readonly Uint16Array[]): void {
  const target = new Uint16Array(met.size)
  for (const [index, { code }] of airports.entries()) target[met.get(code)!] = index
  for (const column of columns) for (let i = 0; i < column.length; i++) column[i] = target[column[i]!]!
}

function checkOrder(time: Int32Array, name: string): void {
  for (let i = 1; i < time.length; i++) {
    if (time[i]! < time[i - 1]!) throw damaged(name, 'rows in the order of `date`', `row ${i} before row ${i - 1}`)
  }
}

function undecodable(name: string, part: string, cause: unknown): FtError {
  return damaged(name, `parquet that decodes in ${part}`, cause instanceof Error ? cause.message : String(cause), cause)
}

function damaged(name: string, expected: string, got: string, cause?: unknown): FtError {
  return new FtError(
    'CORRUPT_DATA',
    `readFlights: ${name} is not a whole flights file: expected ${expected}, got ${got}`,
    { source: name, expected, got },
    { cause },
  )
}

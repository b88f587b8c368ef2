// Tables of numeric and categorical columns from CSV files.
import { corrupt } from './internal/corrupt.ts'
import { csvRecords, type CsvForm } from './internal/csv.ts'
import type { Source } from './internal/source.ts'

/** Features row-major; categorical ones hold codes into their levels. */
export interface Table {
  readonly rows: number
  readonly names: readonly string[]
  /** float64 `[rows, names.length]`; NaN where the file has none. */
  readonly features: Float64Array
  readonly shape: readonly [number, number]
  /** For each feature the names of its codes, or undefined when it is numeric. */
  readonly levels: readonly (readonly string[] | undefined)[]
  /** `[rows]`. */
  readonly target: Float64Array
}

export type ColumnSchema =
  /** A feature that is a number. */
  | { readonly name: string; readonly kind: 'numeric' }
  /** A feature with levels: given in the order of their codes, or those found, sorted. */
  | { readonly name: string; readonly kind: 'categorical'; readonly levels?: readonly string[] }
  /** A feature that the file already holds as codes 0 .. levels.length - 1. */
  | { readonly name: string; readonly kind: 'coded'; readonly levels: readonly string[] }
  /** What is to be predicted; `toNumber` gives NaN for a cell that cannot be. */
  | { readonly name: string; readonly kind: 'target'; toNumber(cell: string): number }

export interface TableSchema extends CsvForm {
  /** In the file's order. */
  readonly columns: readonly ColumnSchema[]
  /** Whether the first line names the columns. */
  readonly header: boolean
  /** What stands for "not known"; in a categorical column without given levels it is no level. */
  readonly missing: string
}

const MOST_ROWS = 1 << 24

/**
 * Reads files of one schema, streaming, with one coding of levels for all of them.
 *
 * @returns a table a source, in their order
 * @throws FtError `IO`, or `CORRUPT_DATA` naming file, line and column
 */
export async function readTables(sources: readonly Source[], schema: TableSchema): Promise<Table[]> {
  const found = schema.columns.map(() => new Set<string>())
  const raw: RawTable[] = []
  for (const source of sources) raw.push(await readRaw(source, schema, found))

  const features = schema.columns.map((column, c) => ({ column, c })).filter(({ column }) => column.kind !== 'target')
  const levels = features.map(({ column, c }) => levelsOf(column, found[c]!))
  const targetColumn = schema.columns.findIndex((column) => column.kind === 'target')
  return raw.map(({ rows, columns }) => {
    const data = new Float64Array(rows * features.length)
    for (const [f, { column, c }] of features.entries()) {
      // Cells of a categorical column were numbered in the order met; here they get the number of their level.
      const met = column.kind === 'categorical' ? [...found[c]!].map((level) => levels[f]!.indexOf(level)) : undefined
      for (let r = 0; r < rows; r++) {
        const value = columns[c]![r]!
        data[r * features.length + f] = met === undefined || Number.isNaN(value) ? value : met[value]!
      }
    }
    return {
      rows,
      names: features.map(({ column }) => column.name),
      features: data,
      shape: [rows, features.length],
      levels,
      target: Float64Array.from(columns[targetColumn] ?? []),
    }
  })
}

interface RawTable {
  readonly rows: number
  /** Values of each column of the file. */
  readonly columns: readonly number[][]
}

async function readRaw(source: Source, schema: TableSchema, found: readonly Set<string>[]): Promise<RawTable> {
  const { columns, missing } = schema
  const wrong = (where: string, expected: string, got: string) =>
    corrupt({ reader: 'readTables', source, where, expected, got })
  const values: number[][] = columns.map(() => [])
  const numbers = found.map((levels) => new Map([...levels].map((level, i) => [level, i])))
  let rows = 0
  let header = schema.header
  for await (const { cells, line } of csvRecords(source, 'readTables', schema)) {
    const names = columns.map((column) => column.name)
    if (header) {
      header = false
      if (cells.join() === names.join()) continue
      throw wrong('header', names.join(), cells.join())
    }
    if (cells.length !== columns.length) throw wrong(`line ${line}`, `${columns.length} cells`, `${cells.length}`)
    if (rows === MOST_ROWS) throw wrong(`line ${line}`, `at most ${MOST_ROWS} rows`, 'more')
    for (const [c, column] of columns.entries()) {
      const cell = cells[c]!
      const value = cell === missing && column.kind !== 'target' ? NaN : valueOf(cell, column, found[c]!, numbers[c]!)
      if (value === undefined) throw wrong(`line ${line}, ${column.name}`, expectedOf(column), `'${cell}'`)
      values[c]!.push(value)
    }
    rows++
  }
  if (header || rows === 0) throw wrong('its end', 'at least one row', 'none')
  return { rows, columns: values }
}

/** The number that stands for a cell, undefined when there is none. */
function valueOf(
  cell: string,
  column: ColumnSchema,
  found: Set<string>,
  numbers: Map<string, number>,
): number | undefined {
  if (column.kind === 'numeric') return finite(cell)
  if (column.kind === 'target') {
    const value = column.toNumber(cell)
    return Number.isFinite(value) ? value : undefined
  }
  if (column.kind === 'coded') {
    const code = finite(cell)
    return code !== undefined && Number.isInteger(code) && code >= 0 && code < column.levels.length ? code : undefined
  }
  const known = numbers.get(cell)
  if (known !== undefined) return known
  if (cell === '' || column.levels?.includes(cell) === false) return undefined
  numbers.set(cell, found.size)
  found.add(cell)
  return found.size - 1
}

/** A decimal number as such files write it; `Number` alone would also take '', '0x10' and 'Infinity'. */
export function finite(cell: string): number | undefined {
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(cell) && Number.isFinite(Number(cell))
    ? Number(cell)
    : undefined
}

function levelsOf(column: ColumnSchema, found: Set<string>): readonly string[] | undefined {
  if (column.kind === 'coded') return column.levels
  return column.kind === 'categorical' ? (column.levels ?? [...found].sort()) : undefined
}

function expectedOf(column: ColumnSchema): string {
  if (column.kind === 'coded') return `a code from 0 to ${column.levels.length - 1}`
  if (column.kind === 'categorical')
    return column.levels === undefined ? 'a level' : `one of ${column.levels.join(', ')}`
  return column.kind === 'numeric' ? 'a number' : 'a target'
}

// Tables of columns with kinds, and arrays of plain objects read as such.
import { FtError } from '@ft/core'
import { MOST_LEVELS, UNSEEN, type FloatMatrix, type Schema } from './schema.ts'

/** A value of a record: text is a category, a boolean 0 or 1, null and undefined are missing. */
export type Cell = number | boolean | string | null | undefined

export type FeatureRecord = Readonly<Record<string, Cell>>

export interface Column {
  readonly name: string
  readonly kind: 'number' | 'category'
  readonly values: ArrayLike<Cell>
}

/** Columns of equal length. */
export interface ColumnTable {
  readonly rows: number
  readonly columns: readonly Column[]
}

/** Columns of records: their keys, in order of appearance, or the model's. A column with any text is categorical. */
export function tableOfRecords(
  records: readonly FeatureRecord[],
  { where, schema }: { where: string; schema?: Schema },
): ColumnTable {
  const none = records.findIndex((record) => typeof record !== 'object' || (record as unknown) === null)
  if (none >= 0) {
    throw new FtError('INVALID_ARGUMENT', `${where}: row ${none} is ${String(records[none])}, no record`, { row: none })
  }
  if (schema) checkKeys(records, schema, where)
  const names = schema?.names ?? [...new Set(records.flatMap((record) => Object.keys(record)))]
  const columns = names.map((name, column): Column => {
    const values = records.map((record) => record[name])
    const odd = values.findIndex((value) => !isCell(value))
    if (odd >= 0) {
      throw new FtError(
        'INVALID_ARGUMENT',
        `${where}: row ${odd}, column ${name}: expected a number, a boolean or text, got ${typeof values[odd]}`,
        { row: odd, column: name },
      )
    }
    const isText = schema ? schema.levels[column] !== undefined : values.some((value) => typeof value === 'string')
    return { name, kind: isText ? 'category' : 'number', values }
  })
  return { rows: records.length, columns }
}

/** A key that a record lacks is a missing value; but records with none of the columns are about something else, or arrays. */
function checkKeys(records: readonly FeatureRecord[], { names }: Schema, where: string): void {
  const keys = [...new Set(records.slice(0, FEW).flatMap((record) => Object.keys(record)))]
  if (keys.length === 0 || names.some((name) => records.some((record) => name in record))) return
  const got = keys.slice(0, 10).join(', ')
  throw new FtError(
    'SHAPE_MISMATCH',
    `${where}: records have ${got}, none of the columns ${names.slice(0, 10).join(', ')}`,
    {
      got: keys.slice(0, 10),
    },
  )
}

/** Records whose keys an error names. */
const FEW = 10

function isCell(value: unknown): value is Cell {
  return value === null || ['number', 'boolean', 'string', 'undefined'].includes(typeof value)
}

/** Whether a cell is missing: null, undefined, NaN, or no text. */
export function isMissing(value: Cell): boolean {
  return value === null || value === undefined || value === '' || value !== value
}

/**
 * Codes a table's categories and lays its columns out row-major.
 *
 * Levels are sorted as text, so that they do not depend on the order of rows. With a schema its columns are taken by name, and
 * a level that it does not know is a category never seen.
 */
export function encodeTable(table: ColumnTable, { where, schema }: { where: string; schema?: Schema }): FloatMatrix {
  const { rows } = table
  checkTable(table, where)
  const columns = schema ? schema.names.map((name) => namedColumn(table, name, where)) : table.columns
  const values = new Float32Array(rows * columns.length)
  const levels = columns.map((column, at) => {
    const known = schema ? schema.levels[at] : column.kind === 'category' ? levelsOf(column, rows, where) : undefined
    const codes = known && new Map(known.map((level, code) => [level, code]))
    for (let row = 0; row < rows; row++) {
      values[row * columns.length + at] = encodeCell(column, row, { codes, where })
    }
    return known
  })
  return { values, rows, columns: columns.length, names: columns.map(({ name }) => name), levels }
}

function checkTable({ rows, columns }: ColumnTable, where: string): void {
  const seen = new Set<string>()
  for (const { name, values } of columns) {
    if (values.length !== rows) {
      throw new FtError(
        'SHAPE_MISMATCH',
        `${where}: column ${name} has ${values.length} values, the table ${rows} rows`,
        {
          column: name,
        },
      )
    }
    if (seen.has(name))
      throw new FtError('INVALID_ARGUMENT', `${where}: two columns are called ${name}`, { column: name })
    seen.add(name)
  }
}

function namedColumn({ columns }: ColumnTable, name: string, where: string): Column {
  const found = columns.find((column) => column.name === name)
  if (found) return found
  throw new FtError(
    'SHAPE_MISMATCH',
    `${where}: no column ${name}; columns are ${columns
      .slice(0, 10)
      .map((column) => column.name)
      .join(', ')}`,
    { column: name },
  )
}

function levelsOf({ name, values }: Column, rows: number, where: string): string[] {
  const seen = new Set<string>()
  for (let row = 0; row < rows; row++) if (!isMissing(values[row])) seen.add(String(values[row]))
  if (seen.size > MOST_LEVELS) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: column ${name} has ${seen.size} categories, at most ${MOST_LEVELS} fit; merge rare ones or leave it out`,
      { column: name, categories: seen.size },
    )
  }
  return [...seen].sort()
}

function encodeCell(
  { name, values }: Column,
  row: number,
  { codes, where }: { codes: ReadonlyMap<string, number> | undefined; where: string },
): number {
  const value = values[row]
  if (isMissing(value)) return NaN
  if (codes) return codes.get(String(value)) ?? UNSEEN
  if (typeof value === 'string') {
    // Blanks are no number, though Number() makes 0 of them.
    const number = value.trim() === '' ? NaN : Number(value)
    if (number !== number && value.trim() !== '') {
      throw new FtError('INVALID_ARGUMENT', `${where}: row ${row}, column ${name}: expected a number, got '${value}'`, {
        row,
        column: name,
      })
    }
    return number
  }
  return Number(value)
}

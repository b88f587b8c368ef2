// Parts of tables: the label's column apart from the features, and some rows of any features.
import { FtError } from '@ft/core'
import { isMissing, type Column, type ColumnTable } from './table.ts'

export interface LabelColumn {
  /** The other columns. */
  readonly features: ColumnTable
  readonly label: Float64Array
  /** Sorted class names that `label` numbers from 0, for a column of text. */
  readonly classes?: readonly string[]
}

export interface TakeLabelOptions {
  /** Classes of the training set, for other sets: numbers depend on which names a table happens to have. */
  readonly classes?: readonly string[]
}

/**
 * Takes the label's column out of a table. Text becomes class numbers, in the order of the names sorted or of `classes`.
 *
 * @throws FtError `INVALID_ARGUMENT` when the column is not there, a row has no label, or one that `classes` lacks
 * @example
 * ```ts
 * import { readCsv } from '@ft/dart'
 * const table = readCsv('size,kind\n3,big\n1,small\n')
 * const { label, classes } = takeLabel(table, 'kind')
 * label[0] // => 0
 * classes // => ['big', 'small']
 * ```
 */
export function takeLabel(table: ColumnTable, name: string, options: TakeLabelOptions = {}): LabelColumn {
  const column = table.columns.find((each) => each.name === name)
  if (!column) {
    const known = table.columns.map((each) => each.name).slice(0, 20)
    throw new FtError('INVALID_ARGUMENT', `takeLabel: no column ${name}; columns are ${known.join(', ')}`, {
      column: name,
    })
  }
  const features = { rows: table.rows, columns: table.columns.filter((each) => each !== column) }
  const present = Array.from({ length: table.rows }, (_, row) => presentAt(column, row))
  if (column.kind === 'number' && !options.classes) return { features, label: Float64Array.from(present, Number) }
  const classes = options.classes ?? [...new Set(present)].sort()
  const codes = new Map(classes.map((level, code) => [level, code]))
  const label = Float64Array.from(present, (level, row) => {
    const code = codes.get(level)
    if (code !== undefined) return code
    const message = `takeLabel: row ${row}: ${name} is '${level}'; classes are ${classes.slice(0, 20).join(', ')}`
    throw new FtError('INVALID_ARGUMENT', message, { row, column: name, class: level })
  })
  return { features, label, classes }
}

function presentAt(column: Column, row: number): string {
  const value = column.values[row]
  if (isMissing(value))
    throw new FtError('INVALID_ARGUMENT', `takeLabel: row ${row} has no ${column.name}`, { row, column: column.name })
  return String(value)
}

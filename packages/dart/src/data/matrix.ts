// What people have: typed arrays in either order, tensors, arrays of objects, tables of columns. Inside, features are float32
// columns of one row-major matrix, as in XGBoost: a value is rounded to float32 once, here, in training and in prediction
// alike. Categories are codes in such a matrix.
import { FtError, type Tensor } from '@ft/core'
import { MOST_LEVELS, type FloatMatrix, type Levels, type Schema } from './schema.ts'
import { encodeTable, tableOfRecords, type ColumnTable, type FeatureRecord } from './table.ts'

/** A table of numbers. NaN is a missing value. */
export interface Matrix {
  readonly data: ArrayLike<number>
  readonly rows: number
  readonly columns: number
  /** Default 'row': all features of a row stand together. */
  readonly order?: 'row' | 'column'
  readonly names?: readonly string[]
  /** Columns of category codes 0 .. 253, by name or index; for training. */
  readonly categorical?: readonly (string | number)[]
}

/**
 * Records may be of an interface, which has no index signature, hence `object`: their cells (`Cell`) are checked when they are
 * read.
 */
export type Features = Matrix | Tensor | readonly FeatureRecord[] | readonly object[] | ColumnTable

/**
 * Brings features into one form.
 *
 * Cost: one pass; no copy when given row-major float32.
 *
 * @param options.schema - wanted columns in order, for records and tables, and their levels: a model's
 * @throws FtError `SHAPE_MISMATCH` when sizes disagree, `INVALID_ARGUMENT` for infinite values, values of other types and
 * columns of more than 254 categories
 */
export function toFloatMatrix(features: Features, options: { where: string; schema?: Schema }): FloatMatrix {
  const matrix = read(features, options)
  const { values, columns } = matrix
  for (let i = firstOdd(values); i < values.length; i++) {
    const value = values[i] as number
    if (Number.isFinite(value) || value !== value) continue
    const [row, column] = [Math.floor(i / columns), i % columns]
    throw new FtError(
      'INVALID_ARGUMENT',
      `${options.where}: row ${row}, column ${matrix.names[column] ?? column}: ${value} is not a number that float32 holds; ` +
        'use NaN for a missing value',
      { row, column },
    )
  }
  return matrix
}

/**
 * Start of the first 256 values among which one is not finite; the length when there is none. The difference of a value and
 * itself is 0, of an infinite value NaN as of NaN: sums tell. There are four, so that none waits for the addition before.
 */
function firstOdd(values: Float32Array): number {
  for (let start = 0; start < values.length; start += 256) {
    const end = Math.min(start + 256, values.length)
    let a = 0
    let b = 0
    let c = 0
    let d = 0
    let i = start
    for (; i + 4 <= end; i += 4) {
      a += (values[i] as number) - (values[i] as number)
      b += (values[i + 1] as number) - (values[i + 1] as number)
      c += (values[i + 2] as number) - (values[i + 2] as number)
      d += (values[i + 3] as number) - (values[i + 3] as number)
    }
    for (; i < end; i++) a += (values[i] as number) - (values[i] as number)
    if (a + b + c + d !== 0) return start
  }
  return values.length
}

function read(features: Features, options: { where: string; schema?: Schema }): FloatMatrix {
  checkForm(features, options.where)
  if (Array.isArray(features)) {
    return encodeTable(tableOfRecords(features as readonly FeatureRecord[], options), options)
  }
  return 'data' in features ? fromNumbers(features, options) : encodeTable(features as ColumnTable, options)
}

/** @throws FtError `INVALID_ARGUMENT` for what is neither numbers, records nor columns */
export function checkForm(features: unknown, where: string): void {
  const given = features as Partial<Record<'data' | 'columns', unknown>> | null | undefined
  const isTable =
    typeof given === 'object' && given !== null && (given.data !== undefined || Array.isArray(given.columns))
  if (Array.isArray(features) || isTable) return
  throw new FtError(
    'INVALID_ARGUMENT',
    `${where}: features must be { data, rows, columns }, an array of records or a table of columns, got ${String(features)}`,
  )
}

function fromNumbers(features: Matrix | Tensor, { where, schema }: { where: string; schema?: Schema }): FloatMatrix {
  const { data } = features
  const isTensor = 'shape' in features
  if (isTensor && features.shape.length !== 2) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: features must have shape [rows, columns], got [${features.shape.join(', ')}]`,
      { shape: features.shape },
    )
  }
  const [rows, columns] = isTensor
    ? [features.shape[0] ?? 0, features.shape[1] ?? 0]
    : [features.rows, features.columns]
  const isSize = (size: number) => Number.isSafeInteger(size) && size >= 0
  if (!isSize(rows) || !isSize(columns)) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: rows and columns must be whole numbers, got ${rows} and ${columns}`,
      {
        rows,
        columns,
      },
    )
  }
  if (data.length !== rows * columns) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: ${rows} rows of ${columns} features need ${rows * columns} values, got ${data.length}`,
      { rows, columns, got: data.length },
    )
  }
  const given = isTensor ? undefined : features.names
  if (given && given.length !== columns) {
    throw new FtError('SHAPE_MISMATCH', `${where}: ${columns} columns but ${given.length} names`, {
      columns,
      names: given.length,
    })
  }
  const names = given ?? schema?.names ?? Array.from({ length: columns }, (_, i) => `f${i}`)
  const values = isTensor || features.order !== 'column' ? asFloats(data) : transpose(data, rows, columns)
  const categorical = isTensor ? undefined : features.categorical
  const levels =
    schema?.levels ?? codeLevels({ values, rows, columns, names }, { where, categorical: categorical ?? [] })
  return { values, rows, columns, names, levels }
}

function asFloats(data: ArrayLike<number>): Float32Array {
  return data instanceof Float32Array ? data : Float32Array.from(data)
}

function transpose(data: ArrayLike<number>, rows: number, columns: number): Float32Array {
  const values = new Float32Array(rows * columns)
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) values[row * columns + column] = data[column * rows + row] as number
  }
  return values
}

/** Levels '0' .. 'k' of columns that hold codes. */
function codeLevels(
  { values, rows, columns, names }: Omit<FloatMatrix, 'levels'>,
  { where, categorical }: { where: string; categorical: readonly (string | number)[] },
): Levels {
  const levels = Array<readonly string[] | undefined>(columns).fill(undefined)
  for (const key of categorical) {
    const column = columnOf(key, names, `${where}: categorical`)
    let largest = -1
    for (let row = 0; row < rows; row++) {
      const code = values[row * columns + column] as number
      if (code !== code) continue
      if (!Number.isInteger(code) || code < 0 || code >= MOST_LEVELS) {
        throw new FtError(
          'INVALID_ARGUMENT',
          `${where}: row ${row}, column ${names[column] ?? column}: a category code must be 0 to ${MOST_LEVELS - 1}, got ${code}`,
          { row, column },
        )
      }
      largest = Math.max(largest, code)
    }
    levels[column] = Array.from({ length: largest + 1 }, (_, code) => String(code))
  }
  return levels
}

/**
 * Index of a column given by name or number.
 *
 * @throws FtError `INVALID_ARGUMENT` when there is none
 */
export function columnOf(key: string | number, names: readonly string[], where: string): number {
  const column = names.includes(String(key)) ? names.indexOf(String(key)) : Number(key)
  if (Number.isInteger(column) && column >= 0 && column < names.length) return column
  throw new FtError('INVALID_ARGUMENT', `${where}: no feature ${key}; features are ${names.slice(0, 10).join(', ')}`, {
    feature: key,
  })
}

/** Labels, weights or scores: finite float64, one a row. */
export function toColumn(values: ArrayLike<number>, { rows, where }: { rows: number; where: string }): Float64Array {
  if (typeof (values as ArrayLike<number> | undefined)?.length !== 'number') {
    throw new FtError('INVALID_ARGUMENT', `${where}: expected ${rows} numbers, one a row, got ${String(values)}`)
  }
  if (values.length !== rows) {
    throw new FtError('SHAPE_MISMATCH', `${where}: expected ${rows} values, one a row, got ${values.length}`, {
      rows,
      got: values.length,
    })
  }
  const column = Float64Array.from(values)
  const bad = column.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) {
    const given: unknown = values[bad]
    const got =
      typeof given === 'string'
        ? `${JSON.stringify(given)}; number classes from 0, as takeLabel does`
        : `${column[bad]}; it must be finite`
    throw new FtError('INVALID_ARGUMENT', `${where}: row ${bad} is ${got}`, { row: bad })
  }
  return column
}

// What people have: typed arrays in either order, tensors, arrays of objects. Inside, features are float32 columns of one
// row-major matrix, as in XGBoost: a value is rounded to float32 once, here, in training and in prediction alike.
import { FtError, type Tensor } from '@ft/core'

/** A table of numbers. NaN is a missing value. */
export interface Matrix {
  readonly data: ArrayLike<number>
  readonly rows: number
  readonly columns: number
  /** Default 'row': all features of a row stand together. */
  readonly order?: 'row' | 'column'
  readonly names?: readonly string[]
}

export type FeatureRecord = Readonly<Record<string, number | boolean | null | undefined>>

export type Features = Matrix | Tensor | readonly FeatureRecord[]

/** Features as the kernels take them: `[rows, columns]` float32, row-major. */
export interface FloatMatrix {
  readonly values: Float32Array
  readonly rows: number
  readonly columns: number
  readonly names: readonly string[]
}

/**
 * Brings features into one form.
 *
 * Cost: one pass; no copy when given row-major float32.
 *
 * @param options.names - wanted columns in order, for records: a model's feature names
 * @throws FtError `SHAPE_MISMATCH` when sizes disagree, `INVALID_ARGUMENT` for infinite values or values of other types
 */
export function toFloatMatrix(features: Features, options: { where: string; names?: readonly string[] }): FloatMatrix {
  const matrix = isRecords(features) ? fromRecords(features, options) : fromNumbers(features, options.where)
  const { values, columns } = matrix
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (value === Infinity || value === -Infinity) {
      const [row, column] = [Math.floor(i / columns), i % columns]
      throw new FtError(
        'INVALID_ARGUMENT',
        `${options.where}: row ${row}, column ${matrix.names[column] ?? column}: ${value} is not a number that float32 holds; ` +
          'use NaN for a missing value',
        { row, column },
      )
    }
  }
  return matrix
}

function isRecords(features: Features): features is readonly FeatureRecord[] {
  return Array.isArray(features)
}

function fromNumbers(features: Matrix | Tensor, where: string): FloatMatrix {
  const { data } = features
  const isTensor = 'shape' in features
  if (isTensor && features.shape.length !== 2) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: features must have shape [rows, columns], got [${features.shape.join(', ')}]`,
      {
        shape: features.shape,
      },
    )
  }
  const [rows, columns] = isTensor
    ? [features.shape[0] ?? 0, features.shape[1] ?? 0]
    : [features.rows, features.columns]
  if (data.length !== rows * columns) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: ${rows} rows of ${columns} features need ${rows * columns} values, got ${data.length}`,
      {
        rows,
        columns,
        got: data.length,
      },
    )
  }
  const given = isTensor ? undefined : features.names
  if (given && given.length !== columns) {
    throw new FtError('SHAPE_MISMATCH', `${where}: ${columns} columns but ${given.length} names`, {
      columns,
      names: given.length,
    })
  }
  const names = given ?? Array.from({ length: columns }, (_, i) => `f${i}`)
  if (isTensor || features.order !== 'column') {
    return { values: data instanceof Float32Array ? data : Float32Array.from(data), rows, columns, names }
  }
  const values = new Float32Array(rows * columns)
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) values[row * columns + column] = data[column * rows + row] as number
  }
  return { values, rows, columns, names }
}

function fromRecords(
  records: readonly FeatureRecord[],
  { where, names: wanted }: { where: string; names?: readonly string[] },
): FloatMatrix {
  const names = wanted ?? [...new Set(records.flatMap((record) => Object.keys(record)))]
  const values = new Float32Array(records.length * names.length)
  records.forEach((record, row) => {
    names.forEach((name, column) => {
      const value = record[name]
      if (value !== null && value !== undefined && typeof value !== 'number' && typeof value !== 'boolean') {
        throw new FtError(
          'INVALID_ARGUMENT',
          `${where}: row ${row}, column ${name}: expected a number, got ${typeof value}`,
          { row, column: name },
        )
      }
      values[row * names.length + column] = value === null || value === undefined ? NaN : Number(value)
    })
  })
  return { values, rows: records.length, columns: names.length, names }
}

/** Labels, weights or scores: finite float64, one a row. */
export function toColumn(values: ArrayLike<number>, { rows, where }: { rows: number; where: string }): Float64Array {
  if (values.length !== rows) {
    throw new FtError('SHAPE_MISMATCH', `${where}: expected ${rows} values, one a row, got ${values.length}`, {
      rows,
      got: values.length,
    })
  }
  const column = Float64Array.from(values)
  const bad = column.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0)
    throw new FtError('INVALID_ARGUMENT', `${where}: row ${bad} is ${column[bad]}; it must be finite`, { row: bad })
  return column
}

// Training data as they come, checked and in one form.
import { FtError } from '@ft/core'
import { toColumn, toFloatMatrix, type Features } from './data/matrix.ts'
import type { FloatMatrix, Schema } from './data/schema.ts'
import { toGroups } from './objectives/lambdarank.ts'

/** Rows with their labels. */
export interface LabelledData {
  readonly features: Features
  readonly label: ArrayLike<number>
  /** Rows of each query, for ranking; queries stand together. */
  readonly group?: ArrayLike<number>
  /** Default 1 a row. */
  readonly weight?: ArrayLike<number>
  /** Starting score of each row and output, row-major; default the base score. */
  readonly initialScore?: ArrayLike<number>
}

export interface ReadData {
  readonly matrix: FloatMatrix
  readonly label: Float64Array
  readonly weight: Float64Array | undefined
  readonly group: Int32Array | undefined
  readonly initialScore: ArrayLike<number> | undefined
}

/**
 * Reads and checks a set.
 *
 * @param given.schema - columns and levels of the training set, for others
 * @throws FtError `INVALID_ARGUMENT`, `SHAPE_MISMATCH`, `UNSUPPORTED`, naming row and column
 */
export function readData(data: LabelledData, given: { where: string; ranking: boolean; schema?: Schema }): ReadData {
  const { where, ranking, schema } = given
  const matrix = toFloatMatrix(data.features, { where: `${where}: features`, ...(schema ? { schema } : {}) })
  const { rows, columns } = matrix
  if (rows === 0 || columns === 0)
    throw new FtError('INVALID_ARGUMENT', `${where}: needs at least one row and one column, got ${rows} x ${columns}`)
  if (columns > 65_535)
    throw new FtError('UNSUPPORTED', `${where}: at most 65,535 columns, got ${columns}`, { columns })
  if (schema && schema.names.length !== columns) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: expected ${schema.names.length} columns as in training, got ${columns}`,
      { columns },
    )
  }
  const label = toColumn(data.label, { rows, where: `${where}: label` })
  const weight = data.weight && toColumn(data.weight, { rows, where: `${where}: weight` })
  const negative = weight?.findIndex((value) => value < 0) ?? -1
  if (negative >= 0)
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: weight of row ${negative} is ${weight?.[negative]}; weights must not be negative`,
    )
  const group = ranking || data.group ? toGroups(data.group, { rows, where }) : undefined
  return { matrix, label, weight, group, initialScore: data.initialScore }
}

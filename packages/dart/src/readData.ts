// Training data as they come, checked and in one form.
import { FtError } from '@ft/core'
import { toColumn, toFloatMatrix, type Features } from './data/matrix.ts'
import type { FloatMatrix, Schema } from './data/schema.ts'
import { toGroups } from './objectives/lambdarank.ts'
import type { TrainInput } from './train.ts'

/** Rows with their labels. */
export interface LabelledData {
  readonly features: Features
  readonly label: ArrayLike<number>
  /** Rows of each query, for ranking; queries stand together. */
  readonly group?: ArrayLike<number>
  /** Default 1 a row. */
  readonly weight?: ArrayLike<number>
  /**
   * Starting score of each row and output, row-major, in place of the base score: the trees learn what it leaves. The model's own base
   * score is then 0, and `predict` takes the starting scores of its rows.
   */
  readonly initialScore?: ArrayLike<number>
}

export interface ReadData {
  readonly matrix: FloatMatrix
  readonly label: Float64Array
  readonly weight: Float64Array | undefined
  readonly group: Int32Array | undefined
  readonly initialScore: ArrayLike<number> | undefined
}

/** Largest label, weight or starting score: squares of sums of their products must stay finite. */
const LARGEST = 1e70

/** @throws FtError `INVALID_ARGUMENT` naming the row of a value beyond 1e70 */
export function checkSize(values: Float64Array, where: string): Float64Array {
  const row = values.findIndex((value) => Math.abs(value) > LARGEST)
  if (row < 0) return values
  throw new FtError('INVALID_ARGUMENT', `${where}: row ${row} is ${values[row]}; at most ${LARGEST} fits: scale it`, {
    row,
  })
}

/** What other libraries and slips of the pen call a field: such weights would be no weights. Other fields may stand in a set. */
const meant: Readonly<Record<string, keyof TrainInput>> = {
  labels: 'label',
  weights: 'weight',
  sampleWeight: 'weight',
  sampleWeights: 'weight',
  groups: 'group',
  initialScores: 'initialScore',
  initScore: 'initialScore',
  valid: 'validation',
  validationData: 'validation',
  evalSet: 'validation',
}

function checkFields(data: LabelledData, where: string): void {
  const wrong = Object.keys(meant).find((name) => (data as unknown as Record<string, unknown>)[name] !== undefined)
  if (wrong === undefined) return
  throw new FtError('INVALID_ARGUMENT', `${where}: data have no field ${wrong}; it is called ${meant[wrong]}`, {
    field: wrong,
  })
}

/**
 * Reads and checks a set.
 *
 * @param given.schema - columns and levels of the training set, for others
 * @throws FtError `INVALID_ARGUMENT`, `SHAPE_MISMATCH`, `UNSUPPORTED`, naming row and column
 */
export function readData(data: LabelledData, given: { where: string; ranking: boolean; schema?: Schema }): ReadData {
  const { where, ranking, schema } = given
  const isGiven = typeof (data as unknown) === 'object' && (data as unknown) !== null
  if (!isGiven) throw new FtError('INVALID_ARGUMENT', `${where}: expected { features, label }, got ${String(data)}`)
  checkFields(data, where)
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
  const label = checkSize(toColumn(data.label, { rows, where: `${where}: label` }), `${where}: label`)
  const weight =
    data.weight && checkSize(toColumn(data.weight, { rows, where: `${where}: weight` }), `${where}: weight`)
  const negative = weight?.findIndex((value) => value < 0) ?? -1
  if (negative >= 0)
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: weight of row ${negative} is ${weight?.[negative]}; weights must not be negative`,
    )
  const group = ranking || data.group ? toGroups(data.group, { rows, where }) : undefined
  return { matrix, label, weight, group, initialScore: data.initialScore }
}

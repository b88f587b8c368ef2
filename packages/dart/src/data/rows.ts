// Some rows of a set.
import type { ReadData } from '../readData.ts'
import type { Column, ColumnTable } from './table.ts'
import type { LabelledData } from '../readData.ts'

/** Rows of a set that fit, with labels, weights and queries; a query's rows are all in or all out. */
export function takeRows(data: ReadData, fits: (row: number) => boolean, ranking: boolean): LabelledData {
  const { matrix, label, weight, group, initialScore } = data
  const kept: number[] = []
  for (let row = 0; row < matrix.rows; row++) if (fits(row)) kept.push(row)
  const pick = (values: Float64Array): Float64Array => Float64Array.from(kept, (row) => values[row] as number)
  const outputs = initialScore ? initialScore.length / matrix.rows : 0
  let start = 0
  const sizes = [...(group ?? [])].flatMap((size) => {
    const isIn = fits(start)
    start += size
    return isIn ? [size] : []
  })
  return {
    features: tableOf(data, kept),
    label: pick(label),
    ...(weight ? { weight: pick(weight) } : {}),
    ...(group && (ranking || sizes.reduce((sum, size) => sum + size, 0) === kept.length) ? { group: sizes } : {}),
    ...(initialScore
      ? {
          initialScore: kept.flatMap((row) =>
            Array.from({ length: outputs }, (_, o) => initialScore[row * outputs + o] as number),
          ),
        }
      : {}),
  }
}

/** The kept rows: numbers as a matrix; with categories as a table, so that levels keep their names. */
function tableOf({ matrix }: ReadData, kept: readonly number[]): LabelledData['features'] {
  const { values, columns, names, levels } = matrix
  if (levels.every((each) => each === undefined)) {
    const data = new Float32Array(kept.length * columns)
    kept.forEach((row, at) => data.set(values.subarray(row * columns, (row + 1) * columns), at * columns))
    return { data, rows: kept.length, columns, names }
  }
  const table: ColumnTable = {
    rows: kept.length,
    columns: names.map((name, column): Column => {
      const known = levels[column]
      const cells = kept.map((row) => values[row * columns + column] as number)
      if (!known) return { name, kind: 'number', values: cells }
      return { name, kind: 'category', values: cells.map((code) => (code === code ? known[code] : null)) }
    }),
  }
  return table
}

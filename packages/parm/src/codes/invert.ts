// The inverse of a small matrix: as many rows as a group has losses.
import { FtError } from '@ft/core'

/**
 * Gauss-Jordan elimination with partial pivoting.
 *
 * @throws FtError `INVALID_ARGUMENT` when the matrix is singular to working precision
 */
export function invert(matrix: readonly (readonly number[])[]): number[][] {
  const size = matrix.length
  const rows = matrix.map((row, i) => [...row, ...Array.from({ length: size }, (_, j) => (i === j ? 1 : 0))])
  const largest = Math.max(...matrix.flat().map(Math.abs))
  for (let column = 0; column < size; column++) {
    let pivot = column
    for (let i = column + 1; i < size; i++) if (magnitude(rows, i, column) > magnitude(rows, pivot, column)) pivot = i
    // A pivot this small is rounding of zero: elimination leaves errors of about size * 2^-53 of the largest entry
    if (!(magnitude(rows, pivot, column) > largest * size * 2 ** -50))
      throw new FtError('INVALID_ARGUMENT', 'invert: `matrix` must be regular, got a singular one', { matrix })
    ;[rows[column], rows[pivot]] = [rows[pivot] as number[], rows[column] as number[]]
    const top = rows[column] as number[]
    const scale = top[column] as number
    for (let j = 0; j < 2 * size; j++) top[j] = (top[j] as number) / scale
    rows.forEach((row, i) => {
      const factor = row[column] as number
      if (i === column || factor === 0) return
      for (let j = 0; j < 2 * size; j++) row[j] = (row[j] as number) - factor * (top[j] as number)
    })
  }
  return rows.map((row) => row.slice(size))
}

const magnitude = (rows: readonly (readonly number[])[], i: number, j: number) => Math.abs(rows[i]?.[j] as number)

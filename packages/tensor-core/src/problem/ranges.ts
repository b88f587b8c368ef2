// What sums are judged by themselves: ranges of columns, blocks of rows.
import { blockRows, stripColumns } from '../../assembly/fields.ts'

/**
 * Most columns of a range. A row sum's rounding noise grows with the square root of its columns, and the price of one more
 * range is a multiply-add for each element of A.
 */
const mostColumns = 512

export interface ColumnRanges {
  readonly ranges: number
  /** Columns of every range but the last, which may have fewer. */
  readonly rangeColumns: number
}

/**
 * How the engines `reference` and `wasm` split the columns of a float product: whole strips of the kernels, as few and as equal
 * ranges as can be. Sums of integers are exact and need no ranges.
 */
export function columnRanges(n: number, integer = false): ColumnRanges {
  if (integer || n <= mostColumns) return { ranges: 1, rangeColumns: n }
  const rangeColumns = Math.ceil(n / Math.ceil(n / mostColumns) / stripColumns) * stripColumns
  return { ranges: Math.ceil(n / rangeColumns), rangeColumns }
}

/**
 * How the wasm engine splits the rows of a product, and the rows of columns that are judged block by block: as equal as can be, whole
 * tiles, a number of blocks that many numbers of threads divide. The last block may have fewer rows.
 */
export function rowBlocks(m: number, tileRows: number): { readonly blocks: number; readonly rows: number } {
  let parts = 1
  while (m > parts * blockRows) parts *= 2
  const rows = Math.max(tileRows, Math.ceil(m / parts / tileRows) * tileRows)
  return { blocks: Math.ceil(m / rows), rows }
}

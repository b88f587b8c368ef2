// The sums that checksum schemes need, each in its own short function: the oracle for what the engines fuse.
// All work on one product: A as the product read it (`a`) and as it should be (`cleanA`), B alike, and C before bias
// and activation.
import type { Emit } from '@ft/core'
import type { ColumnRanges } from '../problem/ranges.ts'
import type { OperationCounts } from './counts.ts'

export interface ProductMatrices {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly a: Float64Array
  readonly cleanA: Float64Array
  readonly b: Float64Array
  readonly cleanB: Float64Array
  readonly c: Float64Array
}

export interface Pair {
  readonly actual: Float64Array
  readonly expected: Float64Array
}

/** `C e` beside `A (B e)`, e over one range of columns after the other: `[ranges, m]`. */
export function rowSums(p: ProductMatrices, ranges: ColumnRanges, counts: OperationCounts): Pair {
  const { m, n, k, cleanA, cleanB, c } = p
  const actual = new Float64Array(ranges.ranges * m)
  const expected = new Float64Array(ranges.ranges * m)
  for (let range = 0; range < ranges.ranges; range++) {
    const columns = [range * ranges.rangeColumns, Math.min(n, (range + 1) * ranges.rangeColumns)] as const
    const checksum = rowSumsWithin(cleanB, { rows: k, columns: n, within: columns })
    actual.set(rowSumsWithin(c, { rows: m, columns: n, within: columns }), range * m)
    for (let i = 0; i < m; i++)
      for (let s = 0; s < k; s++) {
        const term = (cleanA[i * k + s] as number) * (checksum[s] as number)
        expected[range * m + i] = (expected[range * m + i] as number) + term
        counts.multiplyAdds++
      }
  }
  counts.adds += m * n
  counts.bytes += 8 * ranges.ranges * (k + 2 * m)
  return { actual, expected }
}

/** `e^T C` beside `(e^T A) B`. B is read as the product read it: a fault in the packed copy is in both. */
export function columnSums(p: ProductMatrices, counts: OperationCounts): Pair {
  const { m, n, k, cleanA, b, c } = p
  const checksum = columnSumsOf(cleanA, m, k)
  const actual = columnSumsOf(c, m, n)
  const expected = new Float64Array(n)
  for (let s = 0; s < k; s++)
    for (let j = 0; j < n; j++) {
      expected[j] = (expected[j] as number) + (checksum[s] as number) * (b[s * n + j] as number)
      counts.multiplyAdds++
    }
  counts.adds += m * k + m * n
  // The checksum of A is complete only when the product is, so B is read once more.
  counts.bytes += 8 * (k + 2 * n) + 4 * k * n
  return { actual, expected }
}

export function total(p: ProductMatrices, counts: OperationCounts): number {
  counts.adds += p.c.length
  counts.bytes += 8
  return p.c.reduce((sum, value) => sum + value, 0)
}

export interface Tile {
  readonly rows: number
  readonly columns: number
}

/** Calls back for each tile of C, row-major over the grid. */
function forEachTile(p: ProductMatrices, tile: Tile, visit: (t: TileRange) => void): void {
  for (let i0 = 0; i0 < p.m; i0 += tile.rows)
    for (let j0 = 0; j0 < p.n; j0 += tile.columns)
      visit({ i0, i1: Math.min(p.m, i0 + tile.rows), j0, j1: Math.min(p.n, j0 + tile.columns) })
}

interface TileRange {
  readonly i0: number
  readonly i1: number
  readonly j0: number
  readonly j1: number
}

/**
 * Sum of each tile beside its product from folded operands (SC'21, section 4.2). One-sided: B is folded over the
 * tile's columns, and each row of A multiplies the fold. Two-sided: A is folded too. Folds of B are of clean weights
 * (made when they were packed), folds of A of what the tile read.
 */
export function tileSums(
  p: ProductMatrices,
  o: { tile: Tile; sides: NonNullable<Emit['tileSums']>; counts: OperationCounts },
): Pair {
  const { a, cleanB, n, k } = p
  const { counts } = o
  const expected: number[] = []
  forEachTile(p, o.tile, ({ i0, i1, j0, j1 }) => {
    let sum = 0
    for (let s = 0; s < k; s++) {
      let foldB = 0
      for (let j = j0; j < j1; j++) foldB += cleanB[s * n + j] as number
      counts.adds += j1 - j0 - 1
      if (o.sides === 'one-sided')
        for (let i = i0; i < i1; i++) {
          sum += (a[i * k + s] as number) * foldB
          counts.multiplyAdds++
        }
      else {
        let foldA = 0
        for (let i = i0; i < i1; i++) foldA += a[i * k + s] as number
        counts.adds += i1 - i0 - 1
        sum += foldA * foldB
        counts.multiplyAdds++
      }
    }
    expected.push(sum)
  })
  return withTileTotals(p, { tile: o.tile, expected, counts })
}

/** Sum of each tile beside the same products accumulated a second time, all into one accumulator. */
export function replica(p: ProductMatrices, o: { tile: Tile; counts: OperationCounts }): Pair {
  const { a, b, n, k } = p
  const expected: number[] = []
  forEachTile(p, o.tile, ({ i0, i1, j0, j1 }) => {
    let sum = 0
    for (let s = 0; s < k; s++)
      for (let i = i0; i < i1; i++)
        for (let j = j0; j < j1; j++) {
          sum += (a[i * k + s] as number) * (b[s * n + j] as number)
          o.counts.multiplyAdds++
        }
    expected.push(sum)
  })
  return withTileTotals(p, { tile: o.tile, expected, counts: o.counts })
}

function withTileTotals(p: ProductMatrices, o: { tile: Tile; expected: number[]; counts: OperationCounts }): Pair {
  const actual: number[] = []
  forEachTile(p, o.tile, ({ i0, i1, j0, j1 }) => {
    let sum = 0
    for (let i = i0; i < i1; i++) for (let j = j0; j < j1; j++) sum += p.c[i * p.n + j] as number
    actual.push(sum)
  })
  o.counts.adds += p.m * p.n
  o.counts.bytes += 16 * actual.length
  return { actual: Float64Array.from(actual), expected: Float64Array.from(o.expected) }
}

export interface Statistics {
  readonly sum: Float64Array
  readonly min: Float64Array
  readonly max: Float64Array
  readonly squares: Float64Array
}

export function rowStatistics({ m, k, cleanA }: ProductMatrices, counts: OperationCounts): Statistics {
  counts.multiplyAdds += m * k
  counts.adds += 3 * m * k
  counts.bytes += 32 * m
  return rowStatisticsOf(cleanA, m, k)
}

/** Sum, smallest and largest element and sum of squares of each row; NaN shows in the sum and is no extremum. */
export function rowStatisticsOf(matrix: Float64Array, rows: number, columns: number): Statistics {
  const sum = rowSumsOf(matrix, rows, columns)
  const min = new Float64Array(rows).fill(Infinity)
  const max = new Float64Array(rows).fill(-Infinity)
  const squares = new Float64Array(rows)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) {
      const value = matrix[i * columns + j] as number
      squares[i] = (squares[i] as number) + value * value
      if (value < (min[i] as number)) min[i] = value
      if (value > (max[i] as number)) max[i] = value
    }
  return { sum, min, max, squares }
}

export function rowSumsOf(matrix: Float64Array, rows: number, columns: number): Float64Array {
  return rowSumsWithin(matrix, { rows, columns, within: [0, columns] })
}

function rowSumsWithin(
  matrix: Float64Array,
  o: { rows: number; columns: number; within: readonly [first: number, last: number] },
): Float64Array {
  const { rows, columns, within } = o
  const sums = new Float64Array(rows)
  for (let i = 0; i < rows; i++)
    for (let j = within[0]; j < within[1]; j++) sums[i] = (sums[i] as number) + (matrix[i * columns + j] as number)
  return sums
}

export function columnSumsOf(matrix: Float64Array, rows: number, columns: number): Float64Array {
  const sums = new Float64Array(columns)
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) sums[j] = (sums[j] as number) + (matrix[i * columns + j] as number)
  return sums
}

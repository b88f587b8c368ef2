// Weights in wasm memory: packed panels for the product, row sums for row checks, folds for tile checks when asked for.
import { narrowColumns } from '../../assembly/fields.ts'
import { columnRanges, type ColumnRanges } from '../problem/ranges.ts'
import { panelsOf, stepsOf, forkRanges, type Arithmetic, type Kernels } from './kernels.ts'
import type { Staging } from './staging.ts'
import type { SumsLayout } from './sums.ts'

/** Where a matrix [k, n] lies: row-major, `stride` bytes from row to row. */
export interface RowMajor {
  readonly address: number
  readonly stride: number
}

/** `count` packed matrices of one size. */
export interface PackedWeights {
  readonly arithmetic: Arithmetic
  readonly count: number
  readonly k: number
  readonly n: number
  readonly panels: number
  readonly steps: number
  /** Packed panels, `itemBytes` from matrix to matrix. */
  readonly panelsAddress: number
  readonly itemBytes: number
  /** How columns are split for row sums. */
  readonly split: ColumnRanges
  /**
   * Row sums of each matrix, range by range, `checksumBytes` from one to the next; zeros fill the last eight. Of float32 first the sums,
   * rounded, which the kernels multiply with, then what that left of them.
   */
  readonly checksumAddress: number
  readonly checksumBytes: number
  /** Folds of the panels, made when first needed. */
  folds?: { address: number; itemBytes: number; stride: number }
  /** Of the last product that emitted sums. */
  layout?: SumsLayout
  /** Limits of the last product that was judged, and where they lie. */
  limits?: { readonly given: Float64Array; readonly address: number }
}

/** Whether replicas of float products with these weights are exact: of so few columns that rows of A take the lanes. */
export function hasExactReplica({ arithmetic, n }: Pick<PackedWeights, 'arithmetic' | 'n'>): boolean {
  return !arithmetic.integer && n <= narrowColumns
}

/** How the memory for weights is got: kept until released, or the engine's for one product. */
export type Reserve = (name: string, bytes: number) => number

export function sizesOf(arithmetic: Arithmetic, k: number, n: number): { itemBytes: number; checksumBytes: number } {
  // A product with k = 0 has one step of zeros.
  const steps = Math.max(1, stepsOf(arithmetic, k))
  const rows = Math.ceil((steps * arithmetic.elementsPerStep) / 8) * 8
  return {
    itemBytes: steps * panelsOf(arithmetic, n) * arithmetic.tileColumns * 4,
    checksumBytes: rows * arithmetic.sumBytes,
  }
}

export interface PackRequest {
  readonly arithmetic: Arithmetic
  readonly count: number
  readonly k: number
  readonly n: number
  readonly rows: (item: number) => RowMajor
  readonly reserve: Reserve
}

/** Packs matrices and sums their rows. */
export function packWeights(kernels: Kernels, staging: Staging, request: PackRequest): PackedWeights {
  const { reserve, arithmetic, count, k, n, rows } = request
  const { itemBytes, checksumBytes } = sizesOf(arithmetic, k, n)
  const panels = panelsOf(arithmetic, n)
  const panelsAddress = reserve('panels', count * itemBytes)
  const split = columnRanges(n, arithmetic.integer)
  const checksumAddress = reserve('checksum', count * split.ranges * checksumBytes)
  staging.clear(checksumAddress, count * split.ranges * checksumBytes)
  if (k === 0) staging.clear(panelsAddress, count * itemBytes)
  for (let item = 0; item < count && k > 0; item++) {
    const { address, stride } = rows(item)
    const to = panelsAddress + item * itemBytes
    const leastPanels = Math.max(1, Math.ceil(65_536 / (k * arithmetic.tileColumns)))
    forkRanges(kernels, {
      fn: `pack${arithmetic.suffix}`,
      total: panels,
      least: leastPanels,
      args: (from, until) => [address, stride, to, k, n, from, until],
    })
    for (let range = 0; range < split.ranges; range++) {
      const first = range * split.rangeColumns
      const columns = Math.min(n - first, split.rangeColumns)
      const sums = checksumAddress + (item * split.ranges + range) * checksumBytes
      forkRanges(kernels, {
        fn: arithmetic.integer ? 'sumIntegerRows' : 'sumFloatRows',
        total: k,
        least: Math.max(1, Math.ceil(65_536 / Math.max(1, columns))),
        args: (from, until) => [
          address + first * arithmetic.operandBytes,
          stride,
          columns,
          from,
          until,
          sums,
          sums + checksumBytes / 2,
        ],
      })
    }
  }
  const steps = Math.max(1, stepsOf(arithmetic, k))
  return { arithmetic, count, k, n, panels, steps, panelsAddress, itemBytes, split, checksumAddress, checksumBytes }
}

/** Row sums of all matrices over all their columns: `[count * k]`. */
export function rowSumsOf(staging: Staging, weights: PackedWeights): Float64Array {
  const { arithmetic, count, k, split, checksumAddress, checksumBytes } = weights
  const sums = new Float64Array(count * k)
  const values = arithmetic.integer ? staging.words : staging.floats
  const rest = arithmetic.integer ? undefined : checksumBytes / 8
  for (let item = 0; item < count; item++)
    for (let range = 0; range < split.ranges; range++) {
      const from = (checksumAddress + (item * split.ranges + range) * checksumBytes) / 4
      for (let s = 0; s < k; s++) {
        const left = rest === undefined ? 0 : (values[from + rest + s] as number)
        sums[item * k + s] = (sums[item * k + s] as number) + (values[from + s] as number) + left
      }
    }
  return sums
}

/** Folds every panel over its columns. */
export function foldWeights(
  kernels: Kernels,
  weights: PackedWeights,
  reserve: Reserve,
): NonNullable<PackedWeights['folds']> {
  const { arithmetic, count, panels, steps, panelsAddress, itemBytes } = weights
  const stride = Math.ceil(steps / 4) * 16
  const folds = { address: reserve('folds', count * panels * stride), itemBytes: panels * stride, stride }
  for (let item = 0; item < count; item++)
    forkRanges(kernels, {
      fn: `fold${arithmetic.suffix}`,
      total: panels,
      least: Math.max(1, Math.ceil(65_536 / (steps * arithmetic.tileColumns))),
      args: (from, until) => [
        panelsAddress + item * itemBytes,
        panels,
        steps,
        folds.address + item * folds.itemBytes,
        stride,
        from,
        until,
      ],
    })
  return folds
}

/** Address of B[step, column] in packed weights: where a fault in the packed copy strikes. */
export function packedAddress(weights: PackedWeights, at: { item: number; k: number; column: number }): number {
  const { arithmetic, panels, steps, panelsAddress, itemBytes } = weights
  const { tileColumns, elementsPerStep } = arithmetic
  const step = Math.floor(at.k / elementsPerStep)
  const panel = Math.floor(at.column / tileColumns)
  const block = step - (step % 256)
  const own = Math.min(256, steps - block)
  const word =
    block * panels * tileColumns + panel * own * tileColumns + (step - block) * tileColumns + (at.column % tileColumns)
  return panelsAddress + at.item * itemBytes + 4 * word + (at.k % elementsPerStep) * 2
}

/** Brings row-major weights into wasm memory, transposed when asked, one matrix after the other. */
export function stageMatrices(
  kernels: Kernels,
  staging: Staging,
  o: { data: ArrayBufferView; count: number; k: number; n: number; transpose: boolean; arithmetic: Arithmetic },
): (item: number) => RowMajor {
  const { data, count, k, n, transpose, arithmetic } = o
  const bytes = k * n * arithmetic.operandBytes
  const here = staging.addressOf(data)
  const stride = n * arithmetic.operandBytes
  if (here !== undefined && !transpose) return (item) => ({ address: here + item * bytes, stride })
  const source = here ?? staging.reserve('weights', count * bytes)
  if (here === undefined) staging.write(source, data)
  if (!transpose) return (item) => ({ address: source + item * bytes, stride })
  const turned = staging.reserve('weights transposed', count * bytes)
  for (let item = 0; item < count; item++)
    transpose2d(kernels, { from: source + item * bytes, to: turned + item * bytes, rows: n, columns: k, arithmetic })
  return (item) => ({ address: turned + item * bytes, stride })
}

export function transpose2d(
  kernels: Kernels,
  o: { from: number; to: number; rows: number; columns: number; arithmetic: Arithmetic },
): void {
  const { from, to, rows, columns, arithmetic } = o
  forkRanges(kernels, {
    fn: arithmetic.integer ? 'transposeBytes' : 'transposeWords',
    total: rows,
    least: Math.max(4, Math.ceil(65_536 / Math.max(1, columns))),
    args: (low, high) => [from, to, rows, columns, low, high],
  })
}

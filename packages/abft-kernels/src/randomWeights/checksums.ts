// Checksums with random weights of one operand B, made offline: B w beside the norms of B diag(w).
//
// The check of C w against A (B w) is the check with ones of C diag(w) = A (B diag(w)): where that has its norms in the
// thresholds, everything that is derived for sums with ones holds for these.
import { assertOneOf, FtError, invalidArgument, type ProtectionScheme } from '@ft/core'
import { columnRanges, type ColumnRanges } from '@ft/tensor-core'
import type { ProtectedWeights, RowNorms, WeightNorms } from '../weights.ts'
import { alongRows, type Rows } from './passes.ts'
import { WeightVectors } from './vectors.ts'

export type ChecksumWeights = 'ones' | 'random'

export const checksumWeightKinds: readonly ChecksumWeights[] = ['ones', 'random']

export interface RandomChecksums {
  readonly seed: number
  readonly vectors: WeightVectors
  /** How rows of C are summed, on any engine. */
  readonly split: ColumnRanges
  /** B w of each matrix or group, range by range: `[ranges * k]`. */
  readonly sums: readonly Float64Array[]
  /** Norms of B diag(w), of each matrix or group. */
  readonly norms: readonly WeightNorms[]
}

export interface RandomChecksumsInput {
  readonly seed: number
  readonly n: number
  /** Rows of each matrix, as the engine multiplies them. */
  readonly matrices: readonly Rows[]
  readonly norms: readonly WeightNorms[]
}

/**
 * Draws w and sums B with it.
 *
 * Cost: two multiply-adds a weight, offline; 8 bytes a row and range, 32 a column.
 */
export function randomChecksums({ seed, n, matrices, norms }: RandomChecksumsInput): RandomChecksums {
  const vectors = new WeightVectors(seed, n)
  const split = columnRanges(n)
  const sums = matrices.map((matrix) => alongRows(matrix, vectors.columns, split))
  const weighted = norms.map((own, item): WeightNorms => {
    if (n === 1) return own
    const rows = { rangeColumns: split.rangeColumns, ranges: rowNorms(matrices[item] as Rows, vectors.columns, split) }
    return { ...weightedNorms(own, vectors.columns), rows }
  })
  return { seed, vectors, split, sums, norms: weighted }
}

/** Of the rows of B diag(w), range by range. Sums are made in float64, which rounds too little for norms of it to matter. */
function rowNorms({ count, length, data, at }: Rows, weights: Float64Array, split: ColumnRanges): RowNorms[] {
  return Array.from({ length: split.ranges }, (_, range) => {
    const first = range * split.rangeColumns
    const end = Math.min(length, first + split.rangeColumns)
    let absoluteSquares = 0
    for (let row = 0; row < count; row++) {
      const from = at(row)
      let absolute = 0
      for (let j = first; j < end; j++) absolute += Math.abs((data[from + j] as number) * (weights[j] as number))
      absoluteSquares += absolute * absolute
    }
    return { absoluteSquares, sumSquares: 0, chainSquares: 0 }
  })
}

/** Norms of B diag(w) from those of B, without its rows'. */
function weightedNorms(norms: WeightNorms, weights: Float64Array): Omit<WeightNorms, 'rows'> {
  const columnSquares = norms.columnSquares.map((value, j) => value * (weights[j] as number) ** 2)
  const columnSums = norms.columnSums.map((value, j) => value * (weights[j] as number))
  const columnAbsolute = norms.columnAbsolute.map((value, j) => value * Math.abs(weights[j] as number))
  const total = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0)
  return {
    squares: total(columnSquares),
    columnSumSquares: columnSums.reduce((sum, value) => sum + value * value, 0),
    absolute: total(columnAbsolute),
    // No weight is larger than 1.
    largestRow: norms.largestRow,
    columnSquares,
    columnSums,
    columnAbsolute,
  }
}

const schemesWithVectors: ReadonlySet<ProtectionScheme> = new Set(['global', 'row', 'column', 'row-column'])

/** Whether a scheme compares sums over rows or columns, which may be weighted. */
export function takesRandomWeights(scheme: ProtectionScheme): boolean {
  return schemesWithVectors.has(scheme)
}

/** @throws FtError `UNSUPPORTED` for a scheme whose sums are those of register tiles */
export function assertTakesRandomWeights(scheme: ProtectionScheme, where: string): void {
  if (takesRandomWeights(scheme)) return
  throw new FtError(
    'UNSUPPORTED',
    `${where}: scheme '${scheme}' sums register tiles in the kernel, with ones; random weights go with ` +
      `${[...schemesWithVectors].join(', ')}; give { checksumWeights: 'ones' }`,
    { scheme },
  )
}

/**
 * The checksums that a call uses: those that its weights were prepared with, unless it asks for ones.
 *
 * @throws FtError `INVALID_ARGUMENT` where random ones are asked for and were not prepared, `UNSUPPORTED` for a scheme whose
 * sums are those of register tiles
 */
export function randomChecksumsOf(
  { random }: ProtectedWeights,
  { checksumWeights, scheme }: { checksumWeights: ChecksumWeights | undefined; scheme: ProtectionScheme },
  where: string,
): RandomChecksums | undefined {
  if (random === undefined && checksumWeights === undefined) return undefined
  if (checksumWeights !== undefined)
    assertOneOf(checksumWeights, { where, argument: 'options.checksumWeights', values: checksumWeightKinds })
  if (checksumWeights === 'ones') return undefined
  if (random === undefined)
    throw invalidArgument(
      { where, argument: 'options.checksumWeights' },
      "'ones' for weights that were prepared without; prepare them with { checksumWeights: 'random' }",
      checksumWeights,
    )
  if (scheme === 'none') return undefined
  assertTakesRandomWeights(scheme, where)
  return random
}

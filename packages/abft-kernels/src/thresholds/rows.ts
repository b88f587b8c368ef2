// What is known of each row of A when its product is judged: from sum, minimum and maximum alone, which the engine takes
// while it packs the row. Both figures are bounds, so a threshold made of them cannot be too small for the data.
import type { RowStatistics } from '@ft/core'

export interface RowFigures {
  /** Mean of the row. */
  readonly mean: Float64Array
  /** Upper bound of the row's variance: (max - mean)(mean - min), by Bhatia and Davis. */
  readonly variance: Float64Array
  /** Largest absolute value. */
  readonly largest: Float64Array
}

export function rowFigures({ sum, min, max }: RowStatistics, k: number): RowFigures {
  const rows = sum.length
  const [mean, variance, largest] = [new Float64Array(rows), new Float64Array(rows), new Float64Array(rows)]
  // Rows of no elements have no extrema: a product of length 0 is 0, and rounds nothing.
  if (k === 0) return { mean, variance, largest }
  for (let i = 0; i < rows; i++) {
    const [low, high] = [min[i] as number, max[i] as number]
    const middle = Math.min(Math.max((sum[i] as number) / k, low), high)
    mean[i] = middle
    variance[i] = (high - middle) * (middle - low)
    largest[i] = Math.max(Math.abs(low), Math.abs(high))
  }
  return { mean, variance, largest }
}

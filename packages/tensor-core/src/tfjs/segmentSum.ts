// Sums of rows by segment: the gradient of a gather.
import { FtError } from '@ft/core'

export interface Segments {
  readonly x: ArrayLike<number>
  readonly shape: readonly number[]
  readonly ids: ArrayLike<number>
  readonly count: number
}

/**
 * Adds row i of x to row `ids[i]` of the result, in the order of rows and in float64; ids outside [0, count) add to nothing.
 *
 * @throws FtError `SHAPE_MISMATCH` when x has not one row an id
 */
export function segmentSum({ x, shape, ids, count }: Segments): Float64Array {
  if (shape[0] !== ids.length)
    throw new FtError(
      'SHAPE_MISMATCH',
      `UnsortedSegmentSum: \`segmentIds\` must have one id a row of x, ${shape[0] ?? 0}; got ${ids.length}`,
      { rows: shape[0], ids: ids.length },
    )
  const size = shape.slice(1).reduce((all, n) => all * n, 1)
  const sums = new Float64Array(count * size)
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i] as number
    if (!(id >= 0 && id < count)) continue
    const [from, to] = [i * size, id * size]
    for (let j = 0; j < size; j++) sums[to + j] = (sums[to + j] as number) + (x[from + j] as number)
  }
  return sums
}

// Products that are judged where their sums are. An engine judges nothing by itself: it compares by limits that it is given, and
// only says that all checks passed. Whoever gave the limits judges the rest.
import { invalidArgument, type Product } from '@ft/core'
import type { ColumnRanges } from './ranges.ts'

/** What `matmul` and `conv2d` of the wasm engine take besides their options. */
export interface Judging {
  /**
   * With `emit` of row sums and row statistics, and nothing else, of one float product: two numbers a range of columns,
   * `[ranges, 2]`. The limit of a row's residual is the root of the first times the row's sum of squares plus the second times its
   * squared sum (of its elements of A). With `emit` of an exact replica alone: none, the limit is 0. With `emit` of column sums and
   * row statistics, of a product of as few columns: two numbers. A column is then judged by blocks of at most 132 rows, and a
   * limit is the root of the first times the sum of the block's squares (of its elements of C, before bias and activation) plus the
   * second times the block's rows times the sum over k of (s_k b_k)^2, with s the float32 sum of the block's rows of A.
   *
   * Given again for the same weights it is not read again: it must not be written any more. Products of other wishes, batches
   * and grouped convolutions are not judged.
   */
  readonly limits?: Float64Array
}

/** A product that may have been judged. */
export interface JudgedProduct extends Product {
  /**
   * Set where every check passed: the largest limit of row or column sums, the largest absolute sum of a replica. The product then has none
   * of the sums that were asked for, which nobody needs.
   */
  readonly passed?: number
}

/** @throws FtError `INVALID_ARGUMENT` for limits of another number of ranges */
export function assertLimits(limits: Float64Array, length: number, where: string): void {
  if (!(limits instanceof Float64Array) || limits.length !== length)
    throw invalidArgument({ where, argument: 'options.limits' }, `a Float64Array of ${length} numbers`, limits)
}

/** Numbers that limits of row sums have. */
export function limitsLength({ ranges }: ColumnRanges): number {
  return 2 * ranges
}

// Linear equations over GF(2^8), of as many unknowns as units are lost: a handful.
import { invert, multiply } from './gf256.ts'

/**
 * Solves `matrix * x = right` by elimination with row exchange (Gauss and Jordan). Cost: n^3 products of bytes.
 *
 * @param matrix - n rows of n bytes, not singular; changed
 * @param right - n bytes; changed: it becomes x
 */
export function solve(matrix: number[][], right: number[]): number[] {
  const n = right.length
  for (let column = 0; column < n; column++) {
    let pivot = column
    while (matrix[pivot]![column] === 0) pivot++
    ;[matrix[column], matrix[pivot]] = [matrix[pivot]!, matrix[column]!]
    ;[right[column], right[pivot]] = [right[pivot]!, right[column]!]
    const own = matrix[column]!
    const scale = invert(own[column]!)
    for (let i = 0; i < n; i++) own[i] = multiply(own[i]!, scale)
    right[column] = multiply(right[column]!, scale)
    for (let row = 0; row < n; row++) {
      const factor = matrix[row]![column]!
      if (row === column || factor === 0) continue
      for (let i = 0; i < n; i++) matrix[row]![i]! ^= multiply(factor, own[i]!)
      right[row]! ^= multiply(factor, right[column]!)
    }
  }
  return right
}

// The factors of parity units. Any k of a stripe's k + r units give the rest when every square part of the matrix of
// factors, parities by data positions, can be inverted.
import { generatorPower, invert, multiply } from './gf256.ts'

/** The factor of data position `position` in parity `parity`. */
export type Factor = (parity: number, position: number) => number

/** Units of a stripe whose parities are of a Cauchy matrix: each has an element of the field of its own. */
export const largestStripe = 256

/** XOR, and for a second parity the powers of the generator: P and Q of RAID-6. Any k up to 255. */
const raid6: Factor = (parity, position) => (parity === 0 ? 1 : generatorPower(position))

/**
 * Factors for r parities.
 *
 * For r >= 3 a Cauchy matrix 1 / (j + (r + i)), whose square parts are all regular, as they stay when columns and rows are multiplied
 * by what makes the first row and the first column ones: the first parity is the XOR, as with fewer parities.
 *
 * Source: J. S. Plank, L. Xu: Optimizing Cauchy Reed-Solomon Codes for Fault-Tolerant Network Storage Applications, 2006, for the
 * ones; powers of the generator would not do: from the fourth parity on some of their square parts are singular.
 */
export function factorsOf({ k, r }: { k: number; r: number }): Factor {
  if (r <= 2) return raid6
  const cauchy: Factor = (parity, position) => invert(parity ^ (r + position))
  const table = Array.from({ length: r }, (_, parity) =>
    Uint8Array.from({ length: k }, (_, position) => {
      const column = multiply(cauchy(parity, position), invert(cauchy(0, position)))
      return multiply(column, invert(multiply(cauchy(parity, 0), invert(cauchy(0, 0)))))
    }),
  )
  return (parity, position) => table[parity]![position]!
}

// Erasure codes over the bits of rows: k data units and r parity units a stripe, any k of them give the rest.
import { FtError, assertInteger } from '@ft/core'
import { factorsOf, largestStripe } from './factors.ts'
import { addProduct, invert, multiply } from './gf256.ts'
import { solve } from './solve.ts'

/** Bits of a unit as 32-bit words; undefined when it is lost. */
export type Unit = Uint32Array | undefined

/**
 * A code whose parity unit j is the sum over data positions i of `factor(j, i)` times unit i, in GF(2^8), byte by byte.
 * Sums of bits do not round: whatever the dtype, a unit rebuilt has the bits of the one lost.
 */
export interface ErasureCode {
  /** Data units a stripe. */
  readonly k: number
  /** Parity units a stripe. */
  readonly r: number
  /** The factor of data position `position` in parity `parity`. */
  factor(parity: number, position: number): number
  /** Adds a data unit, or the difference of two versions of it, to a parity unit: `target ^= factor * words`. */
  accumulate(target: Uint32Array, words: Uint32Array, at: { parity: number; position: number }): void
  /** Divides words by a factor, in place: what is left of a parity unit without all other data units becomes the unit. */
  divide(words: Uint32Array, at: { parity: number; position: number }): void
  /**
   * Rebuilds one data unit from any k others.
   *
   * @param units - k + r units, data first; those lost are undefined. Unchanged.
   * @param position - the data position wanted
   * @throws FtError `UNRECOVERABLE` when more than r units are lost
   */
  reconstruct(units: readonly Unit[], position: number): Uint32Array
}

/**
 * Makes the code for k data and r parity units: XOR for r = 1, P + Q of RAID-6 for r = 2, a Cauchy matrix whose first parity
 * is the XOR for more. Any r units may be lost.
 *
 * Cost: one pass over the words a parity; a table look-up a byte in all but the first.
 *
 * @throws FtError `INVALID_ARGUMENT` for k outside 1 .. 255, r below 1, or r above 2 with k + r above 256
 * @example
 * ```ts
 * const code = createCode({ k: 2, r: 2 })
 * const data = [Uint32Array.of(1, 2), Uint32Array.of(3, 4)]
 * const parity = [new Uint32Array(2), new Uint32Array(2)]
 * parity.forEach((p, j) => data.forEach((unit, i) => code.accumulate(p, unit, { parity: j, position: i })))
 * Array.from(code.reconstruct([undefined, undefined, ...parity], 1)) // => [3, 4]
 * ```
 */
export function createCode({ k, r }: { k: number; r: number }): ErasureCode {
  const where = 'createCode'
  assertInteger(k, { where, argument: 'k', min: 1, max: 255 })
  assertInteger(r, { where, argument: 'r', min: 1, max: largestR(k) })
  const factor = factorsOf({ k, r })
  return {
    k,
    r,
    factor,
    accumulate: (target, words, at) => addProduct(target, words, factor(at.parity, at.position)),
    divide(words, at) {
      const inverse = invert(factor(at.parity, at.position))
      if (inverse === 1) return
      const product = new Uint32Array(words.length)
      addProduct(product, words, inverse)
      words.set(product)
    },
    reconstruct: (units, position) => reconstruct({ k, r, factor }, units, position),
  }
}

/** The most parities of a stripe with k data units. */
export const largestR = (k: number): number => Math.max(2, largestStripe - k)

function reconstruct(
  { k, r, factor }: Pick<ErasureCode, 'k' | 'r' | 'factor'>,
  units: readonly Unit[],
  position: number,
): Uint32Array {
  const whole = units[position]
  if (whole !== undefined) return whole.slice()
  const lost = Array.from({ length: k }, (_, i) => i).filter((i) => units[i] === undefined)
  const parities = Array.from({ length: r }, (_, j) => j).filter((j) => units[k + j] !== undefined)
  if (lost.length > parities.length) {
    throw new FtError(
      'UNRECOVERABLE',
      `reconstruct: ${lost.length} data units are lost and ${parities.length} parity units are left; restore a checkpoint`,
      { lost, parities: parities.length },
    )
  }
  // The shares of as many parities as units are lost in which all lost ones but the wanted one cancel.
  const used = parities.slice(0, lost.length)
  const shares = solve(
    lost.map((i) => used.map((j) => factor(j, i))),
    lost.map((i) => Number(i === position)),
  )
  const out = new Uint32Array(units[k + used[0]!]!.length)
  used.forEach((j, at) => addProduct(out, units[k + j]!, shares[at]!))
  for (let i = 0; i < k; i++) {
    const unit = units[i]
    if (unit === undefined) continue
    let share = 0
    used.forEach((j, at) => (share ^= multiply(shares[at]!, factor(j, i))))
    addProduct(out, unit, share)
  }
  return out
}

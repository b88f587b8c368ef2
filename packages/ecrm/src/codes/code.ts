// Erasure codes over the bits of rows: k data units and r parity units a stripe, any k of them give the rest.
import { FtError, assertInteger } from '@ft/core'
import { addProduct, generatorPower, invert } from './gf256.ts'

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

/** Largest k: positions have distinct factors 2^i in GF(2^8). */
const largestK = 255

/**
 * Makes the code for k data and r parity units: XOR for r = 1, P + Q for r = 2.
 *
 * Cost: one pass over the words a parity; a table look-up a byte in Q.
 * Source: Q is that of RAID-6, factors 2^i modulo 0x11d.
 *
 * @throws FtError `INVALID_ARGUMENT` for k outside 1 .. 255 or r outside 1 .. 2
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
  assertInteger(k, { where: 'createCode', argument: 'k', min: 1, max: largestK })
  assertInteger(r, { where: 'createCode', argument: 'r', min: 1, max: 2 })
  const factor = (parity: number, position: number): number => (parity === 0 ? 1 : generatorPower(position))
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

function reconstruct(
  code: Pick<ErasureCode, 'k' | 'r' | 'factor'>,
  units: readonly Unit[],
  position: number,
): Uint32Array {
  const { k, r, factor } = code
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
  // What is left of each parity without the living units: sums over the lost ones alone.
  const left = parities.slice(0, lost.length).map((j) => {
    const rest = units[k + j]!.slice()
    units.slice(0, k).forEach((unit, i) => unit && addProduct(rest, unit, factor(j, i)))
    return { j, rest }
  })
  const out = new Uint32Array(left[0]!.rest.length)
  const [first, second] = left
  if (second === undefined) {
    addProduct(out, first!.rest, invert(factor(first!.j, position)))
    return out
  }
  // P' = x_a ^ x_b and Q' = f_a x_a ^ f_b x_b give x_a = (Q' ^ f_b P') / (f_a ^ f_b).
  const other = lost.find((i) => i !== position)!
  const inverse = invert(factor(1, position) ^ factor(1, other))
  const sum = second.rest.slice()
  addProduct(sum, first!.rest, factor(1, other))
  addProduct(out, sum, inverse)
  return out
}

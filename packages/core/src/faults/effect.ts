// What a fault does to one value: the meaning of each FaultEffect, for values of up to 32 bits.
import { FtError } from '../errors.ts'
import { bytesPerElement, isFloating } from '../formats/dtypes.ts'
import { fromBits, toBits } from '../formats/bits.ts'
import { assertInteger, invalidArgument } from '../guards.ts'
import type { FaultEffect } from '../types/faults.ts'
import type { DType, Tensor } from '../types/tensor.ts'

export interface Strike {
  /** The value before the fault. */
  readonly value: number
  /** The type that holds it where the fault strikes: see `siteDType`. */
  readonly dtype: DType
  /** The product a_ik b_kj of the struck k-step; needed by 'drop-term' and 'double-term' only. */
  readonly term?: number
}

/**
 * The value after a fault, as its type holds it.
 *
 * Bits count from 0, the least significant. Arithmetic effects round to the type (floats to nearest even, integers
 * modulo their width); 'carry' works on the pattern as an unsigned integer, modulo its width. A fault may leave the
 * value unchanged: a bit stuck at what it was, or an addition below half a unit in the last place.
 *
 * @throws FtError `INVALID_ARGUMENT` when a bit is outside the type or a term is missing, `UNSUPPORTED` for float64
 * @example
 * ```ts
 * applyEffect({ kind: 'flip', bits: [30] }, { value: 1, dtype: 'float32' }) // => Infinity
 * applyEffect({ kind: 'carry', bit: 3, sign: 1 }, { value: 5, dtype: 'int8' }) // => 13
 * ```
 */
export function applyEffect(effect: FaultEffect, { value, dtype, term }: Strike): number {
  switch (effect.kind) {
    case 'flip':
    case 'stuck':
    case 'carry':
      return fromBits(struckPattern(effect, toBits(value, dtype), dtype), dtype)
    case 'set':
      return stored(effect.value, dtype)
    case 'add':
      return stored(value + effect.value, dtype)
    case 'drop-term':
      return stored(value - termOf(effect, term), dtype)
    case 'double-term':
      return stored(value + termOf(effect, term), dtype)
    default:
      throw invalidArgument({ where: 'applyEffect', argument: 'effect' }, 'a known effect', effect)
  }
}

/**
 * Strikes one element of a tensor in place; effects on bits keep the payload of a NaN.
 *
 * @param at.index - element of the data, row-major
 * @param at.term - see `Strike`
 * @returns the values before and after, and whether the stored bits changed
 * @throws FtError as `applyEffect`, and `INVALID_ARGUMENT` when the index is outside the tensor
 */
export function strike(
  tensor: Tensor,
  at: { index: number; effect: FaultEffect; term?: number },
): { before: number; after: number; changed: boolean } {
  const { data, dtype } = tensor
  const { index, effect } = at
  assertInteger(index, { where: 'strike', argument: 'index', min: 0, max: data.length - 1 })
  const patterns = patternsOf(tensor)
  const old = patterns[index] as number
  const before = fromBits(old, dtype)
  const onBits = effect.kind === 'flip' || effect.kind === 'stuck' || effect.kind === 'carry'
  const term = at.term === undefined ? {} : { term: at.term }
  const next = onBits
    ? struckPattern(effect, old, dtype)
    : toBits(applyEffect(effect, { value: before, dtype, ...term }), dtype)
  patterns[index] = next
  return { before, after: fromBits(next, dtype), changed: next !== old }
}

/** The tensor's memory as unsigned integers of its element's width. */
function patternsOf({ data, dtype }: Tensor): Uint32Array | Uint16Array | Uint8Array {
  switch (bytesPerElement(dtype)) {
    case 4:
      return new Uint32Array(data.buffer, data.byteOffset, data.length)
    case 2:
      return new Uint16Array(data.buffer, data.byteOffset, data.length)
    case 1:
      return new Uint8Array(data.buffer, data.byteOffset, data.length)
    default:
      throw new FtError('UNSUPPORTED', `strike: faults in ${dtype} are not modelled; use a type of at most 4 bytes`, {
        dtype,
      })
  }
}

type BitEffect = Extract<FaultEffect, { kind: 'flip' | 'stuck' | 'carry' }>

function struckPattern(effect: BitEffect, pattern: number, dtype: DType): number {
  const width = 8 * bytesPerElement(dtype)
  const mask = width === 32 ? 0xffffffff : 2 ** width - 1
  if (effect.kind === 'flip') {
    let flipped = pattern
    for (const bit of effect.bits) flipped ^= bitMask(bit, { dtype, width })
    return (flipped & mask) >>> 0
  }
  const bit = bitMask(effect.bit, { dtype, width })
  if (effect.kind === 'stuck') return (effect.at === 1 ? pattern | bit : pattern & ~bit) >>> 0
  return ((effect.sign === 1 ? pattern + bit : pattern - bit) & mask) >>> 0
}

function bitMask(bit: number, { dtype, width }: { dtype: DType; width: number }): number {
  assertInteger(bit, { where: 'applyEffect', argument: `bit of ${dtype}`, min: 0, max: width - 1 })
  return (1 << bit) >>> 0
}

function termOf(effect: FaultEffect, term: number | undefined): number {
  if (term !== undefined) return term
  throw invalidArgument({ where: 'applyEffect', argument: 'term' }, `the struck product for '${effect.kind}'`, term)
}

/** A number as the type holds it. */
function stored(value: number, dtype: DType): number {
  return isFloating(dtype) || Number.isFinite(value) ? fromBits(toBits(value, dtype), dtype) : 0
}

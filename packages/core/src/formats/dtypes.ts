// Facts about element types.
import { FtError } from '../errors.ts'
import type { DType } from '../types/tensor.ts'

interface Facts {
  readonly bytes: number
  /** Unit roundoff; 0 for integers. */
  readonly u: number
  readonly largest: number
  /** Smallest positive normal number; 1 for integers. */
  readonly normal: number
}

const facts: Readonly<Record<DType, Facts>> = {
  float64: { bytes: 8, u: 2 ** -53, largest: Number.MAX_VALUE, normal: 2 ** -1022 },
  float32: { bytes: 4, u: 2 ** -24, largest: 3.4028234663852886e38, normal: 2 ** -126 },
  float16: { bytes: 2, u: 2 ** -11, largest: 65504, normal: 2 ** -14 },
  bfloat16: { bytes: 2, u: 2 ** -8, largest: 3.3895313892515355e38, normal: 2 ** -126 },
  int32: { bytes: 4, u: 0, largest: 2147483647, normal: 1 },
  uint32: { bytes: 4, u: 0, largest: 4294967295, normal: 1 },
  int16: { bytes: 2, u: 0, largest: 32767, normal: 1 },
  uint16: { bytes: 2, u: 0, largest: 65535, normal: 1 },
  int8: { bytes: 1, u: 0, largest: 127, normal: 1 },
  uint8: { bytes: 1, u: 0, largest: 255, normal: 1 },
  bool: { bytes: 1, u: 0, largest: 1, normal: 1 },
}

function factsOf(dtype: DType): Facts {
  if (!Object.hasOwn(facts, dtype)) {
    const known = Object.keys(facts).join(', ')
    throw new FtError('INVALID_ARGUMENT', `\`dtype\` must be one of ${known}; got ${String(dtype)}`, { dtype })
  }
  return facts[dtype]
}

/** Memory of one element, in bytes. */
export function bytesPerElement(dtype: DType): number {
  return factsOf(dtype).bytes
}

/**
 * Largest relative error of one rounding to nearest: 2^-p with p significant bits. Integers round nothing: 0.
 *
 * @example
 * ```ts
 * unitRoundoff('float16') === 2 ** -11 // => true
 * ```
 */
export function unitRoundoff(dtype: DType): number {
  return factsOf(dtype).u
}

/** Largest finite value. */
export function largestFinite(dtype: DType): number {
  return factsOf(dtype).largest
}

/** Smallest positive number with full precision; 1 for integers. */
export function smallestNormal(dtype: DType): number {
  return factsOf(dtype).normal
}

export function isFloating(dtype: DType): boolean {
  return factsOf(dtype).u > 0
}

// Bit patterns of values of up to 32 bits, as unsigned integers: what fault models flip.
import { FtError } from '../errors.ts'
import type { DType } from '../types/tensor.ts'
import { decodeBfloat16, decodeFloat16, encodeBfloat16, encodeFloat16 } from './float16.ts'

/** Element types whose pattern fits in 32 bits. */
export type BitDType = Exclude<DType, 'float64'>

const single = new Float32Array(1)
const word = new Uint32Array(single.buffer)

/**
 * The bit pattern of a value stored as `dtype`, as an unsigned integer.
 *
 * Values that the type cannot hold are first stored as a typed array would store them: floats round to nearest even,
 * integers wrap.
 *
 * @throws FtError `UNSUPPORTED` for float64, whose pattern has 64 bits
 * @example
 * ```ts
 * toBits(-1, 'int8') // => 255
 * toBits(1, 'float32') === 0x3f800000 // => true
 * ```
 */
export function toBits(value: number, dtype: DType): number {
  switch (dtype) {
    case 'float32':
      single[0] = value
      return word[0] as number
    case 'float16':
      return encodeFloat16(value)
    case 'bfloat16':
      return encodeBfloat16(value)
    case 'int32':
    case 'uint32':
      return value >>> 0
    case 'int16':
    case 'uint16':
      return value & 0xffff
    case 'int8':
    case 'uint8':
    case 'bool':
      return value & 0xff
    default:
      throw tooWide(dtype)
  }
}

/**
 * The value of a bit pattern; bits above the type's width are ignored.
 *
 * @throws FtError `UNSUPPORTED` for float64
 */
export function fromBits(pattern: number, dtype: DType): number {
  switch (dtype) {
    case 'float32':
      word[0] = pattern
      return single[0] as number
    case 'float16':
      return decodeFloat16(pattern & 0xffff)
    case 'bfloat16':
      return decodeBfloat16(pattern & 0xffff)
    case 'int32':
      return pattern | 0
    case 'uint32':
      return pattern >>> 0
    case 'int16':
      return (pattern << 16) >> 16
    case 'uint16':
      return pattern & 0xffff
    case 'int8':
      return (pattern << 24) >> 24
    case 'uint8':
    case 'bool':
      return pattern & 0xff
    default:
      throw tooWide(dtype)
  }
}

function tooWide(dtype: DType): FtError {
  return new FtError('UNSUPPORTED', `bit patterns of ${dtype} do not fit in 32 bits; use a type of at most 4 bytes`, {
    dtype,
  })
}

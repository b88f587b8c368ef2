import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { DType } from '../src/index.ts'
import {
  bytesPerElement,
  encodeBfloat16,
  encodeFloat16,
  fromBits,
  decodeBfloat16,
  decodeFloat16,
  isFloating,
  largestFinite,
  smallestNormal,
  toBits,
  unitRoundoff,
} from '../src/formats.ts'

describe('facts about element types', () => {
  it.each<[DType, number, number]>([
    ['float64', 8, 2 ** -53],
    ['float32', 4, 2 ** -24],
    ['float16', 2, 2 ** -11],
    ['bfloat16', 2, 2 ** -8],
    ['int32', 4, 0],
    ['uint32', 4, 0],
    ['int16', 2, 0],
    ['uint16', 2, 0],
    ['int8', 1, 0],
    ['uint8', 1, 0],
    ['bool', 1, 0],
  ])('%s: %i bytes, unit roundoff %d', (dtype, bytes, u) => {
    expect(bytesPerElement(dtype)).toBe(bytes)
    expect(unitRoundoff(dtype)).toBe(u)
    expect(isFloating(dtype)).toBe(u > 0)
  })

  it('agree with the formats themselves', () => {
    expect([largestFinite('float16'), smallestNormal('float16')]).toEqual([
      decodeFloat16(0x7bff),
      decodeFloat16(0x0400),
    ])
    expect([largestFinite('bfloat16'), smallestNormal('bfloat16')]).toEqual([
      decodeBfloat16(0x7f7f),
      decodeBfloat16(0x0080),
    ])
    expect([largestFinite('float32'), smallestNormal('float32')]).toEqual([
      fromBits(0x7f7fffff, 'float32'),
      fromBits(0x00800000, 'float32'),
    ])
  })

  it('refuse an unknown type, and names of object members too', () => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    expect(() => unitRoundoff('float8' as DType)).toThrow(refused)
    expect(() => bytesPerElement('toString' as DType)).toThrow(refused)
  })

  it('bound the relative error of one rounding', () => {
    // |fl(x) - x| <= u |x| for |x| in the normal range (Higham 2002, theorem 2.2); exactly, since 2^-11 x is exact.
    const inRange = fc.double({ min: 2 ** -14, max: 65000, noNaN: true })
    fc.assert(fc.property(inRange, (x) => Math.abs(decodeFloat16(encodeFloat16(x)) - x) <= unitRoundoff('float16') * x))
    fc.assert(
      fc.property(inRange, (x) => Math.abs(decodeBfloat16(encodeBfloat16(x)) - x) <= unitRoundoff('bfloat16') * x),
    )
  })
})

describe('bit patterns', () => {
  it.each<[DType, number]>([
    ['int8', 8],
    ['uint8', 8],
    ['bool', 8],
    ['int16', 16],
    ['uint16', 16],
    ['float16', 16],
    ['bfloat16', 16],
  ])('of %s return unchanged, all of them', (dtype, width) => {
    const wrong = []
    for (let pattern = 0; pattern < 2 ** width; pattern++) {
      const value = fromBits(pattern, dtype)
      if (!Number.isNaN(value) && toBits(value, dtype) !== pattern) wrong.push(pattern)
    }
    expect(wrong).toEqual([])
  })

  it.each<DType>(['float32', 'int32', 'uint32'])('of %s return unchanged', (dtype) => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffffffff }), (pattern) => {
        const value = fromBits(pattern, dtype)
        return Number.isNaN(value) || toBits(value, dtype) === pattern
      }),
      { numRuns: 2000 },
    )
  })

  it('hold the value as a typed array would store it', () => {
    expect(toBits(-1, 'int32')).toBe(0xffffffff)
    expect(toBits(-2, 'int8')).toBe(0xfe)
    expect(toBits(300, 'uint8')).toBe(44)
    expect(toBits(0.1, 'float32')).toBe(0x3dcccccd)
    expect(fromBits(0x80, 'int8')).toBe(-128)
    expect(fromBits(0x8000, 'int16')).toBe(-32768)
    expect(fromBits(0xffffffff, 'uint32')).toBe(4294967295)
    expect(Number.isNaN(fromBits(0x7f800001, 'float32'))).toBe(true)
  })

  it('of float64 are unsupported', () => {
    const unsupported = expect.objectContaining({ code: 'UNSUPPORTED' }) as Error
    expect(() => toBits(1, 'float64')).toThrow(unsupported)
    expect(() => fromBits(1, 'float64')).toThrow(unsupported)
  })
})

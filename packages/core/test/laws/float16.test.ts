// Exhaustive proof of both 16-bit formats: every pattern decodes to the value its fields say, and every rounding
// boundary (the midpoint of two neighbours, and the float64 and float32 numbers beside it) goes to the right side.
import { describe, expect, it } from 'vitest'
import {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  fromBfloat16Array,
  fromFloat16Array,
  toBfloat16Array,
  toFloat16Array,
} from '../../src/formats.ts'

interface Format {
  name: string
  exponentBits: number
  mantissaBits: number
  quietNaN: number
  encode(value: number): number
  decode(pattern: number): number
  encodeAll(source: Float32Array | Float64Array | number[], out?: Uint16Array): Uint16Array
  decodeAll(source: Uint16Array, out?: Float32Array): Float32Array
}

const formats: Format[] = [
  {
    name: 'float16',
    exponentBits: 5,
    mantissaBits: 10,
    quietNaN: 0x7e00,
    encode: encodeFloat16,
    decode: decodeFloat16,
    encodeAll: toFloat16Array,
    decodeAll: fromFloat16Array,
  },
  {
    name: 'bfloat16',
    exponentBits: 8,
    mantissaBits: 7,
    quietNaN: 0x7fc0,
    encode: encodeBfloat16,
    decode: decodeBfloat16,
    encodeAll: toBfloat16Array,
    decodeAll: fromBfloat16Array,
  },
]

/** The value of a pattern by the definition of IEEE 754, section 3.4. */
function valueOf({ exponentBits, mantissaBits }: Format, pattern: number): number {
  const bias = 2 ** (exponentBits - 1) - 1
  const exponent = (pattern >>> mantissaBits) & (2 ** exponentBits - 1)
  const mantissa = pattern & (2 ** mantissaBits - 1)
  const sign = pattern & 0x8000 ? -1 : 1
  if (exponent === 2 ** exponentBits - 1) return mantissa === 0 ? sign * Infinity : NaN
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits)
  return sign * (1 + mantissa / 2 ** mantissaBits) * 2 ** (exponent - bias)
}

/** The float64 next to a positive number, above or below. */
function beside(value: number, step: 1n | -1n): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  view.setBigUint64(0, view.getBigUint64(0) + step)
  return view.getFloat64(0)
}

/** The float32 next to a positive float32. */
function beside32(value: number, step: 1 | -1): number {
  const word = new Uint32Array(new Float32Array([value]).buffer)
  word[0] = (word[0] as number) + step
  return new Float32Array(word.buffer)[0] as number
}

describe.each(formats)('$name', (format) => {
  const patterns = Array.from({ length: 65536 }, (_, i) => i)
  const infinity = (2 ** format.exponentBits - 1) << format.mantissaBits

  it('decodes all 65,536 patterns to the value their fields say', () => {
    const wrong = patterns.filter((p) => !Object.is(format.decode(p), valueOf(format, p)))
    expect(wrong).toEqual([])
    const all = format.decodeAll(Uint16Array.from(patterns))
    expect(patterns.filter((p) => !Object.is(all[p], valueOf(format, p)))).toEqual([])
  })

  it('encodes every value it decodes to the same pattern, and every NaN to one quiet pattern', () => {
    const wrong = patterns.filter((p) => {
      const value = format.decode(p)
      return format.encode(value) !== (Number.isNaN(value) ? format.quietNaN : p)
    })
    expect(wrong).toEqual([])
    const all = format.encodeAll(format.decodeAll(Uint16Array.from(patterns)))
    expect(patterns.filter((p) => all[p] !== format.encode(format.decode(p)))).toEqual([])
    expect(format.encodeAll([NaN, -0, Infinity])).toEqual(Uint16Array.of(format.quietNaN, 0x8000, infinity))
  })

  it('rounds to nearest even at every boundary, in both signs, by every path', () => {
    const numbers: number[] = []
    const expected: number[] = []
    const floats: number[] = [] // the midpoints are float32 numbers too
    for (let lower = 0; lower < infinity; lower++) {
      const upper = lower + 1 // may be infinity, which rounds as the number that would follow
      const below = valueOf(format, lower)
      const above =
        upper === infinity ? 2 * valueOf(format, infinity - 2 ** format.mantissaBits) : valueOf(format, upper)
      const middle = (below + above) / 2 // exact: one bit more than the format has
      const even = lower % 2 === 0 ? lower : upper
      numbers.push(beside(middle, -1n), middle, beside(middle, 1n))
      expected.push(lower, even, upper)
      floats.push(beside32(middle, -1), middle, beside32(middle, 1))
    }
    expect(numbers.length).toBe(3 * infinity)
    expect(expected.filter((p, i) => format.encode(numbers[i] as number) !== p)).toEqual([])
    expect(expected.filter((p, i) => format.encode(-(numbers[i] as number)) !== (p | 0x8000))).toEqual([])
    expect(format.encodeAll(Float64Array.from(numbers))).toEqual(Uint16Array.from(expected))
    expect(format.encodeAll(numbers)).toEqual(Uint16Array.from(expected))
    expect(format.encodeAll(Float32Array.from(floats))).toEqual(Uint16Array.from(expected))
  })

  it('overflows to infinity and underflows to a signed zero', () => {
    expect([1e39, 1e300, Infinity].map(format.encode)).toEqual([infinity, infinity, infinity])
    expect([-1e300, -1e-300, 5e-324].map(format.encode)).toEqual([infinity | 0x8000, 0x8000, 0])
  })

  it('writes into a given array and refuses one of another length', () => {
    const out = new Uint16Array(2)
    expect(format.encodeAll(Float32Array.of(1, 2), out)).toBe(out)
    expect(format.decodeAll(out)).toEqual(Float32Array.of(1, 2))
    const mismatch = expect.objectContaining({ code: 'SHAPE_MISMATCH' }) as Error
    expect(() => format.encodeAll([1], out)).toThrow(mismatch)
    expect(() => format.decodeAll(out, new Float32Array(3))).toThrow(mismatch)
  })
})

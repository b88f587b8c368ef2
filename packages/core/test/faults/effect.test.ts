import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyEffect, strike } from '../../src/faults.ts'
import { fromBits, toBits } from '../../src/formats.ts'
import { tensor, type DType, type FaultEffect } from '../../src/index.ts'

const types = [
  { dtype: 'float32', width: 32 },
  { dtype: 'float16', width: 16 },
  { dtype: 'bfloat16', width: 16 },
  { dtype: 'int8', width: 8 },
  { dtype: 'int32', width: 32 },
] as const satisfies { dtype: DType; width: number }[]

/** Arrays that hold the patterns of each width. */
const wordsOf = (dtype: DType, pattern: number) => {
  if (dtype === 'float32') return tensor(new Float32Array(Uint32Array.of(pattern).buffer), [1])
  if (dtype === 'int32') return tensor(Int32Array.of(pattern), [1])
  if (dtype === 'int8') return tensor(Int8Array.of(pattern), [1])
  return tensor(Uint16Array.of(pattern), [1], dtype)
}

describe('an effect on a value', () => {
  it.each<[string, FaultEffect, number, DType, number]>([
    ['a flipped sign', { kind: 'flip', bits: [31] }, 1.5, 'float32', -1.5],
    ['a flipped exponent', { kind: 'flip', bits: [23] }, 1, 'float32', 0.5],
    ['two flipped bits', { kind: 'flip', bits: [0, 7] }, 1, 'int8', -128],
    ['a flip in float16', { kind: 'flip', bits: [15] }, 1, 'float16', -1],
    ['a bit stuck at 1', { kind: 'stuck', bit: 2, at: 1 }, 3, 'int32', 7],
    ['a bit stuck at 0', { kind: 'stuck', bit: 31, at: 0 }, -1, 'int32', 2147483647],
    ['a bit stuck at what it was', { kind: 'stuck', bit: 0, at: 1 }, 3, 'int8', 3],
    ['a carry into the exponent', { kind: 'carry', bit: 23, sign: 1 }, 1, 'float32', 2],
    ['a carry that ripples', { kind: 'carry', bit: 0, sign: 1 }, 7, 'int8', 8],
    ['a carry that wraps', { kind: 'carry', bit: 0, sign: 1 }, -1, 'int32', 0],
    ['a borrow that wraps', { kind: 'carry', bit: 0, sign: -1 }, 0, 'int8', -1],
    ['a set value, rounded', { kind: 'set', value: 0.1 }, 5, 'float32', Math.fround(0.1)],
    ['a set infinity', { kind: 'set', value: Infinity }, 5, 'float16', Infinity],
    ['an infinity set in an integer', { kind: 'set', value: Infinity }, 5, 'int32', 0],
    ['an addition', { kind: 'add', value: 2 }, 5, 'int8', 7],
    ['an addition that wraps', { kind: 'add', value: 100 }, 100, 'int8', -56],
    ['an addition that is lost', { kind: 'add', value: 2 ** -30 }, 1, 'float32', 1],
  ])('%s', (_, effect, value, dtype, expected) => {
    expect(applyEffect(effect, { value, dtype })).toBe(expected)
  })

  it('drops or doubles the struck term', () => {
    expect(applyEffect({ kind: 'drop-term' }, { value: 10, dtype: 'float32', term: 4 })).toBe(6)
    expect(applyEffect({ kind: 'double-term' }, { value: 10, dtype: 'int32', term: 4 })).toBe(14)
    expect(() => applyEffect({ kind: 'drop-term' }, { value: 10, dtype: 'float32' })).toThrow('`term`')
  })

  it('refuses a bit outside the type, float64 and an unknown effect', () => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    const apply = (effect: unknown, dtype: DType) => () => applyEffect(effect as FaultEffect, { value: 1, dtype })
    expect(apply({ kind: 'flip', bits: [8] }, 'int8')).toThrow(refused)
    expect(apply({ kind: 'stuck', bit: -1, at: 0 }, 'int8')).toThrow(refused)
    expect(apply({ kind: 'melt' }, 'int8')).toThrow(refused)
    const unsupported = expect.objectContaining({ code: 'UNSUPPORTED' }) as Error
    expect(apply({ kind: 'flip', bits: [0] }, 'float64')).toThrow(unsupported)
  })
})

describe.each(types)('laws of effects on bits of $dtype', ({ dtype, width }) => {
  const pattern = fc.integer({ min: 0, max: 2 ** width - 1 })
  const bit = fc.integer({ min: 0, max: width - 1 })

  it('flipping changes exactly the named bits, and flipping again restores every pattern, NaN included', () => {
    fc.assert(
      fc.property(pattern, fc.uniqueArray(bit, { minLength: 1, maxLength: 4 }), (start, bits) => {
        const words = wordsOf(dtype, start)
        const raw = () => new Uint8Array(words.data.buffer).slice()
        const before = raw()
        const struck = strike(words, { index: 0, effect: { kind: 'flip', bits } })
        const flipped = raw().reduce((count, byte, i) => count + popcount(byte ^ (before[i] as number)), 0)
        strike(words, { index: 0, effect: { kind: 'flip', bits } })
        return struck.changed && flipped === bits.length && String(raw()) === String(before)
      }),
      { numRuns: 500 },
    )
  })

  it('a stuck bit stays stuck, and a carry is undone by a borrow', () => {
    fc.assert(
      fc.property(pattern, bit, fc.constantFrom(0 as const, 1 as const), (start, at, level) => {
        const words = wordsOf(dtype, start)
        strike(words, { index: 0, effect: { kind: 'stuck', bit: at, at: level } })
        const again = strike(words, { index: 0, effect: { kind: 'stuck', bit: at, at: level } })
        const carried = strike(words, { index: 0, effect: { kind: 'carry', bit: at, sign: 1 } })
        const restored = strike(words, { index: 0, effect: { kind: 'carry', bit: at, sign: -1 } })
        return !again.changed && carried.changed && Object.is(restored.after, again.after)
      }),
      { numRuns: 500 },
    )
  })

  it('a value struck alone and in a tensor come out alike', () => {
    fc.assert(
      fc.property(pattern, bit, (start, at) => {
        const value = fromBits(start, dtype)
        if (Number.isNaN(value)) return true
        const effects: FaultEffect[] = [
          { kind: 'flip', bits: [at] },
          { kind: 'carry', bit: at, sign: -1 },
          { kind: 'add', value: 3 },
          { kind: 'set', value: -2 },
        ]
        return effects.every((effect) => {
          const words = wordsOf(dtype, toBits(value, dtype))
          const { before, after } = strike(words, { index: 0, effect })
          return Object.is(before, value) && Object.is(after, applyEffect(effect, { value, dtype }))
        })
      }),
      { numRuns: 500 },
    )
  })
})

describe('strike', () => {
  it('changes one element in place', () => {
    const made = tensor(Float32Array.of(1, 2, 3), [3])
    const got = strike(made, { index: 1, effect: { kind: 'flip', bits: [31] } })
    expect(got).toEqual({ before: 2, after: -2, changed: true })
    expect(made.data).toEqual(Float32Array.of(1, -2, 3))
    expect(strike(made, { index: 0, effect: { kind: 'double-term' }, term: 5 }).after).toBe(6)
  })

  it('refuses an index outside and a type of eight bytes', () => {
    const effect: FaultEffect = { kind: 'flip', bits: [0] }
    expect(() => strike(tensor([1], [1]), { index: 1, effect })).toThrow('strike: `index` must be an integer in [0, 0]')
    const wide = tensor(Float64Array.of(1), [1])
    expect(() => strike(wide, { index: 0, effect })).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }) as Error)
  })
})

function popcount(byte: number): number {
  return byte.toString(2).replaceAll('0', '').length
}

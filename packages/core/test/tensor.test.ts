import { describe, expect, it } from 'vitest'
import {
  allocate,
  assertInteger,
  assertNumber,
  assertOneOf,
  assertTensor,
  sharesMemory,
  sizeOf,
  tensor,
  zeros,
  type DType,
} from '../src/index.ts'

const code = (expected: string) => expect.objectContaining({ code: expected }) as Error

describe('tensor', () => {
  it('wraps a typed array without copying and infers its type', () => {
    const data = new Int8Array(6)
    const made = tensor(data, [2, 3])
    expect(made).toEqual({ data, shape: [2, 3], dtype: 'int8' })
    expect(made.data).toBe(data)
    expect(tensor(new Uint16Array(1), []).dtype).toBe('uint16')
    expect(tensor(new Uint16Array(1), [], 'bfloat16').dtype).toBe('bfloat16')
    expect(tensor(new Uint8Array(1), [1], 'bool').dtype).toBe('bool')
  })

  it('stores plain numbers in the type that was asked for', () => {
    expect(tensor([1, -2], [2]).data).toEqual(Float32Array.of(1, -2))
    expect(tensor([1, -2], [2], 'float16').data).toEqual(Uint16Array.of(0x3c00, 0xc000))
    expect(tensor([0, 3, -1], [3], 'bool').data).toEqual(Uint8Array.of(0, 1, 1))
    expect(tensor([], [0, 4]).data).toEqual(new Float32Array(0))
  })

  it('says what does not fit', () => {
    expect(() => tensor([1, 2, 3], [2, 2])).toThrow('tensor: `data` must have 4 elements for shape [2, 2], got 3')
    expect(() => tensor([1, 2, 3], [2, 2])).toThrow(code('SHAPE_MISMATCH'))
    expect(() => tensor([1], [-1])).toThrow(code('INVALID_ARGUMENT'))
    expect(() => tensor(new Float32Array(1), [1], 'int8')).toThrow('must be a Int8Array for int8, got Float32Array')
    expect(() => tensor([1], [1], 'complex64' as DType)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => tensor(new DataView(new ArrayBuffer(1)) as never, [1])).toThrow(code('INVALID_ARGUMENT'))
  })

  it('of zeros has the right array for every type', () => {
    const dtypes = ['float64', 'float32', 'float16', 'bfloat16', 'int32', 'uint32', 'int16', 'uint16'] as const
    for (const dtype of [...dtypes, 'int8', 'uint8', 'bool'] as const) {
      const made = zeros([2, 2], dtype)
      assertTensor(made, { where: 'test', argument: 'made', dtype, shape: [2, 2] })
      expect(made.data.every((x) => x === 0)).toBe(true)
      expect(allocate(dtype, 3).length).toBe(3)
    }
    expect(zeros([]).data.length).toBe(1)
  })
})

describe('sizeOf', () => {
  it('multiplies sizes; a scalar has one element', () => {
    expect([sizeOf([]), sizeOf([0, 5]), sizeOf([2, 3, 4])]).toEqual([1, 0, 24])
  })

  it.each([[[1.5]], [[-1]], [[NaN]], [[2 ** 30, 2 ** 30]]])('refuses %j', (shape) => {
    expect(() => sizeOf(shape)).toThrow(code('INVALID_ARGUMENT'))
  })
})

describe('sharesMemory', () => {
  it('is about common bytes of one buffer', () => {
    const buffer = new ArrayBuffer(64)
    const first = new Float32Array(buffer, 0, 4)
    expect(sharesMemory(first, new Int8Array(buffer, 15, 1))).toBe(true)
    expect(sharesMemory(new Float64Array(buffer, 8, 1), first)).toBe(true)
    expect(sharesMemory(first, new Float32Array(buffer, 16, 4))).toBe(false)
    expect(sharesMemory(first, new Float32Array(buffer, 4, 0))).toBe(false)
    expect(sharesMemory(first, new Float32Array(4))).toBe(false)
  })
})

describe('assertTensor', () => {
  const at = { where: 'matmul', argument: 'a' }

  it.each([
    ['nothing', undefined],
    ['an array', [1, 2]],
    ['no shape', { data: new Float32Array(1), dtype: 'float32' }],
    ['a fractional size', { data: new Float32Array(1), shape: [0.5], dtype: 'float32' }],
    ['an unknown type', { data: new Float32Array(1), shape: [1], dtype: 'toString' }],
    ['plain data', { data: [1], shape: [1], dtype: 'float32' }],
    ['data of another type', { data: new Float64Array(1), shape: [1], dtype: 'float32' }],
  ])('refuses %s as INVALID_ARGUMENT', (_, value) => {
    expect(() => assertTensor(value, at)).toThrow(code('INVALID_ARGUMENT'))
  })

  it('refuses the wrong type, number of axes, sizes and length, each by name', () => {
    const a = zeros([2, 3])
    expect(() => assertTensor(a, { ...at, dtype: ['int8', 'uint8'] })).toThrow(
      "matmul: `a` must be of type int8 or uint8, got 'float32'",
    )
    expect(() => assertTensor(a, { ...at, rank: [3, 4] })).toThrow('`a` must have 3 or 4 axes, got shape [2, 3]')
    expect(() => assertTensor(a, { ...at, rank: 1 })).toThrow(code('SHAPE_MISMATCH'))
    expect(() => assertTensor(a, { ...at, shape: [null, 4] })).toThrow('must have shape [any, 4], got shape [2, 3]')
    expect(() => assertTensor(a, { ...at, shape: [2] })).toThrow(code('SHAPE_MISMATCH'))
    expect(() => assertTensor({ ...a, shape: [3, 3] }, at)).toThrow(code('SHAPE_MISMATCH'))
    assertTensor(a, { ...at, dtype: 'float32', rank: 2, shape: [null, 3] })
  })
})

describe('guards of options', () => {
  const at = { where: 'train', argument: 'rounds' }

  it('pass good values and name bad ones', () => {
    assertInteger(3, { ...at, min: 1, max: 3 })
    assertNumber(0.5, at)
    assertOneOf('a', { ...at, values: ['a', 'b'] })
    expect(() => assertInteger(0, { ...at, min: 1 })).toThrow('train: `rounds` must be an integer of at least 1, got 0')
    expect(() => assertInteger(0.5, at)).toThrow('must be an integer, got 0.5')
    expect(() => assertInteger('3', at)).toThrow("got '3'")
    expect(() => assertNumber(NaN, { ...at, max: 1 })).toThrow('must be a finite number of at most 1, got NaN')
    expect(() => assertNumber(2, { ...at, min: 0, max: 1 })).toThrow('must be a finite number in [0, 1], got 2')
    expect(() => assertNumber(Infinity, at)).toThrow(code('INVALID_ARGUMENT'))
    expect(() => assertOneOf('c', { ...at, values: ['a', 'b'] })).toThrow("must be one of 'a', 'b', got 'c'")
  })

  it('keep messages short for long values', () => {
    const long = 'x'.repeat(1000)
    const shown = (value: unknown) => {
      try {
        assertNumber(value, at)
      } catch (error) {
        return (error as Error).message
      }
      return ''
    }
    expect(shown(long).length).toBeLessThan(120)
    expect(shown(new Array(100).fill(1))).toContain('... 100 in all')
    const kinds = [{}, () => 1, new Float32Array(9), null, undefined].map((value) => shown(value).split('got ')[1])
    expect(kinds).toEqual(['an object', 'a function', 'Float32Array', 'null', 'undefined'])
  })
})

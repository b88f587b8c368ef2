import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { parseBaseModel } from '../src/index.ts'
import { bytesOf, messageOf, outcome, outcomesOfCuts } from './helpers/damage.ts'

const WEIGHTS = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6, -0.5, 0.25).buffer)
const ENTRY = {
  file: 'small.f32',
  dtype: 'float32 little-endian, row-major, weight is [out,in]',
  architecture: '3-2 linear',
  tensors: [
    { name: 'weight', shape: [2, 3], offset: 0, length: 6 },
    { name: 'bias', shape: [2], offset: 6, length: 2 },
  ],
  sha256: createHash('sha256').update(WEIGHTS).digest('hex'),
  test_correct: 9,
  test_total: 10,
  expected_logits_test0: [1.5, -1],
}
const read = (entry: unknown, weights: Uint8Array = WEIGHTS) =>
  parseBaseModel('small', { manifest: bytesOf(JSON.stringify({ small: entry })), weights })

describe('parseBaseModel', () => {
  it('gives named tensors', async () => {
    expect(await read(ENTRY)).toEqual({
      name: 'small',
      architecture: '3-2 linear',
      tensors: [
        { name: 'weight', tensor: { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3], dtype: 'float32' } },
        { name: 'bias', tensor: { data: Float32Array.of(-0.5, 0.25), shape: [2], dtype: 'float32' } },
      ],
      expectedLogits: [1.5, -1],
      testCorrect: 9,
      testTotal: 10,
    })
  })

  it('refuses weights cut anywhere or changed', async () => {
    expect(await outcomesOfCuts(WEIGHTS, (weights) => read(ENTRY, weights))).toEqual(new Set(['CORRUPT_DATA']))
    const changed = WEIGHTS.slice()
    changed[5]! ^= 1
    expect(await outcome(read(ENTRY, changed))).toBe('CHECKSUM_MISMATCH')
  })

  it.each([
    [{ ...ENTRY, tensors: [ENTRY.tensors[0], { ...ENTRY.tensors[1], offset: 5 }] }, 'the next at 6'],
    [{ ...ENTRY, tensors: [{ ...ENTRY.tensors[0], shape: [2, 4] }, ENTRY.tensors[1]] }, 'the next at 0'],
    [{ ...ENTRY, tensors: [{ ...ENTRY.tensors[0], shape: [-2, -3] }, ENTRY.tensors[1]] }, 'the next at 0'],
    [{ ...ENTRY, tensors: [] }, 'tensors'],
    [{ ...ENTRY, dtype: 'float64' }, 'float32 little-endian'],
    [{ ...ENTRY, sha256: 'abc' }, 'a sha256'],
    [{ ...ENTRY, expected_logits_test0: [1, null] }, 'expected_logits_test0'],
    [{ ...ENTRY, test_correct: -1 }, 'test_correct'],
    [null, 'an entry'],
  ])('refuses manifest %#', async (entry, message) => {
    expect(await outcome(read(entry))).toBe('CORRUPT_DATA')
    expect(await messageOf(read(entry))).toContain(message)
  })

  it('refuses a manifest that is no JSON or lacks the model', async () => {
    const withText = (text: string) => parseBaseModel('small', { manifest: bytesOf(text), weights: WEIGHTS })
    for (const text of ['', '{', '[]', 'null', '{"other":{}}'])
      expect(await outcome(withText(text))).toBe('CORRUPT_DATA')
  })
})

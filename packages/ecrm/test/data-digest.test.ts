// The short name of a training's data: the same for the same numbers however they are held, another when any seen number differs.
import { expect, it } from 'vitest'
import { dataDigest } from '../src/dlrm/dataDigest.ts'
import type { Samples } from '../src/index.ts'

const rows = 50
const made = (): { dense: Float32Array; ids: number[]; bag: number[]; weights: number[]; label: number[] } => ({
  dense: Float32Array.from({ length: rows * 2 }, (_, i) => i / 7),
  ids: Array.from({ length: rows }, (_, i) => (i * 7) % 20),
  bag: Array.from({ length: rows * 2 }, (_, i) => (i * 3) % 20),
  weights: Array.from({ length: rows * 2 }, (_, i) => i / 10),
  label: Array.from({ length: rows }, (_, i) => i % 2),
})
const samples = ({ dense, ids, bag, weights, label }: ReturnType<typeof made>): Samples => ({
  dense,
  categorical: [
    { size: 20, ids },
    { size: 20, ids: bag, weights, offsets: Array.from({ length: rows + 1 }, (_, i) => 2 * i) },
  ],
  label,
})

it('is the same for plain and for typed arrays', () => {
  const one = made()
  const typed = { ...samples(one), label: Uint8Array.from(one.label) }
  expect(dataDigest(typed)).toBe(dataDigest(samples(one)))
  expect(dataDigest(typed)).toMatch(/^[0-9a-f]{8}$/)
})

it.each(['dense', 'ids', 'bag', 'weights', 'label'] as const)('differs where any of %s does', (name) => {
  const usual = dataDigest(samples(made()))
  for (const at of [0, 17, rows - 1]) {
    const other = made()
    other[name][at]! += 1
    expect(dataDigest(samples(other))).not.toBe(usual)
  }
})

it('sees the first and the last of many samples, and one sample alone', () => {
  const many = (): Samples => ({ dense: new Float32Array(0), categorical: [], label: new Uint8Array(100_000) })
  for (const at of [0, 99_999]) {
    const other = many()
    ;(other.label as Uint8Array)[at] = 1
    expect(dataDigest(other)).not.toBe(dataDigest(many()))
  }
  const single = (label: number): Samples => ({ dense: Float32Array.of(1), categorical: [], label: [label] })
  expect(dataDigest(single(0))).not.toBe(dataDigest(single(1)))
})

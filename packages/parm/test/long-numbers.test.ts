// Numbers of more digits than any type has, and outputs of no elements.
import { expect, it } from 'vitest'
import { writePredict } from '../src/tfs/predict.ts'
import { integerOf, readJson } from '../src/oip/json-source.ts'

it('knows a number of a million digits for too large without reading them', () => {
  const digits = '9'.repeat(1_000_000)
  const [plus, minus, widest] = readJson(`[${digits},-${digits},18446744073709551615]`).exact() as unknown[]
  expect(integerOf(plus)).toBe(1n << 64n)
  expect(integerOf(minus)).toBe(-(1n << 64n))
  expect(integerOf(widest)).toBe(18446744073709551615n)
})

it.each(['row', 'column'] as const)('writes an output of two rows without elements, %ss', (form) => {
  const outputs = [{ name: 'y', datatype: 'FP32' as const, shape: [2, 0], bytes: new Uint8Array() }]
  const text = writePredict({ modelName: 'm', parameters: {}, outputs }, form)
  expect(Object.values(JSON.parse(text) as object)).toEqual([[[], []]])
})

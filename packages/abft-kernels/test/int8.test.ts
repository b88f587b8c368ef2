// Integer products are checked exactly; batches of products each on their own.
import { afterAll, describe, expect, it } from 'vitest'
import type { Fault, MatmulEngine, ProtectionScheme, Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createKernels } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

const wasm = createWasmEngine({ threads: 1, instrumented: true })
afterAll(() => wasm.dispose())
const engines: [string, MatmulEngine][] = [
  ['reference', createReferenceEngine({ instrumented: true })],
  ['wasm', wasm],
]
const schemes: ProtectionScheme[] = [
  'global',
  'row',
  'column',
  'row-column',
  'thread-one-sided',
  'thread-two-sided',
  'replication',
]

function integers(shape: readonly number[], seed: number, dtype: 'int8' | 'uint8'): Tensor {
  const random = createRandom(seed).stream('integers')
  const size = shape.reduce((all, length) => all * length, 1)
  const draw = () => random.integer(dtype === 'int8' ? -128 : 0, dtype === 'int8' ? 127 : 255)
  const data = dtype === 'int8' ? Int8Array.from({ length: size }, draw) : Uint8Array.from({ length: size }, draw)
  return { data, shape, dtype }
}

describe.each(engines)('int8 on %s', (_, engine) => {
  const kernels = createKernels({ engine })
  const w = integers([70, 37], 2, 'int8')

  it.each(schemes)('%s: exact, clean, and every flipped bit of an accumulator or output is found', async (scheme) => {
    const weights = await kernels.prepare(w, { kind: 'matmul-int8' })
    const a = integers([19, 70], 1, scheme === 'row' ? 'uint8' : 'int8')
    const clean = await kernels.matmulInt8(a, weights, { scheme })
    expect(clean.report).toMatchObject({ status: 'clean', detections: [] })
    expect(clean.report.threshold).toEqual({
      kind: 'exact',
      largest: 0,
      falseAlarmProbability: 0,
      smallestDetectable: 1,
    })
    expect(clean.output.data).toEqual((await engine.matmulInt8(a, w)).output.data)
    for (let bit = 0; bit < 32; bit++) {
      const place = { row: bit % 19, column: (bit * 7) % 37 }
      const effect = { kind: 'flip', bits: [bit] } as const
      for (const site of [
        { kind: 'output', ...place } as const,
        { kind: 'accumulator', ...place, step: 33 } as const,
      ]) {
        const { output, report } = await kernels.matmulInt8(a, weights, { scheme, faults: [{ site, effect }] })
        expect([bit, site.kind, report.status]).toEqual([bit, site.kind, 'corrected'])
        expect(output.data).toEqual(clean.output.data)
      }
    }
  })

  it('a packed weight that stays wrong is uncorrectable; a struck sum is a safe alarm', async () => {
    const weights = await kernels.prepare(w, { kind: 'matmul-int8' })
    const a = integers([6, 70], 3, 'uint8')
    a.data[2 * 70 + 5] = 1
    const lasting: Fault = {
      site: { kind: 'packed-weight', step: 5, column: 7 },
      effect: { kind: 'flip', bits: [0] },
      persistent: true,
    }
    expect((await kernels.matmulInt8(a, weights, { faults: [lasting] })).report.status).toBe('uncorrectable')
    const sum: Fault = { site: { kind: 'checksum', side: 'expected', index: 1 }, effect: { kind: 'flip', bits: [0] } }
    const { report } = await kernels.matmulInt8(a, weights, { faults: [sum] })
    expect(report.status).toBe('clean')
    expect(report.detections.map(({ outcome }) => outcome)).toEqual(['check-fault'])
  })

  it('refuses transposed operands', async () => {
    const square = integers([8, 8], 1, 'int8')
    const weights = await kernels.prepare(square, { kind: 'matmul-int8' })
    await expect(kernels.matmulInt8(square, weights, { transposeA: true })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  it('refuses weights of another kind', async () => {
    const floats = await kernels.prepare(normalTensor([4, 4], 1))
    await expect(kernels.matmulInt8(integers([2, 4], 1, 'int8'), floats)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    const weights = await kernels.prepare(w, { kind: 'matmul-int8' })
    const fix = { onFault: 'fix' as 'throw' }
    await expect(kernels.matmulInt8(integers([2, 5], 1, 'int8'), weights, fix)).rejects.toThrow('`options.onFault`')
    const out = { data: new Int32Array(w.data.buffer, 0, 1), shape: [1, 1], dtype: 'int32' as const }
    const over = kernels.matmulInt8(integers([2, 5], 1, 'int8'), weights, { out })
    await expect(over).rejects.toThrow('share memory')
    await expect(kernels.matmulInt8(integers([2, 4], 1, 'int8'), weights)).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    })
  })
})

describe.each(engines)('batches on %s', (_, engine) => {
  const kernels = createKernels({ engine })
  const a = normalTensor([3, 10, 24], 1)
  const cases = [
    ['one matrix for all', normalTensor([24, 18], 2)],
    ['a matrix each', normalTensor([3, 24, 18], 3)],
  ] as const

  describe.each(cases)('%s', (_name, w) => {
    it.each(schemes)('%s: clean with the plain bits, and faults in any item are corrected', async (scheme) => {
      const weights = await kernels.prepare(w)
      const plain = await engine.matmul(a, w)
      const clean = await kernels.matmul(a, weights, { scheme })
      expect([clean.report.detections, clean.output.shape]).toEqual([[], [3, 10, 18]])
      expect(bits(clean.output)).toEqual(bits(plain.output))
      for (const item of [0, 1, 2]) {
        const site = { kind: 'accumulator', row: item * 10 + 4, column: 11, step: 6 } as const
        const { output, report } = await kernels.matmul(a, weights, {
          scheme,
          faults: [{ site, effect: { kind: 'set', value: 900 } }],
        })
        expect(report.status).toBe('corrected')
        expect(bits(output)).toEqual(bits(plain.output))
      }
    })
  })

  it('refuses a batch of another size', async () => {
    const weights = await kernels.prepare(normalTensor([3, 24, 18], 3))
    await expect(kernels.matmul(normalTensor([2, 10, 24], 1), weights)).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    })
  })
})

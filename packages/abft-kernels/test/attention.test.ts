// Attention: equal to its definition, clean when clean, faults in either product and in the softmax found and corrected.
import { afterAll, describe, expect, it } from 'vitest'
import type { Fault, MatmulEngine, Tensor } from '@ft/core'
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
const operands = { q: normalTensor([3, 9, 16], 1), k: normalTensor([3, 14, 16], 2), v: normalTensor([3, 14, 11], 3) }

/** By the definition, in float64. */
function defined({ q, k, v }: typeof operands): Float64Array {
  const out = new Float64Array(3 * 9 * 11)
  for (let b = 0; b < 3; b++)
    for (let i = 0; i < 9; i++) {
      const at = (t: Tensor, rows: number, columns: number, row: number, column: number) =>
        t.data[(b * rows + row) * columns + column] as number
      const scores = Array.from({ length: 14 }, (_, j) => {
        let sum = 0
        for (let s = 0; s < 16; s++) sum += at(q, 9, 16, i, s) * at(k, 14, 16, j, s)
        return Math.exp(sum / 4)
      })
      const total = scores.reduce((all, value) => all + value, 0)
      for (let e = 0; e < 11; e++)
        scores.forEach(
          (score, j) =>
            (out[(b * 9 + i) * 11 + e] = (out[(b * 9 + i) * 11 + e] as number) + (score / total) * at(v, 14, 11, j, e)),
        )
    }
  return out
}

describe.each(engines)('attention on %s', (_, engine) => {
  const kernels = createKernels({ engine })

  it('is what its definition says, and clean', async () => {
    const { output, status, scores, softmax, values } = await kernels.attention(operands)
    expect([status, scores.detections, softmax.detections, values.detections]).toEqual(['clean', [], [], []])
    expect(output.shape).toEqual([3, 9, 11])
    // Scores of size below 20 carry an error of 20 k u, which exp turns into a relative one of a few 1e-6.
    defined(operands).forEach((value, i) => expect(Math.abs((output.data[i] as number) - value)).toBeLessThan(2e-5))
  })

  it.each(['scores', 'values'] as const)('a fault in %s is corrected to the clean bits', async (part) => {
    const clean = await kernels.attention(operands)
    const fault: Fault = {
      site: { kind: 'accumulator', row: 12, column: 4, step: 7 },
      effect: { kind: 'set', value: 700 },
    }
    for (const scheme of ['row', 'global', 'row-column'] as const) {
      const struck = await kernels.attention(operands, { scheme, faults: { [part]: [fault] } })
      expect([struck.status, struck[part].status]).toEqual(['corrected', 'corrected'])
      expect(bits(struck.output)).toEqual(bits(clean.output))
    }
  })

  it('probabilities that change are put right, even where their sum stays 1', async () => {
    const clean = await kernels.attention(operands)
    const shift = ({ data }: Tensor) => {
      // Two probabilities of a row swapped: the sum says nothing, the second computation does.
      ;[data[20], data[21]] = [data[21] as number, data[20] as number]
    }
    const { output, softmax } = await kernels.attention(operands, { onProbabilities: shift })
    expect([softmax.status, softmax.detections.map(({ region }) => region)]).toEqual([
      'corrected',
      [{ kind: 'row', row: 1 }],
    ])
    expect(bits(output)).toEqual(bits(clean.output))
    const left = await kernels.attention(operands, { onProbabilities: shift, onFault: 'report' })
    expect(left.status).toBe('detected')
    await expect(kernels.attention(operands, { onProbabilities: shift, onFault: 'throw' })).rejects.toMatchObject({
      code: 'FAULT_DETECTED',
    })
  })

  it('releases keys and values, also when a product throws', async () => {
    let [alive, calls, bad] = [0, 0, 0]
    const counting: MatmulEngine = {
      ...engine,
      async prepare(...given) {
        const made = await engine.prepare(...given)
        const release = made.release.bind(made)
        alive++
        return Object.assign(made, { release: () => void (alive--, release()) })
      },
      matmul: (...given) => (++calls === bad ? Promise.reject(new Error('lost')) : engine.matmul(...given)),
    }
    for (bad of [1, 2]) {
      calls = 0
      await expect(createKernels({ engine: counting }).attention(operands)).rejects.toThrow('lost')
      expect(alive).toBe(0)
    }
  })

  it('refuses operands that do not fit', async () => {
    const bad = [
      { ...operands, k: normalTensor([3, 14, 15], 1) },
      { ...operands, v: normalTensor([3, 13, 11], 1) },
      { ...operands, q: normalTensor([9, 16], 1) },
    ]
    for (const wrong of bad) await expect(kernels.attention(wrong)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
  })
})

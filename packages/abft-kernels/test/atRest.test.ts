// Embedding bags against their rows' sums, and weights that change while nothing uses them.
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import fc from 'fast-check'
import type { Fault, Tensor } from '@ft/core'
import { indexFlips } from '@ft/core/faults'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createKernels, embeddingBag, protectTable, watchWeights, type Kernels } from '../src/index.ts'
import { bits, normalTensor } from './support/data.ts'

const engine = createWasmEngine({ threads: 1, instrumented: true })
afterAll(() => engine.dispose())

describe('embeddingBag', () => {
  const table = protectTable(normalTensor([64, 12], 1))
  const random = createRandom(2).stream('ids')
  const ids = Int32Array.from({ length: 40 }, () => random.integer(0, 63))
  const offsets = Int32Array.of(0, 7, 7, 30)

  it('adds up rows as the definition says, and no bag alarms, whatever the data', () => {
    fc.assert(
      fc.property(fc.integer(), fc.double({ min: -30, max: 30, noNaN: true }), (seed, exponent) => {
        const own = createRandom(seed >>> 0).stream('table')
        const data = own.fillNormal(new Float32Array(30 * 5)).map((value) => value * 2 ** Math.trunc(exponent))
        const made = protectTable({ data, shape: [30, 5], dtype: 'float32' })
        const own40 = Int32Array.from({ length: 40 }, () => own.integer(0, 29))
        const weights = own.fillNormal(new Float32Array(40))
        const { output, report } = embeddingBag(made, own40, { offsets, weights })
        expect(report).toMatchObject({ status: 'clean', checks: 4, detections: [] })
        const [first] = output.data
        let sum = 0
        for (let i = 0; i < 7; i++) sum += (weights[i] as number) * (data[(own40[i] as number) * 5] as number)
        expect(first).toBe(Math.fround(sum))
      }),
      { numRuns: 60 },
    )
  })

  it('every flipped bit of an id that takes another row is found and corrected', () => {
    const clean = embeddingBag(table, ids, { offsets })
    const layer = { id: 'bag', m: 1, n: 12, k: 40, count: 1, dtype: 'int32', op: { kind: 'matmul', batch: 1 } } as const
    const own = createRandom(3).stream('faults')
    let found = 0
    for (let trial = 0; trial < 200; trial++) {
      const faults = indexFlips().draw(layer, own)
      const { output, report } = embeddingBag(table, ids, { offsets, faults })
      expect(report.status).toBe('corrected')
      expect(bits(output)).toEqual(bits(clean.output))
      found += report.detections.length
    }
    expect(found).toBe(200)
    const site = { kind: 'output', row: 3, column: 4 } as const
    const struck: Fault = { site, effect: { kind: 'add', value: 0.5 } }
    expect(embeddingBag(table, ids, { offsets, faults: [struck], onFault: 'report' }).report.status).toBe('detected')
    expect(() => embeddingBag(table, ids, { offsets, faults: [struck], onFault: 'throw' })).toThrow(/embeddingBag/)
  })

  it('a table row that changed is uncorrectable', () => {
    const data = (normalTensor([64, 12], 1).data as Float32Array).slice()
    const own = protectTable({ data, shape: [64, 12], dtype: 'float32' })
    data[(ids[2] as number) * 12 + 5] = 3
    expect(embeddingBag(own, ids, { offsets }).report.status).toBe('uncorrectable')
  })

  it.each([Infinity, -Infinity, NaN])('an output of %s never passes', (value) => {
    const clean = embeddingBag(table, ids, { offsets })
    const site = { kind: 'output', row: 3, column: 4 } as const
    const { output, report } = embeddingBag(table, ids, { offsets, faults: [{ site, effect: { kind: 'set', value } }] })
    expect(report.status).toBe('corrected')
    expect(bits(output)).toEqual(bits(clean.output))
  })

  it('a table row that became infinite is uncorrectable, a sum beyond float32 a matter of the input', () => {
    const data = (normalTensor([64, 12], 1).data as Float32Array).slice()
    const own = protectTable({ data, shape: [64, 12], dtype: 'float32' })
    data[(ids[2] as number) * 12 + 5] = Infinity
    expect(embeddingBag(own, ids, { offsets }).report.status).toBe('uncorrectable')
    const large = protectTable({ data: Float32Array.of(3e38, 3e38), shape: [2, 1], dtype: 'float32' })
    const { report } = embeddingBag(large, Int32Array.of(0, 1))
    expect([report.status, report.detections[0]?.outcome]).toEqual(['detected', 'input'])
  })

  it('refuses ids, offsets and weights that do not fit', () => {
    expect(() => embeddingBag(table, ids, { onFault: 'fix' as never })).toThrow(/onFault/)
    expect(() => embeddingBag(table, Int32Array.of(64))).toThrow(/below 64/)
    expect(() => embeddingBag(table, ids, { offsets: Int32Array.of(0, 50) })).toThrow(/ascending/)
    expect(() => embeddingBag(table, ids, { weights: new Float32Array(3) })).toThrow(/weights/)
    expect(() => protectTable({ data: Float32Array.of(NaN), shape: [1, 1], dtype: 'float32' })).toThrow(/finite/)
    const site = { kind: 'operand', row: 0, step: 0 } as const
    expect(() => embeddingBag(table, ids, { faults: [{ site, effect: { kind: 'flip', bits: [1] } }] })).toThrow(/site/)
  })
})

describe('watchWeights', () => {
  /** Kernels whose engine holds one packed weight that is wrong for good. */
  function damaged(kernels: Kernels, fault: Fault): Kernels {
    const lasting = { ...fault, persistent: true }
    return {
      ...kernels,
      matmul: (a, w, o) => kernels.matmul(a, w, { ...o, faults: [lasting] }),
      conv2d: (x, w, o) => kernels.conv2d(x, w, { ...o, faults: [lasting] }),
      matmulInt8: (a, w, o) => kernels.matmulInt8(a, w, { ...o, faults: [lasting] }),
    }
  }
  const fault: Fault = { site: { kind: 'packed-weight', step: 7, column: 2 }, effect: { kind: 'flip', bits: [5] } }

  async function prepared(kernels: Kernels) {
    const int8: Tensor = {
      data: Int8Array.from({ length: 320 }, (_, i) => (i * 37) % 127),
      shape: [32, 10],
      dtype: 'int8',
    }
    return {
      dense: await kernels.prepare(normalTensor([32, 10], 1)),
      batch: await kernels.prepare(normalTensor([2, 32, 10], 2)),
      filter: await kernels.prepare(normalTensor([3, 3, 4, 6], 3), { kind: 'conv2d', groups: 2 }),
      bytes: await kernels.prepare(int8, { kind: 'matmul-int8' }),
    }
  }

  it('finds nothing in sound weights, and a wrong packed weight of any kind in one turn', async () => {
    const kernels = createKernels({ engine })
    const weights = await prepared(kernels)
    const sound = await watchWeights(kernels, weights, { seed: 1 }).sweep()
    expect(sound.every(({ tensorIntact, packedIntact }) => tensorIntact && packedIntact)).toBe(true)
    const large: Fault = { ...fault, effect: { kind: 'add', value: 2 } }
    for (const [id, own] of Object.entries(weights)) {
      const struck = id === 'bytes' ? fault : large
      const [finding] = await watchWeights(damaged(kernels, struck), { [id]: own }, { seed: 1 }).sweep()
      expect([id, finding?.packedIntact]).toEqual([id, false])
    }
  })

  it('refuses to watch nothing', () => {
    for (const nothing of [{}, null, undefined])
      expect(() => watchWeights(createKernels({ engine }), nothing as never, { seed: 1 })).toThrow('at least one')
  })

  it('finds a changed tensor, and reports on a schedule', async () => {
    const kernels = createKernels({ engine })
    const { dense } = await prepared(kernels)
    const watch = watchWeights(kernels, { dense }, { seed: 1 })
    const found: string[] = []
    watch.start({ everyMs: 5, onDamage: ({ id, tensorIntact }) => void found.push(`${id} ${tensorIntact}`) })
    await wait(40)
    expect(found).toEqual([])
    dense.tensor.data[5] = 9
    await wait(60)
    watch.stop()
    expect(found.length).toBeGreaterThan(0)
    expect(found[0]).toBe('dense false')
  })
})

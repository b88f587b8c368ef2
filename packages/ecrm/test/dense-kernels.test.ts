// What the dense model computes besides matrix products, against float64 formulas over every small shape.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createScratch } from '../src/dlrm/scratch.ts'
import { createDenseModel } from '../src/index.ts'
import { interact, interactBackward, pairCount } from '../src/dlrm/interaction.ts'
import { throughMemory } from '../src/dlrm/kernelMemory.ts'
import { distinct } from '../src/dlrm/lookUp.ts'

/** Half a unit in the last place of 1. */
const u = 2 ** -24
const sizes = fc.record({
  batch: fc.integer({ min: 1, max: 4 }),
  vectors: fc.integer({ min: 2, max: 9 }),
  d: fc.integer({ min: 1, max: 40 }),
  seed: fc.nat(),
})
const make = ({ batch, vectors, d, seed }: { batch: number; vectors: number; d: number; seed: number }) => {
  const random = createRandom(seed)
  const normal = (length: number) => random.fillNormal(new Float32Array(length))
  const width = d + pairCount(vectors)
  const [z0, embeddings, gradient] = [normal(batch * d), normal(batch * (vectors - 1) * d), normal(batch * width)]
  const vector = (b: number, i: number): Float32Array =>
    i === 0
      ? z0.subarray(b * d, (b + 1) * d)
      : embeddings.subarray((b * (vectors - 1) + i - 1) * d, (b * (vectors - 1) + i) * d)
  return { z0, embeddings, gradient, width, vector }
}

it('interact gives z0 and the products of all pairs, within the rounding of float32 sums', () => {
  fc.assert(
    fc.property(sizes, (of) => {
      const { z0, embeddings, width, vector } = make(of)
      const out = new Float32Array(of.batch * width).fill(NaN)
      interact(of, { z0, embeddings }, out)
      for (let b = 0; b < of.batch; b++) {
        const row = out.subarray(b * width, (b + 1) * width)
        expect(row.subarray(0, of.d)).toEqual(vector(b, 0))
        let at = of.d
        for (let i = 1; i < of.vectors; i++)
          for (let other = 0; other < i; other++) {
            const products = Array.from(vector(b, i), (x, j) => x * vector(b, other)[j]!)
            const bound = (of.d + 1) * u * products.reduce((sum, one) => sum + Math.abs(one), 0) * 1.001
            const exact = products.reduce((sum, one) => sum + one, 0)
            expect(Math.abs(row[at++]! - exact)).toBeLessThanOrEqual(bound)
          }
      }
    }),
  )
})

it('interactBackward gives the gradients of z0 and of every embedding', () => {
  fc.assert(
    fc.property(sizes, (of) => {
      const { z0, embeddings, gradient, width, vector } = make(of)
      const out = {
        z0: new Float32Array(z0.length).fill(NaN),
        embeddings: new Float32Array(embeddings.length).fill(NaN),
      }
      interactBackward(of, { z0, embeddings, gradient }, out)
      const pair = (b: number, i: number, other: number): number =>
        gradient[b * width + of.d + pairCount(Math.max(i, other)) + Math.min(i, other)]!
      for (let b = 0; b < of.batch; b++)
        for (let i = 0; i < of.vectors; i++)
          for (let j = 0; j < of.d; j++) {
            const terms = i === 0 ? [gradient[b * width + j]!] : []
            for (let other = 0; other < of.vectors; other++)
              if (other !== i) terms.push(pair(b, i, other) * vector(b, other)[j]!)
            const bound = (terms.length + 1) * u * terms.reduce((sum, one) => sum + Math.abs(one), 0) * 1.001
            const got = i === 0 ? out.z0[b * of.d + j]! : out.embeddings[(b * (of.vectors - 1) + i - 1) * of.d + j]!
            expect(Math.abs(got - terms.reduce((sum, one) => sum + one, 0))).toBeLessThanOrEqual(bound)
          }
    }),
  )
})

it('the gradient of a ReLU is none where its output is 0 of either sign, and its column sums are those of float64', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 21 }), fc.nat(), (rows, columns, seed) => {
      const random = createRandom(seed)
      const gradient = random.fillNormal(new Float32Array(rows * columns))
      const output = random.fillNormal(new Float32Array(rows * columns)).map((x) => (x < 0 ? 0 * x : x))
      const [masked, sums] = [new Float32Array(rows * columns).fill(NaN), new Float32Array(2 * columns)]
      throughMemory('reluBackward', [rows, columns], { inputs: [gradient, output], outputs: [masked, sums] })
      const expected = gradient.map((g, i) => (output[i] === 0 ? 0 : g))
      expect(masked).toEqual(expected)
      for (let j = 0; j < columns; j++) {
        let sum = 0
        for (let row = 0; row < rows; row++) sum += expected[row * columns + j]!
        expect(sums[j]).toBe(Math.fround(sum))
      }
    }),
  )
})

it('distinct ids are in the order of first mention, and every mention finds its own', () => {
  const id = fc.oneof(fc.nat(20), fc.nat(2 ** 32 - 1), fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1))
  fc.assert(
    fc.property(fc.array(id, { maxLength: 200 }), (list) => {
      const { ids, at } = distinct(Uint32Array.from(list))
      expect(Array.from(ids)).toEqual([...new Set(list)])
      expect(Array.from(at, (place) => ids[place])).toEqual(list)
    }),
  )
})

it('what a model gave is not written over by its next batch, larger or smaller', () => {
  const options = { features: 3, tables: 2, d: 4, bottom: [5], top: [6], seed: 1 }
  const optimizer = { name: 'sgd', learningRate: 0.1 } as const
  const model = createDenseModel({ ...options, engine: createWasmEngine({ threads: 1 }), optimizer })
  const batchOf = (rows: number, seed: number) => {
    const random = createRandom(seed)
    const normal = (length: number) => random.fillNormal(new Float32Array(length))
    return { dense: normal(rows * 3), embeddings: normal(rows * 8) }
  }
  const labels = Array.from({ length: 9 }, (_, i) => i % 2)
  const first = batchOf(5, 1)
  const given = { gradients: model.gradients(first, labels), probabilities: model.predict(first) }
  const before = structuredClone(given)
  for (const rows of [9, 2, 5]) {
    model.gradients(batchOf(rows, rows), labels)
    model.predict(batchOf(rows, rows))
  }
  expect(given).toEqual(before)
  expect(model.gradients(first, labels)).toEqual(before.gradients)
  // With room for them the gradients of embeddings lie there, and are the same.
  const room = createScratch()
  const within = model.gradients(first, labels, room)
  expect(within).toEqual(before.gradients)
  expect(model.gradients(first, labels, room).embeddings.buffer).toBe(within.embeddings.buffer)
})

it('scratch arrays are as long as they are asked for, and the same memory while that is enough', () => {
  const scratch = createScratch()
  const first = scratch('a', 16)
  expect([first.length, scratch('a', 17).length, scratch('a', 18).buffer === first.buffer]).toEqual([16, 17, true])
  const more = scratch('a', 100)
  expect([more.length, more.buffer === first.buffer, scratch('b', 3).buffer === more.buffer]).toEqual([
    100,
    false,
    false,
  ])
})

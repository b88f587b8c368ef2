// Gradients of the dense model against central differences of a float64 DLRM written independently.
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createDenseModel, type DenseBatch } from '../src/index.ts'

const sizes = { features: 4, tables: 3, d: 5 }
const widths = { bottom: [4, 7, 5], top: [5 + 6, 6, 1] }
const samples = 9

/** Mean log loss in float64, layer by layer as the paper has it. */
function slowLoss(
  parameters: readonly Float64Array[],
  { dense, embeddings }: Record<keyof DenseBatch, Float64Array>,
  labels: readonly number[],
): number {
  const { features, tables, d } = sizes
  let total = 0
  for (let b = 0; b < samples; b++) {
    let at = 0
    const layer = (x: number[], n: number, relu: boolean): number[] => {
      const [w, bias] = [parameters[at++]!, parameters[at++]!]
      return Array.from({ length: n }, (_, j) => {
        const sum = x.reduce((all, value, i) => all + value * w[i * n + j]!, bias[j]!)
        return relu ? Math.max(0, sum) : sum
      })
    }
    let x = Array.from(dense.subarray(b * features, (b + 1) * features))
    for (const n of widths.bottom.slice(1)) x = layer(x, n, true)
    const vectors = [
      x,
      ...Array.from({ length: tables }, (_, t) =>
        Array.from(embeddings.subarray((b * tables + t) * d, (b * tables + t + 1) * d)),
      ),
    ]
    let joined = [...x]
    for (let i = 0; i < vectors.length; i++)
      for (let j = 0; j < i; j++) joined.push(vectors[i]!.reduce((sum, value, e) => sum + value * vectors[j]![e]!, 0))
    widths.top.slice(1).forEach((n, l) => (joined = layer(joined, n, l < widths.top.length - 2)))
    const p = 1 / (1 + Math.exp(-joined[0]!))
    total -= labels[b] === 1 ? Math.log(p) : Math.log(1 - p)
  }
  return total / samples
}

describe.each(['reference', 'wasm'] as const)('on the %s engine', (name) => {
  const engine = name === 'reference' ? createReferenceEngine() : createWasmEngine({ threads: 1 })
  const options = { ...sizes, bottom: [7], top: [6], optimizer: { name: 'sgd', learningRate: 0.1 }, seed: 4 } as const

  it('has the gradients of the float64 loss', () => {
    const model = createDenseModel({ engine, ...options })
    const random = createRandom(2)
    const batch = {
      dense: random.fillNormal(new Float32Array(samples * sizes.features)),
      embeddings: random.fillNormal(new Float32Array(samples * sizes.tables * sizes.d)),
    }
    const labels = Array.from({ length: samples }, () => random.integer(0, 1))
    const got = model.gradients(batch, labels)

    const parameters = model.parameters.map((p) => Float64Array.from(p))
    const inputs = { dense: Float64Array.from(batch.dense), embeddings: Float64Array.from(batch.embeddings) }
    const loss = (): number => slowLoss(parameters, inputs, labels)
    // Sums have at most 11 terms of order 10: float32 errs by 11 x 10 x 2^-24 < 1e-5 in a logit, and as much in a loss.
    expect(Math.abs(got.loss - loss())).toBeLessThan(1e-5)
    const compare = (values: Float64Array, gradient: Float32Array): void => {
      values.forEach((value, i) => {
        const step = 1e-6
        values[i] = value + step
        const up = loss()
        values[i] = value - step
        const down = loss()
        values[i] = value
        // Central differences: error step^2 of curvature (1e-12) and 2^-53 / step of rounding (1e-10); the float32
        // gradient has five products in a row with sums of at most 11 terms of order 10: below 5 x 1e-5.
        expect(Math.abs(gradient[i]! - (up - down) / (2 * step))).toBeLessThan(5e-5)
      })
    }
    parameters.forEach((values, p) => compare(values, got.parameters[p]!))
    compare(inputs.embeddings, got.embeddings)
    expect(got.embeddings.some((value) => Math.abs(value) > 1e-3)).toBe(true)
  })

  it('steps down its gradient', () => {
    const model = createDenseModel({ engine, ...options })
    const before = model.parameters.map((p) => p.slice())
    const gradients = before.map((p, at) => p.map((_, i) => at + i))
    model.update(gradients)
    model.parameters.forEach((p, at) =>
      expect(p).toEqual(before[at]!.map((value, i) => Math.fround(value - 0.1 * gradients[at]![i]!))),
    )
  })
})

it('refuses batches that do not fit', () => {
  const engine = createReferenceEngine()
  const model = createDenseModel({ engine, ...sizes, optimizer: { name: 'sgd', learningRate: 1 }, seed: 0 })
  expect(() => model.predict({ dense: new Float32Array(8), embeddings: new Float32Array(8) })).toThrow(
    expect.toSatisfy((e) => isFtError(e, 'SHAPE_MISMATCH')),
  )
})

// Samples with a planted rule: the label depends on one dense feature and on a hidden value of each id.
import { createRandom } from '@ft/core/random'
import type { Samples } from '../../src/index.ts'

export function plantedSamples(rows: number, seed: number): Samples & { readonly score: Float64Array } {
  const random = createRandom(seed)
  // The rule is the same whatever the seed of the rows.
  const rule = createRandom(1)
  const hidden = [40, 25].map((size) => rule.fillNormal(new Float64Array(size)))
  const dense = random.fillNormal(new Float32Array(rows * 3))
  const categorical = hidden.map((values) => ({
    size: values.length,
    ids: Int32Array.from({ length: rows }, () => random.integer(0, values.length - 1)),
  }))
  const score = Float64Array.from({ length: rows }, (_, row) => {
    return dense[row * 3]! + hidden.reduce((sum, values, t) => sum + 1.5 * values[categorical[t]!.ids[row]!]!, 0)
  })
  const label = Uint8Array.from(score, (value) => Number(random.bernoulli(1 / (1 + Math.exp(-value)))))
  return { dense, categorical, label, score }
}

// Samples with a planted rule: the label depends on one dense feature and on a hidden value of each id.
import { createRandom } from '@ft/core/random'
import type { CategoricalFeature, Samples } from '../../src/index.ts'

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

/**
 * Samples with bags: table 0 has one id a sample, table 1 a sum and table 2 a weighted mean of 0 to 5, often repeated, ids. The
 * label depends on all three.
 */
export function baggedSamples(rows: number, seed: number): Samples {
  const random = createRandom(seed)
  const rule = createRandom(2)
  const [single, summed, averaged] = [30, 40, 25].map((size) => rule.fillNormal(new Float64Array(size)))
  const dense = random.fillNormal(new Float32Array(rows * 2))
  const ids = Int32Array.from({ length: rows }, () => random.integer(0, 29))
  const score = Float64Array.from(ids, (id, row) => dense[row * 2]! + single![id]!)
  const bags = (hidden: Float64Array, weighted: boolean): CategoricalFeature => {
    const offsets = new Uint32Array(rows + 1)
    const ids: number[] = []
    const weights: number[] = []
    for (let row = 0; row < rows; row++) {
      let [sum, all] = [0, 0]
      for (let left = random.integer(0, 5); left > 0; left--) {
        // Often the same one again.
        const id = left % 2 === 0 && ids.length > offsets[row]! ? ids.at(-1)! : random.integer(0, hidden.length - 1)
        const weight = weighted ? 0.25 + random.uniform() : 1
        ids.push(id)
        weights.push(weight)
        sum += weight * hidden[id]!
        all += weight
      }
      offsets[row + 1] = ids.length
      if (all > 0) score[row]! += weighted ? (1.5 * sum) / all : sum
    }
    return { size: hidden.length, ids, offsets, ...(weighted ? { pooling: 'mean', weights } : {}) }
  }
  const categorical = [{ size: 30, ids }, bags(summed!, false), bags(averaged!, true)]
  const label = Uint8Array.from(score, (value) => Number(random.bernoulli(1 / (1 + Math.exp(-value)))))
  return { dense, categorical, label }
}

import { describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { predict, train, type Model, type TrainOptions } from '../src/index.ts'
import { recompute } from './support/naive.ts'

/** Labels that depend on a category in no order, with some missing cells and a numeric column beside it. */
function made(rows: number, levels: number, seed = 1) {
  const random = createRandom(seed).stream('categories')
  const effect = Float64Array.from({ length: levels }, () => random.normal(0, 3))
  const data = new Float32Array(rows * 2)
  const label = Float64Array.from({ length: rows }, (_, row) => {
    const code = random.integer(0, levels - 1)
    const x = random.uniform()
    data.set([random.uniform() < 0.1 ? NaN : code, x], 2 * row)
    return (effect[code] ?? 0) + x + 0.1 * random.normal()
  })
  return { features: { data, rows, columns: 2, categorical: [0] }, label }
}

const stump: TrainOptions = { objective: 'squared', rounds: 1, dropout: false, learningRate: 1, maxDepth: 1, l2: 0 }

describe('one split of a category', () => {
  it.each([3, 4, 7, 9])('of %i levels is the best of all subsets', async (levels) => {
    // Without smoothing and extra L2, prefixes of the sorted categories hold the best subset (Fisher, 1958).
    for (const seed of [1, 2, 3, 4, 5]) {
      const { features, label } = made(400, levels, seed)
      const only = { data: features.data.filter((_, i) => i % 2 === 0), rows: 400, columns: 1, categorical: [0] }
      const { model } = await train(
        { features: only, label },
        { ...stump, categorySmooth: 0, categoryL2: 0, mostCategories: 254 },
      )
      const base = model.baseScores[0] ?? NaN
      // Category `levels` stands for missing cells.
      const sums = Array.from({ length: levels + 1 }, () => ({ g: 0, n: 0 }))
      label.forEach((y, row) => {
        const code = only.data[row] ?? NaN
        const sum = sums[Number.isNaN(code) ? levels : code] as { g: number; n: number }
        sum.g += base - y
        sum.n++
      })
      const all = sums.reduce((total, { g, n }) => ({ g: total.g + g, n: total.n + n }), { g: 0, n: 0 })
      let best = 0
      for (let subset = 1; subset < 2 ** (levels + 1) - 1; subset++) {
        let [g, n] = [0, 0]
        sums.forEach((sum, code) => {
          if (!((subset >> code) & 1)) return
          g += sum.g
          n += sum.n
        })
        if (n === 0 || n === all.n) continue
        best = Math.max(best, (g * g) / n + (all.g - g) ** 2 / (all.n - n) - all.g ** 2 / all.n)
      }
      // Gains are sums of gradients rounded to 31 bits: 400 roundings of 2^-31 of their total.
      const found = model.trees[0]?.gain[0] ?? 0
      if (levels + 1 <= 4) expect(found).toBeLessThanOrEqual(best * (1 + 1e-6))
      else expect(Math.abs(found - best)).toBeLessThan(1e-6 * best)
    }
  })
})

describe('categorical features', () => {
  const data = made(3000, 40)
  const options: TrainOptions = { objective: 'squared', rounds: 40, maxDepth: 5, dropout: { dropRate: 0.1 } }

  it('find effects that thresholds on the codes cannot in the same number of splits', async () => {
    const test = made(1000, 40)
    const rmse = (model: Model) => {
      const known = (row: number) => !Number.isNaN(test.features.data[2 * row])
      const errors = [...predict(model, test.features)].map((p, row) =>
        known(row) ? (p - (test.label[row] ?? 0)) ** 2 : 0,
      )
      return Math.sqrt(errors.reduce((sum, error) => sum + error, 0) / errors.filter((error) => error > 0).length)
    }
    const few = { ...options, rounds: 10, dropout: false, learningRate: 0.5 } as const
    const sets = await train(data, few)
    const codes = await train({ ...data, features: { ...data.features, categorical: [] } }, few)
    expect(rmse(sets.model)).toBeLessThan(0.75 * rmse(codes.model))
  })

  it('predict the same bits by kernel, row by row, and recomputed', async () => {
    const { model } = await train(data, options)
    const all = predict(model, data.features)
    const rows = Array.from({ length: 200 }, (_, row) => data.features.data.subarray(2 * row, 2 * row + 2))
    expect([...recompute(model, rows)]).toEqual([...all.subarray(0, 200)])
    rows.forEach((row, r) => expect(predict(model, { data: row, rows: 1, columns: 2 })[0]).toBe(all[r]))
  })

  it.each([
    ['threads', { threads: 2 }],
    ['no leaf cache', { leafCacheBytes: 0 }],
  ])('%s: the same model bits', async (_, change) => {
    const large = made(20_000, 60)
    for (const more of [{}, { minRows: 20 }]) {
      const few = { ...options, rounds: 8, ...more }
      const input = { ...large, validation: made(500, 60, 2) }
      const [one, two] = [await train(input, few), await train(input, { ...few, ...change })]
      expect(two.model).toEqual(one.model)
      expect(two.history).toEqual(one.history)
    }
  })

  it('restored validation scores agree: binned and raw routes are one', async () => {
    const out = await train({ ...data, validation: made(500, 45, 2) }, options)
    const scores = predict(out.model, made(500, 45, 2).features, { output: 'raw' })
    scores.forEach((score, row) =>
      expect(Math.abs(score - (out.validationScores?.[row] ?? NaN))).toBeLessThan(1e-12 * Math.max(1, Math.abs(score))),
    )
  })

  it('a category that training did not see goes right everywhere', async () => {
    const { model } = await train(data, { ...stump, maxDepth: 3 })
    const [unseen, far] = [40, 1e6].map(
      (code) => predict(model, { data: Float32Array.of(code, 0.5), rows: 1, columns: 2 })[0],
    )
    expect(unseen).toBe(far)
  })

  it('minRows holds for both sides of a set', async () => {
    const { model } = await train(data, { ...options, rounds: 3, minRows: 200, dropout: false })
    const leaves = predict(model, data.features, { output: 'leaf' })
    for (let t = 0; t < 3; t++) {
      const counts = new Map<number, number>()
      for (let row = 0; row < 3000; row++) {
        const leaf = leaves[row * 3 + t] ?? -1
        counts.set(leaf, (counts.get(leaf) ?? 0) + 1)
      }
      expect(Math.min(...counts.values())).toBeGreaterThanOrEqual(200)
    }
  })

  it.each([
    ['a fraction', 1.5, /row 3, column f0: a category code must be 0 to 253, got 1.5/],
    ['a negative code', -1, /got -1/],
    ['more categories than bins', 254, /got 254/],
  ])('%s is refused', async (_, code, message) => {
    const features = { ...data.features, data: data.features.data.slice() }
    features.data[6] = code
    await expect(train({ features, label: data.label }, options)).rejects.toThrow(message)
  })
})

describe('interaction constraints', () => {
  it('no path mixes features of different sets, and the fit suffers where the signal is an interaction', async () => {
    const random = createRandom(3).stream('interactions')
    const x = random.fillUniform(new Float32Array(4 * 2000))
    const label = Float64Array.from({ length: 2000 }, (_, row) => {
      const [a = 0, b = 0, c = 0, d = 0] = x.subarray(4 * row, 4 * row + 4)
      return (a > 0.5 ? 1 : -1) * (b > 0.5 ? 1 : -1) + c + d
    })
    const features = { data: x, rows: 2000, columns: 4, names: ['a', 'b', 'c', 'd'] }
    const options: TrainOptions = { objective: 'squared', rounds: 30, maxDepth: 4, dropout: { dropRate: 0.1 } }
    const sets = [
      [0, 2],
      [1, 2],
    ]
    const { model } = await train(
      { features, label },
      {
        ...options,
        interactions: [
          ['a', 'c'],
          ['b', 2],
        ],
      },
    )
    const fits = (path: number[]) =>
      path.length < 2 || sets.some((set) => path.every((feature) => set.includes(feature)))
    for (const tree of model.trees) {
      const walk = (node: number, path: number[]): void => {
        if (node < 0) return
        const next = [...new Set([...path, tree.feature[node] as number])]
        expect(fits(next)).toBe(true)
        walk(tree.left[node] as number, next)
        walk(tree.right[node] as number, next)
      }
      if (tree.feature.length > 0) walk(0, [])
    }
    const free = await train({ features, label }, options)
    const loss = (m: Model) =>
      predict(m, features).reduce((sum, p, row) => sum + (p - (label[row] ?? 0)) ** 2, 0) / 2000
    expect(loss(free.model)).toBeLessThan(0.5 * loss(model))
  })

  it('an unknown feature is refused', async () => {
    const data = made(50, 3)
    await expect(train(data, { ...stump, interactions: [['nose']] })).rejects.toThrow(/no feature nose/)
  })
})

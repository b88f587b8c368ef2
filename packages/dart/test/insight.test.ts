import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { readCaliforniaHousing, requireData } from '@ft/datasets'
import {
  contributions,
  dumpTree,
  importance,
  overSpecialization,
  overSpecializationSvg,
  permutationImportance,
  predict,
  prune,
  readXgboost,
  train,
  type Model,
  type Tree,
  type TrainOptions,
} from '../src/index.ts'
import { makeData } from './support/made.ts'

const dart: TrainOptions = { objective: 'squared', rounds: 25, maxDepth: 4, dropout: { dropRate: 0.2 } }

function withCategory(task: 'regression' | 'classes' = 'regression') {
  const made = makeData(400, { missing: 0.1, task })
  const data = made.features.data.map((value, i) => (i % 6 === 4 ? Math.floor(value * 12) : value))
  return { features: { data, rows: 400, columns: 6, categorical: [4] }, label: made.label }
}

describe('contributions', () => {
  it.each([
    ['regression', withCategory(), dart],
    ['classes', withCategory('classes'), { ...dart, objective: 'softmax', rounds: 8 }],
    ['one leaf', makeData(50), { ...dart, rounds: 2, minRows: 50 }],
  ] as const)('of %s add up to the raw score under dropout', async (_, data, options) => {
    const { model } = await train(data, options)
    const raw = predict(model, data.features, { output: 'raw' })
    const parts = contributions(model, data.features)
    const width = data.features.columns + 1
    expect(parts.length).toBe(raw.length * width)
    raw.forEach((score, i) => {
      const sum = parts.subarray(i * width, (i + 1) * width).reduce((total, part) => total + part, 0)
      // 25 trees of rational weights in float64: far below the package's promise of 1e-9.
      expect(Math.abs(sum - score)).toBeLessThan(1e-9 * Math.max(1, Math.abs(score)))
    })
  })

  it('are Shapley values: equal to the sum over all orders of features', async () => {
    const data = makeData(300, { columns: 4, missing: 0.1 })
    const { model } = await train(data, { ...dart, rounds: 6, maxDepth: 5 })
    const parts = contributions(model, data.features)
    for (let row = 0; row < 20; row++) {
      const x = data.list[row] as Float32Array
      const game = Array.from({ length: 16 }, (_, set) => valueOf(model, x, set))
      for (let f = 0; f < 4; f++) {
        let phi = 0
        for (let set = 0; set < 16; set++) {
          if ((set >> f) & 1) continue
          const size = [0, 1, 2, 3].filter((c) => (set >> c) & 1).length
          // |S|! (n - |S| - 1)! / n! for n = 4
          const weight = [6, 2, 2, 6][size] as number
          phi += (weight / 24) * ((game[set | (1 << f)] as number) - (game[set] as number))
        }
        expect(Math.abs((parts[row * 5 + f] ?? NaN) - phi)).toBeLessThan(1e-9)
      }
      expect(Math.abs((parts[row * 5 + 4] ?? NaN) - (game[0] as number))).toBeLessThan(1e-9)
    }
  })

  /** Prediction that knows the features of a set only; others split by cover. */
  function valueOf(model: Model, x: Float32Array, set: number): number {
    const cover = (tree: Tree, child: number) => (child >= 0 ? tree.nodeCover[child] : tree.leafCover[~child]) as number
    const of = (tree: Tree, node: number): number => {
      if (node < 0) return tree.value[~node] as number
      const [left, right] = [tree.left[node] as number, tree.right[node] as number]
      const feature = tree.feature[node] as number
      if ((set >> feature) & 1) {
        const value = x[feature] as number
        const goes = Number.isNaN(value) ? tree.missingLeft[node] === 1 : value <= (tree.threshold[node] as number)
        return of(tree, goes ? left : right)
      }
      const share = cover(tree, left) / (cover(tree, left) + cover(tree, right))
      return share * of(tree, left) + (1 - share) * of(tree, right)
    }
    return model.trees.reduce(
      (sum, tree, t) => sum + (model.weights[t] as number) * of(tree, tree.feature.length ? 0 : -1),
      model.baseScores[0] as number,
    )
  }

  it('agree with XGBoost, dart and forest included', () => {
    const cases = JSON.parse(readFileSync(new URL('golden/xgboost-1.7.4.json', import.meta.url), 'utf8')) as {
      name: string
      model: unknown
      rows: number
      features: (number | null)[]
      contributions: number[]
    }[]
    for (const { model, features, contributions: theirs } of cases) {
      const data = Float32Array.from(features.slice(0, 150), (value) => value ?? NaN)
      const ours = contributions(readXgboost(JSON.stringify(model)), { data, rows: 30, columns: 5 })
      expect(ours.length).toBe(theirs.length)
      // Theirs are float32 through the unwinding of paths, which divides by small weights.
      ours.forEach((part, i) => expect(Math.abs(part - (theirs[i] as number))).toBeLessThan(2e-4))
    }
  })
})

describe('importance', () => {
  it('counts splits, gains and covers; unused features have none', async () => {
    const data = makeData(500)
    const { model } = await train(data, { ...dart, dropout: false })
    const [split, gain, cover] = (['split', 'gain', 'cover'] as const).map((kind) => importance(model, kind))
    const inner = model.trees.reduce((sum, tree) => sum + tree.feature.length, 0)
    expect(split?.reduce((sum, count) => sum + count, 0)).toBe(inner)
    // The signal is in features 0 to 3.
    const top = (values: Float64Array | undefined) =>
      [...(values?.keys() ?? [])].sort((a, b) => (values?.[b] ?? 0) - (values?.[a] ?? 0))
    expect(top(gain).slice(0, 4).sort()).toEqual([0, 1, 2, 3])
    // Every root passes all rows: the covers of one tree's root are the 500 hessians, times the weight.
    const roots = model.trees.reduce((sum, tree) => sum + 0.1 * (tree.nodeCover[0] ?? 0), 0)
    expect(roots).toBeCloseTo(25 * 50, 6)
    expect(cover?.reduce((sum, c) => sum + c, 0)).toBeGreaterThan(roots)
    expect(() => importance(model, 'weight' as 'gain')).toThrow(/kind must be/)
  })

  it('by permutation hurts on signal and not on noise', async () => {
    const { model } = await train(makeData(800), { ...dart, rounds: 60 })
    const test = makeData(400, { seed: 2 })
    const { baseline, mean, standardError } = permutationImportance(model, { ...test, seed: 1 })
    const again = permutationImportance(model, { ...test, seed: 1 })
    expect(again.mean).toEqual(mean)
    expect(baseline).toBeGreaterThan(0)
    for (const f of [0, 1, 2, 3]) expect(mean[f] ?? 0).toBeGreaterThan(5 * (standardError[f] ?? NaN))
    for (const f of [4, 5]) expect(Math.abs(mean[f] ?? NaN)).toBeLessThan(0.05 * (mean[3] ?? NaN))
    expect(() => permutationImportance(model, { ...test, seed: 1, repeats: 1 })).toThrow(/repeats must be at least 2/)
  })
})

describe('overSpecialization', () => {
  it('of equal trees is even: every share is that of their number', async () => {
    const data = makeData(300)
    const { model } = await train(data, { ...dart, rounds: 20, dropout: { dropRate: 1 }, learningRate: 1 })
    const report = overSpecialization(model, data.features)
    expect(report.firstTree).toBeCloseTo(1 / 20, 9)
    expect(report.firstTenth).toBeCloseTo(2 / 20, 9)
    expect(report.lastHalf).toBeCloseTo(1 / 2, 9)
    expect(
      [...report.meanContribution].every((c) => Math.abs(c / (report.meanContribution[0] ?? NaN) - 1) < 1e-9),
    ).toBe(true)
  })

  it('draws a picture of its curves', async () => {
    const data = makeData(200)
    const { model } = await train(data, dart)
    const svg = overSpecializationSvg({ 'DART <1>': overSpecialization(model, data.features) })
    expect(svg).toMatch(/^<svg .*<polyline .*DART &#60;1&#62;.*<\/svg>$/)
    expect((/points="([^"]*)"/.exec(svg)?.[1] ?? '').split(' ').length).toBe(25)
    expect(() => overSpecializationSvg({})).toThrow(/1 to 6 curves/)
  })

  it('needs trees', async () => {
    const { model } = await train(makeData(50), { ...dart, rounds: 0 })
    expect(() => overSpecialization(model, makeData(50).features)).toThrow(/no trees/)
  })

  const california = requireData('california-housing')
  if (california.skip !== undefined) console.log(`skipped: ${california.skip}`)
  it.skipIf(california.skip !== undefined)(
    'MART leans on its first trees, DART does not (california, 250 trees)',
    async () => {
      const { train: rows, test } = await readCaliforniaHousing()
      const features = (table: typeof rows) => ({ data: table.features, rows: table.rows, columns: table.names.length })
      const input = { features: features(rows), label: rows.target }
      const options: TrainOptions = {
        objective: 'squared',
        growth: 'leaf',
        maxLeaves: 40,
        minRows: 10,
        l2: 0,
        rounds: 250,
      }
      const mart = await train(input, { ...options, dropout: false, learningRate: 0.1 })
      const paper = await train(input, { ...options, dropout: 'paper' })
      const [a, b] = [mart.model, paper.model].map((model) => overSpecialization(model, features(test)))
      expect(a?.firstTenth).toBeGreaterThan(0.5)
      expect(a?.lastHalf).toBeLessThan(0.15)
      expect(b?.firstTenth).toBeLessThan(0.25)
      expect(b?.lastHalf).toBeGreaterThan(0.38)
    },
  )
})

describe('prune', () => {
  it('removes trees that the validation set does not miss; the metric is no worse, and is what the model gives', async () => {
    const input = makeData(300)
    const test = makeData(300, { seed: 2 })
    const { model } = await train(input, { ...dart, rounds: 60, dropout: { dropRate: 0.5 } })
    const out = await prune(model, test)
    expect(out.after).toBeLessThanOrEqual(out.before)
    expect(out.removed.length).toBeGreaterThan(5)
    expect(out.model.trees.length).toBe(60 - out.removed.length)
    const scores = predict(out.model, test.features, { output: 'raw' })
    const rmse = Math.sqrt(scores.reduce((sum, s, row) => sum + (s - (test.label[row] ?? 0)) ** 2, 0) / 300)
    expect(rmse).toBeCloseTo(out.after, 9)
    const loose = await prune(model, { ...test, tolerance: 0.05 })
    expect(loose.removed.length).toBeGreaterThan(out.removed.length)
    expect(loose.after).toBeLessThanOrEqual(1.05 * out.before)
  })

  it('keeps whole rounds of several outputs', async () => {
    const input = withCategory('classes')
    const { model } = await train(input, { ...dart, objective: 'softmax', rounds: 12 })
    const out = await prune(model, { ...input, tolerance: 0.02 })
    expect(out.model.trees.length % 3).toBe(0)
    expect(out.removed.length).toBe(12 - out.model.trees.length / 3)
    await expect(prune(model, { ...input, tolerance: -1 })).rejects.toThrow(/tolerance must be/)
  })
})

it('dumpTree names features, categories and where missing values go', async () => {
  const features = Array.from({ length: 90 }, (_, i) => ({ city: ['Ulm', 'Bonn', 'Kiel'][i % 3] as string, size: i }))
  const label = features.map(({ city, size }) => (city === 'Bonn' ? 50 : 0) + (size > 44 ? 10 : 0))
  const { model } = await train(
    { features, label },
    { objective: 'squared', rounds: 1, maxDepth: 2, dropout: false, learningRate: 1, l2: 0, categorySmooth: 0 },
  )
  expect(dumpTree(model, 0)).toMatch(/^city in \{Bonn\}, missing right\n {2}size <= 4[345]/)
  expect(() => dumpTree(model, 1)).toThrow(/no tree 1 of 1/)
})

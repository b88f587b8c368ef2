import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readMq2008, requireData, type RankingData } from '@ft/datasets'
import { createRandom } from '@ft/core/random'
import type { Block } from '../src/arena.ts'
import { lambdarank, rankRows, rowNumbers } from '../src/objectives/lambdarank.ts'
import { metricOf, ndcg, predict, train, type LabelledData, type TrainOptions } from '../src/index.ts'

describe('NDCG', () => {
  const labels = Float64Array.of(0, 2, 1, 0, 0)
  it('is the value computed by hand', () => {
    // Order by score: labels 1, 0, 2; gains 1, 0, 3; ideal 3, 1.
    const scores = Float64Array.of(2, 1, 3, 0.5, 0.2)
    const dcg = 1 + 3 / Math.log2(4)
    const ideal = 3 + 1 / Math.log2(3)
    expect(ndcg({ scores, labels, groups: [5] }, { at: 3 })).toBeCloseTo(dcg / ideal, 12)
    expect(ndcg({ scores, labels, groups: [5] }, { at: 1 })).toBeCloseTo(1 / 3, 12)
  })

  it('counts queries without a relevant row as told', () => {
    const scores = Float64Array.of(1, 2, 3, 5, 4)
    const groups = [3, 2]
    const [skip, one, zero] = (['skip', 1, 0] as const).map((emptyQuery) =>
      ndcg({ scores, labels, groups }, { at: 3, emptyQuery }),
    ) as [number, number, number]
    expect(one).toBeCloseTo((skip + 1) / 2, 12)
    expect(zero).toBeCloseTo(skip / 2, 12)
    expect(ndcg({ scores, labels: new Float64Array(5), groups }, { at: 3 })).toBeNaN()
  })

  it('is 1 for the ideal order and never above', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(4), { minLength: 1, maxLength: 12 }),
        fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 12, maxLength: 12 }),
        (grades, noise) => {
          const values = Float64Array.from(grades)
          const ideal = ndcg({ scores: values, labels: values, groups: [grades.length] }, { at: 10, emptyQuery: 1 })
          expect(ideal).toBeCloseTo(1, 12)
          const random = ndcg(
            { scores: Float64Array.from(grades, (_, i) => noise[i] ?? 0), labels: values, groups: [grades.length] },
            { at: 10, emptyQuery: 1 },
          )
          expect(random).toBeLessThanOrEqual(1 + 1e-12)
        },
      ),
    )
  })
})

describe('the order of a query', () => {
  it('is by falling score, then by row, whatever order it starts from', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -4, max: 4 }), { maxLength: 40 }), fc.nat(), (grades, seed) => {
        // Short queries are inserted, long ones sorted.
        for (const copies of [1, 9]) {
          const scores = Float64Array.from({ length: grades.length * copies }, (_, i) => grades[i % grades.length] ?? 0)
          const start = createRandom(seed).stream('order').shuffle(rowNumbers(scores.length))
          const wanted = [...rowNumbers(scores.length)].sort((a, b) => scores[b]! - scores[a]! || a - b)
          expect([...rankRows(start, scores)]).toEqual(wanted)
        }
      }),
    )
  })

  it('is found for more queries than a call takes arguments', async () => {
    const queries = 150_000
    const label = Array.from({ length: queries }, (_, row) => row % 2)
    const features = { data: Float32Array.from(label), rows: queries, columns: 1 }
    const { model } = await train(
      { features, label, group: new Array<number>(queries).fill(1) },
      { objective: 'lambdarank', rounds: 1 },
    )
    expect(model.trees).toHaveLength(1)
  })
})

describe('LambdaMART', () => {
  /** Queries whose relevance depends on two features, with an offset a query that says nothing. */
  function made(queries: number, seed: number): LabelledData & { group: number[]; label: number[] } {
    const random = createRandom(seed).stream('queries')
    const rows: number[] = []
    const label: number[] = []
    const group: number[] = []
    for (let query = 0; query < queries; query++) {
      const [size, offset] = [random.integer(3, 15), random.normal(0, 3)]
      group.push(size)
      for (let row = 0; row < size; row++) {
        const [a, b] = [random.normal(), random.normal()]
        rows.push(a + offset, b, random.normal(), offset)
        label.push(Math.min(4, Math.max(0, Math.floor(1 + a * 0.6 + b + 0.3 * random.normal()))))
      }
    }
    return { features: { data: Float32Array.from(rows), rows: label.length, columns: 4 }, label, group }
  }
  const [data, test] = [made(200, 1), made(100, 2)]
  const score = (scores: Float64Array) =>
    ndcg({ scores, labels: Float64Array.from(test.label), groups: test.group }, { at: 5 })

  it.each([
    ['MART', { dropout: false, learningRate: 0.2 }],
    ['DART', { dropout: { dropRate: 0.1 }, learningRate: 0.8 }],
    ['unnormalised', { dropout: false, learningRate: 0.2, normalizeLambdas: false }],
  ] as [string, Partial<TrainOptions>][])('%s learns to order: far above a random order', async (_, options) => {
    const { model, history } = await train(
      { ...data, validation: test },
      { objective: 'lambdarank', rounds: 60, maxDepth: 4, metric: 'ndcg@5', ...options },
    )
    const random = score(createRandom(3).fillNormal(new Float64Array(test.label.length)))
    expect(score(predict(model, test.features))).toBeGreaterThan(random + 0.3)
    expect(Math.max(...history.map((record) => record.validation ?? 0))).toBeCloseTo(
      score(predict(model, test.features)),
      9,
    )
  })

  describe('derivatives of one query, against the sum over its pairs', () => {
    const labels = Float64Array.of(0, 2, 1, 0, 2)
    const scores = Float64Array.of(0.9, -0.3, 0.4, 0.1, 0.6)
    const block = (values: Float64Array): Block<Float64Array> => ({ address: 0, length: 5, view: () => values })

    /** Gradients and hessians by the formula, pair by pair. */
    function byPairs(truncation: number, sigma: number): [number[], number[]] {
      const rank = Array.from(scores, (mine) => scores.filter((other) => other > mine).length)
      const discount = (at: number) => 1 / Math.log2(2 + at)
      const ideal = [3, 3, 1].slice(0, truncation).reduce((sum, gain, at) => sum + gain * discount(at), 0)
      const [g, h] = [new Array<number>(5).fill(0), new Array<number>(5).fill(0)]
      for (const [high, a] of labels.entries()) {
        for (const [low, b] of labels.entries()) {
          if (a <= b || Math.min(rank[high] ?? 0, rank[low] ?? 0) >= truncation) continue
          const moved = Math.abs(discount(rank[high] ?? 0) - discount(rank[low] ?? 0))
          const change = ((2 ** a - 2 ** b) * moved) / ideal
          const rho = 1 / (1 + Math.exp(sigma * ((scores[high] ?? 0) - (scores[low] ?? 0))))
          for (const [row, sign] of [
            [high, -1],
            [low, 1],
          ] as const) {
            g[row] = (g[row] ?? 0) + sign * sigma * rho * change
            h[row] = (h[row] ?? 0) + sigma * sigma * rho * (1 - rho) * change
          }
        }
      }
      return [g, h]
    }

    it.each([
      [30, 1],
      [1, 1],
      [2, 1],
      [30, 2.5],
      [2, 0.5],
    ])('truncation %d, sigma %d', (truncation, sigma) => {
      const groups = Int32Array.of(5)
      const objective = lambdarank({ groups, truncation, sigma, normalizeLambdas: false })
      const [g, h] = [new Float64Array(5), new Float64Array(5)]
      const state = { rows: 5, scores: [block(scores)], labels: block(labels), weights: undefined }
      objective.derive({ ...state, arena: undefined as never, gradients: [block(g)], hessians: [block(h)] })
      const [wantedG, wantedH] = byPairs(truncation, sigma)
      g.forEach((value, row) => expect(value).toBeCloseTo(wantedG[row] ?? NaN, 12))
      h.forEach((value, row) => expect(value).toBeCloseTo(wantedH[row] ?? NaN, 12))
    })

    it('train takes both', async () => {
      const trees = async (options: Partial<TrainOptions>) =>
        (await train(data, { objective: 'lambdarank', rounds: 2, ...options })).model.trees
      const plain = await trees({})
      expect(await trees({ truncation: 30, sigma: 1 })).toEqual(plain)
      expect(await trees({ truncation: 1 })).not.toEqual(plain)
      expect(await trees({ sigma: 2 })).not.toEqual(plain)
    })
  })

  it("a shift of a query's labels to one grade leaves its rows without a pull", async () => {
    const flat = { ...data, label: data.label.map(() => 2) }
    const { model } = await train(flat, { objective: 'lambdarank', rounds: 3 })
    for (const tree of model.trees) expect([...tree.value].every((value) => value === 0)).toBe(true)
  })

  it.each([
    ['no groups', { ...data, group: undefined }, /needs `group`/],
    ['groups that do not add up', { ...data, group: [3, 4] }, /add up to 7 rows/],
    ['an empty group', { ...data, group: [0, ...data.group] }, /group 0 has 0 rows/],
    ['a grade that is none', { ...data, label: data.label.map(() => 0.5) }, /grades 0 to 31/],
  ])('%s are refused', async (_, input, message) => {
    await expect(train(input as LabelledData, { objective: 'lambdarank', rounds: 1 })).rejects.toThrow(message)
  })
})

const mq = requireData('mq2008-fold1')
if (mq.skip !== undefined) console.log(`skipped: ${mq.skip}`)

describe.skipIf(mq.skip !== undefined)('MQ2008, fold 1, NDCG@3 over queries with a relevant row', () => {
  const labelled = ({
    features,
    shape: [rows, columns],
    relevance,
    groupSizes,
  }: RankingData): LabelledData & { group: Int32Array } => ({
    features: { data: features, rows, columns },
    label: relevance,
    group: groupSizes,
  })
  // XGBoost's defaults: min_child_weight 1, lambda 1.
  const options: TrainOptions = { objective: 'lambdarank', growth: 'leaf', maxLeaves: 10, rounds: 100, minHessian: 1 }

  it.each([
    ['MART at 0.1', { dropout: false, learningRate: 0.1 }, 0.565],
    ['DART at 1 with 10 % dropped, three seeds', { dropout: { dropRate: 0.1 }, learningRate: 1 }, 0.576],
  ] as [string, Partial<TrainOptions>, number][])('%s is where XGBoost is', async (_, more, expected) => {
    const { train: rows, test } = await readMq2008()
    const scores: number[] = []
    for (const seed of more.dropout === false ? [1] : [1, 2, 3]) {
      const { model } = await train(labelled(rows), { ...options, ...more, seed })
      const part = labelled(test)
      const raw = predict(model, part.features)
      scores.push(
        metricOf('ndcg@3').compute({ scores: [raw], labels: Float64Array.from(test.relevance), groups: part.group }),
      )
    }
    const mean = scores.reduce((sum, value) => sum + value, 0) / scores.length
    // Band of the reference runs: their standard error over 105 queries is 0.02.
    expect(Math.abs(mean - expected)).toBeLessThanOrEqual(0.02)
  })
})

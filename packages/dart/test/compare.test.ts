// The library's comparison, against the same steps done by hand.
import { describe, expect, it } from 'vitest'
import { compare, crossValidate, predict, train, type TrainOptions } from '../src/index.ts'
import { makeData } from './support/made.ts'

const data = makeData(240)
const test = makeData(150, { seed: 5 })
const common: TrainOptions = { objective: 'squared', rounds: 12, maxDepth: 3, rowFraction: 0.7 }
const methods = { MART: { dropout: false }, DART: { dropout: { dropRate: 0.2 } } } as const
const learningRates = [0.05, 0.5]

describe('compare', () => {
  it('chooses rate and rounds by folds of the training part, and lets the test part judge', async () => {
    const {
      metric,
      better,
      methods: found,
    } = await compare({ train: data, test }, { ...common, methods, learningRates, folds: 3, seeds: [4, 5] })
    expect([metric, better]).toEqual(['rmse', 'lower'])
    expect(found.map(({ method }) => method)).toEqual(['MART', 'DART'])
    for (const [i, own] of Object.values(methods).entries()) {
      const tried = []
      for (const learningRate of learningRates) {
        const { best, bestRound, mean } = await crossValidate(data, {
          ...common,
          ...own,
          learningRate,
          folds: 3,
          seed: 4,
        })
        tried.push({ learningRate, best, bestRound, mean })
      }
      const chosen = tried[0] && tried[1] && tried[1].best.mean < tried[0].best.mean ? tried[1] : tried[0]
      const got = found[i]
      expect(got?.learningRate).toBe(chosen?.learningRate)
      expect(got?.rounds).toBe(chosen?.bestRound)
      expect(got?.validated).toEqual(chosen?.best)
      expect(got?.curve).toEqual(chosen?.mean)
      const values: number[] = []
      for (const [s, seed] of [4, 5].entries()) {
        const learningRate = chosen?.learningRate ?? NaN
        const { model } = await train(data, { ...common, ...own, learningRate, seed, rounds: chosen?.bestRound ?? 0 })
        const scores = predict(model, test.features, { output: 'raw' })
        expect(got?.scores[s]).toEqual(scores)
        const squares = scores.reduce((sum, score, row) => sum + (score - (test.label[row] ?? 0)) ** 2, 0)
        values.push(Math.sqrt(squares / scores.length))
      }
      const [a = NaN, b = NaN] = values
      expect(got?.test[0]).toBeCloseTo(a, 12)
      expect(got?.test[1]).toBeCloseTo(b, 12)
      expect(got?.testMean).toBeCloseTo((a + b) / 2, 12)
      // Of two values: half their distance.
      expect(got?.testStandardError).toBeCloseTo(Math.abs(a - b) / 2, 12)
      expect(a).not.toBe(b)
    }
  })

  it('prefers the higher where higher is better, and tells how it goes', async () => {
    const binary = makeData(240, { task: 'binary' })
    const seen: string[] = []
    const { better, methods: found } = await compare(
      { train: binary, test: makeData(100, { seed: 7, task: 'binary' }) },
      {
        ...{ objective: 'logistic', metric: 'auc', rounds: 10, methods: { MART: { dropout: false } } },
        // At so small a rate nothing is learnt in ten rounds but the first tree's order.
        ...{ learningRates: [1e-6, 0.3], folds: 2, seeds: [1] },
        onProgress: ({ phase, done, total }) => seen.push(`${phase}: ${done}/${total}`),
      },
    )
    expect(better).toBe('higher')
    expect(found[0]?.learningRate).toBe(0.3)
    expect(seen).toEqual(['MART, rate 0.000001: 0/3', 'MART, rate 0.3: 1/3', 'MART, seed 1: 2/3', 'compared: 3/3'])
  })

  it('needs something to compare', async () => {
    const run = (given: object) => compare({ train: data, test }, { ...common, ...given })
    await expect(run({ methods: {} })).rejects.toThrow(/at least one method/)
    await expect(run({ learningRates: [] })).rejects.toThrow(/at least one method, learning rate and seed/)
    await expect(run({ seeds: [] })).rejects.toThrow(/and seed/)
  })
})

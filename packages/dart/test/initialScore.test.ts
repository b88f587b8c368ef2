// Rows that bring their own starting scores.
import { describe, expect, it } from 'vitest'
import {
  compare,
  crossValidate,
  permutationImportance,
  predict,
  prune,
  train,
  type Model,
  type TrainOptions,
} from '../src/index.ts'
import { makeData } from './support/made.ts'

const data = makeData(300)
const test = makeData(200, { seed: 2 })
// Far from the mean of the labels: a base score on top would show.
const startOf = ({ list }: typeof data): number[] => list.map((x) => 100 + 10 * (x[3] ?? 0))
const input = { ...data, initialScore: startOf(data) }
const judged = { ...test, initialScore: startOf(test) }
const options: TrainOptions = { objective: 'squared', rounds: 30, maxDepth: 3, learningRate: 0.3 }
const rmse = (model: Model, initialScore: readonly number[]): number => {
  const scores = predict(model, test.features, { initialScore })
  return Math.sqrt(scores.reduce((sum, score, row) => sum + (score - (test.label[row] ?? 0)) ** 2, 0) / scores.length)
}

describe('initial scores', () => {
  it('take the place of the base score: predictions from them are the scores of training', async () => {
    const { model, validationScores, history, bestRound } = await train({ ...input, validation: judged }, options)
    expect([...model.baseScores]).toEqual([0])
    const { initialScore } = judged
    const scores = predict(model, test.features, { output: 'raw', initialScore })
    scores.forEach((score, row) => expect(Math.abs(score - (validationScores?.[row] ?? NaN))).toBeLessThan(1e-9))
    expect(rmse(model, initialScore)).toBeCloseTo(history[bestRound - 1]?.validation ?? NaN, 9)
    expect(rmse(model, initialScore)).toBeLessThan(4)
    // Without them the model is what the trees say of the rest: about 100 less.
    const rest = predict(model, test.features)
    rest.forEach((value, row) => expect(value + (initialScore[row] ?? 0)).toBeCloseTo(scores[row] ?? NaN, 9))
  })

  it('equal to the base score give the trees that training without them gives', async () => {
    const plain = await train(data, options)
    const base = plain.model.baseScores[0] as number
    const started = await train({ ...data, initialScore: data.label.map(() => base) }, options)
    expect(started.model.trees).toEqual(plain.model.trees)
    const initialScore = test.label.map(() => base)
    expect(predict(started.model, test.features, { initialScore })).toEqual(predict(plain.model, test.features))
    // Of few rows, which JavaScript adds up, the same bits.
    const few = { data: test.features.data.subarray(0, 6 * 3), rows: 3, columns: 6 }
    expect(predict(started.model, few, { initialScore: [base, base, base] })).toEqual(predict(plain.model, few))
  })

  it('of several outputs stand row by row', async () => {
    const classes = makeData(200, { task: 'classes' })
    const initialScore = Array.from({ length: 600 }, (_, i) => (i % 3 === classes.label[Math.floor(i / 3)] ? 5 : 0))
    const given = { ...classes, initialScore }
    const { model } = await train(given, { objective: 'softmax', rounds: 3, dropout: false })
    const answers = predict(model, classes.features, { initialScore })
    classes.label.forEach((label, row) => expect(answers[3 * row + label]).toBeGreaterThan(0.98))
    expect(() => predict(model, classes.features, { initialScore: [1] })).toThrow(/initialScore: expected 600 values/)
  })

  it('go along where a model is judged', async () => {
    const common = { ...options, rounds: 20 }
    const validated = await crossValidate(input, { ...common, folds: 3 })
    expect(validated.best.mean).toBeLessThan(6)
    const compared = await compare(
      { train: input, test: judged },
      { ...common, methods: { MART: { dropout: false } }, learningRates: [0.3], folds: 2, seeds: [1] },
    )
    expect(compared.methods[0]?.testMean).toBeLessThan(6)
    const { model } = await train(input, common)
    const pruned = await prune(model, { ...judged, tolerance: 0.1 })
    expect(pruned.before).toBeCloseTo(rmse(model, judged.initialScore), 9)
    expect(pruned.after).toBeCloseTo(rmse(pruned.model, judged.initialScore), 9)
    const { baseline } = permutationImportance(model, { ...judged, repeats: 2, seed: 1 })
    expect(baseline).toBeCloseTo(pruned.before, 9)
  })

  it('are refused where they do not fit together', async () => {
    await expect(train({ ...input, validation: test }, options)).rejects.toThrow(/validation needs initialScore/)
    await expect(train(input, { ...options, baseScore: 1 })).rejects.toThrow(
      /initialScore takes the place of baseScore/,
    )
    await expect(compare({ train: input, test }, { ...options, seeds: [1] })).rejects.toThrow(
      /compare: test needs initialScore/,
    )
    await expect(train({ ...data, initialScore: [1, 2] }, options)).rejects.toMatchObject({ code: 'SHAPE_MISMATCH' })
  })
})

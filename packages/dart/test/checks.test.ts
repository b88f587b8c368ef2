// What is refused, in words: options, labels to judge by, metrics that say nothing, values that are none.
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import {
  compare,
  loadModel,
  permutationImportance,
  predict,
  prune,
  saveModel,
  train,
  type CustomMetric,
  type Features,
  type LabelledData,
  type TrainInput,
  type TrainOptions,
} from '../src/index.ts'
import { makeData } from './support/made.ts'

const data = makeData(60)
const binary = makeData(60, { task: 'binary' })
const classes = makeData(60, { task: 'classes' })
const ranks = { ...classes, group: [30, 30] }
const quick: TrainOptions = { objective: 'squared', rounds: 2 }
const same = (label: number) => classes.label.map(() => label)

async function refusal(run: () => unknown): Promise<string> {
  try {
    await run()
  } catch (error) {
    if (isFtError(error)) return `${error.code}: ${error.message}`
    throw error
  }
  return 'nothing was refused'
}

describe('options', () => {
  const cases: [object, RegExp][] = [
    [{ baseScore: NaN }, /baseScore must be a number up to 1e70, got NaN/],
    [{ baseScore: Infinity }, /baseScore must be/],
    [{ truncation: 0 }, /truncation must be a whole number from 1, got 0/],
    [{ truncation: NaN }, /truncation/],
    [{ truncation: -3 }, /truncation/],
    [{ sigma: NaN }, /sigma must be a number above 0/],
    [{ sigma: 0 }, /sigma/],
    [{ sigma: -1 }, /sigma/],
    [{ emptyQuery: 'zero' }, /`emptyQuery` must be one of 0, 1, 'skip', got 'zero'/],
    [{ classes: 3.5 }, /classes must be a whole number from 2 to 65535, got 3.5/],
    [{ classes: 1e9 }, /classes/],
    [{ dropout: 0.1 }, /dropout must be false, a preset or options as \{ dropRate: 0.1 \}, got 0.1/],
    [{ dropout: null }, /dropout must be/],
    [{ dropout: true }, /dropout must be/],
    [{ dropout: { dropRate: '0.1' } }, /dropRate must be a number from 0 to 1, got '0.1'/],
    [{ dropout: { plusOne: 'no' } }, /plusOne/],
    [{ dropout: { dropSeed: NaN } }, /dropSeed/],
    [{ goss: 'x' }, /goss: must be true, false or \{ topRate, otherRate \}, got 'x'/],
    [{ goss: null }, /goss: must be/],
    [{ goss: { top: 0.3 } }, /goss has no option "top"; it has topRate, otherRate/],
    [{ learningRate: '0.5' }, /learningRate must be a number from 0.000001 to 10, got '0.5'/],
    [{ trackTraining: 'yes' }, /trackTraining/],
    [{ interactions: ['f0'] }, /interactions must be lists of features/],
    [{ metric: {} }, /metric: one of your own has a name/],
    [
      { metric: { name: 'mine', better: 'min', compute: () => 1 } },
      /`better` must be one of 'lower', 'higher', got 'min'/,
    ],
    [{ objective: 'cox' }, /no objective cox; there are squared/],
    [{ objective: { name: 'logistic', derive: () => undefined } }, /'logistic' is one of this package/],
    [{ objective: {} }, /has a name and a function derive/],
    [{ continueFrom: {} }, /continueFrom: not a model/],
    [{ continueFrom: null }, /continueFrom: not a model/],
  ]
  it.each(cases)('%j are refused', async (given, message) => {
    expect(await refusal(() => train(data, { ...quick, ...given }))).toMatch(message)
  })

  it('are asked for', async () => {
    expect(await refusal(() => train(data, undefined as unknown as TrainOptions))).toMatch(/needs options/)
  })

  it('of predict are refused when there are none such', async () => {
    const { model } = await train(data, quick)
    const output = 'prob' as 'raw'
    expect(await refusal(() => predict(model, data.features, { output }))).toMatch(
      /'answer', 'raw', 'leaf', got 'prob'/,
    )
  })
})

describe('labels', () => {
  const cases: [TrainOptions, LabelledData, number, RegExp][] = [
    [{ ...quick, objective: 'logistic' }, binary, 7, /label of row 0 is 7; logistic takes 0 and 1/],
    [{ ...quick, objective: 'softmax' }, classes, 9, /label of row 0 is 9; softmax takes 0 to 2/],
    [{ ...quick, objective: 'poisson' }, classes, -1, /label of row 0 is -1; poisson takes counts/],
    [{ ...quick, objective: 'lambdarank' }, ranks, -5.5, /label of row 0 is -5.5; lambdarank takes grades/],
  ]
  it.each(cases)('%j: those that are judged by are checked too', async (options, input, label, message) => {
    const wrong = { ...input, label: same(label) }
    expect(await refusal(() => train({ ...input, validation: wrong }, options))).toMatch(/validation: label/)
    expect(await refusal(() => train({ ...input, validation: wrong }, options))).toMatch(message)
    expect(await refusal(() => compare({ train: input, test: wrong }, options))).toMatch(message)
    const { model } = await train(input, options)
    expect(await refusal(() => prune(model, wrong))).toMatch(message)
  })

  it('so large that their squares overflow are refused; large ones are learnt', async () => {
    for (const key of ['label', 'weight', 'initialScore'] as const) {
      expect(await refusal(() => train({ ...data, [key]: same(1e308) }, quick))).toMatch(
        /row 0 is 1e\+308; at most 1e\+70/,
      )
    }
    const label = data.label.map((value) => value * 1e68)
    const large = await train({ ...data, label, validation: { ...data, label } }, { ...quick, rounds: 20 })
    predict(large.model, data.features).forEach((value) => expect(Number.isFinite(value)).toBe(true))
    expect(large.history[19]?.validation).toBeLessThan(3e68)
  })

  it('of a softmax that asks for a billion classes are refused', async () => {
    const options: TrainOptions = { ...quick, objective: 'softmax' }
    expect(await refusal(() => train({ ...classes, label: same(1e9) }, options))).toMatch(/softmax takes 0 to 65534/)
  })
})

describe('a metric that is no number', () => {
  const named = (compute: () => number): CustomMetric => ({ name: 'mine', better: 'lower', compute })
  const cases: [string, TrainInput, TrainOptions, RegExp][] = [
    [
      'auc of one class',
      { ...binary, validation: { ...binary, label: same(1) } },
      { ...quick, objective: 'logistic', metric: 'auc' },
      /validation, round 0: auc is NaN; it needs rows of both classes/,
    ],
    [
      'ndcg without a relevant row',
      { ...ranks, validation: { ...ranks, label: same(0) } },
      { ...quick, objective: 'lambdarank' },
      /ndcg@10 is NaN; no query has a relevant row/,
    ],
    ['weights of 0', { ...data, validation: { ...data, weight: same(0) } }, quick, /rmse is NaN; all weights are 0/],
    ['a custom NaN', { ...data, validation: data }, { ...quick, metric: named(() => NaN) }, /mine is NaN; it must be/],
  ]
  it.each(cases)('%s ends training with a sentence', async (_, input, options, message) => {
    expect(await refusal(() => train(input, options))).toMatch(message)
  })

  it('ends pruning and comparing too', async () => {
    const { model } = await train(data, quick)
    expect(await refusal(() => prune(model, { ...data, weight: same(0) }))).toMatch(/prune: rmse is NaN; all weights/)
    const run = () =>
      compare({ train: data, test: { ...data, weight: same(0) } }, { ...quick, learningRates: [1], folds: 2 })
    expect(await refusal(run)).toMatch(/compare: test, MART: rmse is NaN/)
  })
})

describe('values that are none', () => {
  const none = undefined as never
  const cases: [string, unknown, RegExp][] = [
    ['no input', undefined, /expected \{ features, label \}, got undefined/],
    ['no features', { ...data, features: undefined }, /features must be .* got undefined/],
    ['null as features', { ...data, features: null }, /features must be .* got null/],
    ['a null record', { features: [{ x: 1 }, null], label: [1, 2] }, /row 1 is null, no record/],
    ['no label', { features: data.features }, /label: expected 60 numbers, one a row, got undefined/],
  ]
  it.each(cases)('%s', async (_, input, message) => {
    expect(await refusal(() => train(input as TrainInput, quick))).toMatch(message)
  })

  it('are refused by predict and loadModel', async () => {
    const { model } = await train(data, quick)
    expect(await refusal(() => predict(model, none))).toMatch(/features must be/)
    expect(await refusal(() => predict(model, null as unknown as Features))).toMatch(/features must be/)
    const { buffer } = saveModel(model)
    expect(await refusal(() => loadModel(buffer as unknown as Uint8Array))).toMatch(
      /expected a Uint8Array; of an ArrayBuffer/,
    )
  })
})

it('a model of another objective is not gone on from', async () => {
  const { model } = await train(binary, { ...quick, objective: 'logistic' })
  const run = () => train(binary, { ...quick, continueFrom: model })
  expect(await refusal(run)).toMatch(/continueFrom was trained for logistic, not for squared/)
})

describe('data', () => {
  it.each([
    [{ weights: same(1) }, /train: data have no field weights; it is called weight/],
    [{ labels: data.label }, /labels; it is called label/],
    [{ valid: data }, /valid; it is called validation/],
    [{ validation: { ...data, groups: [60] } }, /train: validation: data have no field groups; it is called group/],
    [{ label: Array.from(classes.label, () => 'a') }, /label: row 0 is "a"; number classes from 0, as takeLabel does/],
  ])('of wrong names and kinds are refused: %#', async (given, message) => {
    expect(await refusal(() => train({ ...data, ...given } as TrainInput, quick))).toMatch(message)
  })

  it('keep what else stands in a set', async () => {
    const set = { ...data, source: 'made' }
    expect(await refusal(() => train(set, quick))).toBe('nothing was refused')
  })

  it('that name none of the columns are not rows of missing values', async () => {
    const rows = [{ size: 1 }, { size: 2 }, { size: 3 }]
    const { model } = await train({ features: rows, label: [1, 2, 3] }, quick)
    const wrong = [[[1]], [{ Size: 1, town: 'Ulm' }]] as unknown as Features[]
    expect(await refusal(() => predict(model, wrong[0] as Features))).toMatch(
      'SHAPE_MISMATCH: predict: records have 0, none of the columns size',
    )
    expect(await refusal(() => predict(model, wrong[1] as Features))).toMatch('records have Size, town, none of')
    expect(predict(model, [{}, { size: undefined }, { other: 1, size: 1 }])).toHaveLength(3)
    expect(predict(model, [{ other: 1 }, { size: 1 }])).toHaveLength(2)
  })

  it('may be records of an interface', async () => {
    interface Flat {
      readonly size: number
      readonly city: string | null
    }
    const flats: Flat[] = [
      { size: 1, city: 'Ulm' },
      { size: 2, city: null },
    ]
    const { model } = await train({ features: flats, label: [1, 2] }, quick)
    expect(predict(model, flats)).toHaveLength(2)
  })

  it('to shuffle need no seed', async () => {
    const { model } = await train(data, quick)
    expect(permutationImportance(model, data)).toEqual(permutationImportance(model, { ...data, seed: 1 }))
  })
})

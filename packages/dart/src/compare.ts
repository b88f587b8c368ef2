// MART beside DART, or any settings beside each other, on equal terms: each gets its own learning rate and number of rounds
// from cross-validation on the training part, and the test part only judges.
import { FtError } from '@ft/core'
import { crossValidate } from './crossValidate.ts'
import { toColumn, toFloatMatrix } from './data/matrix.ts'
import { judge, metricOf } from './metrics.ts'
import { checkLabels, classesOf } from './objectives/labels.ts'
import type { TrainOptions } from './options.ts'
import { predict } from './predict.ts'
import { readData, type LabelledData } from './readData.ts'
import { train } from './train.ts'

export interface CompareOptions extends Omit<
  TrainOptions,
  'learningRate' | 'seed' | 'resume' | 'onCheckpoint' | 'continueFrom'
> {
  /** What is compared: options over the common ones, by name. Default MART and DART with 3 % and 10 % dropped. */
  readonly methods?: Readonly<Record<string, Partial<TrainOptions>>>
  /** The grid, the same for all. Default 0.05, 0.1, 0.2, 0.4, 1. */
  readonly learningRates?: readonly number[]
  /** Default 5. */
  readonly folds?: number
  /** What stays together in a fold; as in `crossValidate`. */
  readonly by?: 'row' | 'group' | ArrayLike<number>
  /** Seeds of the final trainings; the first draws the folds. Default 1, 2, 3. */
  readonly seeds?: readonly number[]
}

export interface Compared {
  readonly method: string
  /** Chosen by cross-validation, with its mean and standard error over folds. */
  readonly learningRate: number
  readonly rounds: number
  readonly validated: { readonly mean: number; readonly standardError: number }
  /** Means over folds by round, at the chosen rate. */
  readonly curve: Float64Array
  /** The metric on the test part, one a seed, their mean, and its standard error: 0 where nothing is drawn. */
  readonly test: readonly number[]
  readonly testMean: number
  readonly testStandardError: number
  /** Raw scores of the test rows, `[rows, outputs]`, one array a seed. */
  readonly scores: readonly Float64Array[]
}

export interface Comparison {
  readonly metric: string
  readonly better: 'lower' | 'higher'
  readonly methods: readonly Compared[]
}

/**
 * Compares methods of training.
 *
 * Cost: methods x learning rates x folds trainings of `rounds`, then methods x seeds.
 *
 * @throws FtError as `train` does; `INVALID_ARGUMENT` for an empty grid
 */
export async function compare(
  data: { readonly train: LabelledData; readonly test: LabelledData },
  options: CompareOptions,
): Promise<Comparison> {
  const {
    methods = DEFAULT_METHODS,
    learningRates = DEFAULT_RATES,
    folds = 5,
    by,
    seeds = [1, 2, 3],
    ...common
  } = options
  if (learningRates.length === 0 || seeds.length === 0 || Object.keys(methods).length === 0) {
    throw new FtError('INVALID_ARGUMENT', 'compare: needs at least one method, learning rate and seed')
  }
  const { names, levels, rows } = toFloatMatrix(data.train.features, { where: 'compare: train' })
  const ranking = common.objective === 'lambdarank'
  const test = readData(data.test, { where: 'compare: test', ranking, schema: { names, levels } })
  if (data.train.initialScore && !test.initialScore)
    throw new FtError('INVALID_ARGUMENT', 'compare: test needs initialScore, as the training rows have it')
  if (typeof common.objective === 'string') {
    const classes = common.classes ?? classesOf(toColumn(data.train.label, { rows, where: 'compare: train: label' }))
    checkLabels(test.label, { objective: common.objective, classes, where: 'compare: test' })
  }
  const total = Object.keys(methods).length * (learningRates.length + seeds.length)
  let done = 0
  const step = (phase: string): void => common.onProgress?.({ phase, done: done++, total })
  const { onProgress: _, ...quiet } = common
  const out: Compared[] = []
  let metricName = ''
  let better: 'lower' | 'higher' = 'lower'
  for (const [method, own] of Object.entries(methods)) {
    const settings = { ...quiet, ...own }
    const tried = []
    for (const learningRate of learningRates) {
      step(`${method}, rate ${learningRate}`)
      const validated = await crossValidate(data.train, {
        ...settings,
        ...(by === undefined ? {} : { by }),
        ...{ learningRate, folds, seed: seeds[0] as number },
      })
      tried.push({ learningRate, validated })
    }
    metricName = tried[0]?.validated.metric ?? ''
    const metric = metricOf(settings.metric ?? (metricName as 'rmse'), settings)
    better = metric.better
    const sign = better === 'lower' ? 1 : -1
    tried.sort((a, b) => sign * (a.validated.best.mean - b.validated.best.mean))
    const { learningRate, validated } = tried[0] as (typeof tried)[number]
    const values: number[] = []
    const scores: Float64Array[] = []
    for (const seed of seeds) {
      step(`${method}, seed ${seed}`)
      const { model } = await train(data.train, { ...settings, learningRate, seed, rounds: validated.bestRound })
      const start = test.initialScore ? { initialScore: test.initialScore } : {}
      const raw = predict(model, data.test.features, { output: 'raw', ...start })
      const outputs = Array.from({ length: model.outputs }, (_, o) => raw.filter((__, i) => i % model.outputs === o))
      scores.push(raw)
      const scored = { scores: outputs, labels: test.label, weights: test.weight, groups: test.group }
      values.push(judge(metric, scored, `compare: test, ${method}`))
    }
    out.push({
      ...{ method, learningRate, rounds: validated.bestRound, validated: validated.best, curve: validated.mean },
      ...summary(values),
      scores,
    })
  }
  common.onProgress?.({ phase: 'compared', done: total, total })
  return { metric: metricName, better, methods: out }
}

const DEFAULT_RATES = [0.05, 0.1, 0.2, 0.4, 1]
const DEFAULT_METHODS = {
  MART: { dropout: false },
  'DART 3 %': { dropout: { dropRate: 0.03 } },
  'DART 10 %': { dropout: { dropRate: 0.1 } },
} as const

function summary(test: readonly number[]): Pick<Compared, 'test' | 'testMean' | 'testStandardError'> {
  const testMean = test.reduce((sum, value) => sum + value, 0) / test.length
  const squares = test.reduce((sum, value) => sum + (value - testMean) ** 2, 0)
  const testStandardError = test.length > 1 ? Math.sqrt(squares / (test.length - 1) / test.length) : 0
  return { test, testMean, testStandardError }
}

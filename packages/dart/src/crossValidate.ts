// Cross-validation by rows, by queries, or by groups of one's own.
import { FtError } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { takeRows } from './data/rows.ts'
import type { TrainOptions } from './options.ts'
import { readData, type LabelledData, type ReadData } from './readData.ts'
import { train, type Trained } from './train.ts'

export interface CrossValidateOptions extends Omit<TrainOptions, 'resume' | 'onCheckpoint' | 'continueFrom'> {
  /** Default 5. */
  readonly folds?: number
  /**
   * What stays together: 'row' nothing, 'group' the queries of `group` (the default where there are any), or a number a row,
   * equal for rows of one patient, user or day.
   */
  readonly by?: 'row' | 'group' | ArrayLike<number>
}

export interface CrossValidated {
  readonly metric: string
  /** Mean of the metric over the folds after each round, and its standard error. */
  readonly mean: Float64Array
  readonly standardError: Float64Array
  /** Round of the best mean, from 1, and its values. */
  readonly bestRound: number
  readonly best: { readonly mean: number; readonly standardError: number }
  /** The metric of each fold after each round. */
  readonly folds: readonly Float64Array[]
}

/**
 * Trains once a fold and judges the fold left out, after each round. Folds are drawn with `seed`. Early stopping does not apply:
 * all folds run all rounds, so that means are over the same folds.
 *
 * Cost: `folds` trainings. The standard error is that of `folds` values that share training rows: too small if anything.
 *
 * @throws FtError `INVALID_ARGUMENT` for fewer units than folds
 * @example
 * ```ts
 * const features = { data: Float32Array.from({ length: 60 }, (_, i) => i), rows: 60, columns: 1 }
 * const label = Array.from({ length: 60 }, (_, i) => i % 7)
 * const { mean } = await crossValidate({ features, label }, { objective: 'squared', rounds: 10, folds: 3 })
 * mean.length // => 10
 * ```
 */
export async function crossValidate(data: LabelledData, options: CrossValidateOptions): Promise<CrossValidated> {
  const { folds = 5, by, ...training } = options
  if (!Number.isInteger(folds) || folds < 2) {
    throw new FtError('INVALID_ARGUMENT', `crossValidate: folds must be a whole number from 2, got ${folds}`, { folds })
  }
  const ranking = options.objective === 'lambdarank'
  const read = readData(data, { where: 'crossValidate', ranking })
  const unitOf = unitsOf(read, by)
  const foldOf = drawFolds(unitOf, folds, createRandom(options.seed ?? 1).stream('folds'))
  // A fold may lack the last class.
  const classes = options.classes ?? read.label.reduce((top, label) => Math.max(top, label), 0) + 1
  const runs: Float64Array[] = []
  let metric = ''
  let lower = true
  for (let fold = 0; fold < folds; fold++) {
    const part = (held: boolean) => takeRows(read, (row) => (foldOf[unitOf[row] as number] === fold) === held, ranking)
    const { earlyStopping: _, onProgress, ...rest } = training
    const out: Trained = await train(
      { ...part(false), validation: part(true) },
      {
        ...rest,
        ...(options.objective === 'softmax' ? { classes: Math.max(2, classes) } : {}),
        ...(onProgress
          ? {
              onProgress: ({ done, total, ...more }) =>
                onProgress({
                  ...more,
                  phase: `fold ${fold + 1} of ${folds}`,
                  done: fold * total + done,
                  total: folds * total,
                }),
            }
          : {}),
      },
    )
    metric = out.metric
    lower = out.better === 'lower'
    runs.push(Float64Array.from(out.history, ({ validation }) => validation as number))
  }
  return summary(runs, metric, lower)
}

/** A number for each row; rows of one number stay together. */
function unitsOf(data: ReadData, by: CrossValidateOptions['by']): Int32Array {
  const { rows } = data.matrix
  const chosen = by ?? (data.group ? 'group' : 'row')
  if (chosen === 'row') return Int32Array.from({ length: rows }, (_, row) => row)
  if (chosen === 'group') {
    if (!data.group) throw new FtError('INVALID_ARGUMENT', "crossValidate: by 'group' needs `group`")
    return Int32Array.from([...data.group].flatMap((size, query) => new Array<number>(size).fill(query)))
  }
  if (typeof chosen === 'string') {
    throw new FtError(
      'INVALID_ARGUMENT',
      `crossValidate: by must be 'row', 'group' or a number a row, got ${String(chosen)}`,
    )
  }
  if (chosen.length !== rows) {
    throw new FtError('SHAPE_MISMATCH', `crossValidate: by has ${chosen.length} values for ${rows} rows`)
  }
  const numbers = new Map<number, number>()
  return Int32Array.from(chosen, (key) => {
    if (!numbers.has(key)) numbers.set(key, numbers.size)
    return numbers.get(key) as number
  })
}

/** Fold of each unit: shuffled, then dealt out in turn. */
function drawFolds(unitOf: Int32Array, folds: number, random: Random): Int32Array {
  const units = unitOf.reduce((most, unit) => Math.max(most, unit + 1), 0)
  if (units < folds) {
    throw new FtError('INVALID_ARGUMENT', `crossValidate: ${units} units cannot make ${folds} folds`, { units, folds })
  }
  const order = random.shuffle(Int32Array.from({ length: units }, (_, unit) => unit))
  const foldOf = new Int32Array(units)
  order.forEach((unit, at) => (foldOf[unit] = at % folds))
  return foldOf
}

function summary(folds: readonly Float64Array[], metric: string, lower: boolean): CrossValidated {
  const rounds = folds[0]?.length ?? 0
  const column = (round: number): number[] => folds.map((values) => values[round] as number)
  const mean = Float64Array.from({ length: rounds }, (_, round) => {
    return column(round).reduce((sum, value) => sum + value, 0) / folds.length
  })
  const standardError = Float64Array.from({ length: rounds }, (_, round) => {
    const squares = column(round).reduce((sum, value) => sum + (value - (mean[round] as number)) ** 2, 0)
    return Math.sqrt(squares / (folds.length - 1) / folds.length)
  })
  let best = 0
  mean.forEach((value, round) => {
    if (lower ? value < (mean[best] as number) : value > (mean[best] as number)) best = round
  })
  return {
    metric,
    mean,
    standardError,
    bestRound: rounds === 0 ? 0 : best + 1,
    best: { mean: mean[best] ?? NaN, standardError: standardError[best] ?? NaN },
    folds,
  }
}

// Which features a model leans on.
import { FtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import type { Features } from '../data/matrix.ts'
import { judge, metricOf, type CustomMetric, type MetricName } from '../metrics.ts'
import type { EmptyQuery } from '../ndcg.ts'
import type { Model } from '../model.ts'
import { featuresOf, predict } from '../predict.ts'
import { readData, type LabelledData } from '../readData.ts'
import { objectiveOf } from '../answers.ts'
import { checkLabels } from '../objectives/labels.ts'

export type ImportanceKind =
  /** Splits on the feature. */
  | 'split'
  /** Sum of their gains. */
  | 'gain'
  /** Sum of hessians of the rows that pass them. */
  | 'cover'

/**
 * Importance of each feature from the trees themselves; gains and covers carry their tree's weight.
 *
 * @example
 * ```ts
 * import { train } from '@ft/dart'
 * const features = { data: Float32Array.of(0, 9, 1, 9, 2, 9, 3, 9), rows: 4, columns: 2, names: ['x', 'constant'] }
 * const { model } = await train({ features, label: [1, 1, 5, 5] }, { objective: 'squared', rounds: 3 })
 * importance(model, 'split')[1] // => 0
 * ```
 */
export function importance(model: Model, kind: ImportanceKind = 'gain'): Float64Array {
  if (!['split', 'gain', 'cover'].includes(kind)) {
    throw new FtError('INVALID_ARGUMENT', `importance: kind must be 'split', 'gain' or 'cover', got ${String(kind)}`)
  }
  const out = new Float64Array(model.featureNames.length)
  model.trees.forEach((tree, t) => {
    tree.feature.forEach((feature, node) => {
      const weight = model.weights[t] as number
      const amount =
        kind === 'split' ? 1 : weight * ((kind === 'gain' ? tree.gain[node] : tree.nodeCover[node]) as number)
      out[feature] = (out[feature] as number) + amount
    })
  })
  return out
}

export interface PermutationOptions {
  /** Default the objective's. */
  readonly metric?: MetricName | CustomMetric
  readonly emptyQuery?: EmptyQuery
  /** Shuffles of each column. Default 5. */
  readonly repeats?: number
  /** Default 1. */
  readonly seed?: number
}

/** How much worse the metric gets when a column is shuffled: mean and standard error over repeats. Positive is worse. */
export interface PermutationImportance {
  readonly baseline: number
  readonly mean: Float64Array
  readonly standardError: Float64Array
}

/**
 * Importance by permutation, on rows that were not trained on.
 *
 * Cost: columns x repeats predictions.
 *
 * @throws FtError `SHAPE_MISMATCH`, `INVALID_ARGUMENT`
 */
export function permutationImportance(model: Model, data: LabelledData & PermutationOptions): PermutationImportance {
  const { repeats = 5, seed = 1 } = data
  if (!Number.isInteger(repeats) || repeats < 2) {
    throw new FtError('INVALID_ARGUMENT', `permutationImportance: repeats must be at least 2, got ${repeats}`, {
      repeats,
    })
  }
  const where = 'permutationImportance'
  const metric = metricOf(data.metric ?? objectiveOf(model)?.metric ?? 'rmse', data)
  const matrix = featuresOf(model, data.features, where)
  const { label, weight, group, initialScore } = readData(
    { ...data, features: asFeatures(matrix) },
    { where, ranking: false },
  )
  checkLabels(label, { objective: model.objective, classes: model.outputs, where })
  const start = initialScore ? { initialScore } : {}
  const judgeValues = (values: Float32Array): number => {
    const raw = predict(model, asFeatures({ ...matrix, values }), { output: 'raw', ...start })
    const scores = Array.from({ length: model.outputs }, (_, output) =>
      raw.filter((_, i) => i % model.outputs === output),
    )
    return judge(metric, { scores, labels: label, weights: weight, groups: group }, where)
  }
  const baseline = judgeValues(matrix.values)
  const sign = metric.better === 'lower' ? 1 : -1
  const random = createRandom(seed).stream('permutation importance')
  const { rows, columns } = matrix
  const mean = new Float64Array(columns)
  const standardError = new Float64Array(columns)
  for (let column = 0; column < columns; column++) {
    const changes = Array.from({ length: repeats }, () => {
      const order = random.shuffle(Uint32Array.from({ length: rows }, (_, row) => row))
      const values = matrix.values.slice()
      order.forEach((from, row) => {
        values[row * columns + column] = matrix.values[from * columns + column] as number
      })
      return sign * (judgeValues(values) - baseline)
    })
    const average = changes.reduce((sum, change) => sum + change, 0) / repeats
    const squares = changes.reduce((sum, change) => sum + (change - average) ** 2, 0)
    mean[column] = average
    standardError[column] = Math.sqrt(squares / (repeats - 1) / repeats)
  }
  return { baseline, mean, standardError }
}

function asFeatures({ values, rows, columns }: { values: Float32Array; rows: number; columns: number }): Features {
  return { data: values, rows, columns }
}

// Metrics of predictions, all weighted.
import { FtError, assertOneOf } from '@ft/core'
import { exp, log } from '@ft/core/math'
import { ndcg, type EmptyQuery } from './ndcg.ts'
import { sigmoid, softmaxInPlace } from './objectives/classification.ts'

export type MetricName = PlainMetricName | `ndcg@${number}`

type PlainMetricName = 'rmse' | 'mae' | 'logloss' | 'error' | 'auc' | 'mlogloss' | 'merror' | 'poisson-deviance'

/** Raw scores, one array an output, with what is needed to judge them. */
export interface Scored {
  readonly scores: readonly Float64Array[]
  readonly labels: Float64Array
  readonly weights?: Float64Array | undefined
  /** Rows of each query, for rankings. */
  readonly groups?: ArrayLike<number> | undefined
}

export interface Metric {
  readonly name: string
  readonly better: 'lower' | 'higher'
  compute(scored: Scored): number
}

/** A metric of one's own on raw scores. */
export type CustomMetric = Metric

const first = ({ scores }: Scored): Float64Array => scores[0] as Float64Array

function average({ labels, weights }: Scored, loss: (row: number) => number): number {
  let sum = 0
  let total = 0
  for (let row = 0; row < labels.length; row++) {
    const weight = weights ? (weights[row] as number) : 1
    sum += weight * loss(row)
    total += weight
  }
  return sum / total
}

/** log(1 + e^x) without overflow. */
function softplus(x: number): number {
  return Math.max(x, 0) + log(1 + exp(-Math.abs(x)))
}

const definitions: Readonly<Record<PlainMetricName, Omit<Metric, 'name'>>> = {
  rmse: {
    better: 'lower',
    // A product: powers are rounded one way in one engine and another in the next.
    compute: (s) =>
      Math.sqrt(
        average(s, (row) => {
          const error = (first(s)[row] as number) - (s.labels[row] as number)
          return error * error
        }),
      ),
  },
  mae: {
    better: 'lower',
    compute: (s) => average(s, (row) => Math.abs((first(s)[row] as number) - (s.labels[row] as number))),
  },
  logloss: {
    better: 'lower',
    compute: (s) =>
      average(s, (row) => softplus(first(s)[row] as number) - (s.labels[row] as number) * (first(s)[row] as number)),
  },
  error: {
    better: 'lower',
    compute: (s) => average(s, (row) => Number(sigmoid(first(s)[row] as number) > 0.5 !== (s.labels[row] === 1))),
  },
  auc: { better: 'higher', compute: weightedAuc },
  mlogloss: {
    better: 'lower',
    compute: (s) => average(s, (row) => -log(Math.max(probability(s, row), 1e-15))),
  },
  merror: {
    better: 'lower',
    compute: (s) =>
      average(s, (row) => {
        let best = 0
        s.scores.forEach((scores, c) => {
          if ((scores[row] as number) > (s.scores[best]?.[row] as number)) best = c
        })
        return Number(best !== s.labels[row])
      }),
  },
  'poisson-deviance': {
    better: 'lower',
    compute: (s) =>
      average(s, (row) => {
        const score = first(s)[row] as number
        const label = s.labels[row] as number
        return 2 * (exp(score) - label + (label > 0 ? label * (log(label) - score) : 0))
      }),
  },
}

function probability({ scores, labels }: Scored, row: number): number {
  const p = Float64Array.from(scores, (output) => output[row] as number)
  softmaxInPlace(p)
  return p[labels[row] as number] ?? 0
}

/** Area under the ROC curve with row weights; ties count half. */
function weightedAuc({ scores: [scores], labels, weights }: Scored): number {
  const s = scores as Float64Array
  const order = Uint32Array.from(labels.keys()).sort((a, b) => (s[a] as number) - (s[b] as number))
  let [negativesBelow, area, positives] = [0, 0, 0]
  for (let i = 0; i < order.length;) {
    let [tiedPositive, tiedNegative] = [0, 0]
    const score = s[order[i] as number]
    for (; i < order.length && s[order[i] as number] === score; i++) {
      const row = order[i] as number
      const weight = weights ? (weights[row] as number) : 1
      if (labels[row] === 1) tiedPositive += weight
      else tiedNegative += weight
    }
    area += tiedPositive * (negativesBelow + tiedNegative / 2)
    negativesBelow += tiedNegative
    positives += tiedPositive
  }
  return area / (positives * negativesBelow)
}

/**
 * A metric by name: those above, or 'ndcg@10' and its like.
 *
 * @param options.emptyQuery - NDCG of a query without a relevant row; default 'skip'
 * @throws FtError `INVALID_ARGUMENT` for an unknown name; lists the known
 */
export function metricOf(metric: MetricName | CustomMetric, options: { emptyQuery?: EmptyQuery } = {}): Metric {
  const { emptyQuery = 'skip' } = options
  assertOneOf(emptyQuery, { where: 'metric', argument: 'emptyQuery', values: [0, 1, 'skip'] })
  if (typeof metric === 'object') return checkCustom(metric)
  const at = /^ndcg@([1-9]\d*)$/.exec(metric)
  if (at)
    return {
      name: metric,
      better: 'higher',
      compute: (scored) => rankingMetric(scored, Number(at[1]), emptyQuery),
    }
  const definition = definitions[metric as PlainMetricName] as (typeof definitions)[PlainMetricName] | undefined
  if (definition) return { name: metric, ...definition }
  throw new FtError(
    'INVALID_ARGUMENT',
    `no metric ${String(metric)}; known: ${Object.keys(definitions).join(', ')}, ndcg@k`,
    { metric },
  )
}

function checkCustom(metric: CustomMetric): Metric {
  const given = metric as Partial<Record<keyof CustomMetric, unknown>> | null
  if (typeof given?.name !== 'string' || typeof given.compute !== 'function') {
    throw new FtError('INVALID_ARGUMENT', 'metric: one of your own has a name, `better` and a function compute')
  }
  assertOneOf(given.better, { where: `metric ${given.name}`, argument: 'better', values: ['lower', 'higher'] })
  return metric
}

/**
 * The metric of rows that decide something: which round is the best, which tree goes.
 *
 * @throws FtError `INVALID_ARGUMENT` where it is not a number: nothing is better or worse than that
 */
export function judge(metric: Metric, scored: Scored, where: string): number {
  const value: unknown = metric.compute(scored)
  if (typeof value === 'number' && value === value) return value
  throw new FtError('INVALID_ARGUMENT', `${where}: ${metric.name} is ${String(value)}; ${whyNone(metric, scored)}`, {
    metric: metric.name,
  })
}

function whyNone({ name }: Metric, { scores, weights }: Scored): string {
  if (scores.some((output) => output.some((score) => score !== score))) return 'scores are NaN'
  if (weights?.every((weight) => weight === 0)) return 'all weights are 0'
  if (name === 'auc') return 'it needs rows of both classes'
  if (name.startsWith('ndcg@')) return 'no query has a relevant row; emptyQuery 0 or 1 would count them'
  return 'it must be a number'
}

function rankingMetric(scored: Scored, at: number, emptyQuery: EmptyQuery): number {
  const { labels, groups } = scored
  if (!groups) throw new FtError('INVALID_ARGUMENT', `ndcg@${at} needs \`group\`, the number of rows of each query`)
  return ndcg({ scores: first(scored), labels, groups }, { at, emptyQuery })
}

// Scores of binary predictions with intervals: area under the ROC curve, logarithmic loss.
import { FtError } from '../errors.ts'
import { assertNumber, invalidArgument } from '../guards.ts'
import { log } from '../math.ts'
import type { Interval } from '../types/common.ts'
import { checkConfidence, checkSample } from './check.ts'
import { mean, meanInterval, variance } from './moments.ts'
import { normalQuantile } from './normal.ts'

/** Predictions with their outcomes; labels are 0 or 1. */
interface Scored {
  readonly scores: ArrayLike<number>
  readonly labels: ArrayLike<number>
}

/** Predicted probabilities of label 1 with their outcomes. */
interface Predicted {
  readonly probabilities: ArrayLike<number>
  readonly labels: ArrayLike<number>
  /** Probabilities are moved into [epsilon, 1 - epsilon]; default 1e-15. */
  readonly epsilon?: number
}

/**
 * The area under the ROC curve: how often a positive scores above a negative, ties counting half.
 *
 * Cost: two sorts and n binary searches.
 *
 * @throws FtError `INVALID_ARGUMENT` for a score that is not finite, a label other than 0 and 1, or one class only
 * @example
 * ```ts
 * auc({ scores: [0.1, 0.4, 0.35, 0.8], labels: [0, 0, 1, 1] }) // => 0.75
 * ```
 */
export function auc(data: Scored): number {
  return mean(components(data, 'auc').positives)
}

/**
 * The same with DeLong's interval, which needs no resampling.
 *
 * @param data.confidence - default 0.95
 * @throws FtError `INVALID_ARGUMENT` as `auc`, and for fewer than two of a class
 * @see DeLong, DeLong and Clarke-Pearson 1988
 */
export function aucInterval(data: Scored & { confidence?: number }): Interval {
  const { confidence = 0.95 } = data
  const { positives, negatives } = components(data, 'aucInterval')
  const interval = normalInterval({ value: mean(positives), positives, negatives, confidence })
  return { ...interval, low: Math.max(0, interval.low), high: Math.min(1, interval.high) }
}

/**
 * The difference of two areas, first minus second, of two predictors on the same observations.
 *
 * @param data.confidence - default 0.95
 */
export function aucDifference(data: {
  first: ArrayLike<number>
  second: ArrayLike<number>
  labels: ArrayLike<number>
  confidence?: number
}): Interval {
  const { first, second, labels, confidence = 0.95 } = data
  const a = components({ scores: first, labels }, 'aucDifference')
  const b = components({ scores: second, labels }, 'aucDifference')
  const positives = a.positives.map((x, i) => x - (b.positives[i] as number))
  const negatives = a.negatives.map((x, i) => x - (b.negatives[i] as number))
  return normalInterval({ value: mean(positives), positives, negatives, confidence })
}

/**
 * The mean of -log(probability of what happened), in nats.
 *
 * @throws FtError `INVALID_ARGUMENT` for a probability outside [0, 1] or a label other than 0 and 1
 * @example
 * ```ts
 * logLoss({ probabilities: [0.5, 0.5], labels: [0, 1] }) // => ~0.693147
 * ```
 */
export function logLoss(data: Predicted): number {
  return mean(losses(data, 'logLoss'))
}

/**
 * The same with Student's interval over independent observations. To compare two predictors, take `meanInterval` of
 * the differences of their losses.
 */
export function logLossInterval(data: Predicted & { confidence?: number }): Interval {
  const { confidence = 0.95 } = data
  return meanInterval(losses(data, 'logLossInterval'), { confidence })
}

function losses({ probabilities, labels, epsilon = 1e-15 }: Predicted, where: string): Float64Array {
  checkLengths(probabilities, labels, where)
  assertNumber(epsilon, { where, argument: 'epsilon', min: 0, max: 0.5 })
  return Float64Array.from({ length: labels.length }, (_, i) => {
    const p = probabilities[i] as number
    if (!(p >= 0 && p <= 1)) throw invalidArgument({ where, argument: `probabilities[${i}]` }, 'in [0, 1]', p)
    const actual = isPositive(labels[i], { where, index: i }) ? p : 1 - p
    return -log(Math.min(Math.max(actual, epsilon), 1 - epsilon))
  })
}

/** DeLong's structural components: for each positive the share of negatives below it, for each negative of positives above. */
function components({ scores, labels }: Scored, where: string): { positives: Float64Array; negatives: Float64Array } {
  checkLengths(scores, labels, where)
  checkSample(scores, { where, argument: 'scores' })
  const of = (wanted: boolean) => {
    const chosen: number[] = []
    for (let i = 0; i < labels.length; i++) {
      if (isPositive(labels[i], { where, index: i }) === wanted) chosen.push(scores[i] as number)
    }
    return Float64Array.from(chosen)
  }
  const positive = of(true)
  const negative = of(false)
  if (positive.length === 0 || negative.length === 0) {
    throw invalidArgument({ where, argument: 'labels' }, 'of both classes', positive.length === 0 ? 'no 1' : 'no 0')
  }
  const sortedNegative = negative.slice().sort()
  const sortedPositive = positive.slice().sort()
  return {
    positives: positive.map((score) => shareBelow(sortedNegative, score)),
    negatives: negative.map((score) => 1 - shareBelow(sortedPositive, score)),
  }
}

/** The share of a sorted array below a value, equal ones counting half. */
function shareBelow(sorted: Float64Array, value: number): number {
  return (countBelow(sorted, (x) => x < value) + countBelow(sorted, (x) => x <= value)) / (2 * sorted.length)
}

/** How many leading elements satisfy a condition that none after them does. */
function countBelow(sorted: Float64Array, holds: (x: number) => boolean): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(sorted[middle] as number)) low = middle + 1
    else high = middle
  }
  return low
}

function normalInterval(parts: {
  value: number
  positives: Float64Array
  negatives: Float64Array
  confidence: number
}): Interval {
  const { value, positives, negatives, confidence } = parts
  checkConfidence(confidence, 'aucInterval')
  const spread = variance(positives) / positives.length + variance(negatives) / negatives.length
  const half = normalQuantile((1 - confidence) / 2, { tail: 'upper' }) * Math.sqrt(spread)
  return { value, low: value - half, high: value + half, confidence, n: positives.length + negatives.length }
}

function checkLengths(values: ArrayLike<number>, labels: ArrayLike<number>, where: string): void {
  if (values.length === labels.length) return
  throw new FtError(
    'SHAPE_MISMATCH',
    `${where}: \`labels\` must have ${values.length} elements, got ${labels.length}`,
    {
      expected: values.length,
      got: labels.length,
    },
  )
}

function isPositive(label: number | undefined, at: { where: string; index: number }): boolean {
  if (label === 1 || label === 0) return label === 1
  throw invalidArgument({ where: at.where, argument: `labels[${at.index}]` }, '0 or 1', label)
}

// Losses of regression.
import { exp, log } from '@ft/core/math'
import { FtError } from '@ft/core'
import { forRange } from '../arena.ts'
import { weightedQuantile } from './quantile.ts'
import type { Derivatives, Objective } from './objective.ts'

const keep = (): void => {}

function weightedMean(values: Float64Array, weights: Float64Array | undefined): number {
  let sum = 0
  let total = 0
  for (let i = 0; i < values.length; i++) {
    const weight = weights ? (weights[i] as number) : 1
    sum += weight * (values[i] as number)
    total += weight
  }
  return total > 0 ? sum / total : 0
}

/** Writes weighted derivatives row by row: `each(score, label)` sets gradient and hessian in `out`. */
export function deriveRows(state: Derivatives, each: (score: number, label: number, out: Float64Array) => void): void {
  const scores = state.scores[0]?.view() as Float64Array
  const labels = state.labels.view()
  const weights = state.weights?.view()
  const gradients = state.gradients[0]?.view() as Float64Array
  const hessians = state.hessians[0]?.view() as Float64Array
  const out = new Float64Array(2)
  for (let i = 0; i < state.rows; i++) {
    each(scores[i] as number, labels[i] as number, out)
    const weight = weights ? (weights[i] as number) : 1
    gradients[i] = weight * (out[0] as number)
    hessians[i] = weight * (out[1] as number)
  }
}

/** (s - y)^2 / 2. */
export const squared: Objective = {
  name: 'squared',
  parameters: {},
  outputs: 1,
  metric: 'rmse',
  baseScores: (labels, weights) => Float64Array.of(weightedMean(labels, weights)),
  derive: (state) => kernelDerive('squared', state),
  answer: keep,
}

export function kernelDerive(
  name: 'squared' | 'logistic',
  { arena, rows, scores, labels, weights, gradients, hessians }: Derivatives,
): void {
  forRange(arena, name, { count: rows }, (start, end) => [
    scores[0]?.address ?? 0,
    labels.address,
    weights?.address ?? 0,
    start,
    end,
    gradients[0]?.address ?? 0,
    hessians[0]?.address ?? 0,
  ])
}

/** |s - y|; leaves take the median of their residuals, for the second derivative is 0. */
export const absolute: Objective = {
  name: 'absolute',
  parameters: {},
  outputs: 1,
  metric: 'mae',
  baseScores: (labels, weights) => Float64Array.of(weightedQuantile(labels, weights, 0.5)),
  derive: (state) =>
    deriveRows(state, (score, label, out) => {
      out[0] = Math.sign(score - label)
      out[1] = 1
    }),
  leafValue: (residuals, weights) => weightedQuantile(residuals, weights, 0.5),
  answer: keep,
}

/** Pinball loss of quantile `alpha`; leaves take that quantile of their residuals. */
export function quantile(alpha: number): Objective {
  if (!(alpha > 0 && alpha < 1))
    throw new FtError('INVALID_ARGUMENT', `train: alpha must be between 0 and 1, got ${alpha}`, { alpha })
  return {
    name: 'quantile',
    parameters: { alpha },
    outputs: 1,
    metric: 'mae',
    baseScores: (labels, weights) => Float64Array.of(weightedQuantile(labels, weights, alpha)),
    derive: (state) =>
      deriveRows(state, (score, label, out) => {
        out[0] = score >= label ? 1 - alpha : -alpha
        out[1] = 1
      }),
    leafValue: (residuals, weights) => weightedQuantile(residuals, weights, alpha),
    answer: keep,
  }
}

/** Huber's loss: squared within `delta` of the label, linear beyond. */
export function huber(delta: number): Objective {
  if (!(delta > 0)) throw new FtError('INVALID_ARGUMENT', `train: delta must be above 0, got ${delta}`, { delta })
  return {
    name: 'huber',
    parameters: { delta },
    outputs: 1,
    metric: 'mae',
    baseScores: (labels, weights) => Float64Array.of(weightedQuantile(labels, weights, 0.5)),
    derive: (state) =>
      deriveRows(state, (score, label, out) => {
        out[0] = Math.min(Math.max(score - label, -delta), delta)
        out[1] = 1
      }),
    answer: keep,
  }
}

/** Poisson with a log link: e^s - y s. The hessian is scaled by e^0.7 to keep Newton's step in reach. */
export const poisson: Objective = {
  name: 'poisson',
  parameters: {},
  outputs: 1,
  metric: 'poisson-deviance',
  baseScores: (labels, weights) => Float64Array.of(log(Math.max(weightedMean(labels, weights), 1e-12))),
  derive: (state) =>
    deriveRows(state, (score, label, out) => {
      const rate = exp(Math.min(score, 30))
      out[0] = rate - label
      out[1] = rate * STEP_BOUND
    }),
  answer: (scores) => {
    scores[0] = exp(scores[0] as number)
  },
}

/** e^0.7: Newton's step on an exponential overshoots where a leaf's rate must fall; XGBoost and LightGBM bound it alike. */
const STEP_BOUND = 2.0137527074704766

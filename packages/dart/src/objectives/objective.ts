// What a loss must give: a starting score, gradients and hessians, and how scores become answers.
import type { Arena, Block } from '../arena.ts'
import type { MetricName } from '../metrics.ts'

export const objectiveNames = [
  'squared',
  'absolute',
  'huber',
  'quantile',
  'poisson',
  'logistic',
  'softmax',
  'lambdarank',
] as const

export type ObjectiveName = (typeof objectiveNames)[number]

/** Scores and derivatives of one round, one block an output; all float64 in the kernels' memory. */
export interface Derivatives {
  readonly arena: Arena
  readonly rows: number
  readonly scores: readonly Block<Float64Array>[]
  readonly labels: Block<Float64Array>
  readonly weights: Block<Float64Array> | undefined
  readonly gradients: readonly Block<Float64Array>[]
  readonly hessians: readonly Block<Float64Array>[]
}

export interface Objective {
  readonly name: string
  /** Parameters that a saved model must carry. */
  readonly parameters: Readonly<Record<string, number>>
  readonly outputs: number
  readonly metric: MetricName
  /** Best constant score of each output. */
  baseScores(labels: Float64Array, weights: Float64Array | undefined): Float64Array
  /** Writes gradients and hessians at the scores. */
  derive(state: Derivatives): void
  /**
   * Leaf value from the residuals label - score of its rows, for losses whose second derivative says little.
   * Absent: Newton's -G / (H + l2).
   */
  readonly leafValue?: (residuals: Float64Array, weights: Float64Array | undefined) => number
  /** Turns a row's raw scores into its answer, in place: probabilities, rates. */
  answer(scores: Float64Array): void
}

/** A loss of one's own: gradients and hessians at the scores, one value a row. */
export interface CustomObjective {
  readonly name: string
  readonly derive: (scores: Float64Array, labels: Float64Array, gradients: Float64Array, hessians: Float64Array) => void
  /** Default 0. */
  readonly baseScore?: number
  /** Default 'rmse'. */
  readonly metric?: MetricName
}

// A trained model: plain data that predicts, and can be saved.
import type { Tree } from './tree.ts'

export interface Model {
  readonly objective: string
  readonly parameters: Readonly<Record<string, number>>
  /** Scores a row: 1, or one a class. */
  readonly outputs: number
  readonly baseScores: Float64Array
  readonly featureNames: readonly string[]
  /** Levels of each categorical feature, code by code; undefined for numbers. */
  readonly featureLevels: readonly (readonly string[] | undefined)[]
  /** `outputs` trees a round, in order. */
  readonly trees: readonly Tree[]
  /** Final weight of each tree, learning rate and normalisation included. */
  readonly weights: Float64Array
}

/** Rounds of a model. */
export function roundsOf(model: Model): number {
  return model.trees.length / model.outputs
}

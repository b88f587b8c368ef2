// What the parity's server must not do: run the optimizer on the parity row with the gradients of its data rows. Here to show
// why differences are propagated instead.
import { distance, trainOneStripe } from './oneStripe.ts'
import type { OptimizerOptions } from '../shard/optimizers.ts'

export interface NaiveOptions {
  readonly optimizer: OptimizerOptions
  /** Data rows of the stripe; default 2. */
  readonly k?: number
  /** Values a row; default 64. */
  readonly d?: number
  /** Updates of the stripe, each of a row drawn by chance. */
  readonly updates: number
  /** State of every row, parity included, before the first update; default 0. */
  readonly initialState?: number
  readonly seed: number
}

export interface NaiveResult {
  /** Norm of (row decoded - row), as a part of the row's norm. */
  readonly ofNorm: number
  /** The same as a part of the distance that the row has moved. */
  readonly ofDistance: number
}

/**
 * Trains one stripe whose parity row is a float sum updated by the stripe's gradients, then decodes its first row.
 *
 * Gradients are 0.02 + 0.05 n with n standard normal; rows start uniform in [-0.125, 0.125). Only plain SGD, which is linear
 * and has no state, comes back right.
 *
 * Source: the hazard that ECRM (Liu et al. 2021) answers with difference propagation.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export function naivePropagation(options: NaiveOptions): NaiveResult {
  const { optimizer, k = 2, d = 64, updates, initialState = 0, seed } = options
  const stripe = { optimizer, k, d, updates, initialState, seed }
  const { start, row, decoded } = trainOneStripe('naivePropagation', stripe, ({ parity, gradient, optimizer: own }) =>
    own.apply(parity, 0, gradient, 0, d),
  )
  const error = distance(decoded, row)
  return { ofNorm: error / distance(row, new Float32Array(d)), ofDistance: error / distance(row, start) }
}

// What the parity's server must not do: run the optimizer on the parity row with the gradients of its data rows. Here to show
// why differences are propagated instead.
import { assertInteger } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { rowOptimizer, type OptimizerOptions } from '../shard/optimizers.ts'

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
  const { k = 2, d = 64, updates, initialState = 0, seed } = options
  const where = 'naivePropagation'
  assertInteger(k, { where, argument: 'k', min: 2, max: 255 })
  assertInteger(d, { where, argument: 'd', min: 1, max: 65_536 })
  assertInteger(updates, { where, argument: 'updates', min: 1 })
  const optimizer = rowOptimizer(options.optimizer)
  const width = d + optimizer.stateWords(d)
  const random = createRandom(seed).stream('naive propagation')
  const rows = Array.from({ length: k + 1 }, () => new Float32Array(width).fill(initialState, d))
  const parity = rows[k]!
  for (let i = 0; i < k; i++)
    for (let j = 0; j < d; j++) {
      rows[i]![j] = random.uniform(-0.125, 0.125)
      parity[j]! += rows[i]![j]!
    }
  const start = rows[0]!.slice(0, d)
  const gradient = new Float32Array(d)
  for (let update = 0; update < updates; update++) {
    for (let j = 0; j < d; j++) gradient[j] = 0.02 + 0.05 * random.normal()
    const row = rows[random.integer(0, k - 1)]!
    optimizer.apply(row, 0, gradient, 0, d)
    optimizer.apply(parity, 0, gradient, 0, d)
  }
  let [error, norm, moved] = [0, 0, 0]
  for (let j = 0; j < d; j++) {
    let decoded = parity[j]!
    for (let i = 1; i < k; i++) decoded -= rows[i]![j]!
    error += (decoded - rows[0]![j]!) ** 2
    norm += rows[0]![j]! ** 2
    moved += (rows[0]![j]! - start[j]!) ** 2
  }
  return { ofNorm: Math.sqrt(error / norm), ofDistance: Math.sqrt(error / moved) }
}

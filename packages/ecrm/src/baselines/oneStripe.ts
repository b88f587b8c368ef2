// One stripe with a parity row that is a float sum, trained in place: for the two baselines of how such a parity is kept.
import { assertInteger } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { rowOptimizer, type OptimizerOptions, type RowOptimizer } from '../shard/optimizers.ts'

export interface OneStripeOptions {
  readonly optimizer: OptimizerOptions
  /** Data rows of the stripe. */
  readonly k: number
  /** Values a row. */
  readonly d: number
  /** Updates of the stripe, each of a row drawn by chance. */
  readonly updates: number
  /** State of every row, the naive parity's included, before the first update. */
  readonly initialState: number
  readonly seed: number
}

/** Brings the parity row up to date after an update of a row; arrays hold values, then optimizer state. */
export type Propagate = (o: {
  readonly parity: Float32Array
  readonly before: Float32Array
  readonly after: Float32Array
  readonly gradient: Float32Array
  readonly optimizer: RowOptimizer
}) => void

/**
 * Trains, then decodes the first row: parity less the other rows. Gradients are 0.02 + 0.05 n with n standard normal; rows start
 * uniform in [-0.125, 0.125).
 *
 * @returns values of the first row: as it was, as it is, and as decoded, d each
 */
export function trainOneStripe(where: string, o: OneStripeOptions, propagate: Propagate) {
  const { k, d, updates } = o
  assertInteger(k, { where, argument: 'k', min: 2, max: 255 })
  assertInteger(d, { where, argument: 'd', min: 1, max: 65_536 })
  assertInteger(updates, { where, argument: 'updates', min: 1 })
  const optimizer = rowOptimizer(o.optimizer)
  const width = d + optimizer.stateWords(d)
  const random = createRandom(o.seed).stream('naive propagation')
  const rows = Array.from({ length: k }, () => new Float32Array(width).fill(o.initialState, d))
  const parity = new Float32Array(width).fill(o.initialState, d)
  for (const row of rows)
    for (let j = 0; j < d; j++) {
      row[j] = random.uniform(-0.125, 0.125)
      parity[j]! += row[j]!
    }
  const start = rows[0]!.slice(0, d)
  const gradient = new Float32Array(d)
  for (let update = 0; update < updates; update++) {
    for (let j = 0; j < d; j++) gradient[j] = 0.02 + 0.05 * random.normal()
    const after = rows[random.integer(0, k - 1)]!
    const before = after.slice()
    optimizer.apply(after, 0, gradient, 0, d)
    propagate({ parity, before, after, gradient, optimizer })
  }
  // In the floats that the parity is kept in.
  const decoded = parity.slice(0, d)
  for (let i = 1; i < k; i++) for (let j = 0; j < d; j++) decoded[j]! -= rows[i]![j]!
  return { start, row: rows[0]!.slice(0, d), decoded }
}

/** Euclidean norm of a - b, in float64. */
export function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let j = 0; j < a.length; j++) sum += (a[j]! - b[j]!) ** 2
  return Math.sqrt(sum)
}

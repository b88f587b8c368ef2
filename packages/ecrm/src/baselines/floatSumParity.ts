// Differences propagated into a parity that is a sum of floats, as the published systems keep it: right up to rounding, which a
// decode hands to the row. Here to show why bits are encoded instead.
import { distance, trainOneStripe } from './oneStripe.ts'
import type { OptimizerOptions } from '../shard/optimizers.ts'

export interface FloatSumOptions {
  readonly optimizer: OptimizerOptions
  /** Data rows of the stripe; default 4. */
  readonly k?: number
  /** Values a row; default 64. */
  readonly d?: number
  /** Updates of the stripe, each of a row drawn by chance. */
  readonly updates: number
  readonly seed: number
}

export interface FloatSumResult {
  /** Largest |value decoded - value|. */
  readonly largest: number
  /** Norm of (row decoded - row), as a part of the row's norm. */
  readonly ofNorm: number
  /** Share of values that come back bit for bit. */
  readonly exact: number
}

/**
 * Trains one stripe whose parity row is a float32 sum to which each update's difference is added, then decodes its first row.
 * The error grows with the number of updates; the parity of this package's shards, a sum of bits, has none.
 *
 * Gradients are 0.02 + 0.05 n with n standard normal; rows start uniform in [-0.125, 0.125).
 *
 * Source: ECRM (Liu et al. 2021) and ECRec (Zhang et al. 2023), difference propagation.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export function floatSumParity(options: FloatSumOptions): FloatSumResult {
  const { optimizer, k = 4, d = 64, updates, seed } = options
  const stripe = { optimizer, k, d, updates, initialState: 0, seed }
  const { row, decoded } = trainOneStripe('floatSumParity', stripe, ({ parity, before, after }) => {
    for (let j = 0; j < parity.length; j++) parity[j]! += Math.fround(after[j]! - before[j]!)
  })
  let [largest, exact] = [0, 0]
  for (let j = 0; j < row.length; j++) {
    largest = Math.max(largest, Math.abs(decoded[j]! - row[j]!))
    if (decoded[j] === row[j]) exact++
  }
  return { largest, ofNorm: distance(decoded, row) / distance(row, new Float32Array(d)), exact: exact / d }
}

// How many rows of each table a step of training updates: what decides between encoding and replicating it.
import { assertInteger } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { checkUpdatesNames } from '../knownOptions.ts'
import { batchesOf, checkSamples, takeBatch, type Samples } from '../dlrm/samples.ts'

export interface UpdatesOptions {
  /** Samples a step; default 128, as `train`. */
  readonly batch?: number
  /** Of the order of samples, as `train`; default 0. */
  readonly seed?: number
  /** Steps that are looked at, the first ones; default 32. */
  readonly steps?: number
}

/**
 * Distinct rows of each table in a step's batch, on average: `updates` of `chooseProtection`.
 *
 * @returns one number a categorical feature
 * @throws FtError `INVALID_ARGUMENT`, `SHAPE_MISMATCH`
 */
export function updatesAStep(data: Samples, options: UpdatesOptions = {}): number[] {
  const where = 'updatesAStep'
  checkUpdatesNames(options)
  const { batch = 128, seed = 0, steps = 32 } = options
  assertInteger(batch, { where, argument: 'batch', min: 1 })
  assertInteger(steps, { where, argument: 'steps', min: 1 })
  const { rows } = checkSamples(data, where)
  const tables = data.categorical.length
  let end = 0
  const offsets = data.categorical.map(({ size }) => (end += size) - size)
  const sums = new Float64Array(tables)
  let taken = 0
  for (const chosen of batchesOf(rows, { batch, random: createRandom(seed).stream('order', 0) })) {
    for (const id of new Set(takeBatch(data, chosen, offsets).ids))
      sums[offsets.findLastIndex((first) => first <= id)]!++
    if (++taken === steps) break
  }
  return Array.from(sums, (sum) => sum / taken)
}

// Training data in memory, and the batches drawn from it.
import { FtError, assertInteger, invalidArgument } from '@ft/core'
import type { Random } from '@ft/core/random'
import { allFinite } from '../shard/finite.ts'

/** A categorical feature: one id a sample, below `size`. */
export interface CategoricalFeature {
  readonly size: number
  readonly ids: ArrayLike<number>
}

export interface Samples {
  /** `[rows, features]`, already scaled, finite. */
  readonly dense: Float32Array
  readonly categorical: readonly CategoricalFeature[]
  /** 0 or 1 a row. */
  readonly label: ArrayLike<number>
}

/** A batch: dense features, labels, and ids of the store's rows, `[batch, tables]`. */
export interface Batch {
  readonly dense: Float32Array
  readonly ids: Uint32Array
  readonly labels: Float32Array
}

/** @throws FtError `SHAPE_MISMATCH`, `INVALID_ARGUMENT` */
export function checkSamples(samples: Samples, where: string): { rows: number; features: number } {
  const rows = samples.label.length
  assertInteger(rows, { where, argument: 'label.length', min: 1 })
  const features = samples.dense.length / rows
  if (!Number.isInteger(features) || features === 0 || samples.categorical.length === 0) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: \`dense\` must have the same number of values, at least one, for each of ${rows} labels, and \`categorical\` a column`,
      { dense: samples.dense.length, rows },
    )
  }
  if (!allFinite(samples.dense)) {
    const at = samples.dense.findIndex((value) => !Number.isFinite(value))
    throw invalidArgument({ where, argument: `dense[${at}]` }, 'a finite number', samples.dense[at])
  }
  for (let row = 0; row < rows; row++) {
    const label = samples.label[row]
    if (label !== 0 && label !== 1) throw invalidArgument({ where, argument: `label[${row}]` }, '0 or 1', label)
  }
  samples.categorical.forEach(({ ids, size }, column) => {
    if (ids.length !== rows) {
      throw new FtError(
        'SHAPE_MISMATCH',
        `${where}: \`categorical[${column}].ids\` must have ${rows} ids, got ${ids.length}`,
        {
          column,
        },
      )
    }
    for (let row = 0; row < rows; row++)
      assertInteger(ids[row], { where, argument: `categorical[${column}].ids[${row}]`, min: 0, max: size - 1 })
  })
  return { rows, features }
}

/** The rows `chosen` as a batch. `offsets`: first id of each table in the store. */
export function takeBatch(samples: Samples, chosen: Uint32Array, offsets: readonly number[]): Batch {
  const features = samples.dense.length / samples.label.length
  const tables = samples.categorical.length
  const dense = new Float32Array(chosen.length * features)
  const ids = new Uint32Array(chosen.length * tables)
  const labels = new Float32Array(chosen.length)
  chosen.forEach((row, i) => {
    dense.set(samples.dense.subarray(row * features, (row + 1) * features), i * features)
    for (let t = 0; t < tables; t++) ids[i * tables + t] = offsets[t]! + samples.categorical[t]!.ids[row]!
    labels[i] = samples.label[row]!
  })
  return { dense, ids, labels }
}

/** Rows of each batch of an epoch, in an order of its own; the last batch may be smaller. */
export function* batchesOf(rows: number, { batch, random }: { batch: number; random: Random }): Generator<Uint32Array> {
  const order = random.permutation(rows)
  for (let start = 0; start < rows; start += batch) yield order.subarray(start, start + batch)
}

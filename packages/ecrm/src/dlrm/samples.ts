// Training data in memory, and the batches drawn from it.
import { FtError, assertInteger, assertOneOf, invalidArgument } from '@ft/core'
import type { Random } from '@ft/core/random'
import { allFinite } from '../shard/finite.ts'
import type { Bags, LookUp } from './lookUp.ts'

/** A categorical feature: one id a sample, below `size`; or with `offsets` a bag of any number of them, which become one embedding. */
export interface CategoricalFeature {
  readonly size: number
  readonly ids: ArrayLike<number>
  /** Sample s has `ids[offsets[s]]` up to `ids[offsets[s + 1] - 1]`, repeated ids included, or none: one offset more than samples. */
  readonly offsets?: ArrayLike<number>
  /** What a bag's rows become: their sum (default), or their mean. Of an empty bag zeros. */
  readonly pooling?: 'sum' | 'mean'
  /** How often each of `ids` counts, default once; with 'mean' above 0, and the sum is divided by the weights' sum. */
  readonly weights?: ArrayLike<number>
}

export interface Samples {
  /** `[rows, features]`, already scaled, finite. */
  readonly dense: Float32Array
  readonly categorical: readonly CategoricalFeature[]
  /** 0 or 1 a row. */
  readonly label: ArrayLike<number>
}

/** A batch: dense features, labels, and ids of the store's rows, of one sample after the other and of one table after the other. */
export interface Batch {
  readonly dense: Float32Array
  /** `[batch, tables]`, or with `bags` as many as these mention. */
  readonly ids: Uint32Array
  readonly labels: Float32Array
  /** Of bags `[batch, tables]`; left out where every sample has one id a table. */
  readonly bags?: Bags
  /** `distinct(ids)`, where somebody has asked for it already. */
  readonly rows?: LookUp
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
  samples.categorical.forEach((feature, column) =>
    checkFeature(feature, rows, { where, argument: `categorical[${column}]` }),
  )
  return { rows, features }
}

/** @throws FtError `SHAPE_MISMATCH`, `INVALID_ARGUMENT` */
function checkFeature(feature: CategoricalFeature, rows: number, at: { where: string; argument: string }): void {
  const { ids, size, offsets, weights, pooling = 'sum' } = feature
  const { where, argument } = at
  const misfit = (field: string, expected: string, got: number): FtError =>
    new FtError('SHAPE_MISMATCH', `${where}: \`${argument}.${field}\` must have ${expected}, got ${got}`, { argument })
  if (offsets === undefined) {
    if (weights !== undefined || feature.pooling !== undefined)
      throw invalidArgument({ where, argument: `${argument}.offsets` }, 'given with `weights` or `pooling`', undefined)
    if (ids.length !== rows) throw misfit('ids', `${rows} ids`, ids.length)
  } else {
    assertOneOf(pooling, { where, argument: `${argument}.pooling`, values: ['sum', 'mean'] })
    if (offsets.length !== rows + 1) throw misfit('offsets', `${rows} + 1 numbers`, offsets.length)
    for (let row = 0; row <= rows; row++) {
      const [min, max] = row === 0 ? [0, 0] : [offsets[row - 1]!, ids.length]
      assertInteger(offsets[row], { where, argument: `${argument}.offsets[${row}]`, min, max })
    }
    if (offsets[rows] !== ids.length) throw misfit('ids', `${offsets[rows]} ids, as its offsets say`, ids.length)
  }
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!
    // What is said of a wrong one is not made up for every right one.
    if (Number.isInteger(id) && id >= 0 && id < size) continue
    assertInteger(id, { where, argument: `${argument}.ids[${i}]`, min: 0, max: size - 1 })
  }
  if (weights === undefined) return
  if (weights.length !== ids.length) throw misfit('weights', `${ids.length} numbers`, weights.length)
  for (let i = 0; i < weights.length; i++) {
    // As the float32 that it is used as.
    const weight = Math.fround(weights[i]!)
    if (Number.isFinite(weight) && (pooling === 'sum' || weight > 0)) continue
    const expected = pooling === 'sum' ? 'a finite number' : 'a finite number above 0'
    throw invalidArgument({ where, argument: `${argument}.weights[${i}]` }, expected, weights[i])
  }
}

/** The rows `chosen` as a batch. `offsets`: first id of each table in the store. */
export function takeBatch(samples: Samples, chosen: Uint32Array, offsets: readonly number[]): Batch {
  const features = samples.dense.length / samples.label.length
  const dense = new Float32Array(chosen.length * features)
  const labels = new Float32Array(chosen.length)
  chosen.forEach((row, i) => {
    dense.set(samples.dense.subarray(row * features, (row + 1) * features), i * features)
    labels[i] = samples.label[row]!
  })
  const { categorical } = samples
  if (categorical.some((feature) => feature.offsets !== undefined))
    return { dense, labels, ...takeBags(categorical, chosen, offsets) }
  const tables = categorical.length
  const ids = new Uint32Array(chosen.length * tables)
  for (let t = 0; t < tables; t++) {
    const [of, first] = [categorical[t]!.ids, offsets[t]!]
    for (let i = 0; i < chosen.length; i++) ids[i * tables + t] = first + of[chosen[i]!]!
  }
  return { dense, ids, labels }
}

/** Ids and bags of some samples, one sample after the other; a feature of one id a sample has bags of one. */
function takeBags(
  categorical: readonly CategoricalFeature[],
  chosen: Uint32Array,
  first: readonly number[],
): { ids: Uint32Array; bags: Bags } {
  const tables = categorical.length
  const offsets = new Uint32Array(chosen.length * tables + 1)
  const beginOf = (t: number, row: number): number => categorical[t]!.offsets?.[row] ?? row
  for (let i = 0; i < chosen.length; i++) {
    for (let t = 0; t < tables; t++) {
      const bag = i * tables + t
      offsets[bag + 1] = offsets[bag]! + beginOf(t, chosen[i]! + 1) - beginOf(t, chosen[i]!)
    }
  }
  const ids = new Uint32Array(offsets.at(-1)!)
  const scaled = categorical.some(({ pooling, weights }) => pooling === 'mean' || weights !== undefined)
  const scales = scaled ? new Float32Array(ids.length).fill(1) : undefined
  for (let i = 0; i < chosen.length; i++) {
    for (let t = 0; t < tables; t++) {
      const feature = categorical[t]!
      const from = beginOf(t, chosen[i]!)
      const [at, end] = [offsets[i * tables + t]!, offsets[i * tables + t + 1]!]
      for (let m = at; m < end; m++) ids[m] = first[t]! + feature.ids[from + m - at]!
      if (scales !== undefined) scaleBag(feature, from, scales.subarray(at, end))
    }
  }
  return { ids, bags: { offsets, scales } }
}

/** What each id of a bag counts: its weight, and for a mean that part of all the bag's. */
function scaleBag({ weights, pooling }: CategoricalFeature, from: number, scales: Float32Array): void {
  if (weights !== undefined) for (let m = 0; m < scales.length; m++) scales[m] = weights[from + m]!
  if (pooling !== 'mean') return
  let sum = 0
  for (let m = 0; m < scales.length; m++) sum += scales[m]!
  for (let m = 0; m < scales.length; m++) scales[m]! /= sum
}

/** Rows of each batch of an epoch, in an order of its own; the last batch may be smaller. */
export function* batchesOf(rows: number, { batch, random }: { batch: number; random: Random }): Generator<Uint32Array> {
  const order = random.permutation(rows)
  for (let start = 0; start < rows; start += batch) yield order.subarray(start, start + batch)
}

// Weights on the device: B as it was given, read by strides; its row sums; its folds for tile checks, made when first
// needed.
/// <reference types="@webgpu/types" />
import type { HWIO, Tensor, TypedArray } from '@ft/core'
import { fromFloat16Array, toFloat16Array } from '@ft/core/formats'
import { matmulWeightSizes } from '../problem/matmul.ts'
import type { Buffers, Lease } from './buffers.ts'
import { input, upload, write } from './operand.ts'
import type { Storage } from './shader/variant.ts'

/** B [item, step, column] in an array. */
export interface WeightLayout {
  /** Matrices; batch items or groups share one when it is 1. */
  readonly count: number
  readonly k: number
  readonly n: number
  /** Elements from one item, step and column to the next. */
  readonly item: number
  readonly step: number
  readonly column: number
}

export interface DeviceWeights extends WeightLayout {
  readonly storage: Storage
  readonly b: Lease
  /** Whether the weights were given as a batch. */
  readonly batched: boolean
  /** Of a convolution's weights. */
  readonly filter: HWIO | undefined
  /** Row sums as pairs of floats, or as integers. */
  checksum: Lease | undefined
  /** By the columns of the tile that they are for. */
  readonly folds: Map<number, Lease>
  /** Products under way, which still read them after their release. */
  users: number
  released: boolean
}

export function matrixLayout(
  weights: Tensor,
  o: { where: 'matmul' | 'matmulInt8'; transposeB: boolean },
): WeightLayout & { batched: boolean } {
  const { count, k, n } = matmulWeightSizes(weights, o)
  const batched = weights.shape.length === 3
  const [step, column] = o.transposeB ? [1, k] : [n, 1]
  return { count: batched ? count : 1, k, n, item: k * n, step, column, batched }
}

export function filterLayout([kh, kw, i, o]: HWIO, groups: number): WeightLayout {
  const n = o / groups
  return { count: groups, k: kh * kw * i, n, item: n, step: o, column: 1 }
}

/** Row sums of B in float64: `[count * k]`. */
export function rowSumsOf(data: ArrayLike<number>, layout: WeightLayout): Float64Array {
  const { count, k, n, item, step, column } = layout
  const sums = new Float64Array(count * k)
  for (let i = 0; i < count; i++)
    // Along the array, whichever way B lies in it.
    if (column === 1)
      for (let s = 0; s < k; s++) {
        let sum = 0
        for (let j = 0, at = i * item + s * step; j < n; j++, at++) sum += data[at] as number
        sums[i * k + s] = sum
      }
    else
      for (let j = 0; j < n; j++)
        for (let s = 0, at = i * item + j * column; s < k; s++, at += step)
          sums[i * k + s] = (sums[i * k + s] as number) + (data[at] as number)
  return sums
}

/** Row sums as the kernels take them: each as two floats whose sum it is but for 2^-48, or modulo 2^32. */
export function encodeSums(sums: Float64Array, integer: boolean): Float32Array | Int32Array {
  if (integer) return Int32Array.from(sums)
  const pairs = new Float32Array(2 * sums.length)
  sums.forEach((sum, i) => {
    const high = Math.fround(sum)
    pairs[2 * i] = high
    pairs[2 * i + 1] = Number.isFinite(high) ? sum - high : 0
  })
  return pairs
}

export function decodeSums(pairs: Float32Array | Int32Array): Float64Array {
  if (pairs instanceof Int32Array) return Float64Array.from(pairs)
  return Float64Array.from(
    { length: pairs.length / 2 },
    (_, i) => (pairs[2 * i] as number) + (pairs[2 * i + 1] as number),
  )
}

/** The values that the device computes with. */
export function storedValues(data: TypedArray, storage: Storage): ArrayLike<number> {
  return storage === 'float16' ? fromFloat16Array(toFloat16Array(data as Float32Array)) : data
}

export function placeWeights(
  device: GPUDevice,
  buffers: Buffers,
  o: { layout: WeightLayout; batched: boolean; data: TypedArray; storage: Storage; where: string; filter?: HWIO },
): DeviceWeights {
  const b = upload(device, buffers, { data: o.data, storage: o.storage, where: o.where, what: 'the weights' })
  return {
    ...o.layout,
    storage: o.storage,
    b,
    batched: o.batched,
    filter: o.filter,
    checksum: undefined,
    folds: new Map(),
    users: 0,
    released: false,
  }
}

export function placeSums(
  device: GPUDevice,
  buffers: Buffers,
  o: { sums: Float32Array | Int32Array; where: string },
): Lease {
  const lease = buffers.take(o.sums.byteLength, input, { where: o.where, what: "the weights' row sums" })
  if (o.sums.length > 0) write(device, lease, o.sums)
  return lease
}

/** Gives back what weights hold, as soon as no product reads them any more. */
export function freeWeights(buffers: Buffers, weights: DeviceWeights): void {
  weights.released = true
  if (weights.users > 0) return
  for (const lease of leasesOf(weights)) buffers.give(lease)
}

/** Gives back what weights of no product hold, of which it is not known whether it ever was on the device. */
export function dropWeights(buffers: Buffers, weights: DeviceWeights): void {
  for (const lease of leasesOf(weights)) buffers.drop(lease)
}

function leasesOf({ b, checksum, folds }: DeviceWeights): Lease[] {
  return [b, ...(checksum === undefined ? [] : [checksum]), ...folds.values()]
}

/** Keeps weights alive while a product uses them. */
export async function using<T>(buffers: Buffers, weights: DeviceWeights, product: () => Promise<T>): Promise<T> {
  weights.users++
  try {
    return await product()
  } finally {
    weights.users--
    if (weights.released) freeWeights(buffers, weights)
  }
}

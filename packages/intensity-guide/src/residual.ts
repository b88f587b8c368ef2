// Residual risk: how many of the faults that matter a scheme leaves unseen.
import type { DType, LinearLayer } from '@ft/core'
import { fromBits, isFloating, toBits } from '@ft/core/formats'
import { normalQuantile } from '@ft/core/statistics'

/** Outputs that stand for all: so many quantiles of the normal distribution. */
const OUTPUTS = 64
/** Root mean square of int8 operands whose largest magnitude lies at three standard deviations. */
const INTEGER_RMS = 127 / 3

/**
 * Share of faults in a layer's arithmetic that change an output by more than `critical` and stay unseen by a scheme that
 * surely finds errors from `detectable` on. Both are shares of the outputs' root mean square; `detectable` is Infinity
 * without protection.
 *
 * Model: a fault flips one bit, any with the same chance, of an output that is normal with mean 0 (integer products: of its
 * int32 accumulator); under any check a result that is not finite is seen.
 *
 * Cost: the flips of an element type are made once a call of `residualOf`, then two binary searches.
 */
export type Residual = (layer: LinearLayer, options: { detectable: number; critical: number }) => number

/** Makes the function for an element type: its flips are made once. */
export function residualOf(dtype: DType): Residual {
  const flips = new Map<number, Flips>()
  return (layer, { detectable, critical }) => {
    const rms = isFloating(dtype) ? 1 : INTEGER_RMS ** 2 * Math.sqrt(layer.k)
    const { sizes, wild, all } = flips.get(rms) ?? remember(flips, rms, flipsOf(dtype, rms))
    const unseen = Math.max(0, countUpTo(sizes, detectable) - countUpTo(sizes, critical))
    return (unseen + (detectable === Infinity ? wild : 0)) / all
  }
}

interface Flips {
  /** Change of the output as a share of its rms, ascending. */
  readonly sizes: Float64Array
  /** Flips that give no finite number. */
  readonly wild: number
  readonly all: number
}

function flipsOf(dtype: DType, rms: number): Flips {
  const { bits, flip } = flipper(dtype)
  const sizes: number[] = []
  for (let i = 0; i < OUTPUTS; i++) {
    const value = rms * normalQuantile((i + 0.5) / OUTPUTS)
    for (let bit = 0; bit < bits; bit++) {
      const [before, after] = flip(value, bit)
      if (Number.isFinite(after)) sizes.push(Math.abs(after - before) / rms)
    }
  }
  const all = OUTPUTS * bits
  return { sizes: Float64Array.from(sizes).sort(), wild: all - sizes.length, all }
}

/** Bits of a stored output, and its value before and after one of them flips. */
function flipper(dtype: DType): { bits: number; flip(value: number, bit: number): [number, number] } {
  if (dtype === 'float64') {
    const value = new Float64Array(1)
    const pattern = new BigUint64Array(value.buffer)
    return {
      bits: 64,
      flip(given, bit) {
        value[0] = given
        pattern[0] = (pattern[0] as bigint) ^ (1n << BigInt(bit))
        return [given, value[0]]
      },
    }
  }
  const stored = isFloating(dtype) ? dtype : 'int32'
  return {
    bits: stored === 'float16' || stored === 'bfloat16' ? 16 : 32,
    flip(given, bit) {
      const pattern = toBits(given, stored)
      return [fromBits(pattern, stored), fromBits((pattern ^ (1 << bit)) >>> 0, stored)]
    },
  }
}

function countUpTo(sorted: Float64Array, limit: number): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) <= limit) low = middle + 1
    else high = middle
  }
  return low
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): V {
  map.set(key, value)
  return value
}

// What the limits of a range of columns' row sums are multiples of: made of its weights' norms, once.
import type { ColumnRanges } from '@ft/tensor-core'
import { gamma, type Rounding } from '../rounding.ts'
import { rangeNorms, type WeightNorms } from '../weights.ts'
import { hardFactor, rowSumNoise, type Noise, type Prediction } from './policy.ts'

export interface RangeScale {
  /** Of a row's reach: the bound of rounding, and what float64 sums may differ by. */
  readonly hard: number
  readonly slack: number
  /** Sums of absolute values of the rows of B: their sum, and their norm, infinite where it is not known. */
  readonly reach: { readonly sum: number; readonly norm: number }
  /** Variance of rounding, of a row's mean square and of its squared mean. */
  readonly centred: number
  readonly aligned: number
}

export interface ScaleRule {
  readonly k: number
  readonly n: number
  readonly split: ColumnRanges
  readonly rounding: Rounding
  readonly unit: Noise
  readonly prediction: Prediction
}

interface KnownScales extends Pick<ScaleRule, 'rounding' | 'unit'> {
  readonly rangeColumns: number
  readonly scales: readonly RangeScale[]
}

/** Of the last product with each weights: another width of ranges, build or calibration makes them anew. */
const known: Readonly<Record<Prediction, WeakMap<WeightNorms, KnownScales>>> = {
  kernel: new WeakMap(),
  float64: new WeakMap(),
}

export function scalesOf(norms: WeightNorms, rule: ScaleRule): readonly RangeScale[] {
  const { k, n, split, rounding, unit, prediction } = rule
  const { rangeColumns } = split
  const last = known[prediction].get(norms)
  if (last?.rangeColumns === rangeColumns && last.rounding === rounding && last.unit === unit) return last.scales
  const scales = rangeNorms(norms, split).map((own, range): RangeScale => {
    const columns = Math.min(n, (range + 1) * rangeColumns) - range * rangeColumns
    const noise = rowSumNoise(rounding, own.rows, prediction)
    return {
      hard: hardFactor(rounding, k, columns, prediction),
      slack: gamma(k + columns + 2, 2 ** -53),
      reach: { sum: own.absolute, norm: own.rows === undefined ? Infinity : Math.sqrt(own.rows.absoluteSquares) },
      centred: unit.centred ** 2 * own.squares + noise.centred,
      aligned: unit.aligned ** 2 * own.columnSumSquares + noise.aligned,
    }
  })
  known[prediction].set(norms, { rangeColumns, rounding, unit, scales })
  return scales
}

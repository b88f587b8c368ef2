// Thresholds: how large a residual rounding alone may make. Every one of them can say how sure it is.
import { normalQuantile } from '@ft/core/statistics'
import { FtError } from '@ft/core'
import { CHAIN, gamma, type Rounding } from '../rounding.ts'
import type { RowNorms, SumNorms } from '../weights.ts'
import type { Calibration } from '../calibrate.ts'

export type ThresholdKind = 'hard' | 'storage' | 'v-abft' | 'exact'

export interface ThresholdPolicy {
  readonly kind: ThresholdKind
  /** Standard deviations of rounding noise that are let pass; 0 for 'hard'. */
  readonly kappa: number
  /** Probability that a clean product raises an alarm in its first stage; 0 for 'hard'. */
  readonly falseAlarmProbability: number
}

/** kappa so that `checks` two-sided normal checks together alarm with probability p: Phi^-1(1 - p / (2 checks)). */
export function kappaFor(checks: number, falseAlarmProbability: number): number {
  if (!(falseAlarmProbability > 0 && falseAlarmProbability < 1)) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `falseAlarmProbability must be between 0 and 1, got ${falseAlarmProbability}`,
      { falseAlarmProbability },
    )
  }
  const share = falseAlarmProbability / (2 * Math.max(1, checks))
  let kappa = kappas.get(share)
  if (kappa === undefined) {
    if (kappas.size === MOST_KAPPAS) kappas.clear()
    kappa = -normalQuantile(share)
    kappas.set(share, kappa)
  }
  return kappa
}

/** A network asks for the same few at every run. */
const kappas = new Map<number, number>()
const MOST_KAPPAS = 256

/** The policy of a float product's thresholds, and the noise that statistical ones are made of. */
export function policyOf(o: {
  readonly rounding: Rounding
  readonly calibration: Calibration | undefined
  readonly k: number
  readonly checks: number
  readonly falseAlarmProbability: number
}): { readonly policy: ThresholdPolicy; readonly unit: Noise } {
  const { rounding, calibration, k, checks, falseAlarmProbability } = o
  const noise = rounding.wide ? undefined : noisePerUnit(calibration, k)
  const kind: ThresholdKind = rounding.wide ? 'storage' : noise === undefined ? 'hard' : 'v-abft'
  const kappa = kind === 'hard' ? 0 : kappaFor(checks, falseAlarmProbability)
  return {
    policy: { kind, kappa, falseAlarmProbability: kind === 'hard' ? 0 : falseAlarmProbability },
    // Where nothing was measured: storing alone, since |c_i| is bounded by its rowScale.
    unit: noise ?? rounding.storing,
  }
}

/** The two parts of a row's size, squared. */
export interface RowScale {
  /** Of what is centred: operand and weights whose products change sign. */
  readonly centred: number
  /** Of what has one sign: the row's mean times the weights' column sums. Errors of such sums add up. */
  readonly aligned: number
}

/** Standard deviation of rounding per unit of each part of `rowScale`. */
export interface Noise {
  readonly centred: number
  readonly aligned: number
}

/**
 * One row's size: an estimate of the norm of the row of C and of the sums behind it.
 *
 * With c_ij = mean_i colsum_j + (a_i - mean_i) b_j, the row's size is mean_i^2 |e^T B|^2 + var_i |B|^2; partial sums add
 * mean_i^2 |B|^2, which makes the mean square of a_i times |B|^2. The parts round differently and are calibrated apart. (V-ABFT, 2026, bounds the same moments; it takes
 * the first term without its square root and so loosens with n. Differs: norms of B instead of the extrema of its rows,
 * which are offline here and exact.)
 */
export function rowScale(
  mean: number,
  meanSquare: number,
  norms: Pick<SumNorms, 'squares' | 'columnSumSquares'>,
): RowScale {
  return { centred: meanSquare * norms.squares, aligned: mean * mean * norms.columnSumSquares }
}

/** Standard deviation of a sum's rounding. */
export function noiseOf({ centred, aligned }: RowScale, noise: Noise): number {
  return Math.sqrt(noise.centred ** 2 * centred + noise.aligned ** 2 * aligned)
}

/** What is predicted of row sums: in the kernel, beside the product; or by somebody else, in float64. */
export type Prediction = 'kernel' | 'float64'

/**
 * Bound of one row's residual that rounding can never exceed (Higham), per unit of sum_k |a_ik| sum_j |b_kj|: gamma_chain. Check sums
 * add what they round themselves; of their part in float64 the error is below 2^-53 times the number of terms.
 */
export function hardFactor(rounding: Rounding, k: number, n: number, prediction: Prediction): number {
  const { accumulated, rowSums } = rounding
  const predicted = rowSums !== undefined && prediction === 'kernel' ? gamma(rowSums.predicted, accumulated) : 0
  const chain = rounding.chain(k) + 1 + (rowSums?.summed ?? 0)
  return gamma(chain, accumulated) + predicted + rounding.stored + gamma(k + n + 2, 2 ** -53)
}

/**
 * Variances of what row sums round themselves, per unit of a row's mean square and of its squared mean, which calibration
 * does not know: it measures the sums over C alone, and of columns that are independent.
 *
 * A rounding to float32 has a variance of u^2 / 3 of what is rounded, at most. Of a predicted sum these are: row sums of B and
 * products, sum_k a^2 s^2 each; partial sums along chains of L, of centred rows (L + 1) / 2 times as much, and of their mean
 * mean^2 times the partial sums' squares. Sums over C along a strip's panels round like calibrated ones but for what columns have
 * in common, whose partial sums grow with their number: less than sum_k a^2 s^2, with s the row sums of B.
 */
export function rowSumNoise(
  rounding: Rounding,
  rows: RowNorms | undefined,
  prediction: Prediction,
): { readonly centred: number; readonly aligned: number } {
  if (rounding.rowSums === undefined || rows === undefined) return noNoise
  const variance = rounding.accumulated ** 2 / 3
  if (prediction === 'float64') return { centred: variance * rows.sumSquares, aligned: 0 }
  return {
    centred: variance * (3 + (CHAIN + 1) / 2) * rows.sumSquares,
    aligned: variance * rows.chainSquares,
  }
}

const noNoise = { centred: 0, aligned: 0 }

/** Rounding error per unit of rowScale, from calibration where there is one; else no statistical threshold exists. */
export function noisePerUnit(calibration: Calibration | undefined, k: number): Noise | undefined {
  if (!calibration) return undefined
  let known = noises.get(calibration)
  if (known === undefined) noises.set(calibration, (known = new Map()))
  if (!known.has(k)) known.set(k, interpolated(calibration, k))
  return known.get(k)
}

/** A network has a few lengths, and asks for them at every run. */
const noises = new WeakMap<Calibration, Map<number, Noise | undefined>>()

function interpolated({ points }: Calibration, k: number): Noise | undefined {
  const first = points[0]
  const last = points[points.length - 1]
  if (!first || !last) return undefined
  if (k <= first.k) return { centred: first.noise, aligned: first.aligned }
  for (let i = 1; i < points.length; i++) {
    const [low, high] = [points[i - 1] as typeof first, points[i] as typeof first]
    if (k > high.k) continue
    const share = Math.log(k / low.k) / Math.log(high.k / low.k)
    const between = (from: number, to: number) => from + share * (to - from)
    return { centred: between(low.noise, high.noise), aligned: between(low.aligned, high.aligned) }
  }
  // Beyond the longest chain measured, noise grows no faster than the square root of k.
  const growth = Math.sqrt(k / last.k)
  return { centred: last.noise * growth, aligned: last.aligned * growth }
}

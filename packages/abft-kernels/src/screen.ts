// The engine's own judgement of sums, by the limits that `thresholdsOf` would make of its statistics: what passes it is clean,
// and nothing is made of it but a report. What does not pass is judged here, with all that is known of the rows.
import { rowBlocks } from '@ft/tensor-core'
import type { Calibration } from './calibrate.ts'
import type { Report } from './report.ts'
import { rangesOf, tileOf, type Rounding } from './rounding.ts'
import { policyOf, type Noise, type ThresholdPolicy } from './thresholds/policy.ts'
import { SQUARES_SLACK } from './thresholds/rows.ts'
import { scalesOf } from './thresholds/scales.ts'
import type { ProtectedWeights } from './weights.ts'

/** Schemes whose products the engine can judge. */
export type ScreenedScheme = 'row' | 'column' | 'replication'

/** What products of `m` rows with some weights are judged by. */
export interface Screen {
  readonly scheme: ScreenedScheme
  readonly m: number
  readonly calibration: Calibration | undefined
  readonly falseAlarmProbability: number
  /** As the engine takes them: see `Judging` of tensor-core. */
  readonly limits: Float64Array
  readonly policy: ThresholdPolicy
  readonly checks: number
  /** How much larger than the engine's limit a row's threshold may be. */
  readonly widest: number
}

export interface ScreenRequest {
  /** 'replication' of products whose replica is exact, 'column' of those too, with a calibration. */
  readonly scheme: ScreenedScheme
  readonly build: string
  readonly rounding: Rounding
  readonly m: number
  readonly calibration: Calibration | undefined
  readonly falseAlarmProbability: number
}

/** Whether the engine judges: of no other wishes, and nothing that strikes what is judged here. */
export function isScreened(
  rounding: Rounding,
  o: { readonly emit?: unknown; readonly thresholdFault?: unknown },
): boolean {
  return rounding.rowSums !== undefined && o.emit === undefined && o.thresholdFault === undefined
}

/** The screen of the last product with these weights, if it serves this one too. Cost otherwise: O(ranges), O(n) the first time. */
export function screenFor(weights: ProtectedWeights, request: ScreenRequest): Screen {
  const { scheme, m, calibration, falseAlarmProbability } = request
  const last = weights.screen
  const same = last?.m === m && last.calibration === calibration && last.scheme === scheme
  if (same && last.falseAlarmProbability === falseAlarmProbability) return last
  return (weights.screen = screenOf(weights, request))
}

/**
 * A row's threshold is kappa sqrt(centred q / k + aligned (s / k)^2) + reach sqrt(q), of its sum s and sum of squares q. With the
 * reach within the root, sqrt((kappa sqrt(centred / k) + reach)^2 q + ...), it is smaller by that reach at most: by less than a
 * thousandth of it, and not at all where rounding is bounded and not estimated.
 */
function screenOf(weights: ProtectedWeights, request: ScreenRequest): Screen {
  const { scheme, build, rounding, m, calibration, falseAlarmProbability } = request
  const { k, n } = weights
  if (scheme === 'replication') {
    const [rows, columns] = tileOf(build)
    const checks = Math.ceil(m / rows) * Math.ceil(n / columns)
    return { scheme, m, calibration, falseAlarmProbability, checks, limits: none, policy: exact, widest: 0 }
  }
  if (scheme === 'column') {
    const checks = rowBlocks(m, tileOf(build)[0]).blocks * n
    const { policy, unit } = policyOf({ rounding, calibration, k, checks, falseAlarmProbability })
    const limits = columnFactors(rounding, unit, policy.kappa)
    return { scheme, m, calibration, falseAlarmProbability, limits, policy, checks, widest: 1 }
  }
  const split = rangesOf(build, n)
  const checks = split.ranges * m
  const { policy, unit } = policyOf({ rounding, calibration, k, checks, falseAlarmProbability })
  const [norms] = weights.norms
  const scales = norms === undefined ? [] : scalesOf(norms, { k, n, split, rounding, unit, prediction: 'kernel' })
  const limits = new Float64Array(2 * scales.length)
  const steps = Math.max(1, k)
  let widest = 1
  scales.forEach(({ hard, slack, reach, centred, aligned }, range) => {
    const bounded = (policy.kind === 'hard' ? hard : slack) * reach.norm * Math.sqrt(SQUARES_SLACK)
    const noise = policy.kappa * Math.sqrt(centred / steps)
    limits[2 * range] = (noise + bounded) ** 2
    limits[2 * range + 1] = (policy.kappa / steps) ** 2 * aligned
    if (noise > 0) widest = Math.max(widest, 1 + bounded / noise)
  })
  return { scheme, m, calibration, falseAlarmProbability, limits, policy, checks, widest }
}

/**
 * What limits of columns are multiples of, squared: see `Judging` of tensor-core.
 *
 * An output rounds like a number of its own size, c^2 in the place of what is known of its row and column (`rowScale`): of data whose
 * products change sign the mean square is the same, of others c is the aligned part. A block's rows are added up in float32, one
 * after another: with a variance of u^2 / 3 of each partial sum, of which there are as many as rows, of a third (rows of one sign) to
 * a half (independent ones) of the whole sum's square in the mean; three more roundings are the prediction's own and those of rows
 * that were added in between. An output's error D makes its own limit larger by kappa unit D: far less than D.
 *
 * Estimates: what they do not cover, such as rows that cancel, does not pass and is judged with all that is known of the rows.
 */
export function columnFactors(rounding: Rounding, unit: Noise, kappa: number): Float64Array {
  const outputs = Math.max(unit.centred, unit.aligned) ** 2
  const summed = rounding.accumulated ** 2 / 6
  return Float64Array.of(kappa * kappa * outputs, kappa * kappa * summed)
}

const none = new Float64Array()
const exact: ThresholdPolicy = { kind: 'exact', kappa: 0, falseAlarmProbability: 0 }

/**
 * The report of a product that passed: `passed` is the largest limit; of an exact replica, whose limits are 0, the largest sum of
 * a tile, of which float64 holds changes of 2^-52 of it.
 */
export function screened({ scheme, policy, checks, widest }: Screen, passed: number): Report {
  const { kind, falseAlarmProbability } = policy
  const largest = passed * widest
  const smallestDetectable = kind === 'exact' ? passed * 2 ** -52 : 2 * largest
  return {
    status: 'clean',
    scheme,
    checks,
    threshold: { kind, largest, falseAlarmProbability, smallestDetectable },
    detections: [],
    recomputed: 0,
  }
}

// How much of a training run failures cost: with checkpoints, and with erasure-coded shards.
import { assertNumber } from '@ft/core'

/** All times in one unit, whichever. */
export interface CheckpointCosts {
  /** Training stands still this long for one checkpoint (C). */
  readonly stall: number
  /** Reading a checkpoint back (R); default the stall. */
  readonly reload?: number
  /** Time between checkpoints (I); default the best, sqrt(2 C M). */
  readonly interval?: number
}

export interface CodingCosts {
  /** The part by which steps take longer while nothing fails (o). */
  readonly overhead: number
  /** From a failure to full redundancy (T). */
  readonly rebuild: number
  /** The part of the throughput that is lost while rebuilding (q). */
  readonly slowdown: number
}

export interface WastedTimeOptions {
  /** Mean time between failures of the job (M): that of one server divided by their number. */
  readonly meanTimeBetweenFailures: number
  readonly checkpoint: CheckpointCosts
  readonly coding: CodingCosts
}

export interface WastedTime {
  /** Interval between checkpoints, given or best. */
  readonly interval: number
  /** Parts of the useful time, 0.05 being 5 %. */
  readonly checkpoint: number
  readonly coding: number
  /** 1 - coding / checkpoint: how much less is wasted. */
  readonly saved: number
  readonly choose: 'checkpoint' | 'coding'
  /** The stall below which checkpoints at their best interval, reloaded as fast, would waste less. */
  readonly breakEvenStall: number
}

/**
 * Wasted parts of a run whose failures come as a Poisson process.
 *
 * Checkpoints: C / I + (I / 2 + R) / M, least at I = sqrt(2 C M). Coding: o + q T / M; nothing is done again.
 *
 * Source: Young, "A first order approximation to the optimum checkpoint interval" (1974). First order: the failures must be
 * rarer than checkpoints and rebuilds are long.
 *
 * @throws FtError `INVALID_ARGUMENT`
 * @example
 * ```ts
 * const minutes = wastedTime({
 *   meanTimeBetweenFailures: 12 * 60,
 *   checkpoint: { stall: 10 },
 *   coding: { overhead: 0.04, rebuild: 20, slowdown: 0.13 },
 * })
 * Math.round(minutes.interval) // => 120
 * minutes.checkpoint.toFixed(3) // => '0.181'
 * minutes.coding.toFixed(3) // => '0.044'
 * ```
 */
export function wastedTime(options: WastedTimeOptions): WastedTime {
  const where = 'wastedTime'
  const { meanTimeBetweenFailures: mean, checkpoint, coding } = options
  positive(mean, where, 'meanTimeBetweenFailures')
  positive(checkpoint.stall, where, 'checkpoint.stall')
  const { stall, reload = stall, interval = Math.sqrt(2 * stall * mean) } = checkpoint
  assertNumber(reload, { where, argument: 'checkpoint.reload', min: 0 })
  positive(interval, where, 'checkpoint.interval')
  assertNumber(coding.overhead, { where, argument: 'coding.overhead', min: 0 })
  assertNumber(coding.rebuild, { where, argument: 'coding.rebuild', min: 0 })
  assertNumber(coding.slowdown, { where, argument: 'coding.slowdown', min: 0, max: 1 })
  const byCheckpoint = stall / interval + (interval / 2 + reload) / mean
  const byCoding = coding.overhead + (coding.slowdown * coding.rebuild) / mean
  // sqrt(2 C / M) + C / M = w is a quadratic in sqrt(C / M): sqrt(C / M) = (sqrt(1 + 2 w) - 1) / sqrt(2).
  const root = (Math.sqrt(1 + 2 * byCoding) - 1) / Math.SQRT2
  return {
    interval,
    checkpoint: byCheckpoint,
    coding: byCoding,
    saved: 1 - byCoding / byCheckpoint,
    choose: byCoding < byCheckpoint ? 'coding' : 'checkpoint',
    breakEvenStall: mean * root * root,
  }
}

function positive(value: number, where: string, argument: string): void {
  assertNumber(value, { where, argument, min: Number.MIN_VALUE })
}

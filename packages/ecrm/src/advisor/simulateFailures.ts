// The same costs on a simulated run: failures drawn as a Poisson process, what is lost done again, failures while reloading.
import { assertInteger, assertNumber } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { meanInterval } from '@ft/core/statistics'
import { wastedTime, type WastedTimeOptions } from './wastedTime.ts'
import type { Interval } from '@ft/core'

export interface SimulateOptions extends WastedTimeOptions {
  /** Useful time of a run, in the unit of the costs; default 100 times the mean time between failures. */
  readonly work?: number
  /** Runs; default 20. */
  readonly runs?: number
  readonly seed: number
}

export interface Simulated {
  /** Wasted parts of the useful time: mean over runs with its 95 % interval. */
  readonly checkpoint: Interval
  readonly coding: Interval
  /** Failures of all runs with checkpoints. */
  readonly failures: number
}

/**
 * Simulates runs with checkpoints and with coding.
 *
 * A failure throws work back to the last finished checkpoint and costs a reload; the time between two failures is
 * exponential and runs on through stalls and reloads, where the formula of `wastedTime` stops counting. Coding loses
 * `slowdown` of the speed for `rebuild` after a failure; a failure meanwhile begins the rebuild anew.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export function simulateFailures(options: SimulateOptions): Simulated {
  const where = 'simulateFailures'
  const { meanTimeBetweenFailures: mean, checkpoint, coding, runs = 20, seed } = options
  const { interval } = wastedTime(options)
  const { work = 100 * mean } = options
  assertNumber(work, { where, argument: 'work', min: Number.MIN_VALUE })
  assertInteger(runs, { where, argument: 'runs', min: 2, max: 100_000 })
  const { stall, reload = stall } = checkpoint
  const random = createRandom(seed).stream('failures')
  const untilFailure = (): number => -mean * Math.log1p(-random.uniform())
  let failures = 0

  function withCheckpoints(): number {
    let [time, saved, next] = [0, 0, untilFailure()]
    while (saved < work) {
      // An interval of work and the checkpoint after it, or what is left of the work.
      const useful = Math.min(interval, work - saved)
      const needs = useful + (saved + useful < work ? stall : 0)
      if (next > time + needs) {
        time += needs
        saved += useful
        continue
      }
      failures++
      time = next
      next = time + untilFailure()
      // A failure while reloading begins the reload anew.
      while (next < time + reload) {
        failures++
        time = next
        next = time + untilFailure()
      }
      time += reload
    }
    return time / work - 1
  }

  function withCoding(): number {
    const [full, slow] = [1 / (1 + coding.overhead), (1 - coding.slowdown) / (1 + coding.overhead)]
    let [time, done, next, rebuilt] = [0, 0, untilFailure(), 0]
    while (done < work) {
      const speed = time < rebuilt ? slow : full
      const until = Math.min(next, time < rebuilt ? rebuilt : Infinity, time + (work - done) / speed)
      done += (until - time) * speed
      time = until
      if (time === next) {
        rebuilt = time + coding.rebuild
        next = time + untilFailure()
      } else if (until === time && work - done < 1e-9 * work) break
    }
    return time / work - 1
  }

  const all = (run: () => number): number[] => Array.from({ length: runs }, run)
  return {
    checkpoint: meanInterval(all(withCheckpoints)),
    coding: meanInterval(all(withCoding)),
    failures,
  }
}

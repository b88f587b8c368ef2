// Times rivals in turns, so that what the machine does beside them hits all alike; claims are ratios within a turn.
import type { Interval } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { median, ratioInterval } from '@ft/core/statistics'
import { processorTime } from './clock.ts'

export interface Rival {
  readonly name: string
  run(): void | Promise<void>
}

export interface InterleaveOptions {
  /** Turns that count. */
  readonly rounds: number
  /** Turns before them. Default 2. */
  readonly warmUp?: number
  /** Of the order in each turn. */
  readonly seed: number
  /** Shortest time of one sample in milliseconds; short work is repeated to reach it. Default 5. */
  readonly shortestMs?: number
  /**
   * A rival whose time says how often all repeat. For work of some tens of microseconds: the first run of a sample finds what another
   * rival left, and weighs the more the fewer come after it. Default: each by its own time.
   */
  readonly repeatAs?: string
  /** Begin each sample with a run that does not count, for what the rival before left: caches, garbage, threads. Default false. */
  readonly leadIn?: boolean
}

/** What one clock says. */
export interface Clocked {
  /** Milliseconds of one run, by rival, one sample a turn. */
  readonly samples: ReadonlyMap<string, Float64Array>
  /** Median milliseconds of one run. */
  medianOf(name: string): number
  /** Time of `name` over time of `baseline`, paired turn by turn. */
  ratio(name: string, baseline: string): Interval
}

/** Elapsed time. */
export interface Timed extends Clocked {
  /**
   * Processor time, for rivals that compute on the calling thread: what else runs on the machine counts as little as it can, and
   * the collection of their garbage on other threads counts, too.
   */
  readonly processor: Clocked
}

/**
 * Runs all rivals once a turn, each turn in another order: in one that rotates, every rival would have the same one before it, and
 * pay for what that leaves.
 */
export async function interleave(rivals: readonly Rival[], options: InterleaveOptions): Promise<Timed> {
  const { rounds, warmUp = 2, shortestMs = 5, repeatAs, leadIn = false } = options
  const repeats = new Map<string, number>()
  for (const rival of rivals) {
    // The shortest: one run alone may be the one that was disturbed.
    let shortest = Infinity
    for (let i = 0; i <= warmUp; i++) shortest = Math.min(shortest, (await time(rival, 1)).elapsed)
    repeats.set(rival.name, Math.max(1, Math.ceil(shortestMs / Math.max(shortest, 1e-4))))
  }
  const room = (): Map<string, Float64Array> => new Map(rivals.map(({ name }) => [name, new Float64Array(rounds)]))
  const [elapsed, processor] = [room(), room()]
  const order = [...rivals]
  const random = createRandom(options.seed).stream('interleave')
  for (let round = 0; round < rounds; round++) {
    for (const rival of random.shuffle(order)) {
      if (leadIn) await rival.run()
      const times = repeats.get(repeatAs ?? rival.name) as number
      const taken = await time(rival, times)
      ;(elapsed.get(rival.name) as Float64Array)[round] = taken.elapsed / times
      ;(processor.get(rival.name) as Float64Array)[round] = taken.processor / times
    }
  }
  return { ...clocked(elapsed), processor: clocked(processor) }
}

function clocked(samples: ReadonlyMap<string, Float64Array>): Clocked {
  const of = (name: string) => samples.get(name) as Float64Array
  return {
    samples,
    medianOf: (name) => median(of(name)),
    ratio: (name, baseline) =>
      ratioInterval(Array.from(of(name), (value, i) => ({ value, baseline: of(baseline)[i] as number }))),
  }
}

async function time(rival: Rival, times: number): Promise<{ elapsed: number; processor: number }> {
  const [start, used] = [performance.now(), processorTime()]
  for (let i = 0; i < times; i++) {
    const pending = rival.run()
    if (pending) await pending
  }
  return { elapsed: performance.now() - start, processor: processorTime() - used }
}

// Times rivals in turns, so that what the machine does beside them hits all alike; claims are ratios within a turn.
import { ratioInterval } from '@ft/core/statistics'
import { median } from '@ft/core/statistics'
import type { Interval } from '@ft/core'

export interface Rival {
  readonly name: string
  run(): void | Promise<void>
}

export interface InterleaveOptions {
  /** Turns that count. */
  readonly rounds: number
  /** Turns before them. Default 2. */
  readonly warmUp?: number
  readonly seed: number
  /** Shortest time of one sample in milliseconds; short work is repeated to reach it. Default 5. */
  readonly shortestMs?: number
}

export interface Timed {
  /** Milliseconds of one run, by rival, one sample a turn. */
  readonly samples: ReadonlyMap<string, Float64Array>
  /** Median milliseconds of one run. */
  medianOf(name: string): number
  /** Time of `name` over time of `baseline`, paired turn by turn. */
  ratio(name: string, baseline: string): Interval
}

/** Runs all rivals once a turn, in an order that rotates. */
export async function interleave(rivals: readonly Rival[], options: InterleaveOptions): Promise<Timed> {
  const { rounds, warmUp = 2, shortestMs = 5 } = options
  const repeats = new Map<string, number>()
  for (const rival of rivals) {
    for (let i = 0; i < warmUp; i++) await rival.run()
    const once = await timed(rival, 1)
    repeats.set(rival.name, Math.max(1, Math.ceil(shortestMs / Math.max(once, 1e-4))))
  }
  const samples = new Map(rivals.map((rival) => [rival.name, new Float64Array(rounds)]))
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < rivals.length; i++) {
      const rival = rivals[(i + round) % rivals.length] as Rival
      const times = repeats.get(rival.name) as number
      ;(samples.get(rival.name) as Float64Array)[round] = (await timed(rival, times)) / times
    }
  }
  const of = (name: string) => samples.get(name) as Float64Array
  return {
    samples,
    medianOf: (name) => median(of(name)),
    ratio: (name, baseline) =>
      ratioInterval(Array.from(of(name), (value, i) => ({ value, baseline: of(baseline)[i] as number }))),
  }
}

async function timed(rival: Rival, times: number): Promise<number> {
  const start = performance.now()
  for (let i = 0; i < times; i++) {
    const pending = rival.run()
    if (pending) await pending
  }
  return performance.now() - start
}

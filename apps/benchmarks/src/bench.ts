// What a bench is, and the lines it prints.
import type { Interval } from '@ft/core'

/** One measured figure: `ratio = value / baseline.value`; low and high belong to the ratio, or to the value without one. */
export interface BenchLine {
  readonly case: string
  readonly metric: string
  readonly value: number
  readonly unit: string
  readonly baseline?: { readonly case: string; readonly value: number }
  readonly ratio?: number
  readonly low?: number
  readonly high?: number
  readonly n?: number
  /** What the figure has to reach, as its issue says: 'ratio <= 1.03'. */
  readonly target?: string
}

export interface BenchContext {
  readonly quick: boolean
  readonly seed: number
  /** A file in which a training keeps its state, so that a bench that was ended goes on: undefined without `--resume`. */
  checkpoint(training: string): string | undefined
  /** The part that `--case` names; undefined for all of them. */
  readonly part: string | undefined
  /** Whether a part of the bench was asked for; all of them without `--case`. */
  wants(part: string): boolean
  emit(line: BenchLine): void
  /** A fact in words: a peer that is not installed, a setting that was changed. */
  note(text: string): void
}

export interface Bench {
  readonly name: string
  readonly title: string
  /** Names that `--case` can pick; without them the bench is one piece. */
  readonly parts?: readonly string[]
  run(context: BenchContext): Promise<void>
}

/** Fields of a line from an interval. */
export function bounds({ low, high, n }: Interval): { low: number; high: number; n: number } {
  return { low, high, n }
}

// What a step of the demo gets and gives.
import type { Interval } from '@ft/core'
import type { Output } from '@ft/report'
import type { ChartSpec } from '@ft/report/charts'
import type { Dlrm } from './dlrm.ts'
import type { FlightsLoaded } from './steps/flights.ts'
import type { TrainedNetwork } from './trainNetwork.ts'

export interface DemoOptions {
  /** Rows of the late-arrival task. */
  readonly rows: number
  readonly seed: number
  readonly quick: boolean
  readonly threads: number
}

export interface StepContext {
  readonly options: DemoOptions
  readonly output: Output
  /** The flights and their task, read once. */
  flights(): Promise<FlightsLoaded>
  /** The trained network, trained once. */
  network(): Promise<TrainedNetwork>
  /** The DLRM on shard processes, trained once. */
  dlrm(): Promise<Dlrm>
  /** A picture for the report; a terminal does not show it. */
  chart(spec: ChartSpec): void
}

export type Verdict = 'held' | 'undecided' | 'refuted'

/** A sentence that the run confirms, leaves open or refutes. */
export interface Claim {
  readonly text: string
  readonly measured: Interval
  /** The claim is that the measured value is above or below this. */
  readonly above?: number
  readonly below?: number
}

export interface Step {
  readonly name: string
  readonly title: string
  run(context: StepContext): Promise<readonly Claim[]>
}

/** Held or refuted when the whole interval says so, else undecided. */
export function verdictOf({ measured, above, below }: Claim): Verdict {
  if (above !== undefined) return measured.low > above ? 'held' : measured.high < above ? 'refuted' : 'undecided'
  if (below !== undefined) return measured.high < below ? 'held' : measured.low > below ? 'refuted' : 'undecided'
  return 'undecided'
}

/** A number that does not vary: counted or computed, not measured. */
export function exactly(value: number): Interval {
  return { value, low: value, high: value, confidence: 1, n: 1 }
}

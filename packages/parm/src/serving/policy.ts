// When a query whose own output is not there yet gets a second copy, and when a reconstruction may answer it. Policies
// hold no timers: they say from which age on, and learn from the latencies they are shown.
import { measuredDelay, type DelayOptions } from './delay.ts'

/** Decides when redundancy is used. Ages are milliseconds since the query's arrival; each is asked once a query, then. */
export interface Policy {
  readonly name: string
  /** Age from which a query may be answered by a reconstruction. */
  decodeAfterMs(query: { readonly deadlineMs: number }): number
  /** Age at which a copy of the query goes to another instance. Absent: never. */
  hedgeAfterMs?(query: { readonly deadlineMs: number }): number
  /** Shows the latency of a query's own output, or its age when it was given up (its latency is then at least that). */
  observe(latencyMs: number): void
}

/** The paper's race: whichever of output and reconstruction is there first answers. */
export function firstWins(): Policy {
  return { name: 'firstWins', decodeAfterMs: () => 0, observe: () => undefined }
}

/** Reconstructions answer only when the deadline passes (the prototype's `prefer_original`). */
export function deadlineOnly(): Policy {
  return { name: 'deadlineOnly', decodeAfterMs: ({ deadlineMs }) => deadlineMs, observe: () => undefined }
}

/**
 * Holds reconstructions back until a query is late: fixed milliseconds, or a measured quantile of recent latencies.
 *
 * Guarantees: with `quantile: q` about 1 - q of the queries become eligible; outputs that were given up count with their
 * age, which leaves every quantile below that age unchanged. Outputs later than the deadline are seen this way.
 * Differs: the prototype races; about a quarter of its answers are then reconstructions when nothing is slow.
 */
export function hold(options: DelayOptions): Policy {
  const delay = measuredDelay(options, 'hold')
  return { name: `hold(${delay.text})`, decodeAfterMs: delay.current, observe: delay.observe }
}

/**
 * Sends a copy of a late query to another instance; the first output answers, always exact. Needs no code.
 *
 * Cost: about 1 - q more queries with `quantile: q`.
 *
 * @see J. Dean, L. A. Barroso: The Tail at Scale, CACM 2013
 */
export function hedge(options: DelayOptions): Policy {
  const delay = measuredDelay(options, 'hedge')
  return {
    name: `hedge(${delay.text})`,
    hedgeAfterMs: delay.current,
    decodeAfterMs: ({ deadlineMs }) => deadlineMs,
    observe: delay.observe,
  }
}

/** First a copy, then a reconstruction: exact answers where a copy is fast enough, a bounded tail where it is not. */
export function hedgeThenDecode(options: { readonly hedge: DelayOptions; readonly decode: DelayOptions }): Policy {
  const first = measuredDelay(options.hedge, 'hedgeThenDecode')
  const second = measuredDelay(options.decode, 'hedgeThenDecode')
  return {
    name: `hedgeThenDecode(${first.text}, ${second.text})`,
    hedgeAfterMs: first.current,
    decodeAfterMs: () => Math.max(first.current(), second.current()),
    observe(latencyMs) {
      first.observe(latencyMs)
      second.observe(latencyMs)
    },
  }
}

// When a reconstruction may answer a query whose own output is not there yet. Policies hold no timers: they say from which
// age on, and learn from the latencies they are shown.
import { assertInteger, assertNumber } from '@ft/core'
import { quantile } from '@ft/core/statistics'

/** Decides when reconstructions are used. */
export interface Policy {
  readonly name: string
  /** Age in milliseconds from which a query may be answered by a reconstruction. Asked once a query, at its arrival. */
  decodeAfterMs(query: { readonly deadlineMs: number }): number
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

export type HoldOptions =
  | { readonly afterMs: number }
  | {
      /** Hold for this quantile of the latencies seen, such as 0.99. */
      readonly quantile: number
      /** Until `warmUp` latencies were seen. Default 0: the first queries race. */
      readonly initialMs?: number
      /** Latencies that count: the most recent ones. Default 1000. */
      readonly window?: number
      /** Default 100. */
      readonly warmUp?: number
    }

/**
 * Holds reconstructions back until a query is late: fixed milliseconds, or a measured quantile of recent latencies.
 *
 * Guarantees: with `quantile: q` about 1 - q of the queries become eligible; outputs that were given up count with their
 * age, which leaves every quantile below that age unchanged. Outputs later than the deadline are seen this way.
 * Differs: the prototype races; about a quarter of its answers are then reconstructions when nothing is slow.
 */
export function hold(options: HoldOptions): Policy {
  if ('afterMs' in options) {
    const { afterMs } = options
    assertNumber(afterMs, { where: 'hold', argument: 'afterMs', min: 0 })
    return { name: `hold(${afterMs} ms)`, decodeAfterMs: () => afterMs, observe: () => undefined }
  }
  const { quantile: level, initialMs = 0, window = 1000, warmUp = 100 } = options
  assertNumber(level, { where: 'hold', argument: 'quantile', min: 0.5, max: 1 })
  assertNumber(initialMs, { where: 'hold', argument: 'initialMs', min: 0 })
  assertInteger(window, { where: 'hold', argument: 'window', min: 10, max: 1_000_000 })
  assertInteger(warmUp, { where: 'hold', argument: 'warmUp', min: 10, max: window })
  const seen = new Float64Array(window)
  // Sorting a thousand numbers costs 50 us: not at every query
  const refreshEvery = Math.max(1, Math.floor(warmUp / 4))
  let count = 0
  let current = initialMs
  return {
    name: `hold(q${level})`,
    decodeAfterMs: () => current,
    observe(latencyMs) {
      seen[count % window] = latencyMs
      count++
      if (count >= warmUp && count % refreshEvery === 0)
        current = quantile(seen.subarray(0, Math.min(count, window)), level)
    },
  }
}

// A delay after which something counts as late: fixed, or a quantile of the latencies seen lately.
import { assertInteger, assertNumber } from '@ft/core'
import { quantile } from '@ft/core/statistics'

export type DelayOptions =
  | { readonly afterMs: number }
  | {
      /** This quantile of the latencies seen, such as 0.99. */
      readonly quantile: number
      /** Until `warmUp` latencies were seen. Default 0. */
      readonly initialMs?: number
      /** So many most recent ones. Default 1000. */
      readonly window?: number
      /** Default 100. */
      readonly warmUp?: number
    }

export interface Delay {
  readonly text: string
  current(): number
  observe(latencyMs: number): void
}

export function measuredDelay(options: DelayOptions, where: string): Delay {
  if ('afterMs' in options) {
    const { afterMs } = options
    assertNumber(afterMs, { where, argument: 'afterMs', min: 0 })
    return { text: `${afterMs} ms`, current: () => afterMs, observe: () => undefined }
  }
  const { quantile: level, initialMs = 0, window = 1000, warmUp = 100 } = options
  assertNumber(level, { where, argument: 'quantile', min: 0.5, max: 1 })
  assertNumber(initialMs, { where, argument: 'initialMs', min: 0 })
  assertInteger(window, { where, argument: 'window', min: 10, max: 1_000_000 })
  assertInteger(warmUp, { where, argument: 'warmUp', min: 10, max: window })
  const seen = new Float64Array(window)
  // Sorting a thousand numbers costs 50 us: not at every query
  const refreshEvery = Math.max(1, Math.floor(warmUp / 4))
  let count = 0
  let current = initialMs
  return {
    text: `q${level}`,
    current: () => current,
    observe(latencyMs) {
      seen[count % window] = latencyMs
      count++
      if (count >= warmUp && count % refreshEvery === 0)
        current = quantile(seen.subarray(0, Math.min(count, window)), level)
    },
  }
}

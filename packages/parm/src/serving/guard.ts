// When capacity, not chance, makes queries late, every extra unit makes more of them late: the guard then stops them.
import { assertNumber } from '@ft/core'
import type { Clock } from './clock.ts'

export interface UtilisationGuardOptions {
  readonly clock: Clock
  /** Utilisation of the base instances above which extra units stop; they start again 0.1 below. Default 0.85. */
  readonly limit?: number
  /** Time constant of the average in milliseconds. Default 1000. */
  readonly windowMs?: number
}

export interface UtilisationGuard {
  /** Whether extra units (parities, replicas, hedges) may be sent. */
  allows(): boolean
  /** Shows the share of places in use from now on, waiting units included: above 1 when some wait. */
  sample(utilisation: number): void
  /** The average, 0 at the start. */
  utilisation(): number
}

/**
 * Watches how busy the base instances are: an exponential average of the share of their places in use.
 *
 * @see Parity Models (SOSP'19) codes whatever the load; with slow machines at high load that makes the tail worse
 */
export function utilisationGuard({ clock, limit = 0.85, windowMs = 1000 }: UtilisationGuardOptions): UtilisationGuard {
  assertNumber(limit, { where: 'utilisationGuard', argument: 'limit', min: 0.1, max: 10 })
  assertNumber(windowMs, { where: 'utilisationGuard', argument: 'windowMs', min: 1 })
  let average = 0
  let level = 0
  let since = clock.now()
  let open = true
  const settle = () => {
    const now = clock.now()
    average = level + (average - level) * Math.exp((since - now) / windowMs)
    since = now
    if (open ? average > limit : average < limit - 0.1) open = !open
  }
  return {
    allows() {
      settle()
      return open
    },
    sample(utilisation) {
      settle()
      level = utilisation
    },
    utilisation() {
      settle()
      return average
    },
  }
}

// A runner whose times are a formula of its own clock: what profiling must find is then known exactly.
import type { LayerRunner, LinearLayer, ProtectionScheme } from '@ft/core'
import { createRandom } from '@ft/core/random'

export const overheads: Readonly<Record<ProtectionScheme, number>> = {
  none: 0,
  global: 0.04,
  row: 0.02,
  column: 0.05,
  'row-column': 0.07,
  'thread-one-sided': 0.12,
  'thread-two-sided': 0.2,
  replication: 1,
}

export interface FakeRunner extends LayerRunner {
  readonly now: () => number
  /** What happened, in order: 'prepare ID SCHEME', 'run ID SCHEME', 'release ID SCHEME'. */
  readonly log: string[]
  /** Handles prepared and not released. */
  held(): number
  /** Most handles held at once. */
  mostHeld(): number
}

/**
 * One call takes 2 m n k nanoseconds times 1 + overhead, times noise, times a slow drift of the machine that changes by the
 * half between the first call and the last. `placement`: spread of a factor that each preparation draws anew.
 */
export function fakeRunner(
  options: {
    noise?: number
    drift?: number
    placement?: number
    build?: string
    overhead?: (layer: LinearLayer, scheme: ProtectionScheme) => number
  } = {},
): FakeRunner {
  const { noise = 0, drift = 0, placement = 0, build = 'fake', overhead = (_, scheme) => overheads[scheme] } = options
  const random = createRandom(11).stream('fake runner')
  const log: string[] = []
  let clock = 0
  let held = 0
  let mostHeld = 0
  return {
    device: 'a clock',
    build,
    now: () => clock,
    log,
    held: () => held,
    mostHeld: () => mostHeld,
    schemes: () => Object.keys(overheads) as ProtectionScheme[],
    smallestDetectable: (_, scheme) => (scheme === 'none' ? Infinity : scheme === 'global' ? 1 : 0.01),
    prepare(layer, scheme, { chained }) {
      const name = `${layer.id} ${scheme}${chained ? ' chained' : ''}`
      log.push(`prepare ${name}`)
      held += 1
      mostHeld = Math.max(mostHeld, held)
      const { m, n, k } = layer
      const placed = Math.exp(random.normal(0, placement))
      return Promise.resolve({
        run() {
          log.push(`run ${name}`)
          const load = 1 + drift * Math.sin(clock / 300)
          clock += 2e-6 * m * n * k * (1 + overhead(layer, scheme)) * load * placed * Math.exp(random.normal(0, noise))
          return Promise.resolve()
        },
        release() {
          log.push(`release ${name}`)
          held -= 1
        },
      })
    },
  }
}

// Which instance a unit goes to.
import type { Clock } from '../serving/clock.ts'
import type { Instance } from './instance.ts'
import type { Waiting } from './unit.ts'

/**
 * A unit that waited is not started where less time is left than so many average latencies. The head of a queue that is too
 * long is always a unit that has only just time: serving those that have not would answer nobody. It waits for a faster
 * instance while one in use has time for it.
 */
export const LEAST_LATENCIES = 1.5

const nobody: readonly string[] = []

export interface Chooser {
  choose(waiting: Waiting): Instance | 'too late' | 'waits' | undefined
  hasTime(waiting: Waiting, instance: Instance): boolean
  avoidedBy(waiting: Waiting): ((instance: Instance) => boolean) | undefined
  /** The least `dueMs` of a unit that waited for which an instance that is free has time. */
  soonest(): number
}

export function createChooser({
  instances,
  clock,
}: {
  readonly instances: readonly Instance[]
  readonly clock: Clock
}): Chooser {
  let turn = 0

  function hasTime({ queued, behind, job }: Waiting, { latencyMs }: Instance): boolean {
    // One that comes behind others, which wait for a faster instance, does not pass them to be late for certain
    const least = queued ? LEAST_LATENCIES : behind ? 1 : 0
    return least === 0 || job.dueMs - clock.now() >= least * latencyMs
  }

  /** Instances that a unit does not go to while there are others: those that have it, and the one that failed it. */
  function avoidedBy({ job, failedAt }: Waiting): ((instance: Instance) => boolean) | undefined {
    const holders: readonly string[] = job.holders ?? nobody
    if (failedAt === undefined && holders.length === 0) return undefined
    const has = (instance: Instance) => instance === failedAt || holders.includes(instance.name)
    const failed = (instance: Instance) => instance === failedAt
    // Where all have it or failed it, at least not where it failed
    return [has, failed].find((one) => instances.some((other) => !other.out && !one(other)))
  }

  /**
   * The least busy instance that has time for it, preferably of a domain that the group does not use yet; undefined where none that
   * it may go to is free, 'waits' where one is that has no time for it, and a faster one may have.
   */
  function choose(waiting: Waiting): Instance | 'too late' | 'waits' | undefined {
    const { placed } = waiting.job
    const isAvoided = avoidedBy(waiting)
    let best: Instance | undefined
    let cost = Infinity
    let slow = false
    turn++
    // Ties go round, each round from another start: who is in a group with whom changes, which tells them apart when one lies
    const first = turn + Math.floor(turn / instances.length)
    for (let i = 0; i < instances.length; i++) {
      const instance = instances[(i + first) % instances.length] as Instance
      if (instance.out || instance.outstanding >= instance.concurrency || isAvoided?.(instance)) continue
      if (!hasTime(waiting, instance)) {
        slow = true
        continue
      }
      // A group is spread over domains, so that one that falls silent takes no two of its members; it costs at most as
      // much waiting as one unit
      const own = instance.outstanding + (placed.has(instance.domain) ? 1 : 0)
      if (own < cost) [best, cost] = [instance, own]
    }
    if (best || !slow) return best
    const mayCome = instances.some((other) => !other.out && !isAvoided?.(other) && hasTime(waiting, other))
    return mayCome ? 'waits' : 'too late'
  }

  function soonest(): number {
    let latency = Infinity
    for (const { out, outstanding, concurrency, latencyMs } of instances)
      if (!out && outstanding < concurrency) latency = Math.min(latency, latencyMs)
    return clock.now() + LEAST_LATENCIES * latency
  }

  return { choose, hasTime, avoidedBy, soonest }
}

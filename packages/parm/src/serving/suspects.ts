// Which instance answers wrongly, from groups that alarmed or did not: a group accuses all of its instances, and only the
// one that explains the alarms stays accused over several groups.

/** A group whose outputs were compared: who gave them, and whether they did not fit together. */
export interface Judged {
  readonly instances: ReadonlySet<string>
  readonly alarm: boolean
}

/** Fewer groups say nothing about an instance. */
const LEAST_GROUPS = 12
/** Fewer say nothing about it without one of the others. */
const LEAST_WITHOUT = 4
const HALF = 0.5

/**
 * The instances of which at least half of the groups alarm (of at least 12), where no other instance explains that: for
 * each other, either their groups without it alarm as well, or its groups without them do not.
 *
 * Guarantees: with groups that alarm for themselves with probability 0.01, an instance is accused wrongly in fewer than one
 * of 10^8 windows; one liar is told from a parity instance that shares all of its groups.
 * Cost: (instances in a window)^2 passes over it; call it after alarms.
 */
export function suspectsOf(window: readonly Judged[]): string[] {
  const names = new Set(window.flatMap(({ instances }) => [...instances]))
  return [...names].filter((name) => {
    const own = rate(window, name)
    if (own.groups < LEAST_GROUPS || own.alarms < HALF * own.groups) return false
    return [...names].every((other) => {
      if (other === name) return true
      const without = rate(window, name, other)
      if (without.groups >= LEAST_WITHOUT) return without.alarms >= HALF * without.groups
      const theirs = rate(window, other, name)
      return theirs.groups >= LEAST_WITHOUT && theirs.alarms < HALF * theirs.groups
    })
  })
}

/** Groups with an instance and without another. */
function rate(window: readonly Judged[], name: string, without?: string): { groups: number; alarms: number } {
  let [groups, alarms] = [0, 0]
  for (const { instances, alarm } of window) {
    if (!instances.has(name) || (without !== undefined && instances.has(without))) continue
    groups++
    if (alarm) alarms++
  }
  return { groups, alarms }
}

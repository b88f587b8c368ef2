// An instance that answers in time and wrongly: when all outputs of a group are there, those of the parities say what the
// others should add up to. Parity models are approximate, so that what is too far off is learned from what is usual.
import { assertInteger, assertNumber } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { quantile } from '@ft/core/statistics'
import type { Group } from './group.ts'
import { suspectsOf, type Judged } from './suspects.ts'

export interface ResidualOptions {
  /** Of groups that are compared, 0 to 1. Their parity units run even when everybody was answered. */
  readonly share: number
  /** Of the choice of groups. */
  readonly seed: number
  /** Share of groups of honest instances that alarm. Default 0.01. */
  readonly falseAlarms?: number
  /** Groups after which groups can alarm; until then all instances are taken to be honest. Default 200. */
  readonly warmUp?: number
}

export interface ResidualState {
  /** Groups of which all outputs were compared. */
  readonly checked: number
  /** Of them, those whose residual was above the limit of its time. */
  readonly alarms: number
  /** Root mean square of what the parities' outputs lack, above which a group alarms; Infinity during warm-up. */
  readonly limit: number
  /** Instances that answer wrongly, by their last groups. */
  readonly flagged: readonly string[]
}

export interface ResidualCheck {
  /** Whether the next group is to be compared. */
  wants(): boolean
  /** A group with all its outputs. */
  observe(group: Pick<Group, 'code' | 'got' | 'by'>): void
  state(): ResidualState
}

/** Residuals that the limit is a quantile of. */
const RESIDUALS = 1000
/** Groups in which an instance is judged: the last ones. */
const WINDOW = 256

/**
 * Flags an instance whose outputs do not fit those of its groups, over several groups.
 *
 * Guarantees: in a group of honest instances an alarm has probability `falseAlarms` (as far as residuals keep their
 * distribution); an alarm alone flags nobody, see `suspectsOf`. A residual moves the limit 256
 * groups later, and only when none of its instances is flagged by then. What an instance does wrongly within the parity model's own error is not seen.
 * Cost: one addition an output element of the group; a quantile of 1,000 residuals every 64 groups.
 */
export function residualCheck(options: ResidualOptions): ResidualCheck {
  const { share, seed, falseAlarms = 0.01, warmUp = 200 } = options
  const where = 'residualCheck'
  assertNumber(share, { where, argument: 'share', min: 0, max: 1 })
  assertInteger(seed, { where, argument: 'seed', min: 0 })
  assertNumber(falseAlarms, { where, argument: 'falseAlarms', min: 1e-4, max: 0.1 })
  assertInteger(warmUp, { where, argument: 'warmUp', min: 20, max: RESIDUALS })
  const random = createRandom(seed).stream('residual')
  const seen = new Float64Array(RESIDUALS)
  const window: (Judged & { readonly residual: number })[] = []
  let [kept, checked, alarms, limit] = [0, 0, 0, Infinity]
  let flagged: readonly string[] = []

  const accuses = (instances: ReadonlySet<string>) => flagged.some((name) => instances.has(name))

  function learn(residual: number): void {
    if (!Number.isFinite(residual)) return
    seen[kept % RESIDUALS] = residual
    kept++
    if (kept === warmUp || (kept > warmUp && kept % 64 === 0))
      limit = quantile(seen.subarray(0, Math.min(kept, RESIDUALS)), 1 - falseAlarms)
  }

  return {
    wants: () => random.bernoulli(share),
    observe(group) {
      const residual = residualOf(group)
      if (residual === undefined) return
      checked++
      if (limit === Infinity) return learn(residual)
      const alarm = residual > limit
      const instances = new Set(group.by.values())
      if (alarm) alarms++
      window.push({ instances, alarm, residual })
      if (alarm || accuses(instances)) flagged = suspectsOf(window)
      // A residual counts as usual once there was time to find out who lies in it
      if (window.length <= WINDOW) return
      const oldest = window.shift() as (typeof window)[number]
      if (!accuses(oldest.instances)) learn(oldest.residual)
    },
    state: () => ({ checked, alarms, limit, flagged }),
  }
}

/**
 * Root mean square, over the elements of all parities' outputs, of what they lack of the weighted sum of the others';
 * Infinity when an output is not a number; undefined when outputs do not fit one another.
 */
function residualOf({ code, got }: Pick<Group, 'code' | 'got'>): number | undefined {
  let [squares, elements] = [0, 0]
  for (let parity = code.k; parity < code.n; parity++) {
    const weights = code.parityWeights?.(parity)
    const sums = got.get(parity)
    if (!weights || !sums) return undefined
    for (const [t, { data }] of sums.entries()) {
      const members = Array.from({ length: code.k }, (_, slot) => got.get(slot)?.[t]?.data)
      if (members.some((member) => member?.length !== data.length)) return undefined
      for (let e = 0; e < data.length; e++) {
        let rest = Number(data[e])
        for (let slot = 0; slot < code.k; slot++) rest -= (weights[slot] as number) * Number(members[slot]?.[e])
        squares += rest * rest
      }
      elements += data.length
    }
  }
  if (elements === 0) return undefined
  const residual = Math.sqrt(squares / elements)
  return Number.isNaN(residual) ? Infinity : residual
}

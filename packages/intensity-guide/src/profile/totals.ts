// Measured time of a whole network under several plans at once, with intervals of each overhead and of their differences.
import type { Interval, LinearLayer, ProtectionScheme } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { median, quantile } from '@ft/core/statistics'
import { samplesOf, shapeFinder, type ProfileView } from './overheads.ts'
import type { Profile, ProfiledShape } from './profile.ts'

/** Which scheme each layer gets, by id. */
export type Choice = (layer: LinearLayer) => ProtectionScheme | 'control'

export interface MeasuredTotalsOptions extends ProfileView {
  readonly layers: readonly LinearLayer[]
  /** Plans by name: `{ guided: (layer) => ..., global: () => 'global' }`. */
  readonly choices: Readonly<Record<string, Choice>>
  readonly seed: number
  /** Default 1000. */
  readonly resamples?: number
}

export interface MeasuredTotals {
  /** Unprotected milliseconds of one pass over the linear layers. */
  readonly baseMs: number
  /** Extra time of each choice as a share of the unprotected network's. */
  readonly overhead: Readonly<Record<string, Interval>>
  /** Overhead of `a` less that of `b`, from the same resamples: what decides which is cheaper. */
  difference(a: string, b: string): Interval
}

/**
 * Adds up a profile over a network.
 *
 * Estimate: a layer costs the median of its unprotected times; a scheme adds that times (median ratio within rounds - 1).
 * Intervals: percentile bootstrap that resamples the rounds of each shape on their own where shapes were measured one after
 * the other, and whole rounds where they were measured in the same passes.
 *
 * Cost: resamples x distinct shapes x schemes in use x rounds.
 *
 * @throws FtError `INVALID_ARGUMENT` for a shape or scheme that was not profiled
 */
export function measuredTotals(profile: Profile, options: MeasuredTotalsOptions): MeasuredTotals {
  const { choices, seed, resamples = 1000 } = options
  const names = Object.keys(choices)
  const strata = strataOf(profile, options)
  const total = (pick?: (stratum: number) => Uint32Array): { base: number; overheads: number[] } => {
    let base = 0
    const extra = new Float64Array(names.length)
    for (const [i, { none, calls, ratios, uses }] of strata.entries()) {
      const indices = pick?.(i)
      const time = medianAt(none, indices)
      base += time * calls
      const medians = ratios.map((ratio) => medianAt(ratio, indices))
      for (const { ratio, counts } of uses) {
        const added = time * ((medians[ratio] as number) - 1)
        for (let j = 0; j < counts.length; j++) extra[j] = (extra[j] as number) + added * (counts[j] as number)
      }
    }
    return { base, overheads: Array.from(extra, (sum) => sum / base) }
  }

  const estimate = total()
  const random = createRandom(seed).stream('measured totals')
  const draw = ({ none: { length: n } }: Stratum) => Uint32Array.from({ length: n }, () => random.integer(0, n - 1))
  const replicates = Array.from({ length: resamples }, () => {
    const drawn = profile.order === 'network' ? strata.slice(0, 1).map(draw) : strata.map(draw)
    return total((stratum) => drawn[Math.min(stratum, drawn.length - 1)] as Uint32Array)
  })
  const n = Math.min(...strata.map((stratum) => stratum.none.length))
  const interval = (of: (overheads: readonly number[]) => number): Interval => {
    const values = replicates.map(({ overheads }) => of(overheads))
    const ends = { low: quantile(values, 0.025), high: quantile(values, 0.975) }
    return { value: of(estimate.overheads), ...ends, confidence: 0.95, n }
  }
  const place = (name: string) => names.indexOf(name)
  return {
    baseMs: estimate.base,
    overhead: Object.fromEntries(names.map((name, i) => [name, interval((all) => all[i] as number)])),
    difference: (a, b) => interval((all) => (all[place(a)] as number) - (all[place(b)] as number)),
  }
}

/** One shape: its rounds, and how many calls each choice makes with each scheme. */
interface Stratum {
  readonly none: readonly number[]
  readonly calls: number
  readonly ratios: readonly (readonly number[])[]
  readonly uses: readonly { readonly ratio: number; readonly counts: Float64Array }[]
}

function strataOf(profile: Profile, options: MeasuredTotalsOptions): Stratum[] {
  const { layers, choices, rounds = 'all' } = options
  const shapeOf = shapeFinder(profile, options)
  const picks = Object.values(choices)
  const byShape = new Map<ProfiledShape, LinearLayer[]>()
  for (const layer of layers) {
    const shape = shapeOf(layer)
    byShape.set(shape, [...(byShape.get(shape) ?? []), layer])
  }
  return [...byShape].map(([shape, members]) => {
    const none = samplesOf(shape, { arm: 'none', rounds })
    const counts = new Map<ProtectionScheme | 'control', Float64Array>()
    for (const layer of members) {
      picks.forEach((pick, i) => {
        const scheme = pick(layer)
        if (scheme === 'none') return
        const row = counts.get(scheme) ?? new Float64Array(picks.length)
        row[i] = (row[i] as number) + layer.count
        counts.set(scheme, row)
      })
    }
    const arms = [...counts.keys()]
    return {
      none,
      calls: members.reduce((sum, layer) => sum + layer.count, 0),
      ratios: arms.map((arm) => samplesOf(shape, { arm, rounds }).map((time, i) => time / (none[i] as number))),
      uses: arms.map((arm, ratio) => ({ ratio, counts: counts.get(arm) as Float64Array })),
    }
  })
}

function medianAt(values: readonly number[], indices?: Uint32Array): number {
  return median(indices ? Array.from(indices, (i) => values[i] as number) : values)
}

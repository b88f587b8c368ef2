// From a profile to overheads with intervals, layer by layer.
import { FtError, type Interval, type LinearLayer, type ProtectionScheme } from '@ft/core'
import { median, ratioInterval } from '@ft/core/statistics'
import type { Measurements } from '../choosePerLayer.ts'
import { chaining } from './arms.ts'
import { shapeKey, type Arm, type Profile, type ProfiledShape } from './profile.ts'

/** Which rounds count: a plan that is chosen on the even ones is judged on the odd ones. */
export type Rounds = 'all' | 'even' | 'odd'

export interface ProfileView {
  /** Default 'all'. */
  readonly rounds?: Rounds
  /** As it was when the layers were profiled. */
  readonly chained?: (layer: LinearLayer) => boolean
}

/**
 * The measured overhead of every scheme at every layer, for `choosePerLayer`: median and interval of the time ratios
 * within rounds, less 1.
 *
 * @throws FtError `INVALID_ARGUMENT` for a layer whose shape was not profiled
 */
export function measurementsOf(
  profile: Profile,
  options: ProfileView & { layers: readonly LinearLayer[] },
): Measurements {
  const { layers, rounds = 'all' } = options
  const shapeOf = shapeFinder(profile, options)
  const cached = new Map<string, Map<ProtectionScheme, Interval>>()
  return new Map(
    layers.map((layer) => {
      const shape = shapeOf(layer)
      const overheads = cached.get(shape.key) ?? overheadsOf(shape, rounds)
      cached.set(shape.key, overheads)
      return [layer.id, overheads]
    }),
  )
}

/** Unprotected milliseconds of each layer, all its calls: medians over the rounds. */
export function baseTimesOf(
  profile: Profile,
  options: ProfileView & { layers: readonly LinearLayer[] },
): ReadonlyMap<string, number> {
  const { layers, rounds = 'all' } = options
  const shapeOf = shapeFinder(profile, options)
  return new Map(
    layers.map((layer) => [layer.id, layer.count * median(samplesOf(shapeOf(layer), { arm: 'none', rounds }))]),
  )
}

/** Overheads of one shape. */
export function overheadsOf(shape: ProfiledShape, rounds: Rounds = 'all'): Map<ProtectionScheme, Interval> {
  const overheads = new Map<ProtectionScheme, Interval>()
  for (const arm of Object.keys(shape.times) as Arm[]) {
    if (arm !== 'none' && arm !== 'control') overheads.set(arm, overheadOf(shape, { arm, rounds }))
  }
  return overheads
}

/** The overhead of one arm; of 'control' it is what noise alone makes of 0. */
export function overheadOf(shape: ProfiledShape, { arm, rounds = 'all' }: { arm: Arm; rounds?: Rounds }): Interval {
  const base = samplesOf(shape, { arm: 'none', rounds })
  const { value, low, high, confidence, n } = ratioInterval(
    samplesOf(shape, { arm, rounds }).map((time, i) => ({ value: time, baseline: base[i] as number })),
  )
  return { value: value - 1, low: low - 1, high: high - 1, confidence, n }
}

/** Samples of an arm in the rounds that count. */
export function samplesOf(shape: ProfiledShape, { arm, rounds = 'all' }: { arm: Arm; rounds?: Rounds }): number[] {
  const samples = shape.times[arm]
  if (!samples) {
    throw new FtError('INVALID_ARGUMENT', `profile: ${arm} was not measured for ${shape.key}`, {
      arm,
      shape: shape.key,
    })
  }
  return rounds === 'all' ? [...samples] : samples.filter((_, i) => i % 2 === (rounds === 'even' ? 0 : 1))
}

/** Finds a layer's shape in a profile. */
export function shapeFinder(
  profile: Profile,
  { layers, chained }: { layers: readonly LinearLayer[]; chained?: (layer: LinearLayer) => boolean },
): (layer: LinearLayer) => ProfiledShape {
  const shapes = new Map(profile.shapes.map((shape) => [shape.key, shape]))
  const isChained = chaining(layers, chained)
  return (layer) => {
    const key = shapeKey(layer, { chained: isChained(layer) })
    const shape = shapes.get(key)
    if (shape) return shape
    const message = `profile: layer ${layer.id} (${key}) was not measured; profile these layers first`
    throw new FtError('INVALID_ARGUMENT', message, { layer: layer.id, key })
  }
}

// Intensity-guided fault tolerance (Kosaian and Rashmi, SC'21, section 5): for every linear layer, the cheapest scheme
// that is sensitive enough. Reads top to bottom as the paper does.
import {
  FtError,
  type DType,
  type Interval,
  type LinearLayer,
  type PlannedLayer,
  type PlanTarget,
  type ProtectionScheme,
} from '@ft/core'
import { candidatesOf, plannedLayer, type Candidate } from './candidates.ts'
import { ridge, type Device } from './devices.ts'
import { checkChooseOptions } from './knownOptions.ts'

/** Measured overheads: layer id to scheme to extra time as a share of the unprotected layer's. */
export type Measurements = ReadonlyMap<string, ReadonlyMap<ProtectionScheme, Interval>>

export interface ChooseOptions {
  readonly device: Device
  /** Default 'wasm'. */
  readonly target?: PlanTarget
  /** Element type served in; default the device's. */
  readonly dtype?: DType
  /**
   * 'intensity' is the paper's rule of thumb (below the ridge thread-level, else global); 'cost' takes the lowest
   * predicted cost. Measurements, where given, decide in either case. Default 'intensity'.
   */
  readonly rule?: 'intensity' | 'cost'
  /** Largest error that may go unseen, as a share of the outputs' root mean square. Default: no wish. */
  readonly sensitivity?: number
  /** Half-width of the band around the ridge that is marked "measure", as a share. Default 0.1. */
  readonly band?: number
  /** From `measurementsOf`: of all layers, or of those marked "measure" alone. */
  readonly measurements?: Measurements
  /** Replaces the estimate from rounding, for engines whose thresholds are known: `runner.smallestDetectable`. */
  readonly detectable?: (layer: LinearLayer, scheme: ProtectionScheme) => number
  /** Schemes that the engine has for a layer: `runner.schemes`. Default all of the target's. */
  readonly schemes?: (layer: LinearLayer) => readonly ProtectionScheme[]
}

/** Which schemes the paper's rule prefers on each side of the ridge, best first. */
const belowRidge: readonly ProtectionScheme[] = ['thread-one-sided', 'row', 'replication', 'global']
const aboveRidge: readonly ProtectionScheme[] = ['global', 'row', 'thread-one-sided', 'replication']

/**
 * Chooses a protection scheme for every layer.
 *
 * Cost: a few microseconds a layer.
 *
 * @returns the layers in order, each with its scheme, the alternatives' overheads and what it can detect
 * @throws FtError `INVALID_ARGUMENT` for options that are none; `UNRECOVERABLE` when no scheme of the target is as sensitive as asked at some layer
 * @see Kosaian and Rashmi, SC'21, sections 3.3 and 5.2
 */
export function choosePerLayer(layers: readonly LinearLayer[], options: ChooseOptions): PlannedLayer[] {
  checkChooseOptions(options, { where: 'choosePerLayer' })
  return layers.map((layer, index) => chooseOne(layer, { ...options, last: index === layers.length - 1 }))
}

function chooseOne(layer: LinearLayer, options: ChooseOptions & { last: boolean }): PlannedLayer {
  const { device, dtype = device.dtype, rule = 'intensity', sensitivity = Infinity } = options

  // 1. What the target's engine can do here, what it costs and what it sees.
  const candidates = candidatesOf(layer, options)

  // 2. A scheme whose smallest detectable error is too large is out, whatever it costs.
  const sensitive = candidates.schemes.filter(({ detectable }) => detectable <= sensitivity)
  if (sensitive.length === 0) throw notSensitiveEnough(layer, options)

  // 3. Measured cost decides where there is any; else predicted cost, or the side of the ridge.
  const measured = sensitive.filter((candidate) => candidate.measured)
  const chosen =
    measured.length > 0
      ? cheapest(measured)
      : rule === 'cost'
        ? cheapest(sensitive)
        : byIntensity(sensitive, candidates.intensity < ridge(device, dtype))
  return plannedLayer(candidates, chosen)
}

function cheapest(candidates: readonly Candidate[]): Candidate {
  return candidates.reduce((best, candidate) => (candidate.overhead < best.overhead ? candidate : best))
}

function byIntensity(candidates: readonly Candidate[], memoryBound: boolean): Candidate {
  for (const scheme of memoryBound ? belowRidge : aboveRidge) {
    const found = candidates.find((candidate) => candidate.scheme === scheme)
    if (found) return found
  }
  return candidates[0] as Candidate
}

function notSensitiveEnough(layer: LinearLayer, { target = 'wasm', sensitivity }: ChooseOptions): FtError {
  const wish = sensitivity === undefined ? '' : ` that sees errors of ${sensitivity} of the output's rms`
  return new FtError(
    'UNRECOVERABLE',
    `choosePerLayer: no scheme of ${target}${wish} at layer ${layer.id} (${layer.dtype}); ` +
      'allow larger errors, serve in another type, or choose another target',
    { layer: layer.id, sensitivity, target },
  )
}

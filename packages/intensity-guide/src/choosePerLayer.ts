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
import { analyseLayer } from './analyse.ts'
import { countedIntensity, predict } from './cost.ts'
import { ridge, type Device } from './devices.ts'
import { smallestDetectable } from './sensitivity.ts'

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
  readonly measurements?: Measurements
  /** Replaces the estimate from rounding, for engines whose thresholds are known. */
  readonly detectable?: (layer: LinearLayer, scheme: ProtectionScheme) => number
  /** Schemes that the engine has for a layer, such as `runner.schemes`; default all of the target's. */
  readonly schemes?: (layer: LinearLayer) => readonly ProtectionScheme[]
}

/** Schemes that each target can run, cheapest idea first. */
export const targetSchemes: Readonly<Record<PlanTarget, readonly ProtectionScheme[]>> = {
  wasm: ['global', 'row', 'column', 'row-column', 'thread-one-sided', 'thread-two-sided', 'replication'],
  webgpu: ['global', 'row', 'column', 'row-column', 'thread-one-sided', 'thread-two-sided', 'replication'],
  gpujs: ['row', 'thread-one-sided', 'replication'],
  onnx: ['global', 'row', 'replication'],
  tfjs: ['global', 'row', 'replication'],
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
 * @throws FtError `UNRECOVERABLE` when no scheme of the target is as sensitive as asked at some layer
 * @see Kosaian and Rashmi, SC'21, sections 3.3 and 5.2
 */
export function choosePerLayer(layers: readonly LinearLayer[], options: ChooseOptions): PlannedLayer[] {
  return layers.map((layer, index) => chooseOne(layer, { ...options, last: index === layers.length - 1 }))
}

function chooseOne(layer: LinearLayer, options: ChooseOptions & { last: boolean }): PlannedLayer {
  const { device, target = 'wasm', dtype = device.dtype, rule = 'intensity', band = 0.1, last } = options
  const ratio = ridge(device, dtype)
  const intensity = countedIntensity(analyseLayer(layer, { dtype }), device)

  const available = targetSchemes[target].filter((scheme) => runs(layer, scheme, options))
  const sensitive = available.filter((scheme) => canSee(layer, scheme, { ...options, dtype }))
  if (sensitive.length === 0) throw notSensitiveEnough(layer, options)

  const measured = options.measurements?.get(layer.id)
  const predicted = new Map(
    available.map((scheme) => [scheme, predict(layer, scheme, { device, dtype, last }).overhead]),
  )
  const cost = (scheme: ProtectionScheme) => measured?.get(scheme)?.value ?? predicted.get(scheme) ?? Infinity

  const allMeasured = measured !== undefined && sensitive.some((scheme) => measured.has(scheme))
  const scheme = allMeasured
    ? cheapest(
        sensitive.filter((candidate) => measured.has(candidate)),
        cost,
      )
    : rule === 'cost'
      ? cheapest(sensitive, cost)
      : byIntensity(sensitive, intensity < ratio)

  const interval = measured?.get(scheme)
  return {
    id: layer.id,
    layer,
    scheme,
    intensity,
    bound: Math.abs(intensity / ratio - 1) <= band ? 'measure' : intensity < ratio ? 'memory' : 'compute',
    predictedOverhead: predicted.get(scheme) ?? 0,
    ...(interval ? { measured: interval } : {}),
    smallestDetectable: detectable(layer, scheme, { ...options, dtype }),
    alternatives: available
      .filter((other) => other !== scheme)
      .map((other) => ({ scheme: other, overhead: cost(other) })),
  }
}

type Sensitivity = Pick<ChooseOptions, 'detectable' | 'sensitivity'> & { dtype: DType }

function runs(layer: LinearLayer, scheme: ProtectionScheme, { schemes }: Pick<ChooseOptions, 'schemes'>): boolean {
  return schemes === undefined || schemes(layer).includes(scheme)
}

function detectable(layer: LinearLayer, scheme: ProtectionScheme, { detectable: known, dtype }: Sensitivity): number {
  return known ? known(layer, scheme) : smallestDetectable(layer, scheme, dtype)
}

function canSee(layer: LinearLayer, scheme: ProtectionScheme, options: Sensitivity): boolean {
  return options.sensitivity === undefined || detectable(layer, scheme, options) <= options.sensitivity
}

function cheapest(schemes: readonly ProtectionScheme[], cost: (scheme: ProtectionScheme) => number): ProtectionScheme {
  return schemes.reduce((best, scheme) => (cost(scheme) < cost(best) ? scheme : best))
}

function byIntensity(schemes: readonly ProtectionScheme[], memoryBound: boolean): ProtectionScheme {
  const preferred = (memoryBound ? belowRidge : aboveRidge).find((scheme) => schemes.includes(scheme))
  return preferred ?? (schemes[0] as ProtectionScheme)
}

function notSensitiveEnough(layer: LinearLayer, { target = 'wasm', sensitivity }: ChooseOptions): FtError {
  return new FtError(
    'UNRECOVERABLE',
    `choosePerLayer: no scheme of ${target} sees errors of ${sensitivity} of the output's rms at layer ${layer.id}; ` +
      'allow larger errors or serve in a wider type',
    { layer: layer.id, sensitivity, target },
  )
}

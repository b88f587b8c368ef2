// What a layer can be given: each scheme of the target that its engine has, with its cost and what it sees.
import type { DType, Interval, LinearLayer, PlannedLayer, ProtectionScheme } from '@ft/core'
import { analyseLayer } from './analyse.ts'
import type { ChooseOptions } from './choosePerLayer.ts'
import { countedIntensity, predict } from './cost.ts'
import { ridge } from './devices.ts'
import { smallestDetectable } from './sensitivity.ts'
import { targetSchemes } from './targets.ts'

export interface Candidate {
  readonly scheme: ProtectionScheme
  readonly predicted: number
  readonly measured?: Interval
  /** Extra time as a share of the unprotected layer's: measured where it was, else predicted. */
  readonly overhead: number
  /** Smallest error that is surely found, as a share of the outputs' root mean square. */
  readonly detectable: number
}

export interface Candidates {
  readonly layer: LinearLayer
  readonly intensity: number
  readonly bound: PlannedLayer['bound']
  readonly schemes: readonly Candidate[]
}

export type CandidateOptions = ChooseOptions & { readonly last: boolean }

export function candidatesOf(layer: LinearLayer, options: CandidateOptions): Candidates {
  const { device, target = 'wasm', dtype = device.dtype, band = 0.1 } = options
  const ratio = ridge(device, dtype)
  const intensity = countedIntensity(analyseLayer(layer, { dtype }), device)
  const onEngine = options.schemes?.(layer)
  const available = targetSchemes[target].filter((scheme) => onEngine === undefined || onEngine.includes(scheme))
  return {
    layer,
    intensity,
    bound: Math.abs(intensity / ratio - 1) <= band ? 'measure' : intensity < ratio ? 'memory' : 'compute',
    schemes: available.map((scheme) => candidate(layer, scheme, { ...options, dtype })),
  }
}

/** An unprotected layer, for budgets. */
export const unprotected: Candidate = { scheme: 'none', predicted: 0, overhead: 0, detectable: Infinity }

function candidate(
  layer: LinearLayer,
  scheme: ProtectionScheme,
  { device, dtype, last, measurements, detectable }: CandidateOptions & { dtype: DType },
): Candidate {
  const predicted = predict(layer, scheme, { device, dtype, last }).overhead
  const measured = measurements?.get(layer.id)?.get(scheme)
  return {
    scheme,
    predicted,
    ...(measured ? { measured } : {}),
    overhead: measured?.value ?? predicted,
    detectable: detectable?.(layer, scheme) ?? smallestDetectable(layer, scheme, dtype),
  }
}

/** The plan's entry of a layer that gets this candidate. */
export function plannedLayer({ layer, intensity, bound, schemes }: Candidates, chosen: Candidate): PlannedLayer {
  return {
    id: layer.id,
    layer,
    scheme: chosen.scheme,
    intensity,
    bound,
    predictedOverhead: chosen.predicted,
    ...(chosen.measured ? { measured: chosen.measured } : {}),
    smallestDetectable: chosen.detectable,
    alternatives: schemes
      .filter(({ scheme }) => scheme !== chosen.scheme)
      .map(({ scheme, overhead }) => ({ scheme, overhead })),
  }
}

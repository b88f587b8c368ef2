// Runs a protected model in onnxruntime and reads its checks: a run that failed one is run again.
import { assertInteger, FtError } from '@ft/core'
import { normalQuantile } from '@ft/core/statistics'
import { parseModel, type OnnxModel } from '@ft/onnx'
import { assertChance, assertOnFault } from '../settle.ts'
import { kappaFor } from '../thresholds/policy.ts'
import { exactBytes } from './exactBytes.ts'
import { assertBytes, readProtection, type ProtectedLayer } from './metadata.ts'
import type { Ort, OrtSession, OrtTensor } from './ort.ts'

export interface GuardOptions<Options> {
  /** 'correct' (default) runs again, 'report' leaves the outputs, 'throw' raises `FAULT_DETECTED` when running again did not help. */
  readonly onFault?: 'correct' | 'report' | 'throw'
  /** Further runs after one that failed a check. Default 1. */
  readonly retries?: number
  /** Fitted thresholds, as `calibrate` returned them for this model; never above the bound of rounding. */
  readonly thresholds?: readonly GuardCalibration[]
  /**
   * Passed to `InferenceSession.create`. Default `logSeverityLevel` 3, errors: by warnings onnxruntime would say of each
   * layer's threshold that it is an input with a default.
   */
  readonly session?: Options
}

export interface LayerCheck {
  readonly id: string
  /** Checks that failed in the first run. */
  readonly failed: number
  /** Worst residual, in units of the layer's scale, and the largest that passes. */
  readonly residual: number
  readonly threshold: number
}

export interface GuardReport {
  /**
   * 'corrected': a later run passed every check. 'uncorrectable': every run failed. 'detected': left as it was
   * (`onFault: 'report'`), or an input is not finite.
   */
  readonly status: 'clean' | 'corrected' | 'detected' | 'uncorrectable'
  /** Layers whose check failed in the first run. */
  readonly detections: readonly LayerCheck[]
  readonly runs: number
  /** Whether an input holds NaN or infinity: a fault of the input, not of the computation. */
  readonly badInput: boolean
  /** Runs with equal residuals below the bound of rounding, above a calibrated threshold: false alarms. */
  readonly falseAlarm: boolean
}

export interface GuardedResult<T> {
  /** The model's own outputs, without the checks. */
  readonly outputs: Readonly<Record<string, T>>
  readonly report: GuardReport
}

export interface GuardCalibration {
  readonly layer: string
  readonly threshold: number
  readonly bound: number
  readonly samples: number
}

export interface GuardedSession<T> {
  readonly layers: readonly ProtectedLayer[]
  run(feeds: Readonly<Record<string, T>>): Promise<GuardedResult<T>>
  /**
   * Fits thresholds to clean runs on typical inputs, where the bound of rounding is looser than the data need.
   *
   * The worst residual of n runs is taken as the normal quantile at 1 - 1/(2n), which gives a standard deviation; the
   * threshold is kappa of them for the wanted chance of a false alarm in a run, and never above the bound.
   *
   * @throws FtError `INVALID_ARGUMENT` for no samples, or one whose run fails a check or has residuals that are not finite;
   * thresholds stay as they were
   */
  calibrate(
    samples: readonly Readonly<Record<string, T>>[],
    options?: { falseAlarmProbability?: number },
  ): Promise<readonly GuardCalibration[]>
  release(): Promise<void>
}

/**
 * Opens a protected model.
 *
 * @param ort - the module `onnxruntime-node` or `onnxruntime-web`
 * @param bytes - what `protectOnnx` made
 * @throws FtError `INVALID_ARGUMENT` for a model without checks, `CORRUPT_DATA` for a damaged one
 */
export async function createGuardedSession<T extends OrtTensor, Options>(
  ort: Ort<T, Options>,
  bytes: Uint8Array,
  options: GuardOptions<Options> = {},
): Promise<GuardedSession<T>> {
  const { onFault = 'correct', retries = 1 } = options
  assertOnFault(onFault, 'createGuardedSession')
  assertInteger(retries, { where: 'createGuardedSession', argument: 'options.retries', min: 0 })
  const model = parseModel(assertBytes(bytes, 'createGuardedSession'))
  const { layers } = readProtection(model)
  const session = await create(ort, { model, bytes }, { logSeverityLevel: 3, ...options.session } as Options)
  let released = false
  const thresholds = fittedThresholds(layers, options.thresholds ?? [])
  const checks = new Set(layers.flatMap(({ output, table }) => [output, table]))
  const own = model.graph.output.map(({ name }) => name).filter((name) => !checks.has(name))
  const fetches = [...own, ...new Set(layers.map(({ table }) => table))]

  const once = async (
    feeds: Readonly<Record<string, T>>,
    fitted: ReadonlyMap<string, number> = thresholds,
  ): Promise<Run<T>> => {
    if (released) throw new FtError('INVALID_ARGUMENT', 'guarded session: it was released; create another', {})
    const all = await session.run(feeds, fetches)
    const outputs = Object.fromEntries(own.flatMap((name) => (name in all ? [[name, all[name] as T]] : [])))
    const found = layers.map((layer) => checkOf(layer, all[layer.table], fitted.get(layer.id)))
    return { outputs, checks: found, failed: found.filter(({ failed }) => failed !== 0) }
  }

  return {
    layers,
    async run(feeds) {
      const first = await once(feeds)
      const clean = { detections: first.failed, runs: 1, badInput: false, falseAlarm: false }
      if (first.failed.length === 0) return { outputs: first.outputs, report: { ...clean, status: 'clean' } }
      if (!finite(feeds)) return { outputs: first.outputs, report: { ...clean, status: 'detected', badInput: true } }
      if (onFault === 'report') return { outputs: first.outputs, report: { ...clean, status: 'detected' } }
      let last = first
      for (let runs = 2; runs <= retries + 1; runs++) {
        const before = last
        last = await once(feeds)
        if (last.failed.length === 0) return { outputs: last.outputs, report: { ...clean, runs, status: 'corrected' } }
        if (isFalseAlarm(before, last, layers))
          return { outputs: last.outputs, report: { ...clean, runs, status: 'clean', falseAlarm: true } }
      }
      const report: GuardReport = { ...clean, runs: retries + 1, status: 'uncorrectable' }
      if (onFault === 'throw') throw faultDetected(report)
      return { outputs: last.outputs, report }
    },
    async calibrate(samples, { falseAlarmProbability = 1e-6 } = {}) {
      assertChance(falseAlarmProbability, 'calibrate')
      if (samples.length === 0)
        throw new FtError('INVALID_ARGUMENT', 'calibrate: `samples` must not be empty: give inputs of clean runs', {})
      const worst = new Map<string, number>()
      for (const [i, feeds] of samples.entries()) {
        // Judged by the bound of rounding alone: whoever calibrates again may find that the first thresholds were tight.
        const { checks } = await once(feeds, new Map())
        const wrong = checks.find(({ failed, residual }) => failed !== 0 || !Number.isFinite(residual))
        if (wrong)
          throw new FtError(
            'INVALID_ARGUMENT',
            `calibrate: \`samples[${i}]\` must be the input of a clean run; layer ${wrong.id} failed its check, residual ${wrong.residual}`,
            { sample: i, layer: wrong.id, residual: wrong.residual },
          )
        for (const { id, residual } of checks) worst.set(id, Math.max(worst.get(id) ?? 0, residual))
      }
      const kappa = kappaFor(layers.length, falseAlarmProbability)
      const expected = normalQuantile(1 - 1 / (2 * (samples.length + 1)))
      return layers.map((layer) => {
        const fit = ((worst.get(layer.id) ?? 0) * kappa) / expected
        const threshold = layer.bound === 0 ? 0 : Math.min(layer.bound, Math.max(fit, 2 ** -24))
        if (layer.bound > 0) thresholds.set(layer.id, threshold)
        return { layer: layer.id, threshold, bound: layer.bound, samples: samples.length }
      })
    },
    async release() {
      if (released) return
      released = true
      await session.release()
    },
  }
}

interface Run<T> {
  readonly outputs: Readonly<Record<string, T>>
  readonly checks: readonly LayerCheck[]
  readonly failed: readonly LayerCheck[]
}

async function create<T extends OrtTensor, Options>(
  ort: Ort<T, Options>,
  { model, bytes }: { model: OnnxModel; bytes: Uint8Array },
  options: Options,
): Promise<OrtSession<T>> {
  try {
    return await ort.InferenceSession.create(await exactBytes(ort, { model, bytes }, options), options)
  } catch (cause) {
    throw new FtError(
      'CORRUPT_DATA',
      `createGuardedSession: the runtime refuses the model: ${String(cause)}`,
      {},
      { cause },
    )
  }
}

/**
 * The graph counts what fails by the bound, NaN included; a tighter threshold is compared here, since runtimes for
 * JavaScript take no values for inputs that have defaults.
 */
function checkOf(layer: ProtectedLayer, output: OrtTensor | undefined, fitted: number | undefined): LayerCheck {
  const data = output?.data ?? []
  const [counted, residual] = [layer.column, data.length / 2 + layer.column].map((at) => Number(data[at])) as [
    number,
    number,
  ]
  const failed = fitted === undefined || residual <= fitted ? counted : Math.max(1, counted)
  return { id: layer.id, failed, residual, threshold: fitted ?? layer.bound }
}

function fittedThresholds(layers: readonly ProtectedLayer[], given: readonly GuardCalibration[]): Map<string, number> {
  const fitted = new Map<string, number>()
  for (const { layer: id, threshold, bound } of given) {
    const layer = layers.find((other) => other.id === id)
    if (layer?.bound !== bound || !(threshold >= 0 && threshold <= bound))
      throw new FtError(
        'FINGERPRINT_MISMATCH',
        `createGuardedSession: \`options.thresholds\` are not of this model: layer ${id}; calibrate this one`,
        { layer: id },
      )
    if (bound > 0) fitted.set(id, threshold)
  }
  return fitted
}

/** A deterministic runtime repeats rounding, and a transient fault does not repeat. */
function isFalseAlarm<T>(before: Run<T>, after: Run<T>, layers: readonly ProtectedLayer[]): boolean {
  return after.failed.every(({ id, residual }) => {
    const bound = layers.find((layer) => layer.id === id)?.bound ?? 0
    return residual <= bound && before.checks.some((check) => check.id === id && check.residual === residual)
  })
}

function finite(feeds: Readonly<Record<string, OrtTensor>>): boolean {
  return Object.values(feeds).every(({ data }) => !(data instanceof Float32Array) || data.every(Number.isFinite))
}

function faultDetected(report: GuardReport): FtError {
  const [first] = report.detections
  return new FtError(
    'FAULT_DETECTED',
    `guarded session: ${report.detections.length} layers failed their checks in every run; first: ${first?.id} with residual ` +
      `${first?.residual.toPrecision(3)} above ${first?.threshold.toPrecision(3)}`,
    { report },
  )
}

// Measures an engine's rounding noise, once for each build: what statistical thresholds stand on.
import { assertInteger, FtError, invalidArgument, throwIfAborted, type LongRunning, type MatmulEngine } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { clamped, meanSquareOf } from './thresholds/rows.ts'
import { dot } from './protectedMatmul.ts'
import { roundingOf } from './rounding.ts'
import { noiseOf, rowScale, type RowScale } from './thresholds/policy.ts'
import { protectWeights, rangeNorms, type SumNorms } from './weights.ts'

export interface CalibrationPoint {
  readonly k: number
  /** Standard deviation of residuals per unit of the centred part of rowScale, of the noisiest centred distribution. */
  readonly noise: number
  /** The same for the aligned part, of what is left of the residuals of positive data. */
  readonly aligned: number
  /** Largest |residual| in standard deviations. */
  readonly worst: number
  readonly rows: number
}

/** An engine build's noise. Saved as JSON; refused for another build. */
export interface Calibration {
  readonly schema: 'ft.calibration'
  readonly version: 3
  readonly build: string
  readonly dtype: 'float32'
  readonly seed: number
  readonly points: readonly CalibrationPoint[]
}

export interface CalibrateOptions extends LongRunning {
  /** Lengths of k measured, ascending. Default [16, 64, 256, 1024, 4096]. */
  readonly lengths?: readonly number[]
  /** Independent matrices of each distribution and length. Default 12. */
  readonly trials?: number
  readonly seed?: number
}

/** Operands of ordinary data, by name (abft-kernels' docs list them). */
export const ordinaryDistributions: Readonly<Record<string, (random: Random, size: number) => Float32Array>> = {
  normal: (random, size) => random.fillNormal(new Float32Array(size)),
  uniform: (random, size) => random.fillUniform(new Float32Array(size), { low: -1, high: 1 }),
  relu: (random, size) => random.fillNormal(new Float32Array(size)).map((value) => Math.max(0, value)),
  positive: (random, size) => random.fillUniform(new Float32Array(size), { low: 0.5, high: 1.5 }),
  outliers: (random, size) =>
    random.fillNormal(new Float32Array(size)).map((value, i) => (i % 61 === 0 ? 60 * value : value)),
  'heavy tails': (random, size) =>
    new Float32Array(size).map(() => {
      // Student's t with 3 degrees of freedom.
      const [a, b, c] = [random.normal(), random.normal(), random.normal()]
      return random.normal() / Math.sqrt((a * a + b * b + c * c) / 3)
    }),
}

/**
 * Calibrates an engine.
 *
 * For each k and distribution it multiplies random matrices and takes the residuals of clean row checks relative to
 * both parts of rowScale. Cost: about two seconds of products.
 *
 * @throws FtError `ABORTED`, `INVALID_ARGUMENT` for no trials and for lengths that do not ascend from 1
 */
export async function calibrate(engine: MatmulEngine, options: CalibrateOptions = {}): Promise<Calibration> {
  const { lengths = [16, 64, 256, 1024, 4096], trials = 12, seed = 1 } = options
  assertInteger(trials, { where: 'calibrate', argument: 'options.trials', min: 1 })
  assertLengths(lengths)
  const random = createRandom(seed).stream('calibration')
  const names = Object.keys(ordinaryDistributions)
  const total = lengths.length * names.length * trials
  const points: CalibrationPoint[] = []
  let done = 0
  for (const k of lengths) {
    const samples = new Map<string, Residual[]>()
    for (const name of names) {
      const own: Residual[] = []
      for (let trial = 0; trial < trials; trial++) {
        throwIfAborted(options.signal, 'calibrate')
        own.push(...(await residuals(engine, { name, k, random: random.stream(name, k * 1000 + trial) })))
        options.onProgress?.({ phase: 'calibrate', done: ++done, total })
      }
      samples.set(name, own)
    }
    points.push(fit(k, samples))
  }
  return { schema: 'ft.calibration', version: 3, build: engine.build, dtype: 'float32', seed, points }
}

/** Thresholds are interpolated between lengths, in their order. */
function assertLengths(lengths: readonly number[]): void {
  const ascending =
    Array.isArray(lengths) &&
    lengths.length > 0 &&
    lengths.every((k, i) => Number.isSafeInteger(k) && k > (i === 0 ? 0 : (lengths[i - 1] as number)))
  if (!ascending)
    throw invalidArgument(
      { where: 'calibrate', argument: 'options.lengths' },
      'whole numbers of at least 1, ascending',
      lengths,
    )
}

interface Residual {
  readonly difference: number
  readonly scale: RowScale
}

/** Data of one sign: what the aligned part is measured on. */
const ALIGNED = 'positive'

function fit(k: number, samples: ReadonlyMap<string, readonly Residual[]>): CalibrationPoint {
  const mean = (of: readonly Residual[], value: (residual: Residual) => number) =>
    of.reduce((sum, residual) => sum + value(residual), 0) / of.length
  let noise = 0
  for (const [name, own] of samples)
    if (name !== ALIGNED)
      noise = Math.max(noise, Math.sqrt(mean(own, ({ difference, scale }) => difference ** 2 / scale.centred)))
  const positive = samples.get(ALIGNED) ?? []
  const rest = mean(positive, ({ difference, scale }) => (difference ** 2 - noise ** 2 * scale.centred) / scale.aligned)
  const aligned = Math.sqrt(Math.max(0, rest))
  const all = [...samples.values()].flat()
  const worst = all.reduce((most, { difference, scale }) => {
    return Math.max(most, Math.abs(difference) / noiseOf(scale, { centred: noise, aligned }))
  }, 0)
  return { k, noise, aligned, worst, rows: all.length }
}

const ROWS = 48
/** A strip of the wasm engine, whose sums begin anew at the next. */
const COLUMNS = 128

async function residuals(engine: MatmulEngine, o: { name: string; k: number; random: Random }): Promise<Residual[]> {
  const make = ordinaryDistributions[o.name] as (random: Random, size: number) => Float32Array
  const a = { data: make(o.random, ROWS * o.k), shape: [ROWS, o.k], dtype: 'float32' as const }
  // Weights are centred, as trained ones are, but where the distribution is about positive data.
  const centred = o.name === 'positive' || o.name === 'uniform' ? o.name : 'normal'
  const make2 = ordinaryDistributions[centred] as typeof make
  const b = { data: make2(o.random, o.k * COLUMNS), shape: [o.k, COLUMNS], dtype: 'float32' as const }
  const weights = await protectWeights(engine, b)
  const { rowSums, rowStatistics } = await engine.matmul(a, weights.prepared, {
    emit: { rowSums: true, rowStatistics: true },
  })
  const norms = weights.norms[0]
  const exact = roundingOf(engine.build, 'float32').rowSums && predicted(a.data, weights.prepared.rowSums)
  weights.release()
  if (!rowSums || !rowStatistics || !norms)
    throw new FtError('UNSUPPORTED', `calibrate: ${engine.build} emits no row sums`, { build: engine.build })
  const { sum, min, max, squares } = rowStatistics
  const parts = rangeNorms(norms, rowSums)
  return Array.from(rowSums.actual, (actual, at) => {
    const i = at % ROWS
    const [low, high] = [min[i] as number, max[i] as number]
    const mean = clamped((sum[i] as number) / (o.k || 1), low, high)
    const square = squares === undefined ? NaN : (squares[i] as number) / (o.k || 1)
    const part = parts[Math.floor(at / ROWS)] as SumNorms
    const scale = rowScale(mean, meanSquareOf(square, mean, low, high), part)
    return { difference: actual - ((exact ?? rowSums.expected)[at] as number), scale }
  })
}

/**
 * Row sums predicted in float64: where the engine predicts in float32, what that rounds is known (`rowSumNoise`), and is not the
 * noise of these few columns.
 */
function predicted(a: Float32Array, rowSums: Float64Array): Float64Array {
  const k = rowSums.length
  return Float64Array.from({ length: a.length / k }, (_, i) => dot(a.subarray(i * k, (i + 1) * k), rowSums))
}

export function saveCalibration(calibration: Calibration): string {
  return JSON.stringify(calibration, null, 2)
}

/**
 * Reads a calibration back.
 *
 * @param options.build - the engine's build
 * @throws FtError `CORRUPT_DATA`, `VERSION_UNSUPPORTED`, or `FINGERPRINT_MISMATCH` for another build's
 */
export function parseCalibration(text: string, options: { build: string }): Calibration {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', 'parseCalibration: not JSON', {}, { cause })
  }
  const c = value as Partial<Calibration> | null
  if (typeof c !== 'object' || c?.schema !== 'ft.calibration')
    throw new FtError('CORRUPT_DATA', 'parseCalibration: schema must be "ft.calibration"')
  if (c.version !== 3)
    throw new FtError(
      'VERSION_UNSUPPORTED',
      `parseCalibration: version ${String(c.version)} is not supported; this reads 3: calibrate again`,
    )
  const ok =
    Array.isArray(c.points) &&
    c.points.length > 0 &&
    c.points.every((point: CalibrationPoint | null, i, all: readonly (CalibrationPoint | null)[]) => {
      if (typeof point !== 'object' || point === null) return false
      const increasing = i === 0 || point.k > (all[i - 1]?.k ?? Infinity)
      return (
        Number.isSafeInteger(point.k) &&
        point.k > 0 &&
        increasing &&
        point.noise > 0 &&
        Number.isFinite(point.noise) &&
        point.aligned >= 0 &&
        Number.isFinite(point.aligned)
      )
    })
  if (!ok) throw new FtError('CORRUPT_DATA', 'parseCalibration: points must be ascending in k with positive noise')
  if (c.build !== options.build) {
    throw new FtError(
      'FINGERPRINT_MISMATCH',
      `parseCalibration: made for ${String(c.build)}, not for ${options.build}; calibrate this engine`,
      {
        expected: options.build,
        got: c.build,
      },
    )
  }
  return c as Calibration
}

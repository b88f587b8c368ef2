// A device's numbers from the engine at hand: peak-based ratios overstate both sides, and what a scheme costs depends on
// its kernels. Times of a dozen small products give them all.
import {
  FtError,
  type DType,
  type Interval,
  type LayerRunner,
  type LinearLayer,
  type LongRunning,
  type ProtectionScheme,
} from '@ft/core'
import { median, quantile } from '@ft/core/statistics'
import { analyseLayer, type Work } from './analyse.ts'
import { costFeatures } from './cost.ts'
import type { Device, SchemeCost } from './devices.ts'
import { nonNegativeLeastSquares } from './leastSquares.ts'
import type { Arm, Profile, ProfiledShape } from './profile/profile.ts'
import { samplesOf } from './profile/overheads.ts'
import { profileLayers, type ProfileOptions } from './profile/profileLayers.ts'

export interface MeasuredDevice extends Device {
  /** Figures behind the device: median and quartiles over the rounds. */
  readonly measured: {
    /** FLOP/s of the fastest product. */
    readonly peak: Interval
    /** Bytes/s of weights that stream through one row's product. */
    readonly bandwidth: Interval
    /** FLOPs a byte: the engine's own ridge. */
    readonly ridge: number
    readonly build: string
  }
}

export interface MeasureDeviceOptions
  extends LongRunning, Pick<ProfileOptions, 'cache' | 'rounds' | 'shortestMs' | 'now'> {
  readonly runner: LayerRunner
  readonly seed: number
  /** Default 'float32'. */
  readonly dtype?: DType
}

/**
 * Measures the engine behind a runner: peak, bandwidth, cost of a call, and what each of its schemes adds.
 *
 * Method: `calibrationLayers` are profiled. Peak is the best rate of a product; bandwidth that of a one-row product, whose
 * weights (16 MiB in float32) exceed the caches of most cores; a scheme's extra seconds are fitted by non-negative least
 * squares, relative to the protected time, on calls, multiply-adds, outputs, inputs and weights.
 *
 * Cost: 13 shapes x (schemes + 2) x rounds samples of at least `shortestMs` each: about ten seconds with the defaults.
 *
 * @throws FtError `ABORTED` by its signal
 */
export async function measureDevice(options: MeasureDeviceOptions): Promise<MeasuredDevice> {
  const { dtype = 'float32', rounds = 9, shortestMs = 2, ...rest } = options
  const profile = await profileLayers(calibrationLayers(dtype), { ...rest, rounds, shortestMs, chained: () => false })
  return deviceFrom(profile, dtype)
}

/** Products that tell arithmetic, traffic and starting apart: squares, one row, few rows, thin and flat ones. */
export function calibrationLayers(dtype: DType = 'float32'): LinearLayer[] {
  const shapes = [
    [8, 8, 8],
    [32, 32, 32],
    [64, 64, 64],
    [128, 128, 128],
    [256, 256, 256],
    [512, 512, 512],
    [1, 2048, 2048],
    [1, 512, 256],
    [16, 256, 1024],
    [64, 512, 128],
    [1024, 64, 64],
    [2048, 32, 256],
    [256, 512, 16],
  ] as const
  return shapes.map(([m, n, k]) => {
    return { id: `calibrate ${m}x${n}x${k}`, m, n, k, count: 1, dtype, op: { kind: 'matmul', batch: 1 } }
  })
}

/** Fits a device to a profile; see `measureDevice`. */
export function deviceFrom(profile: Profile, dtype: DType = 'float32'): MeasuredDevice {
  const { device, build, shapes } = profile
  const works = shapes.map((shape) => ({ shape, work: analyseLayer(shape.layer, { dtype }).traffic }))
  const peak = best(works, (work) => work.flops)
  const streaming = works.filter(({ shape }) => shape.layer.m === 1)
  const bandwidth = best(streaming, (work) => work.bytes)
  const launch = Math.min(...shapes.map((shape) => median(samplesOf(shape, { arm: 'none' })))) / 1000
  const fitted: Partial<Record<ProtectionScheme, SchemeCost>> = {}
  for (const scheme of measuredSchemes(shapes)) fitted[scheme] = fitScheme(shapes, scheme)
  return {
    name: `${device} (${build})`,
    peak: { [dtype]: peak.value },
    dtype,
    bandwidth: bandwidth.value,
    // Without a fit (a scheme that the runner lacks) one add a multiply-add's time: what an engine without tensor cores has.
    adds: peak.value / 2,
    latency: { launch, step: 0, epilogue: 0, dot: 0, compare: 0 },
    counting: 'exact',
    fitted,
    source: `measured on ${device} with ${build}`,
    measured: { peak, bandwidth, ridge: peak.value / bandwidth.value, build },
  }
}

function best(works: readonly { shape: ProfiledShape; work: Work }[], amount: (work: Work) => number): Interval {
  const rates = works.map(({ shape, work }) =>
    samplesOf(shape, { arm: 'none' }).map((ms) => (1000 * amount(work)) / ms),
  )
  const fastest = rates.reduce<number[] | undefined>((a, b) => (a && median(a) >= median(b) ? a : b), undefined)
  if (!fastest)
    throw new FtError('INVALID_ARGUMENT', 'deviceFrom: the profile has no shape of one row to take bandwidth from')
  const [low, high] = [quantile(fastest, 0.25), quantile(fastest, 0.75)]
  return { value: median(fastest), low, high, confidence: 0.5, n: fastest.length }
}

function measuredSchemes(shapes: readonly ProfiledShape[]): ProtectionScheme[] {
  const arms = new Set(shapes.flatMap((shape) => Object.keys(shape.times) as Arm[]))
  return [...arms].filter((arm): arm is ProtectionScheme => arm !== 'none' && arm !== 'control')
}

function fitScheme(shapes: readonly ProfiledShape[], scheme: ProtectionScheme): SchemeCost {
  const rows: number[][] = []
  const targets: number[] = []
  for (const shape of shapes) {
    if (!shape.times[scheme]) continue
    const base = median(samplesOf(shape, { arm: 'none' })) / 1000
    const ratio = median(
      samplesOf(shape, { arm: scheme }).map((time, i) => time / (samplesOf(shape, { arm: 'none' })[i] as number)),
    )
    // What should be right is the protected time, relatively: an overhead of 1,000 % at a tiny product counts no more
    // than one of 10 % at a large one.
    rows.push(costFeatures(shape.layer).map((feature) => feature / (base * ratio)))
    targets.push(Math.max(0, ratio - 1) / ratio)
  }
  const [call = 0, multiplyAdd = 0, output = 0, input = 0, weight = 0] = nonNegativeLeastSquares(rows, targets)
  return { call, multiplyAdd, output, input, weight }
}

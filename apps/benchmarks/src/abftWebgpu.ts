// Part of the bench "abft": the schemes of SC'21 on the WebGPU engine, by the device's own clock and by the host's, on square
// products and on the layers of DLRM, in float32 and float16. On a software adapter its figures tell of the processor.
import { isFtError, type LinearLayer, type ProtectionScheme } from '@ft/core'
import { median, ratioInterval } from '@ft/core/statistics'
import { createKernels } from '@ft/abft-kernels'
import { createRunner } from '@ft/abft-kernels/runner'
import { analyseLayer } from '@ft/intensity-guide'
import { createWebgpuEngine, tuneWebgpu, type WebgpuEngineOptions } from '@ft/tensor-core/webgpu'
import { bounds, type BenchContext } from './bench.ts'

/** Each where the adapter has it. */
const storages: readonly { readonly name: string; readonly options: WebgpuEngineOptions }[] = [
  { name: 'float32', options: {} },
  { name: 'float16', options: { storage: 'float16', matrices: false } },
  { name: 'float16 by subgroup matrices', options: { storage: 'float16', matrices: true } },
]

interface Variant {
  readonly name: string
  readonly scheme: ProtectionScheme
  readonly chained: boolean
}

/** `global` has its input's checksum from the layer before, as the paper counts it. */
const variants: readonly Variant[] = [
  { name: 'global', scheme: 'global', chained: true },
  ...(['row', 'column', 'row-column', 'thread-one-sided', 'thread-two-sided', 'replication'] as const).map(
    (scheme) => ({ name: scheme, scheme, chained: false }),
  ),
]
/** The two that the paper chooses from, layer by layer. */
const guided = ['global', 'thread-one-sided'] as const

export interface WebgpuLayer {
  readonly name: string
  readonly layer: LinearLayer
  /** The network that it is part of, for the sum. */
  readonly network?: string
}

export interface WebgpuLayers {
  /** Those of a device that computes itself, and those that a software adapter ends within minutes. */
  readonly device: readonly WebgpuLayer[]
  readonly software: readonly WebgpuLayer[]
}

export async function schemesOnWebgpu(context: BenchContext, layers: WebgpuLayers): Promise<void> {
  for (const { name, options } of storages) {
    try {
      await onStorage(context, { name, options, layers })
    } catch (error) {
      if (!isFtError(error, 'ENGINE_UNAVAILABLE')) throw error
      context.note(`webgpu, ${name}: ${error.message}`)
    }
  }
}

type Clock = 'device' | 'host'

async function onStorage(
  context: BenchContext,
  { name, options, layers }: { name: string; options: WebgpuEngineOptions; layers: WebgpuLayers },
): Promise<void> {
  const times: number[] = []
  const engine = await createWebgpuEngine({ ...options, onTime: (nanoseconds) => times.push(nanoseconds) })
  try {
    const { adapter, build } = engine
    const { software } = adapter
    const place = `${adapter.name}${software ? ' (CPU adapter)' : ''}, ${name}`
    context.note(`webgpu: ${place}, build ${build}`)
    const clocks: Clock[] = adapter.features.has('timestamp-query') ? ['device', 'host'] : ['host']
    if (clocks.length === 1) context.note(`${place}: no timestamps, times are the host's`)
    // Tiles of float16 without matrices are those of float32.
    if (!software && options.matrices !== false) await tuneWebgpu({ storage: options.storage ?? 'float32' })
    const lengths = software ? { lengths: [64, 256], trials: 2 } : { trials: 4 }
    const { calibration } = await createKernels({ engine }).calibrated({ ...lengths, seed: context.seed + 1 })
    const runner = createRunner({ engine, ...(calibration && { calibration }), shareOperands: true })
    const sums = new Map<string, Map<string, number>>()
    for (const item of software ? layers.software : layers.device) {
      const rounds = context.quick ? 9 : software ? 15 : 51
      const timed = await time({ runner, item, seed: context.seed, rounds, times })
      const [clock] = clocks as [Clock]
      const { padded } = analyseLayer(item.layer, { dtype: name === 'float32' ? 'float32' : 'float16' })
      const own = `${place}: ${item.name}, intensity ${padded.intensity.toFixed(1)}`
      for (const each of clocks)
        emitRatios(context, { own, timed: timed[each], clock: each, runner, layer: item.layer })
      if (item.network !== undefined) addTo(sums, item, timed[clock])
    }
    for (const [network, sum] of sums)
      emitSums(context, { own: `${place}: ${network}`, sum, clock: clocks[0] as Clock })
  } finally {
    await engine.dispose()
  }
}

/** Milliseconds of each run, by variant. */
type Samples = ReadonlyMap<string, readonly number[]>

interface Timing {
  readonly runner: ReturnType<typeof createRunner>
  readonly item: WebgpuLayer
  readonly seed: number
  readonly rounds: number
  /** Where the engine leaves the device's times. */
  readonly times: number[]
}

/** All variants in turns, each beside the plain product of its own turn. */
async function time({ runner, item, seed, rounds, times }: Timing): Promise<Readonly<Record<Clock, Samples>>> {
  const { layer } = item
  const open = (scheme: ProtectionScheme, chained: boolean) => runner.prepare(layer, scheme, { seed, chained })
  const plain = await open('none', false)
  const rivals = [
    { name: 'none', ...plain },
    // Its interval has to hold 1, or the machine is too noisy to say anything.
    { name: 'control', run: plain.run, release: () => undefined },
  ]
  for (const { name, scheme, chained } of variants) rivals.push({ name, ...(await open(scheme, chained)) })
  const samples = {
    device: new Map(rivals.map(({ name }) => [name, [] as number[]])),
    host: new Map(rivals.map(({ name }) => [name, [] as number[]])),
  }
  // The first turns compile, and make the folds of the weights.
  for (let round = -2; round < rounds; round++)
    for (let i = 0; i < rivals.length; i++) {
      const { name, run } = rivals[(i + round + rivals.length) % rivals.length] as (typeof rivals)[number]
      times.length = 0
      const start = performance.now()
      await run()
      const host = performance.now() - start
      if (round < 0) continue
      samples.host.get(name)?.push(host)
      samples.device.get(name)?.push(times.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6)
    }
  for (const { release } of rivals) release()
  return samples
}

function emitRatios(
  context: BenchContext,
  o: { own: string; timed: Samples; clock: Clock; runner: ReturnType<typeof createRunner>; layer: LinearLayer },
): void {
  const plain = o.timed.get('none') as readonly number[]
  for (const [name, own] of o.timed) {
    if (name === 'none') continue
    const ratio = ratioInterval(own.map((value, i) => ({ value, baseline: plain[i] as number })))
    const scheme = variants.find((variant) => variant.name === name)?.scheme
    const seen = scheme && `; sees ${o.runner.smallestDetectable(o.layer, scheme).toExponential(1)} rms`
    context.emit({
      case: o.own,
      metric: `${name}, ${o.clock} time${seen ?? ''}`,
      value: median(own),
      unit: 'ms',
      baseline: { case: 'none', value: median(plain) },
      ratio: ratio.value,
      ...bounds(ratio),
    })
  }
}

function addTo(sums: Map<string, Map<string, number>>, { network = '', layer }: WebgpuLayer, timed: Samples): void {
  const sum = sums.get(network) ?? new Map<string, number>()
  sums.set(network, sum)
  const add = (name: string, value: number) => sum.set(name, (sum.get(name) ?? 0) + layer.count * value)
  const of = (name: string) => median(timed.get(name) as number[])
  for (const name of timed.keys()) add(name, of(name))
  add('intensity-guided', Math.min(...guided.map(of)))
}

/** Whole networks, layer by layer (SC'21's figures): one scheme for all, or the cheaper of two for each. */
function emitSums(
  context: BenchContext,
  { own, sum, clock }: { own: string; sum: ReadonlyMap<string, number>; clock: Clock },
): void {
  const base = sum.get('none') as number
  for (const name of [...guided, 'intensity-guided']) {
    const value = sum.get(name) as number
    context.emit({
      case: own,
      metric: `${name}, sum of the layers' ${clock} times`,
      ...{ value, unit: 'ms', baseline: { case: 'none', value: base }, ratio: value / base },
    })
  }
}

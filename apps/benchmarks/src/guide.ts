// Bench "guide": plans from measurement, fitted on one half of the interleaved rounds and scored on the other, and once more
// in a fresh process over the whole network in sequence; where schemes cross; how well the cost model predicts.

import { loadRunner } from '@ft/abft-kernels/runner'
import {
  analyseNetwork,
  findDevice,
  measureDevice,
  planNetwork,
  planTotals,
  zoo,
  zooNames,
  type DeviceName,
  type ZooName,
  type ZooOptions,
} from '@ft/intensity-guide'
import { describeEngines } from '@ft/tensor-core'
import type { Bench, BenchContext } from './bench.ts'
import { guidedNetwork, type GuidedNetwork } from './guideNetwork.ts'
import { squareSweep } from './guideSquares.ts'
import { clockFor } from './support/clock.ts'

const networks: readonly GuidedNetwork[] = [
  { zoo: 'dlrm-top', batch: 256 },
  { zoo: 'coral', batch: 16 },
  { zoo: 'squeezenet', batch: 1 },
  { zoo: 'resnet50', batch: 1 },
  { zoo: 'shufflenet', batch: 1 },
]
const quickNetworks = new Set(['dlrm-top', 'squeezenet'])

export const guide: Bench = {
  name: 'guide',
  title: 'Protection chosen by layer: extra time as a share of the unprotected network',
  parts: ['zoo', 'reductions', 'squares', ...networks.map(({ zoo: name }) => name)],
  async run(context) {
    if (context.wants('zoo')) analysisTime(context)
    if (context.wants('reductions')) predictedReductions(context)
    // The engine of any machine, and the GPU's where there is one that is no program itself.
    for (const engine of (await hasGpu()) ? (['wasm', 'webgpu'] as const) : (['wasm'] as const))
      await onEngine(engine, { ...context, emit: (line) => context.emit({ ...line, case: `${engine}, ${line.case}` }) })
  },
}

async function hasGpu(): Promise<boolean> {
  const webgpu = (await describeEngines()).find(({ name }) => name === 'webgpu')
  return webgpu !== undefined && webgpu.available && !webgpu.detail.includes('software')
}

async function onEngine(engine: 'wasm' | 'webgpu', context: BenchContext): Promise<void> {
  const runner = await loadRunner({ engine, seed: context.seed })
  try {
    const clock = clockFor(runner.build)
    context.note(`engine build ${runner.build}: figures of this machine's engine alone, in ${clock.name}`)
    if (context.wants('squares')) await squareSweep(context, { runner, clock })
    const wanted = networks.filter(
      ({ zoo: name }) => context.wants(name) && (!context.quick || quickNetworks.has(name)),
    )
    if (wanted.length === 0) return
    const device = await measureDevice({ runner, seed: context.seed, now: clock.now })
    const { ridge, peak, bandwidth } = device.measured
    const figure = (metric: string, value: number, unit: string) =>
      context.emit({ case: 'measured device', metric, value, unit })
    figure('ridge', ridge, 'FLOP/B')
    figure('peak', peak.value / 1e9, 'GFLOP/s')
    figure('bandwidth', bandwidth.value / 1e9, 'GB/s')
    for (const network of wanted) await guidedNetwork(context, { engine, runner, clock, device, network })
  } finally {
    await runner.dispose()
  }
}

/** Every network of the zoo at its resolutions, analysed and planned for four devices. */
function analysisTime(context: BenchContext): void {
  const devices: DeviceName[] = ['t4', 'v100', 'a100-40', 'h100']
  const start = performance.now()
  let plans = 0
  for (const name of zooNames) {
    for (const resolution of [[224, 224] as const, [1080, 1920] as const]) {
      const network = zoo(name, { resolution })
      analyseNetwork(network.layers)
      for (const device of devices) plans += planNetwork(network, { device: findDevice(device) }).layers.length
    }
  }
  context.emit({
    case: `zoo, ${plans} planned layers`,
    metric: 'analysis and plans',
    value: (performance.now() - start) / 1000,
    unit: 's',
    target: 'value < 2',
  })
}

/** The paper's networks at its resolutions and batches; it measured reductions from 1.09 to 5.3 on a T4. */
const published: readonly { readonly name: ZooName; readonly options: ZooOptions }[] = [
  ...(
    ['squeezenet', 'shufflenet', 'densenet161', 'resnet50', 'alexnet', 'vgg16', 'resnext50', 'wide-resnet50'] as const
  ).map((name) => ({ name, options: { resolution: [1080, 1920] as const } })),
  ...(['coral', 'roundabout', 'taipei', 'amsterdam'] as const).map((name) => ({ name, options: { batch: 64 } })),
  ...(['dlrm-bottom', 'dlrm-top'] as const).map((name) => ({ name, options: { batch: 1 } })),
]

/** How many times less guidance costs than global checksums everywhere, by the cost model; a prediction, not a measurement. */
function predictedReductions(context: BenchContext): void {
  const device = findDevice('t4')
  for (const { name, options } of published) {
    const plan = planNetwork(zoo(name, options), {
      device,
      target: 'webgpu',
      rule: 'cost',
      schemes: () => ['global', 'thread-one-sided'],
    })
    const { guided, uniform } = planTotals(plan, { device })
    context.emit({
      case: `${name} on ${device.name}, cost model`,
      metric: 'reduction, global',
      value: (uniform.global ?? NaN) / guided,
      unit: 'x, predicted',
      target: 'the paper measured 1.09 to 5.3',
    })
  }
}

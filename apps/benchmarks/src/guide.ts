// Bench "guide": plans from measurement, fitted on one half of the interleaved rounds and scored on the other, and once more
// in a fresh process over the whole network in sequence; where schemes cross; how well the cost model predicts.

import { loadRunner } from '@ft/abft-kernels/runner'
import {
  analyseNetwork,
  findDevice,
  measureDevice,
  planNetwork,
  zoo,
  zooNames,
  type DeviceName,
} from '@ft/intensity-guide'
import type { Bench, BenchContext } from './bench.ts'
import { guidedNetwork, type GuidedNetwork } from './guideNetwork.ts'
import { squareSweep } from './guideSquares.ts'
import { clockFor } from './support/clock.ts'

const networks: readonly GuidedNetwork[] = [
  { zoo: 'dlrm-top', batch: 256, rounds: 100 },
  { zoo: 'coral', batch: 16, rounds: 60 },
  { zoo: 'squeezenet', batch: 1, rounds: 40 },
  { zoo: 'resnet50', batch: 1, rounds: 24 },
  { zoo: 'shufflenet', batch: 1, rounds: 24 },
]
const quickNetworks = new Set(['dlrm-top', 'squeezenet'])

export const guide: Bench = {
  name: 'guide',
  title: 'Protection chosen by layer: extra time as a share of the unprotected network',
  async run(context) {
    analysisTime(context)
    const runner = await loadRunner({ seed: context.seed })
    try {
      const clock = clockFor(runner.build)
      context.note(`engine build ${runner.build}: figures of this machine's engine alone, in ${clock.name}`)
      await squareSweep(context, { runner, clock })
      const device = await measureDevice({ runner, seed: context.seed, now: clock.now })
      context.emit({
        case: 'measured device',
        metric: 'ridge',
        value: device.measured.ridge,
        unit: 'FLOP/B',
      })
      context.emit({
        case: 'measured device',
        metric: 'peak',
        value: device.measured.peak.value / 1e9,
        unit: 'GFLOP/s',
      })
      context.emit({
        case: 'measured device',
        metric: 'bandwidth',
        value: device.measured.bandwidth.value / 1e9,
        unit: 'GB/s',
      })
      for (const network of networks) {
        if (!context.quick || quickNetworks.has(network.zoo))
          await guidedNetwork(context, { runner, clock, device, network })
      }
    } finally {
      await runner.dispose()
    }
  },
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

// The protection of a network on a device that is not here, by the paper's rule, priced by the cost model.
import { findDevice, planNetwork, planTotals, type DeviceName, type Network } from '@ft/intensity-guide'
import { exactly, type Claim } from '../story.ts'

export interface PlanRow {
  readonly network: string
  readonly device: string
  readonly threadLevel: string
  /** By the paper's rule: the layer's intensity against the device's ridge, without a look at predicted costs. */
  readonly guided: number
  /** Layer by layer what the model calls cheapest: never above any other choice in the same model. */
  readonly cheapest: number
  readonly global: number
  readonly thread: number
  readonly replication: number
}

/** A network's protection as the paper chooses it, and what the model says of that and of other choices. */
export function planRow(network: Network, name: DeviceName): PlanRow {
  const device = findDevice(name)
  const of = (rule: 'intensity' | 'cost') => planNetwork(network, { device, target: 'webgpu', rule })
  const plan = of('intensity')
  const { guided, uniform } = planTotals(plan, { device })
  const thread = plan.layers.filter(
    (layer) => layer.scheme === 'thread-one-sided' || layer.scheme === 'thread-two-sided',
  ).length
  return {
    network: network.name,
    device: device.name.replace('NVIDIA ', ''),
    threadLevel: `${thread} of ${plan.layers.length}`,
    guided,
    cheapest: planTotals(of('cost'), { device }).guided,
    global: uniform.global ?? NaN,
    thread: uniform['thread-one-sided'] ?? NaN,
    replication: uniform.replication ?? NaN,
  }
}

/**
 * The paper's claim, which can fail: its rule does not know the model's costs, and where the two disagree about a layer one
 * scheme for all layers may be predicted cheaper.
 */
export function predictedClaim(rows: readonly PlanRow[]): Claim {
  return {
    text: 'protection by the intensity rule is predicted no dearer than the better uniform one (worst difference)',
    measured: exactly(Math.max(...rows.map((row) => row.guided - Math.min(row.global, row.thread)))),
    // Equal plans are summed in the same order: no rounding but that of one division.
    below: 1e-12,
  }
}

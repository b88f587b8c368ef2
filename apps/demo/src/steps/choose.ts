// Step "choose": the protection of ResNet-50 and of DLRM's top network on four GPUs, by the paper's cost model.
import { findDevice, planNetwork, planTotals, zoo, type DeviceName, type Network } from '@ft/intensity-guide'
import { exactly, type Claim, type Step } from '../story.ts'

const DEVICES: readonly DeviceName[] = ['t4', 'a100-40', 'h100', 'h200']

interface Row {
  readonly network: string
  readonly device: string
  readonly threadLevel: string
  readonly guided: number
  readonly global: number
  readonly thread: number
  readonly replication: number
}

export const chooseStep: Step = {
  name: 'choose',
  title: 'Choose a protection for every layer',
  run({ output }) {
    const networks: Network[] = [
      { ...zoo('resnet50', { resolution: [1080, 1920] }), name: 'ResNet-50 at 1080p' },
      { ...zoo('dlrm-top', { batch: 2048 }), name: 'DLRM top, batch 2048' },
      { ...zoo('dlrm-top', { batch: 1 }), name: 'DLRM top, batch 1' },
    ]
    const rows = networks.flatMap((network) => DEVICES.map((device) => planRow(network, device)))
    output.text('Extra time by the cost model, as a share of the unprotected network. No device was measured.')
    output.table(rows, [
      { header: 'network', value: (row) => row.network },
      { header: 'device', value: (row) => row.device },
      { header: 'thread-level layers', value: (row) => row.threadLevel, align: 'right' },
      { header: 'guided', value: (row) => row.guided, format: 'percent' },
      { header: 'all global', value: (row) => row.global, format: 'percent' },
      { header: 'all thread-level', value: (row) => row.thread, format: 'percent' },
      { header: 'replication', value: (row) => row.replication, format: 'percent' },
    ])
    for (const row of rows) output.result({ step: 'choose', ...row })
    const worst = Math.max(...rows.map((row) => row.guided - Math.min(row.global, row.thread)))
    const claim: Claim = {
      text: 'guided protection is predicted no dearer than the better uniform one (worst difference)',
      measured: exactly(worst),
      below: 1e-12,
    }
    return Promise.resolve([claim])
  },
}

function planRow(network: Network, name: DeviceName): Row {
  const device = findDevice(name)
  const plan = planNetwork(network, { device, target: 'webgpu', rule: 'cost' })
  const { guided, uniform } = planTotals(plan, { device })
  const thread = plan.layers.filter(
    (layer) => layer.scheme === 'thread-one-sided' || layer.scheme === 'thread-two-sided',
  ).length
  return {
    network: network.name,
    device: device.name.replace('NVIDIA ', ''),
    threadLevel: `${thread} of ${plan.layers.length}`,
    guided,
    global: uniform.global ?? NaN,
    thread: uniform['thread-one-sided'] ?? NaN,
    replication: uniform.replication ?? NaN,
  }
}

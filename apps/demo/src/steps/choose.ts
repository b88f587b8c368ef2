// Step "choose": the protection of ResNet-50 and of the trained network on four GPUs, by the paper's cost model.
import {
  analyseLayer,
  findDevice,
  planNetwork,
  planTotals,
  ridge,
  zoo,
  type DeviceName,
  type Network,
} from '@ft/intensity-guide'
import type { FlightTask } from '@ft/datasets'
import type { ChartSpec } from '@ft/report/charts'
import { denseShapes } from '../dlrm.ts'
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
  async run({ output, flights, chart }) {
    const { task } = await flights()
    const resnet = { ...zoo('resnet50', { resolution: [1080, 1920] }), name: 'ResNet-50 at 1080p' }
    const networks: Network[] = [resnet, trainedNetwork(task, 2048), trainedNetwork(task, 1)]
    const rows = networks.flatMap((network) => DEVICES.map((device) => planRow(network, device)))
    output.text('Extra time by the cost model, as a share of the unprotected network. These devices were not measured.')
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
    for (const device of ['t4', 'h200'] as const) chart(roofline(networks, device))
    const worst = Math.max(...rows.map((row) => row.guided - Math.min(row.global, row.thread)))
    return [
      {
        text: 'guided protection is predicted no dearer than the better uniform one (worst difference)',
        measured: exactly(worst),
        below: 1e-12,
      },
    ] satisfies Claim[]
  },
}

/** The late-arrival network as the demo trains it, at a batch of flights. */
function trainedNetwork(task: FlightTask, batch: number): Network {
  return {
    name: `late arrivals, batch ${batch}`,
    layers: denseShapes(task).map(({ id, k, n }) => ({
      id,
      m: batch,
      n,
      k,
      count: 1,
      dtype: 'float16',
      op: { kind: 'matmul', batch: 1 },
    })),
  }
}

/** Each layer's intensity and what the roof lets it reach, under the device's roof. */
function roofline(networks: readonly Network[], name: DeviceName): ChartSpec {
  const device = findDevice(name)
  const peak = device.peak[device.dtype] ?? NaN
  const reach = (intensity: number) => Math.min(peak, intensity * device.bandwidth) / 1e12
  const roof = [0.5, ridge(device), 5000].map((x) => ({ x, y: reach(x) }))
  return {
    title: `Roofline of ${device.name}`,
    subtitle: 'Left of the ridge a layer waits for memory, and checks in its own threads cost least',
    x: { label: 'arithmetic intensity', unit: 'FLOP/byte', scale: 'log' },
    y: { label: 'reachable', unit: 'TFLOP/s', scale: 'log' },
    marks: [{ axis: 'x', value: ridge(device), label: 'ridge' }],
    series: [
      { kind: 'line', name: 'roof', points: roof },
      ...networks.map(({ name: network, layers }) => ({
        kind: 'points' as const,
        name: network,
        points: layers.map((layer) => {
          const { intensity } = analyseLayer(layer, { dtype: device.dtype }).padded
          return { x: intensity, y: reach(intensity) }
        }),
      })),
    ],
  }
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

// Step "choose": the protection of ResNet-50 and of the trained network on four GPUs, by the paper's cost model, and measured on the engine at hand.
import type { Interval } from '@ft/core'
import { loadRunner } from '@ft/abft-kernels/runner'
import {
  analyseLayer,
  findDevice,
  measuredTotals,
  measurementsOf,
  planNetwork,
  profileLayers,
  ridge,
  zoo,
  type DeviceName,
  type Network,
} from '@ft/intensity-guide'
import type { FlightTask } from '@ft/datasets'
import type { ChartSpec } from '@ft/report/charts'
import { denseShapes } from '../dlrm.ts'
import type { Claim, Step, StepContext } from '../story.ts'
import { planRow, predictedClaim } from './predicted.ts'

const DEVICES: readonly DeviceName[] = ['t4', 'a100-40', 'h100', 'h200']

export const chooseStep: Step = {
  name: 'choose',
  title: 'Choose a protection for every layer',
  async run({ options, output, flights, chart }) {
    const { task } = await flights()
    const resnet = { ...zoo('resnet50', { resolution: [1080, 1920] }), name: 'ResNet-50 at 1080p' }
    const networks: Network[] = [resnet, trainedNetwork(task, 2048), trainedNetwork(task, 1)]
    const rows = networks.flatMap((network) => DEVICES.map((device) => planRow(network, device)))
    output.text(
      'Extra time by the cost model, as a share of the unprotected network; guided is the paper’s rule, intensity against the ridge. These devices were not measured.',
    )
    output.table(rows, [
      { header: 'network', value: (row) => row.network },
      { header: 'device', value: (row) => row.device },
      { header: 'thread-level layers', value: (row) => row.threadLevel, align: 'right' },
      { header: 'guided', value: (row) => row.guided, format: 'percent' },
      { header: 'cheapest by the model', value: (row) => row.cheapest, format: 'percent' },
      { header: 'all global', value: (row) => row.global, format: 'percent' },
      { header: 'all thread-level', value: (row) => row.thread, format: 'percent' },
      { header: 'replication', value: (row) => row.replication, format: 'percent' },
    ])
    for (const row of rows) output.result({ step: 'choose', ...row })
    for (const device of ['t4', 'h200'] as const) chart(roofline(networks, device))
    const claims: Claim[] = [predictedClaim(rows)]
    const { quick } = options
    const measured = [{ network: trainedNetwork(task, 256), rounds: quick ? 16 : 40, shortestMs: quick ? 0.5 : 2 }]
    if (quick) output.text('ResNet-50 is measured on this machine without --quick.')
    // Its layers take milliseconds each: few rounds say as much
    else measured.push({ network: zoo('resnet50'), rounds: 12, shortestMs: 0 })
    for (const one of measured) {
      claims.push({
        text: `on this machine, measured, ${one.network.name}: the guided plan costs no more than 0.05 of the network above the better uniform one`,
        measured: await measureHere({ options, output }, one),
        below: 0.05,
      })
    }
    return claims
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

/**
 * Every scheme measured at every layer on the engine at hand; the plan is chosen on one half of the rounds and judged on
 * the other.
 *
 * @returns how much dearer the guided plan is than the best scheme for all layers, as shares of the unprotected network
 */
async function measureHere(
  { options, output }: Pick<StepContext, 'options' | 'output'>,
  { network: { name, layers }, rounds, shortestMs }: { network: Network; rounds: number; shortestMs: number },
): Promise<Interval> {
  const runner = await loadRunner({ engine: 'wasm', threads: 1 })
  try {
    const own = layers.map((layer) => ({ ...layer, dtype: 'float32' as const }))
    const profile = await profileLayers(own, {
      runner,
      seed: options.seed,
      rounds,
      shortestMs,
      onProgress: output.onProgress,
    })
    const plan = planNetwork(
      { name, layers: own },
      {
        device: findDevice('cpu-avx2'),
        target: 'wasm',
        measurements: measurementsOf(profile, { layers: own, rounds: 'odd' }),
      },
    )
    const scheme = new Map(plan.layers.map((layer) => [layer.id, layer.scheme]))
    const uniform = ['global', 'row', 'thread-one-sided', 'replication'] as const
    const totals = measuredTotals(profile, {
      layers: own,
      rounds: 'even',
      seed: options.seed,
      choices: {
        guided: ({ id }) => scheme.get(id) ?? 'none',
        ...Object.fromEntries(uniform.map((one) => [one, () => one])),
      },
    })
    output.text(
      `Measured on this machine (${runner.build}): ${name}, ${totals.baseMs.toPrecision(3)} ms unprotected; chosen on one half of the rounds, judged on the other.`,
    )
    output.table(
      ['guided', ...uniform],
      [
        { header: 'protection', value: (choice) => choice },
        { header: 'extra time', value: (choice) => totals.overhead[choice], format: 'percent' },
      ],
    )
    output.result({
      step: 'choose',
      network: name,
      device: runner.build,
      baseMs: totals.baseMs,
      overhead: totals.overhead,
      schemes: Object.fromEntries(scheme),
    })
    const best = uniform.reduce((a, b) =>
      (totals.overhead[b]?.value ?? Infinity) < (totals.overhead[a]?.value ?? Infinity) ? b : a,
    )
    return totals.difference('guided', best)
  } finally {
    await runner.dispose()
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

// What the command prints: the network, a line a distinct layer, totals, and what the analysis left out.
import type { DType, PlannedLayer, PlanTarget, ProtectionPlan } from '@ft/core'
import { FtError } from '@ft/core'
import type { Output } from '@ft/report'
import { analyseNetwork } from '../analyse.ts'
import { targetSchemes } from '../targets.ts'
import { ridge, type Device } from '../devices.ts'
import { planNetwork, planTotals } from '../plan.ts'
import type { ReadNetwork } from '../readModel.ts'

export interface PlanFlags {
  readonly target: string
  readonly rule: string
  readonly sensitivity?: number
  readonly dtype?: string
}

/** Layers of one shape and scheme, shown together. */
interface Line {
  readonly first: PlannedLayer
  readonly times: number
}

export function showPlan(network: ReadNetwork, device: Device, flags: PlanFlags, output: Output): ProtectionPlan {
  const { target, rule, sensitivity } = flags
  if (!(target in targetSchemes))
    throw new FtError(
      'INVALID_ARGUMENT',
      `--target must be one of ${Object.keys(targetSchemes).join(', ')}, got ${target}`,
    )
  if (rule !== 'intensity' && rule !== 'cost')
    throw new FtError('INVALID_ARGUMENT', `--rule must be intensity or cost, got ${rule}`)
  const dtype = (flags.dtype ?? device.dtype) as DType
  const options = {
    device,
    dtype,
    target: target as PlanTarget,
    rule,
    ...(sensitivity === undefined ? {} : { sensitivity }),
  } as const
  const plan = planNetwork(network, options)
  const totals = planTotals(plan, options)
  const { padded } = analyseNetwork(network.layers, { dtype })

  output.settings(network.name, { device: device.name, dtype, target, rule })
  output.text(
    `${network.layers.length} linear layers, ${(padded.flops / 1e9).toFixed(2)} GFLOP, ${padded.intensity.toFixed(1)} FLOP/B in all; ` +
      `the device's ridge is at ${ridge(device, dtype).toFixed(0)} FLOP/B`,
  )
  output.table(lines(plan.layers), [
    { header: 'layer', value: ({ first, times }) => (times > 1 ? `${first.id} and ${times - 1} like it` : first.id) },
    { header: 'm', value: ({ first }) => first.layer.m, format: 'plain' },
    { header: 'n', value: ({ first }) => first.layer.n, format: 'plain' },
    { header: 'k', value: ({ first }) => first.layer.k, format: 'plain' },
    { header: 'FLOP/B', value: ({ first }) => first.intensity, digits: 4 },
    { header: 'bound', value: ({ first }) => first.bound },
    { header: 'scheme', value: ({ first }) => first.scheme },
    { header: 'overhead', value: ({ first }) => first.predictedOverhead, format: 'percent' },
    { header: 'sees errors from [rms]', value: ({ first }) => first.smallestDetectable, digits: 2 },
  ])
  output.table(
    [
      { name: 'guided', overhead: totals.guided },
      ...Object.entries(totals.uniform).map(([name, overhead]) => ({ name: `all ${name}`, overhead })),
    ],
    [
      { header: 'protection', value: (row) => row.name },
      { header: 'predicted overhead', value: (row) => row.overhead, format: 'percent' },
    ],
  )
  for (const item of network.skipped) output.note(`left out: ${item.id} (${item.opType}): ${item.reason}`)
  if (network.unsupported.length > 0) output.note(`shapes unknown behind: ${network.unsupported.join(', ')}`)
  output.conclusion(conclusion(totals.guided, totals.uniform))
  return plan
}

function lines(layers: readonly PlannedLayer[]): Line[] {
  const groups = new Map<string, PlannedLayer[]>()
  for (const item of layers) {
    const key = [item.layer.m, item.layer.n, item.layer.k, item.scheme, item.bound].join('/')
    groups.set(key, [...(groups.get(key) ?? []), item])
  }
  return [...groups.values()].map((group) => ({ first: group[0] as PlannedLayer, times: group.length }))
}

function conclusion(guided: number, uniform: Readonly<Record<string, number>>): string {
  const [best, overhead] = Object.entries(uniform).reduce((a, b) => (b[1] < a[1] ? b : a))
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`
  return `Guided protection costs ${percent(guided)} by the cost model; the best single scheme (${best}) ${percent(overhead)}.`
}

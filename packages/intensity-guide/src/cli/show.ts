// What the command prints: the network, a line a distinct layer, totals, and what the analysis left out.
import type { DType, Interval, ProtectionPlan } from '@ft/core'
import { distinguishable } from '@ft/core/statistics'
import { formatPercent, type Output } from '@ft/report'
import { analyseNetwork } from '../analyse.ts'
import type { BudgetPlan, TradeOff } from '../budget.ts'
import { ridge, type Device } from '../devices.ts'
import { distinctLayers, layerColumns } from '../layerTable.ts'
import type { ReadNetwork } from '../models/network.ts'
import { planTotals } from '../plan.ts'
import type { MeasuredTotals } from '../profile/totals.ts'

export interface Shown {
  readonly plan: ProtectionPlan
  readonly network: ReadNetwork
  readonly device: Device
  readonly dtype: DType
  readonly measured?: MeasuredTotals
  readonly tradeOff: BudgetPlan & { readonly here: TradeOff }
}

export interface ShowOptions {
  readonly output: Output
  readonly rule: string
  readonly command: string
  /** As the user gave it. */
  readonly budget: number | undefined
}

export function showPlan(shown: Shown, { output, rule, command, budget }: ShowOptions): void {
  const { plan, network, device, dtype } = shown
  const { padded, unpadded } = analyseNetwork(network.layers, { dtype })
  const total = device.counting === 'exact' ? unpadded : padded
  output.settings(network.name, { device: device.name, dtype, target: plan.target, rule })
  output.text(
    `${network.layers.length} linear layers, ${(total.flops / 1e9).toFixed(2)} GFLOP, ${total.intensity.toFixed(1)} FLOP/B in all; ` +
      `the device's ridge is at ${ridge(device, dtype).toFixed(0)} FLOP/B`,
  )
  output.table(distinctLayers(plan.layers), layerColumns(plan.layers))
  showTotals(shown, output)
  for (const item of network.skipped) output.note(`left out: ${item.id} (${item.opType}): ${item.reason}`)
  if (network.unsupported.length > 0) {
    const share = formatPercent(network.unknownShare, { digits: 2 })
    output.note(
      `unknown operators, ${share} of all: ${network.unsupported.join(', ')}; products behind them may be missing`,
    )
  }
  output.conclusion(budget === undefined ? conclusion(shown) : bought(shown.tradeOff), { repeat: command })
}

function showTotals({ plan, device, dtype, measured, tradeOff }: Shown, output: Output): void {
  const totals = planTotals(plan, { device, dtype })
  const rows = [
    { name: 'this plan', key: 'guided', predicted: totals.guided, risk: tradeOff.here.risk },
    ...Object.entries(totals.uniform).map(([key, predicted]) => ({
      name: `all ${key}`,
      key,
      predicted,
      risk: tradeOff.uniform[key]?.risk,
    })),
  ]
  output.table(rows, [
    { header: 'protection', value: (row) => row.name },
    { header: 'predicted', value: (row) => row.predicted, format: 'percent', digits: 3 },
    ...(measured
      ? [
          {
            header: 'measured',
            value: (row: (typeof rows)[number]) => measured.overhead[row.key],
            format: 'percent' as const,
          },
        ]
      : []),
    { header: 'unseen critical faults', unit: 'per 1000', value: (row) => row.risk && 1000 * row.risk, digits: 3 },
  ])
}

function bought({ here, unprotectedRisk }: Shown['tradeOff']): string {
  const [before, after] = [1000 * unprotectedRisk, 1000 * here.risk].map((risk) => risk.toPrecision(3))
  const time = formatPercent(here.overhead, { digits: 3 })
  return `${time} extra time leave ${after} of 1000 faults critical and unseen; without protection ${before}.`
}

function conclusion({ plan, device, dtype, measured }: Shown): string {
  if (measured) return measuredConclusion(measured)
  const totals = planTotals(plan, { device, dtype })
  const [best, overhead] = Object.entries(totals.uniform).reduce((a, b) => (b[1] < a[1] ? b : a), ['none', Infinity])
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`
  return `Guided protection costs ${percent(totals.guided)} by the cost model; the best single scheme (${best}) ${percent(overhead)}.`
}

function measuredConclusion(measured: MeasuredTotals): string {
  const { guided, ...uniform } = measured.overhead
  const [best, overhead] = Object.entries(uniform).reduce<[string, Interval | undefined]>(
    (a, b) => (b[1].value < (a[1]?.value ?? Infinity) ? b : a),
    ['none', undefined],
  )
  const show = ({ value, low, high }: Interval) =>
    `${(100 * value).toFixed(2)} % [${(100 * low).toFixed(2)}, ${(100 * high).toFixed(2)}]`
  if (!guided || !overhead) return 'Nothing was measured.'
  const verdict = distinguishable(measured.difference('guided', best), 0)
  const relation = verdict === 'lower' ? 'less' : verdict === 'higher' ? 'more' : 'not distinguishable from'
  return (
    `Guided protection costs ${show(guided)} as measured: ${relation}${verdict === 'not distinguishable' ? '' : ' than'} ` +
    `the best single scheme (${best}), ${show(overhead)}. Chosen on one half of the rounds, judged on the other.`
  )
}

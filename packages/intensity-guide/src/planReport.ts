// A plan as one self-contained page that an engineer can put before a colleague: what it costs, why, layer by layer.
import type { DType, Interval, PlannedLayer, ProtectionPlan } from '@ft/core'
import { formatNumber, formatPercent, formatTable } from '@ft/report'
import { htmlReport, type Block, type Section } from '@ft/report/html'
import { analyseNetwork } from './analyse.ts'
import type { BudgetPlan, TradeOff } from './budget.ts'
import { ridge, type Device } from './devices.ts'
import { layerOverheadChart, overheadChart } from './figures/overheads.ts'
import { rooflineChart } from './figures/roofline.ts'
import { tradeOffChart } from './figures/tradeOff.ts'
import { distinctLayers, layerColumns } from './layerTable.ts'
import { planTotals } from './plan.ts'
import type { Profile } from './profile/profile.ts'
import type { MeasuredTotals } from './profile/totals.ts'
import type { ReadNetwork } from './models/network.ts'

export interface PlanReportOptions {
  readonly device: Device
  readonly dtype?: DType
  /** Measurements behind the plan, for the roofline. */
  readonly profile?: Profile
  /** Measured totals; those of 'guided' and of schemes are shown. */
  readonly measured?: MeasuredTotals
  /** Risk against time, from `planWithinBudget`, and where this plan lies (`tradeOffOf`). */
  readonly tradeOff?: Pick<BudgetPlan, 'front' | 'uniform' | 'unprotectedRisk'> & { readonly here: TradeOff }
  /** What the model has and the plan leaves out. */
  readonly left?: Pick<ReadNetwork, 'skipped' | 'unsupported'>
  /** The command that makes this page again. */
  readonly repeat?: string
}

/**
 * Writes a plan as HTML: no script, nothing from outside; light, dark, phone and paper.
 *
 * @throws FtError `UNSUPPORTED` when the device has no peak for the element type
 */
export function planReport(plan: ProtectionPlan, options: PlanReportOptions): string {
  const { device, dtype = device.dtype, tradeOff, measured, repeat } = options
  const layers = plan.layers.map(({ layer }) => layer)
  const { padded, unpadded } = analyseNetwork(layers, { dtype })
  const total = device.counting === 'exact' ? unpadded : padded
  const totals = planTotals(plan, { device, dtype })
  const overheads: Readonly<Record<string, Interval | number>> = measured?.overhead ?? {
    guided: totals.guided,
    ...totals.uniform,
  }
  const bend = ridge(device, dtype)
  const sections: (Section | undefined)[] = [
    {
      heading: 'What it costs',
      blocks: [
        { kind: 'chart', chart: overheadChart(plan, { totals, ...(measured ? { measured: measured.overhead } : {}) }) },
        {
          kind: 'table',
          table: totalsTable(totals, measured),
          caption: 'Extra time as a share of the unprotected network.',
        },
      ],
    },
    {
      heading: 'Why: intensity against the ridge',
      blocks: [
        {
          kind: 'text',
          text:
            `Layers left of the ridge (${bend.toPrecision(3)} FLOP/B) wait for memory: arithmetic added there, as by thread-level ` +
            'checksums, hides behind the waiting. Layers right of it wait for arithmetic: a global checksum adds the least.',
        },
        {
          kind: 'chart',
          chart: rooflineChart(plan, { device, dtype, ...(options.profile ? { profile: options.profile } : {}) }),
        },
        { kind: 'chart', chart: layerOverheadChart(plan, { ridge: bend }) },
      ],
    },
    tradeOff && {
      heading: 'What it buys',
      blocks: [
        { kind: 'chart', chart: tradeOffChart(tradeOff, tradeOff.here) },
        {
          kind: 'text',
          text:
            `Of a thousand faults that strike the network's products, ${formatNumber(1000 * tradeOff.unprotectedRisk, { digits: 3 })} matter and go unseen ` +
            `without protection, ${formatNumber(1000 * tradeOff.here.risk, { digits: 3 })} with this plan. A fault is one flipped bit of an output; it matters ` +
            "when it changes the output by more than a hundredth of the outputs' root mean square, unless told otherwise.",
        },
      ],
    },
    {
      heading: 'Layers',
      blocks: [
        {
          kind: 'table',
          table: formatTable(distinctLayers(plan.layers), layerColumns(plan.layers)),
          caption: 'One line a distinct shape and scheme. Errors are shares of the root mean square of the outputs.',
        },
      ],
    },
    leftOut(options.left),
    {
      heading: 'How this was made',
      blocks: [
        { kind: 'text', text: method(plan, { device, dtype, ...(measured ? { measured } : {}) }) },
        ...(repeat === undefined ? [] : [{ kind: 'code', text: repeat } satisfies Block]),
      ],
    },
  ]
  return htmlReport({
    title: `Protection plan: ${plan.model.name}`,
    lead: lead(overheads, measured !== undefined),
    facts: [
      { name: 'device', value: plan.device },
      { name: 'target', value: plan.target },
      { name: 'linear layers', value: layers.length },
      { name: 'work', value: `${(total.flops / 1e9).toPrecision(4)} GFLOP` },
      { name: 'intensity in all', value: `${total.intensity.toPrecision(4)} FLOP/B` },
      { name: 'ridge of the device', value: `${bend.toPrecision(3)} FLOP/B` },
      { name: measured ? 'guided, measured' : 'guided, predicted', value: show(overheads['guided']) },
      { name: 'schemes', value: mix(plan.layers) },
    ],
    sections: sections.filter((section) => section !== undefined),
    footer: `Made by @ft/intensity-guide. Model ${plan.model.fingerprint}.`,
  })
}

function totalsTable(totals: ReturnType<typeof planTotals>, measured: MeasuredTotals | undefined) {
  const rows = [{ name: 'guided', key: 'guided', overhead: totals.guided }].concat(
    Object.entries(totals.uniform).map(([key, overhead]) => ({ name: `all ${key}`, key, overhead })),
  )
  return formatTable(rows, [
    { header: 'protection', value: (row) => row.name },
    { header: 'predicted', value: (row) => row.overhead, format: 'percent', digits: 3 },
    ...(measured
      ? [
          {
            header: 'measured',
            value: (row: (typeof rows)[number]) => measured.overhead[row.key],
            format: 'percent' as const,
          },
        ]
      : []),
  ])
}

function lead(overheads: Readonly<Record<string, Interval | number>>, measured: boolean): string {
  const by = measured ? 'as measured' : 'by the cost model'
  const parts = [`Guided protection costs ${show(overheads['guided'])} extra time ${by}`]
  if (overheads['global'] !== undefined) parts.push(`global checksums everywhere ${show(overheads['global'])}`)
  if (overheads['thread-one-sided'] !== undefined)
    parts.push(`thread-level checksums everywhere ${show(overheads['thread-one-sided'])}`)
  return `${parts.join('; ')}.`
}

function show(overhead: Interval | number | undefined): string {
  if (overhead === undefined) return '-'
  if (typeof overhead === 'number') return formatPercent(overhead, { digits: 3 })
  const percent = (share: number) => (100 * share).toFixed(1)
  return `${percent(overhead.value)} % [${percent(overhead.low)}, ${percent(overhead.high)}]`
}

function mix(layers: readonly PlannedLayer[]): string {
  const counts = new Map<string, number>()
  for (const { scheme } of layers) counts.set(scheme, (counts.get(scheme) ?? 0) + 1)
  return [...counts].map(([scheme, count]) => `${count} ${scheme}`).join(', ')
}

function leftOut(left: PlanReportOptions['left']): Section | undefined {
  if (!left || left.skipped.length + left.unsupported.length === 0) return undefined
  const blocks: Block[] = []
  if (left.skipped.length > 0) {
    const columns = [
      { header: 'product', value: (item: (typeof left.skipped)[number]) => item.id },
      { header: 'operator', value: (item: (typeof left.skipped)[number]) => item.opType },
      { header: 'reason', value: (item: (typeof left.skipped)[number]) => item.reason },
    ]
    blocks.push({
      kind: 'table',
      table: formatTable(left.skipped, columns),
      caption: 'Products without protection in this plan.',
    })
  }
  if (left.unsupported.length > 0) {
    const text = `Operators that are not known, so that shapes behind them may be missing: ${left.unsupported.join(', ')}.`
    blocks.push({ kind: 'text', text })
  }
  return { heading: 'What is left out', blocks }
}

function method(
  plan: ProtectionPlan,
  { device, dtype, measured }: { device: Device; dtype: DType; measured?: MeasuredTotals },
): string {
  const counting =
    device.counting === 'exact'
      ? 'Intensity is 2 m n k over the bytes of the three matrices, unpadded.'
      : "Intensity is 2 m n k over the bytes of the three matrices, m, n and k padded to multiples of 8 and groups counted as dense: the paper's rule."
  const times = measured
    ? 'Overheads were measured on the engine itself, every scheme of a shape in turn; intervals are 95 %.'
    : 'Overheads are predictions: a roofline with the extra work of each scheme and the cost of starting it. Measure before you rely on them.'
  return (
    `Arithmetic-intensity-guided fault tolerance (Kosaian and Rashmi, SC'21) for target ${plan.target} in ${dtype}. ${counting} ` +
    `Device numbers: ${device.source}.\n\n${times}`
  )
}

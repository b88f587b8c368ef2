// What a campaign says: shares with Wilson intervals by layer, bit, site or fault model, and the picture of detection by bit.
import type { Interval } from '@ft/core'
import { wilson } from '@ft/core/statistics'
import type { ChartSpec } from '@ft/report/charts'
import { faultClasses, type CampaignCell, type CampaignResult, type FaultClass } from './types.ts'

export interface SummaryRow {
  readonly name: string
  readonly trials: number
  /** Share of all trials. */
  readonly classes: Readonly<Record<FaultClass, number>>
  /** Of faults that changed the output; absent when none did. */
  readonly detected?: Interval
  /** Of critical and unusable ones. */
  readonly detectedHarmful?: Interval
  /** Of detected faults that changed the output. */
  readonly corrected?: Interval
  /** Of faults that changed nothing: safe false alarms. */
  readonly falseAlarms?: Interval
}

export function summarise(
  result: CampaignResult,
  options: { by: 'layer' | 'site' | 'model' | 'bit' | 'all'; confidence?: number; site?: string },
): SummaryRow[] {
  const { by, confidence = 0.95, site } = options
  const groups = new Map<string, CampaignCell[]>()
  for (const cell of result.cells) {
    if (site !== undefined && cell.site !== site) continue
    if (by === 'bit' && cell.bit === null) continue
    const name = by === 'all' ? 'all faults' : String(cell[by])
    groups.set(name, [...(groups.get(name) ?? []), cell])
  }
  const rows = [...groups].map(([name, cells]) => rowOf(name, cells, confidence))
  return by === 'bit' ? rows.sort((a, b) => Number(a.name) - Number(b.name)) : rows
}

function rowOf(name: string, cells: readonly CampaignCell[], confidence: number): SummaryRow {
  const sum = (value: (cell: CampaignCell) => number) => cells.reduce((all, cell) => all + value(cell), 0)
  const trials = sum((cell) => cell.trials)
  const of = (kind: 'count' | 'detected', classes: readonly FaultClass[]) =>
    sum((cell) => classes.reduce((all, each) => all + cell[kind][each], 0))
  const share = (successes: number, n: number) => (n > 0 ? wilson({ successes, trials: n, confidence }) : undefined)
  const changed: FaultClass[] = ['benign', 'critical', 'unusable']
  const harmful: FaultClass[] = ['critical', 'unusable']
  const detected = share(of('detected', changed), of('count', changed))
  const detectedHarmful = share(of('detected', harmful), of('count', harmful))
  const corrected = share(
    sum((cell) => cell.corrected),
    of('detected', changed),
  )
  const falseAlarms = share(of('detected', ['masked']), of('count', ['masked']))
  return {
    name,
    trials,
    classes: Object.fromEntries(faultClasses.map((each) => [each, of('count', [each]) / trials])) as Record<
      FaultClass,
      number
    >,
    ...(detected && { detected }),
    ...(detectedHarmful && { detectedHarmful }),
    ...(corrected && { corrected }),
    ...(falseAlarms && { falseAlarms }),
  }
}

/** Detection by struck bit, a line a site: for `chart` of `@ft/report/charts`. */
export function detectionByBit(result: CampaignResult, options: { confidence?: number } = {}): ChartSpec {
  const sites = [...new Set(result.cells.filter(({ bit }) => bit !== null).map(({ site }) => site))]
  return {
    title: `Detection by struck bit, scheme ${result.scheme}`,
    subtitle: `${result.build}, ${result.trials} faults, seed ${result.seed}; of faults that changed the output, with intervals`,
    x: { label: 'bit' },
    y: { label: 'detected', domain: [0, 1] },
    series: sites.map((site) => ({
      kind: 'line',
      name: site,
      points: summarise(result, { by: 'bit', site, ...options }).flatMap(({ name, detected }) =>
        detected ? [{ x: Number(name), y: detected.value, low: detected.low, high: detected.high }] : [],
      ),
    })),
  }
}

// What protection costs: of the whole network by plan, and of each layer by scheme.
import type { Interval, PlannedLayer, ProtectionPlan, ProtectionScheme } from '@ft/core'
import type { ChartSpec, Series } from '@ft/report/charts'
import type { PlanTotals } from '../plan.ts'
import { inOrder, lookOf } from './schemes.ts'

export interface OverheadOptions {
  readonly totals: PlanTotals
  /** Measured overheads by plan: 'guided' and schemes. */
  readonly measured?: Readonly<Record<string, Interval>>
}

/** Times as many as the next smaller at which a bar would flatten all others. */
const OFF_SCALE = 4

/** Extra time of the network: guided, and each scheme everywhere. */
export function overheadChart(plan: ProtectionPlan, { totals, measured }: OverheadOptions): ChartSpec {
  const predicted = new Map<string, number>([['guided', totals.guided], ...Object.entries(totals.uniform)])
  const sizes = [...predicted].map(([name, value]) => ({ name, size: Math.max(value, measured?.[name]?.value ?? 0) }))
  const sorted = [...sizes].sort((a, b) => a.size - b.size)
  const firstOff = sorted.findIndex(({ size }, i) => i > 1 && size > OFF_SCALE * (sorted[i - 1]?.size ?? Infinity))
  const off = firstOff < 0 ? [] : sorted.slice(firstOff)
  const shown = sizes.filter((item) => !off.includes(item)).sort((a, b) => a.size - b.size)
  const label = (name: string) => (name === 'guided' ? 'guided' : `all ${name}`)
  const series: Series[] = [
    {
      kind: 'bars',
      name: 'predicted',
      look: 0,
      points: shown.map(({ name }) => ({ x: label(name), y: 100 * (predicted.get(name) ?? NaN) })),
    },
  ]
  if (measured) {
    series.push({
      kind: 'bars',
      name: 'measured, with 95 % interval',
      look: 1,
      points: shown.flatMap(({ name }) => {
        const interval = measured[name]
        return interval ? [{ x: label(name), ...percent(interval) }] : []
      }),
    })
  }
  const left = off.map(({ name, size }) => `${label(name)} (${(100 * size).toFixed(0)} %)`)
  return {
    title: 'Extra time of the whole network',
    subtitle: `${plan.device}, target ${plan.target}${left.length > 0 ? `; off the scale: ${left.join(', ')}` : ''}`,
    x: { label: 'protection' },
    y: { label: 'extra time', unit: '%' },
    series,
  }
}

/** Extra time of each layer against its intensity, under the schemes in use and their rivals: where schemes cross. */
export function layerOverheadChart(plan: ProtectionPlan, { ridge }: { ridge: number }): ChartSpec {
  const cost = (layer: PlannedLayer, scheme: ProtectionScheme) =>
    layer.scheme === scheme
      ? (layer.measured?.value ?? layer.predictedOverhead)
      : (layer.alternatives.find((other) => other.scheme === scheme)?.overhead ?? NaN)
  const measured = plan.layers.some((layer) => layer.measured)
  const there = new Set(plan.layers.flatMap(({ alternatives }) => alternatives.map(({ scheme }) => scheme)))
  const rivals = (['global', 'thread-one-sided', 'row'] as const).filter((scheme) => there.has(scheme))
  const schemes = inOrder([...plan.layers.map(({ scheme }) => scheme), ...rivals])
  return {
    title: 'Extra time of each layer',
    subtitle: `${measured ? 'as measured' : 'by the cost model'}, under the schemes in use and their rivals`,
    x: { label: 'arithmetic intensity', unit: 'FLOP/B', scale: 'log' },
    y: { label: 'extra time', unit: '%', scale: 'log' },
    series: schemes
      .filter((scheme) => scheme !== 'none')
      .map((scheme): Series => {
        const points = plan.layers.map((layer) => ({ x: layer.intensity, y: 100 * cost(layer, scheme) }))
        return { kind: 'points', name: scheme, look: lookOf(scheme), points: points.filter(({ y }) => y > 0) }
      }),
    marks: [{ axis: 'x', value: ridge, label: `ridge ${ridge.toPrecision(3)}` }],
  }
}

function percent({ value, low, high }: Interval): { y: number; low: number; high: number } {
  return { y: 100 * value, low: 100 * low, high: 100 * high }
}

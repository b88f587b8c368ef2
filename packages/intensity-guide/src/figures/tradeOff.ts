// What protection buys: risk left against time spent.
import type { ProtectionScheme } from '@ft/core'
import type { ChartSpec, Series } from '@ft/report/charts'
import type { BudgetPlan, TradeOff } from '../budget.ts'
import { inOrder, lookOf } from './schemes.ts'

/** The Pareto front of plans, each scheme everywhere, and one plan among them. */
export function tradeOffChart(
  { front, uniform }: Pick<BudgetPlan, 'front' | 'uniform'>,
  { overhead, risk }: TradeOff,
): ChartSpec {
  // Schemes far beyond the front's end would squeeze it to the edge.
  const end = Math.max(...front.map((point) => point.overhead), overhead)
  const schemes = inOrder(Object.keys(uniform) as ProtectionScheme[])
  const near = schemes.filter((scheme) => (uniform[scheme]?.overhead ?? Infinity) <= 3 * end + 0.01)
  const beyond = schemes.filter((scheme) => !near.includes(scheme))
  return {
    title: 'What protection buys',
    subtitle:
      'undetected critical faults a thousand faults, by the bit-flip model' +
      (beyond.length > 0 ? `; beyond the scale: ${beyond.map((scheme) => `all ${scheme}`).join(', ')}` : ''),
    x: { label: 'extra time of the network', unit: '%' },
    y: { label: 'undetected critical faults', unit: 'per 1000' },
    series: [
      {
        kind: 'line',
        name: 'least risk',
        look: 6,
        points: front.map((point) => ({ x: 100 * point.overhead, y: 1000 * point.risk })),
      },
      ...near.map((scheme): Series => {
        const at = uniform[scheme] ?? { overhead: NaN, risk: NaN }
        const points = [{ x: 100 * at.overhead, y: 1000 * at.risk }]
        return { kind: 'points', name: `all ${scheme}`, look: lookOf(scheme), points }
      }),
      { kind: 'points', name: 'this plan', look: 7, points: [{ x: 100 * overhead, y: 1000 * risk }] },
    ],
  }
}

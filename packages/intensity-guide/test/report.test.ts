import { describe, expect, it } from 'vitest'
import { chart } from '@ft/report/charts'
import {
  findDevice,
  planNetwork,
  planTotals,
  planWithinBudget,
  profileLayers,
  ridge,
  tradeOffOf,
  zoo,
  zooNames,
} from '../src/index.ts'
import { layerOverheadChart, overheadChart, planReport, rooflineChart, tradeOffChart } from '../src/report.ts'
import { fakeRunner } from './support/fakeRunner.ts'

const device = findDevice('t4')
const network = zoo('resnet50', { resolution: [1080, 1920] })
const plan = planNetwork(network, { device, target: 'webgpu' })

describe('the roofline', () => {
  it('has every layer once, under the roof, on its side of the ridge', () => {
    const { series, marks } = rooflineChart(plan, { device })
    const [roof, ...schemes] = series
    expect(roof?.name).toBe('what the device allows')
    expect(schemes.map(({ name }) => name)).toEqual(['global', 'thread-one-sided'])
    const points = schemes.flatMap((each) => ('points' in each ? each.points : []))
    expect(points).toHaveLength(54)
    for (const { x, y } of points)
      // The roof in GFLOP/s, and 1e-9 for its roundings
      expect(y).toBeLessThanOrEqual(Math.min(65_000, (x as number) * 320) * (1 + 1e-9))
    const [global, thread] = schemes.map((each) => ('points' in each ? each.points.map(({ x }) => x as number) : []))
    expect(Math.min(...(global ?? []))).toBeGreaterThan(ridge(device))
    expect(Math.max(...(thread ?? []))).toBeLessThan(ridge(device))
    expect(marks?.[0]?.value).toBe(ridge(device))
  })

  it('puts measured layers where they were measured', async () => {
    const small = zoo('dlrm-top', { batch: 4, dtype: 'float32' })
    const runner = fakeRunner()
    const profile = await profileLayers(small.layers, { runner, seed: 1, rounds: 6, now: runner.now })
    const cpu = findDevice('cpu-avx2')
    const { series } = rooflineChart(planNetwork(small, { device: cpu }), { device: cpu, profile })
    const points = series.slice(1).flatMap((each) => ('points' in each ? each.points : []))
    // The runner's clock does 1 GFLOP/s at every shape
    for (const { y } of points) expect(y).toBeCloseTo(1, 6)
  })
})

describe('overheads', () => {
  it('shows every uniform protection and leaves out, by name, what would flatten the rest', () => {
    const totals = planTotals(plan, { device })
    const { series, subtitle } = overheadChart(plan, { totals })
    const names = series.flatMap((each) => ('points' in each ? each.points.map(({ x }) => x) : []))
    expect(names).toContain('guided')
    expect(names).toContain('all global')
    expect(names).not.toContain('all replication')
    expect(subtitle).toMatch(/off the scale: all replication \(\d+ %\)/)
  })

  it('gives a scheme one look in all figures', () => {
    const looks = new Map<string, Set<unknown>>()
    const budget = planWithinBudget(network, { device, budget: 0.01 })
    const specs = [
      rooflineChart(plan, { device }),
      layerOverheadChart(plan, { ridge: ridge(device) }),
      tradeOffChart(budget, tradeOffOf(plan, { device })),
    ]
    for (const { series } of specs)
      for (const { name, look } of series) {
        const key = name.replace('all ', '')
        looks.set(key, (looks.get(key) ?? new Set()).add(look))
      }
    for (const scheme of ['global', 'thread-one-sided', 'row']) expect(looks.get(scheme)?.size).toBe(1)
  })
})

describe('the report', () => {
  it('is one page with all of it, for every network of the zoo', () => {
    for (const name of zooNames) {
      const own = zoo(name)
      const made = planNetwork(own, { device, target: 'webgpu' })
      const budget = planWithinBudget(own, { device, target: 'webgpu', budget: 0.02 })
      const page = planReport(made, { device, tradeOff: { ...budget, here: tradeOffOf(made, { device }) } })
      expect(page).toContain(`Protection plan: ${name}`)
      expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/)
      expect(page).not.toMatch(/<script/)
      expect(page.match(/<figure>/g)).toHaveLength(4)
    }
  })

  it('tells of what was left out, and keeps hostile names harmless', () => {
    const left = {
      skipped: [{ id: '<img src=x onerror=alert(1)>', opType: 'LSTM', reason: 'LSTM is not described' }],
      unsupported: ['Bogus<script>'],
    }
    const page = planReport(
      { ...plan, model: { name: '<b>evil</b>', fingerprint: '"><script>' } },
      { device, left, repeat: '$(rm)' },
    )
    expect(page).toContain('What is left out')
    expect(page).not.toMatch(/<script|<img|<b>/)
    expect(page).toContain('&lt;img')
  })

  it('shows plans with unprotected layers', () => {
    const { plan: bought } = planWithinBudget(network, { device, budget: 0.0005 })
    expect(bought.layers.some(({ scheme }) => scheme === 'none')).toBe(true)
    expect(chart(rooflineChart(bought, { device }))).toContain('unprotected')
    expect(planReport(bought, { device })).not.toMatch(/NaN|undefined|Infinity/)
  })
})

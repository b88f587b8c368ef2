import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DType, LinearLayer } from '@ft/core'
import { findDevice, planWithinBudget, residualOf, zoo, type ZooName } from '../src/index.ts'
import { frontier, type Item } from '../src/knapsack.ts'

const layer: LinearLayer = {
  id: 'fc',
  m: 8,
  n: 8,
  k: 256,
  count: 1,
  dtype: 'float32',
  op: { kind: 'matmul', batch: 1 },
}

describe('the knapsack', () => {
  const item = fc.record({
    cost: fc.double({ min: 0, max: 1, noNaN: true }),
    value: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  const classes = fc.array(
    fc.array(item, { minLength: 0, maxLength: 3 }).map((items): Item[] => [{ cost: 0, value: 1 }, ...items]),
    { minLength: 1, maxLength: 5 },
  )
  /** Best value within a budget by trying all picks. */
  const bruteForce = (all: readonly (readonly Item[])[], budget: number): number => {
    let best = Infinity
    const walk = (i: number, cost: number, value: number): void => {
      if (cost > budget) return
      if (i === all.length) best = Math.min(best, value)
      else for (const { cost: more, value: adds } of all[i] ?? []) walk(i + 1, cost + more, value + adds)
    }
    walk(0, 0, 0)
    return best
  }

  it('keeps the budget and is as good as the best plan of the budget less one step a class', () => {
    fc.assert(
      fc.property(classes, fc.double({ min: 0, max: 4, noNaN: true }), (all, budget) => {
        const { cost, value, picks, front } = frontier(all, { budget })
        // 1e-9 of a step a class is what rounding costs to whole steps may add, and the sums' own roundings
        expect(cost).toBeLessThanOrEqual(budget * (1 + 1e-11) + 1e-15)
        expect(picks.reduce((sum, pick, i) => sum + (all[i]?.[pick]?.value ?? NaN), 0)).toBeCloseTo(value, 9)
        expect(value).toBeGreaterThanOrEqual(bruteForce(all, budget * (1 + 1e-11) + 1e-15) - 1e-12)
        expect(value).toBeLessThanOrEqual(bruteForce(all, budget * (1 - all.length / 2000) - 1e-15) + 1e-12)
        for (let i = 1; i < front.length; i++) {
          expect(front[i]?.cost).toBeGreaterThan(front[i - 1]?.cost ?? NaN)
          expect(front[i]?.value).toBeLessThan(front[i - 1]?.value ?? NaN)
        }
      }),
    )
  })

  it('with budget for all takes the least value everywhere, with none the free items', () => {
    const all = [
      [
        { cost: 0, value: 5 },
        { cost: 2, value: 1 },
        { cost: 3, value: 1 },
      ],
      [
        { cost: 0, value: 4 },
        { cost: 1, value: 2 },
      ],
    ]
    expect(frontier(all, { budget: 100 })).toMatchObject({ picks: [1, 1], cost: 3, value: 3 })
    expect(frontier(all, { budget: 0 })).toMatchObject({ picks: [0, 0], cost: 0, value: 9 })
    expect(frontier(all, { budget: 2 })).toMatchObject({ picks: [1, 0], cost: 2, value: 5 })
    expect(frontier(all, { budget: 2 }).front).toEqual([
      { cost: 0, value: 9 },
      { cost: 1, value: 7 },
      { cost: 2, value: 5 },
      { cost: 3, value: 3 },
    ])
  })
})

describe('residual risk', () => {
  const types: DType[] = ['float64', 'float32', 'float16', 'bfloat16', 'int8']

  it.each(types)('%s: grows with what is unseen, shrinks with what is harmless', (dtype) => {
    const residual = residualOf(dtype)
    const share = fc.double({ min: 1e-9, max: 10, noNaN: true })
    fc.assert(
      fc.property(share, share, share, (a, b, critical) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        const at = (detectable: number, matters = critical) => residual(layer, { detectable, critical: matters })
        expect(at(low)).toBeLessThanOrEqual(at(high))
        expect(at(high)).toBeLessThanOrEqual(at(Infinity))
        expect(at(Infinity, low)).toBeGreaterThanOrEqual(at(Infinity, high))
        expect(at(critical)).toBe(0)
        expect(at(Infinity)).toBeLessThanOrEqual(1)
      }),
    )
  })

  it('half precision, by hand: values are flipped at sixteen bits, and a check misses the bits between two limits', () => {
    // A value of about 1 rms has mantissa bits that weigh 2^-1 .. 2^-10: six or seven of them change it by more than 1 %,
    // as do sign and five exponent bits: 11.5 of 16. Half of normal values are below 0.67 rms and lose a bit or more.
    const risk = residualOf('float16')(layer, { detectable: Infinity, critical: 0.01 })
    expect(risk).toBeGreaterThan(9.5 / 16)
    expect(risk).toBeLessThan(12 / 16)
    // A check that sees 0.04 misses the two bits between 0.01 and 0.04
    const seen = residualOf('float16')(layer, { detectable: 0.04, critical: 0.01 })
    expect(seen).toBeGreaterThan(1.5 / 16)
    expect(seen).toBeLessThan(2.5 / 16)
  })
})

describe('budget mode', () => {
  const device = findDevice('t4')

  it.each([0, 0.002, 0.01, 0.05, 2])('at most %d extra time on ResNet-50', (budget) => {
    const network = zoo('resnet50', { resolution: [1080, 1920] })
    const { overhead, risk, plan, unprotectedRisk, front } = planWithinBudget(network, { device, budget })
    expect(overhead).toBeLessThanOrEqual(budget * (1 + 1e-9))
    // Sums of 54 shares in two orders: 1e-14 is a hundred roundings
    expect(risk).toBeLessThanOrEqual(unprotectedRisk + 1e-14)
    expect(plan.layers).toHaveLength(54)
    if (budget === 0) expect(plan.layers.every((planned) => planned.scheme === 'none')).toBe(true)
    for (const point of front) if (point.overhead <= overhead) expect(point.risk).toBeGreaterThanOrEqual(risk)
  })

  it('more time never leaves more risk', () => {
    const network = zoo('coral', { batch: 64 })
    const risks = [0, 0.01, 0.02, 0.05, 0.1, 0.3, 1].map((budget) => planWithinBudget(network, { device, budget }).risk)
    expect(risks).toEqual([...risks].sort((a, b) => b - a))
    expect(risks.at(-1)).toBeLessThan(risks[0] ?? 0)
  })

  it('no scheme everywhere is better than the front', () => {
    for (const name of ['resnet50', 'dlrm-top', 'vgg16'] satisfies ZooName[]) {
      const { front, uniform } = planWithinBudget(zoo(name), { device, budget: 0.1 })
      for (const { overhead, risk } of Object.values(uniform)) {
        const within = front.filter((point) => point.overhead <= overhead)
        // One step a layer of the front's grid of 200 points
        const reach = Math.min(...within.map((point) => point.risk))
        expect(reach).toBeLessThanOrEqual(risk + 0.02)
      }
    }
  })

  it('asks for a sensible budget', () => {
    expect(() => planWithinBudget(zoo('coral'), { device, budget: -1 })).toThrow(/`budget` must be a finite number/)
    expect(() => planWithinBudget(zoo('coral'), { device, budget: NaN })).toThrow(/budget/)
  })
})

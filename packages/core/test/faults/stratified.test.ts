import { describe, expect, it } from 'vitest'
import { assertFaultFits, stratifiedFlips } from '../../src/faults.ts'
import type { Fault } from '../../src/index.ts'
import { stratifiedProportion } from '../../src/statistics.ts'
import { dense, layers } from '../support/layers.ts'

const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error

describe('stratifiedFlips', () => {
  it('takes as many of each bit of each layer, without repetition, all inside', () => {
    const { list, strata } = stratifiedFlips(layers, { perStratum: 12, seed: 3 })
    expect(strata.length).toBe(4 * 32) // every accumulator has 32 bits
    expect(list.faults.length).toBe(strata.reduce((sum, { sampled }) => sum + sampled, 0))
    expect(new Set(list.faults.map(({ layer, site, effect }) => JSON.stringify([layer, site, effect]))).size).toBe(
      list.faults.length,
    )
    for (const fault of list.faults) {
      assertFaultFits(fault, { layer: layers.find(({ id }) => id === fault.layer) ?? layers[0]! })
    }
    expect(strata.every(({ sampled }) => sampled === 12)).toBe(true)
    // Weights are quotients of sums of at most 128 terms: relative error below 1e-13
    const total = list.faults.reduce((sum, { weight = 1 }) => sum + weight, 0)
    expect(Math.abs(total / list.faults.length - 1)).toBeLessThan(1e-13)
    expect(Math.abs(strata.reduce((sum, { share }) => sum + share, 0) - 1)).toBeLessThan(1e-13)
  })

  it('is the whole population when asked for more, with the same weight for every flip of a layer called once', () => {
    const small = [dense('a', { m: 2, n: 2, k: 3 }), { ...dense('b', { m: 1, n: 2, k: 2 }), count: 5 }]
    const { list, strata } = stratifiedFlips(small, { perStratum: 1000, seed: 1 })
    expect(strata.map(({ sampled }) => sampled)).toEqual([...Array<number>(32).fill(12), ...Array<number>(32).fill(4)])
    const weights = (id: string) => new Set(list.faults.filter(({ layer }) => layer === id).map(({ weight }) => weight))
    const [a] = [...weights('a')] as [number]
    const [b] = [...weights('b')] as [number]
    expect([weights('a').size, weights('b').size]).toEqual([1, 1])
    expect(b / a).toBeCloseTo(5, 10) // called five times as often
  })

  it('estimates the population without bias', () => {
    // "Harmful" by a rule with a known rate: bit above 25 in layer a, any bit in row 0 of layer b
    const pair = [dense('a', { m: 4, n: 4, k: 4 }), dense('b', { m: 4, n: 8, k: 8 })]
    const harmful = ({ layer, site, effect }: Fault) => {
      const [bit = 0] = effect.kind === 'flip' ? effect.bits : []
      return layer === 'a' ? bit > 25 : 'row' in site && site.row === 0
    }
    const exact = (64 * 6 + 64 * 32) / (64 * 32 + 256 * 32)
    let total = 0
    let covered = 0
    const runs = 200
    for (let seed = 0; seed < runs; seed++) {
      const { list, strata } = stratifiedFlips(pair, { perStratum: 5, seed })
      total +=
        list.faults.reduce((sum, fault) => sum + (harmful(fault) ? (fault.weight ?? 1) : 0), 0) / list.faults.length
      const counts = strata.map(({ layer, bit, sampled, share }) => {
        const own = list.faults.filter((f) => f.layer === layer && f.effect.kind === 'flip' && f.effect.bits[0] === bit)
        return { successes: own.filter(harmful).length, trials: sampled, share }
      })
      const { low, high } = stratifiedProportion(counts)
      covered += low <= exact && exact <= high ? 1 : 0
    }
    // Standard error of one run: 0.8 sqrt(0.25 * 0.75 / (32 * 5)) = 0.027; five of the mean's 0.0019 are 0.01 (6e-7)
    expect(Math.abs(total / runs - exact)).toBeLessThan(0.01)
    // Nominal 95 %, conservative by the smoothing: fewer than 180 of 200 has probability below 0.2 % even at 95 %
    expect(covered).toBeGreaterThanOrEqual(180)
  })

  it('draws a stratum from its layer and bit only', () => {
    const own = (bits?: number[]) => {
      const { list } = stratifiedFlips(layers, { perStratum: 4, seed: 9, ...(bits && { bits }) })
      return list.faults
        .filter(({ layer, effect }) => layer === 'grouped' && effect.kind === 'flip' && effect.bits[0] === 7)
        .map(({ site }) => site)
    }
    expect(own([7, 3])).toEqual(own())
  })

  it('refuses no layers, equal ids, repeated bits and bits outside the type', () => {
    const options = { perStratum: 1, seed: 1 }
    expect(() => stratifiedFlips([], options)).toThrow(refused)
    expect(() => stratifiedFlips([layers[0]!, layers[0]!], options)).toThrow(refused)
    expect(() => stratifiedFlips(layers, { ...options, bits: [1, 1] })).toThrow(refused)
    expect(() => stratifiedFlips(layers, { ...options, site: 'operand', bits: [16] })).toThrow(refused)
    expect(() => stratifiedFlips(layers, { ...options, perStratum: 0 })).toThrow(refused)
  })
})

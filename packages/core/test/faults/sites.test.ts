import { describe, expect, it } from 'vitest'
import { assertFaultFits, drawSite, extentOf, siteDType, sitePopulation, type SiteKind } from '../../src/faults.ts'
import { siteAt } from '../../src/faults/sites.ts'
import type { Fault, FaultEffect, FaultSite } from '../../src/index.ts'
import { createRandom } from '../../src/random.ts'
import { dense, grouped, layers } from '../support/layers.ts'

const kinds: SiteKind[] = ['operand', 'packed-weight', 'accumulator', 'output', 'checksum']
const flip: FaultEffect = { kind: 'flip', bits: [0] }
const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error

describe.each(layers.flatMap((layer) => kinds.map((kind) => ({ layer, kind, name: `${kind} of ${layer.id}` }))))(
  'places: $name',
  ({ layer, kind }) => {
    it('are as many as counted, all different, and all inside', () => {
      const population = sitePopulation(layer, { kind })
      const places = Array.from({ length: population }, (_, index) => siteAt(layer, { kind, index }))
      expect(new Set(places.map((site) => JSON.stringify(site))).size).toBe(population)
      for (const site of places) assertFaultFits({ site, effect: flip }, { layer })
    })

    it('are all reached by drawing', () => {
      const random = createRandom(1)
      const population = sitePopulation(layer, { kind })
      const seen = new Set<string>()
      for (let i = 0; i < 20 * population; i++) seen.add(JSON.stringify(drawSite(layer, { kind, random })))
      // A place stays unseen with probability exp(-20): at most 864 e^-20 = 2e-6 for the largest, at a fixed seed
      expect(seen.size).toBe(population)
    })
  },
)

describe('extents', () => {
  it('count rows over batch items and operand steps over groups', () => {
    expect(extentOf(dense('a', { m: 2, n: 3, k: 4, batch: 5 }))).toEqual({
      rows: 10,
      columns: 3,
      steps: 4,
      operandSteps: 4,
      weightSteps: 20,
    })
    expect(extentOf(grouped)).toEqual({ rows: 9, columns: 6, steps: 8, operandSteps: 16, weightSteps: 8 })
    expect(() => extentOf(dense('a', { m: 0, n: 3, k: 4 }))).toThrow('extentOf: `layer.m` must be an integer')
  })

  it('hold multiply-adds of large layers exactly', () => {
    const layer = dense('large', { m: 518_400, n: 64, k: 147 })
    expect(sitePopulation(layer, { kind: 'accumulator' })).toBe(518_400 * 64 * 147)
    expect(sitePopulation(layer, { kind: 'checksum', checks: 7 })).toBe(14)
    expect(() => sitePopulation(layer, { kind: 'moon' as SiteKind })).toThrow(refused)
  })
})

describe('types at a site', () => {
  it('widen with the accumulator', () => {
    const of = (dtype: 'float32' | 'float16' | 'int8') => {
      const layer = dense('a', { m: 1, n: 1, k: 1, dtype })
      return kinds.map((kind) => siteDType(layer, kind))
    }
    expect(of('float32')).toEqual(['float32', 'float32', 'float32', 'float32', 'float32'])
    expect(of('float16')).toEqual(['float16', 'float16', 'float32', 'float16', 'float32'])
    expect(of('int8')).toEqual(['int8', 'int8', 'int32', 'int32', 'int32'])
  })
})

describe('assertFaultFits', () => {
  const layer = dense('a', { m: 2, n: 3, k: 4, dtype: 'float16' })
  it.each<[string, FaultSite, FaultEffect]>([
    ['a row outside', { kind: 'output', row: 2, column: 0 }, flip],
    ['a column outside', { kind: 'packed-weight', step: 0, column: 3 }, flip],
    ['a step outside', { kind: 'accumulator', row: 0, column: 0, step: 4 }, flip],
    ['a negative index', { kind: 'checksum', side: 'actual', index: -1 }, flip],
    ['a check outside', { kind: 'checksum', side: 'actual', index: 2 }, flip],
    ['a bit beyond a float16 output', { kind: 'output', row: 0, column: 0 }, { kind: 'flip', bits: [3, 16] }],
    ['a stuck bit beyond', { kind: 'operand', row: 0, step: 0 }, { kind: 'stuck', bit: 16, at: 1 }],
    ['a term of an output', { kind: 'output', row: 0, column: 0 }, { kind: 'drop-term' }],
  ])('refuses %s', (_, site, effect) => {
    expect(() => assertFaultFits({ site, effect }, { layer, where: 'matmul' })).toThrow(refused)
  })

  it('names the caller and accepts what fits', () => {
    const fault: Fault = { site: { kind: 'output', row: 2, column: 0 }, effect: flip }
    expect(() => assertFaultFits(fault, { layer, where: 'matmul' })).toThrow('matmul: `fault.site.row` must be')
    const wide: Fault = {
      site: { kind: 'accumulator', row: 1, column: 2, step: 3 },
      effect: { kind: 'flip', bits: [31] },
    }
    assertFaultFits(wide, { layer })
    assertFaultFits({ site: { kind: 'checksum', side: 'expected', index: 8 }, effect: flip }, { layer, checks: 9 })
  })
})

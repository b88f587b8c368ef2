import { describe, expect, it } from 'vitest'
import {
  assertFaultFits,
  bitFlips,
  cancellingPairs,
  carries,
  doubledTerms,
  droppedTerms,
  extentOf,
  indexFlips,
  randomValues,
  sampleFaults,
  stuckBits,
  weightFlips,
  wholeColumns,
  wholeRows,
  wholeTiles,
  type FaultModel,
} from '../../src/faults.ts'
import type { Fault, FaultEffect } from '../../src/index.ts'
import { createRandom } from '../../src/random.ts'
import { wilson } from '../../src/statistics.ts'
import { dense, layers } from '../support/layers.ts'

const models: FaultModel[] = [
  bitFlips(),
  bitFlips({ bits: 4, site: 'output' }),
  bitFlips({ bits: 3, adjacent: true, site: 'operand' }),
  bitFlips({ site: 'checksum' }),
  carries(),
  stuckBits({ persistent: true }),
  randomValues(),
  randomValues({ range: [-1, 1], site: 'output' }),
  droppedTerms(),
  doubledTerms(),
  weightFlips({ bits: 2 }),
  wholeRows(),
  wholeColumns(),
  wholeTiles({ rows: 2, columns: 2 }),
  cancellingPairs(),
  cancellingPairs({ along: 'diagonal' }),
]
const layer = dense('a', { m: 20, n: 30, k: 10 })
const draw = (model: FaultModel, seed = 1): Fault[] => model.draw(layer, createRandom(seed))
const effectOf = <K extends FaultEffect['kind']>(fault: Fault | undefined, kind: K) => {
  if (fault?.effect.kind !== kind) throw new Error(`expected ${kind}`)
  return fault.effect as Extract<FaultEffect, { kind: K }>
}

describe.each(models.map((model) => ({ model, name: model.name })))('the model $name', ({ model }) => {
  it('draws faults that fit every kind of layer and are the same for the same seed', () => {
    for (const target of layers) {
      for (let seed = 0; seed < 50; seed++) {
        const faults = model.draw(target, createRandom(seed))
        expect(faults.length).toBeGreaterThan(0)
        for (const fault of faults) assertFaultFits(fault, { layer: target })
        expect(faults.every((fault) => fault.layer === target.id)).toBe(true)
        expect(model.draw(target, createRandom(seed))).toEqual(faults)
      }
      expect(model.population(target)).toBeGreaterThan(0)
    }
  })
})

describe('models of single values', () => {
  it('flip different bits, neighbouring when asked, within a range when asked', () => {
    for (let seed = 0; seed < 200; seed++) {
      const { bits } = effectOf(draw(bitFlips({ bits: 4 }), seed)[0], 'flip')
      expect(new Set(bits).size).toBe(4)
      const [first = 0, ...rest] = effectOf(draw(bitFlips({ bits: 3, adjacent: true }), seed)[0], 'flip').bits
      expect(rest).toEqual([first + 1, first + 2])
      const { bits: inside } = effectOf(draw(bitFlips({ bits: 2, within: [23, 30] }), seed)[0], 'flip')
      expect(inside.every((bit) => bit >= 23 && bit <= 30)).toBe(true)
    }
  })

  it('reach every bit, and no bit more often than chance allows', () => {
    const counts = new Array<number>(32).fill(0)
    const n = 3200
    for (let seed = 0; seed < n; seed++) {
      const [bit = 0] = effectOf(draw(bitFlips(), seed)[0], 'flip').bits
      counts[bit] = (counts[bit] as number) + 1
    }
    // chi-squared with 31 degrees of freedom exceeds 80 with probability 3e-6
    expect(counts.reduce((sum, count) => sum + (count - n / 32) ** 2 / (n / 32), 0)).toBeLessThan(80)
  })

  it('mark weights and stuck lines as persistent, and nothing else', () => {
    expect(draw(weightFlips())[0]).toMatchObject({ persistent: true, site: { kind: 'packed-weight' } })
    expect(draw(stuckBits({ persistent: true }))[0]?.persistent).toBe(true)
    expect(draw(stuckBits())[0]).not.toHaveProperty('persistent')
    expect(draw(bitFlips())[0]).not.toHaveProperty('persistent')
  })

  it('set values of a range, or of any pattern of the type', () => {
    const values = Array.from({ length: 400 }, (_, seed) => effectOf(draw(randomValues(), seed)[0], 'set').value)
    expect(values.some((x) => Math.abs(x) > 1e20) && values.some((x) => Math.abs(x) < 1e-20)).toBe(true)
    const ranged = Array.from({ length: 100 }, (_, seed) => {
      return effectOf(draw(randomValues({ range: [2, 3] }), seed)[0], 'set').value
    })
    expect(ranged.every((x) => x >= 2 && x < 3)).toBe(true)
    const integers = createRandom(1)
    const int8 = dense('i', { m: 2, n: 2, k: 2, dtype: 'int8' })
    for (let i = 0; i < 100; i++) {
      const { value } = effectOf(randomValues({ site: 'operand' }).draw(int8, integers)[0], 'set')
      expect(Number.isInteger(value) && value >= -128 && value <= 127).toBe(true)
    }
  })

  it('refuse options that make no sense', () => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    expect(() => bitFlips({ bits: 5 as 4 })).toThrow(refused)
    expect(() => draw(bitFlips({ within: [0, 32] }))).toThrow(refused)
    expect(() => draw(bitFlips({ bits: 3, within: [4, 5] }))).toThrow(refused)
    expect(() => randomValues({ range: [0, NaN] })).toThrow(refused)
    expect(() => wholeTiles({ rows: 0 })).toThrow(refused)
    expect(() => cancellingPairs({ magnitude: [1, 3] })).toThrow(refused)
    expect(() => cancellingPairs().draw(dense('thin', { m: 3, n: 1, k: 2 }), createRandom(1))).toThrow(refused)
  })
})

describe('patterns', () => {
  const cells = (faults: Fault[]) =>
    faults.map(({ site }) => (site.kind === 'output' ? [site.row, site.column] : [])) as [number, number][]

  it('cover a whole row, a whole column, a whole tile of the grid', () => {
    for (let seed = 0; seed < 50; seed++) {
      const row = cells(draw(wholeRows(), seed))
      expect([new Set(row.map(([r]) => r)).size, row.map(([, c]) => c)]).toEqual([
        1,
        Array.from({ length: 30 }, (_, i) => i),
      ])
      const column = cells(draw(wholeColumns(), seed))
      expect([new Set(column.map(([, c]) => c)).size, column.length]).toEqual([1, 20])
      const tile = cells(draw(wholeTiles({ rows: 8, columns: 16 }), seed))
      const [top, left] = tile[0] as [number, number]
      expect([top % 8, left % 16]).toEqual([0, 0])
      expect(tile.length).toBe(Math.min(8, 20 - top) * Math.min(16, 30 - left))
      expect(new Set(tile.map(String)).size).toBe(tile.length)
    }
  })

  it('give all cells one effect: a random bit, or the one asked for', () => {
    const faults = draw(wholeRows())
    expect(new Set(faults.map(({ effect }) => JSON.stringify(effect))).size).toBe(1)
    const zeroed = draw(wholeTiles({ effect: { kind: 'set', value: 0 } }))
    expect(zeroed.every(({ effect }) => effect.kind === 'set')).toBe(true)
  })

  it('cancel exactly in pairs, in the direction that was asked for', () => {
    for (let seed = 0; seed < 50; seed++) {
      for (const along of ['row', 'column', 'diagonal'] as const) {
        const pair = draw(cancellingPairs({ along, magnitude: [0.25, 4] }), seed)
        const [a, b] = pair.map((fault) => effectOf(fault, 'add').value)
        expect([a, b]).toEqual([a, -(a ?? NaN)])
        expect(Math.abs(a ?? NaN)).toBeGreaterThanOrEqual(0.25)
        expect(Math.abs(a ?? NaN)).toBeLessThanOrEqual(4)
        const [[r1, c1], [r2, c2]] = cells(pair) as [[number, number], [number, number]]
        expect([r1 === r2, c1 === c2]).toEqual([along === 'row', along === 'column'])
      }
    }
  })
})

describe('sampleFaults', () => {
  const model = [
    { model: bitFlips(), share: 3 },
    { model: wholeRows(), share: 1 },
  ]

  it('gives event i whatever the count is, and numbers the faults of an event', () => {
    const few = sampleFaults(layers, { model, count: 10, seed: 4 })
    const many = sampleFaults(layers, { model, count: 30, seed: 4 })
    expect(many.faults.filter(({ event = 0 }) => event < 10)).toEqual(few.faults)
    expect(new Set(many.faults.map(({ event }) => event)).size).toBe(30)
    expect([few.schema, few.version, few.seed]).toEqual(['ft.faults', 1, 4])
    expect(sampleFaults(layers, { model, count: 10, seed: 5 }).faults).not.toEqual(few.faults)
    expect(sampleFaults(layers, { model, count: 0, seed: 5 }).faults).toEqual([])
  })

  it('chooses layers by their opportunities and models by their shares', () => {
    const small = dense('small', { m: 1, n: 1, k: 100 })
    const large = { ...dense('large', { m: 1, n: 3, k: 100 }), count: 3 }
    const { faults } = sampleFaults([small, large], { model, count: 4000, seed: 2 })
    const share = (chosen: (fault: Fault) => boolean) => {
      const events = new Set(faults.filter(chosen).map(({ event }) => event)).size
      return wilson({ successes: events, trials: 4000, confidence: 1 - 1e-6 })
    }
    // 9 of 10 opportunities, 3 of 4 events; each interval misses with probability 1e-6, at a fixed seed
    const inLarge = share(({ layer: id }) => id === 'large')
    const flips = share(({ site }) => site.kind === 'accumulator')
    expect(inLarge.low < 0.9 && 0.9 < inLarge.high).toBe(true)
    expect(flips.low < 0.75 && 0.75 < flips.high).toBe(true)
  })

  it('refuses no layers, no models and a share of nothing', () => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error
    expect(() => sampleFaults([], { model, count: 1, seed: 1 })).toThrow(refused)
    expect(() => sampleFaults(layers, { model: [], count: 1, seed: 1 })).toThrow(refused)
    expect(() => sampleFaults(layers, { model: [{ model: bitFlips(), share: 0 }], count: 1, seed: 1 })).toThrow(refused)
    expect(() => sampleFaults(layers, { model, count: -1, seed: 1 })).toThrow(refused)
    expect(() => sampleFaults(layers, { model, count: 1, seed: 0.5 })).toThrow(refused)
  })

  it('keeps row patterns of batched layers inside', () => {
    const batched = dense('b', { m: 2, n: 3, k: 4, batch: 3 })
    const { faults } = sampleFaults([batched], { model: wholeRows(), count: 50, seed: 1 })
    const rows = new Set(faults.map(({ site }) => ('row' in site ? site.row : -1)))
    expect([...rows].sort((a, b) => a - b)).toEqual(Array.from({ length: extentOf(batched).rows }, (_, i) => i))
  })
})

describe('flips of embedding ids', () => {
  it('strike every position of the list alike, and each bit below the width', () => {
    const bags = dense('bags', { m: 3, n: 16, k: 4 })
    const model = indexFlips({ width: 5 })
    expect(model.population(bags)).toBe(12)
    const positions = new Set<number>()
    const bits = new Set<number>()
    for (let seed = 0; seed < 400; seed++) {
      const [fault] = model.draw(bags, createRandom(seed))
      if (fault?.site.kind !== 'index') throw new Error('expected an index')
      positions.add(fault.site.position)
      for (const bit of effectOf(fault, 'flip').bits) bits.add(bit)
    }
    // A position is missed by 400 draws with probability 12 (11/12)^400 < 1e-14.
    expect([...positions].sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, i) => i))
    expect([...bits].sort()).toEqual([0, 1, 2, 3, 4])
  })

  it('are no faults of a matrix product', () => {
    const [fault] = indexFlips().draw(layer, createRandom(1)) as [Fault]
    expect(() => assertFaultFits(fault, { layer })).toThrow(/a site of a matrix product/)
  })
})

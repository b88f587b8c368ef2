import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseFaultList, sampleFaults, saveFaultList, bitFlips, randomValues, wholeTiles } from '../../src/faults.ts'
import { isFtError, type Fault, type FaultList } from '../../src/index.ts'
import { layers } from '../support/layers.ts'

const index = fc.nat({ max: 2 ** 40 })
const bit = fc.integer({ min: 0, max: 63 })
const site = fc.oneof(
  fc.record({ kind: fc.constant('operand' as const), row: index, step: index }),
  fc.record({ kind: fc.constant('packed-weight' as const), step: index, column: index }),
  fc.record({ kind: fc.constant('accumulator' as const), row: index, column: index, step: index }),
  fc.record({ kind: fc.constant('output' as const), row: index, column: index }),
  fc.record({
    kind: fc.constant('checksum' as const),
    side: fc.constantFrom('actual' as const, 'expected' as const),
    index,
  }),
  fc.record({ kind: fc.constant('index' as const), position: index }),
)
const effect = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), bits: fc.uniqueArray(bit, { minLength: 1, maxLength: 4 }) }),
  fc.record({ kind: fc.constant('stuck' as const), bit, at: fc.constantFrom(0 as const, 1 as const) }),
  fc.record({ kind: fc.constant('carry' as const), bit, sign: fc.constantFrom(1 as const, -1 as const) }),
  fc.record({ kind: fc.constantFrom('set' as const, 'add' as const), value: fc.double() }),
  fc.record({ kind: fc.constantFrom('drop-term' as const, 'double-term' as const) }),
)
const fault = fc.record(
  {
    layer: fc.string(),
    site,
    effect,
    persistent: fc.boolean(),
    weight: fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
    event: index,
  },
  { requiredKeys: ['site', 'effect'] },
)

const list = (faults: readonly Fault[], seed = 1): FaultList => ({ schema: 'ft.faults', version: 1, seed, faults })

describe('a saved fault list', () => {
  it('reads back equal, whatever it holds, NaN, infinities and -0 included', () => {
    fc.assert(
      fc.property(fc.array(fault, { maxLength: 5 }), fc.maxSafeInteger(), (faults, seed) => {
        const saved = list(faults, seed)
        expect(parseFaultList(saveFaultList(saved))).toEqual(saved)
      }),
      { numRuns: 300 },
    )
  })

  it('of drawn faults reads back equal', () => {
    const model = [bitFlips(), randomValues(), wholeTiles({ rows: 2 })].map((each) => ({ model: each, share: 1 }))
    const drawn = sampleFaults(layers, { model, count: 200, seed: 5 })
    expect(parseFaultList(saveFaultList(drawn))).toStrictEqual(drawn)
  })
})

const good = saveFaultList(
  list([
    { layer: 'a', site: { kind: 'output', row: 1, column: 2 }, effect: { kind: 'flip', bits: [3, 4] }, weight: 0.5 },
    { site: { kind: 'checksum', side: 'actual', index: 0 }, effect: { kind: 'set', value: NaN }, persistent: true },
  ]),
)
const corrupt = expect.objectContaining({ code: 'CORRUPT_DATA' }) as Error

describe('a damaged fault list', () => {
  it('is refused wherever it is cut', () => {
    const end = good.trimEnd().length
    for (let length = 0; length < end; length++) expect(() => parseFaultList(good.slice(0, length))).toThrow(corrupt)
  })

  it('with any character replaced reads as a list or is refused, never anything else', () => {
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), fc.constantFrom(...'0-9"{}[],:x e'.split('')), (at, character) => {
        try {
          const read = parseFaultList(good.slice(0, at) + character + good.slice(at + 1))
          return read.faults.length === 2 && parseFaultList(saveFaultList(read)).faults.length === 2
        } catch (error) {
          return isFtError(error, 'CORRUPT_DATA') || isFtError(error, 'VERSION_UNSUPPORTED')
        }
      }),
      { numRuns: 2000 },
    )
  })

  const one = (change: object) => JSON.stringify({ schema: 'ft.faults', version: 1, seed: 1, faults: [change] })
  const output = { kind: 'output', row: 0, column: 0 }
  const flip = { kind: 'flip', bits: [1] }
  it.each<[string, string, string]>([
    ['no object', '[]', 'the list must be an object'],
    ['another schema', '{"schema":"ft.plan"}', 'the list.schema'],
    ['a seed of text', JSON.stringify({ schema: 'ft.faults', version: 1, seed: 'x', faults: [] }), 'the list.seed'],
    [
      'faults of text',
      JSON.stringify({ schema: 'ft.faults', version: 1, seed: 1, faults: 'x' }),
      'faults must be an array',
    ],
    [
      'a field too many',
      JSON.stringify({ schema: 'ft.faults', version: 1, seed: 1, faults: [], x: 1 }),
      'no field `x`',
    ],
    ['a fault without site', one({ effect: flip }), 'faults[0].site must be an object'],
    ['an unknown site', one({ site: { kind: 'moon' }, effect: flip }), 'faults[0].site.kind'],
    ['a negative row', one({ site: { ...output, row: -1 }, effect: flip }), 'faults[0].site.row'],
    ['a fractional column', one({ site: { ...output, column: 0.5 }, effect: flip }), 'faults[0].site.column'],
    ['a step of an output', one({ site: { ...output, step: 0 }, effect: flip }), 'no field `step`'],
    ['an unknown effect', one({ site: output, effect: { kind: 'melt' } }), 'faults[0].effect.kind'],
    ['no bits', one({ site: output, effect: { kind: 'flip', bits: [] } }), 'faults[0].effect.bits'],
    ['a bit twice', one({ site: output, effect: { kind: 'flip', bits: [1, 1] } }), 'faults[0].effect.bits'],
    ['bit 64', one({ site: output, effect: { kind: 'stuck', bit: 64, at: 1 } }), 'faults[0].effect.bit'],
    ['a sign of 2', one({ site: output, effect: { kind: 'carry', bit: 1, sign: 2 } }), 'faults[0].effect.sign'],
    ['a value of null', one({ site: output, effect: { kind: 'set', value: null } }), 'faults[0].effect.value'],
    ['a value of text', one({ site: output, effect: { kind: 'add', value: '1' } }), 'faults[0].effect.value'],
    ['a negative weight', one({ site: output, effect: flip, weight: -1 }), 'faults[0].weight'],
    ['a weight of NaN', one({ site: output, effect: flip, weight: 'NaN' }), 'faults[0].weight'],
    ['a layer of 1', one({ site: output, effect: flip, layer: 1 }), 'faults[0].layer'],
  ])('with %s names the place', (_, text, place) => {
    expect(() => parseFaultList(text)).toThrow(corrupt)
    expect(() => parseFaultList(text)).toThrow(place)
  })

  it('of a newer version is refused as such', () => {
    const newer = expect.objectContaining({ code: 'VERSION_UNSUPPORTED' }) as Error
    expect(() => parseFaultList(good.replace('"version": 1', '"version": 2'))).toThrow(newer)
  })
})

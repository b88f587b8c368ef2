import { tableFromArrays } from 'apache-arrow'
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { isFtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import {
  fromArrow,
  predict,
  readCsv,
  readLibSvm,
  takeLabel,
  train,
  type FeatureRecord,
  type TrainOptions,
} from '../src/index.ts'

const options: TrainOptions = { objective: 'squared', rounds: 20, maxDepth: 4 }

/** Flats: price by city, size and balcony; some cells missing. */
function flats(rows: number): { records: FeatureRecord[]; label: number[] } {
  const random = createRandom(5).stream('flats')
  const cities = ['Ulm', 'Bonn', 'Kiel']
  const records = Array.from({ length: rows }, (): FeatureRecord => {
    const city = random.uniform() < 0.05 ? null : (cities[random.integer(0, 2)] ?? null)
    return { city, size: random.integer(20, 120), balcony: random.uniform() < 0.5 }
  })
  const label = records.map(({ city, size, balcony }) => Number(size) * (city === 'Bonn' ? 2 : 1) + (balcony ? 10 : 0))
  return { records, label }
}

const csvOf = (records: FeatureRecord[], label: number[]): string =>
  [
    'city,size,balcony,price',
    ...records.map((r, i) => `${r['city'] ?? ''},${r['size']},${Number(r['balcony'])},${label[i]}`),
  ].join('\n')

describe('records, columns, CSV and Arrow', () => {
  const { records, label } = flats(600)

  it('give one and the same model', async () => {
    const fromRecords = await train({ features: records, label }, options)
    const csv = takeLabel(readCsv(csvOf(records, label)), 'price')
    const fromCsv = await train(csv, options)
    const arrow = tableFromArrays({
      city: records.map((r) => r['city'] as string | null),
      size: Int32Array.from(records, (r) => Number(r['size'])),
      balcony: records.map((r) => r['balcony'] as boolean),
      price: Float64Array.from(label),
    })
    const fromTable = await train(takeLabel(fromArrow(arrow), 'price'), options)
    expect(fromCsv.model).toEqual(fromRecords.model)
    expect(fromTable.model).toEqual(fromRecords.model)
    expect(fromRecords.model.featureNames).toEqual(['city', 'size', 'balcony'])
    expect(fromRecords.model.featureLevels).toEqual([['Bonn', 'Kiel', 'Ulm'], undefined, undefined])
  })

  it('predict by name in any order, with text, missing and unseen categories', async () => {
    const { model } = await train({ features: records, label }, { ...options, rounds: 60, dropout: false })
    const [bonn, kiel] = predict(model, [
      { balcony: true, city: 'Bonn', size: 80 },
      { balcony: true, city: 'Kiel', size: 80 },
    ])
    expect(Math.abs((bonn ?? 0) - 170)).toBeLessThan(12)
    expect(Math.abs((kiel ?? 0) - 90)).toBeLessThan(12)
    const [absent, odd] = predict(model, [{ size: 80 }, { city: 'Paris', size: 80, balcony: null }])
    expect(Number.isFinite(absent)).toBe(true)
    expect(Number.isFinite(odd)).toBe(true)
  })

  it('levels do not depend on the order of rows', async () => {
    const order = [...records.keys()].reverse()
    const turned = {
      features: order.map((i) => records[i] as FeatureRecord),
      label: order.map((i) => label[i] as number),
    }
    const [a, b] = [await train({ features: records, label }, options), await train(turned, options)]
    expect(b.model.featureLevels).toEqual(a.model.featureLevels)
  })

  it('name row and column of what is wrong', async () => {
    const run = (features: FeatureRecord[]) => train({ features, label: features.map(() => 1) }, options)
    await expect(run([{ a: 1 }, { a: {} as unknown as number }])).rejects.toThrow(/row 1, column a: expected a number/)
    const { model } = await train({ features: records, label }, options)
    expect(() => predict(model, [{ city: 'Ulm', size: 'large' }])).toThrow(
      /row 0, column size: expected a number, got 'large'/,
    )
    const many = Array.from({ length: 300 }, (_, i) => ({ id: `n${i}` }))
    await expect(run(many)).rejects.toThrow(/column id has 300 categories, at most 254/)
    const table = readCsv('a,b\n1,2\n')
    expect(() => predict(model, table)).toThrow(/no column city/)
    const twice = {
      rows: 1,
      columns: [
        { name: 'a', kind: 'number', values: [1] } as const,
        { name: 'a', kind: 'number', values: [1] } as const,
      ],
    }
    await expect(train({ features: twice, label: [1] }, options)).rejects.toThrow(/two columns are called a/)
  })
})

describe('readCsv', () => {
  it('infers kinds, reads quotes and missing cells', () => {
    const table = readCsv('id,"a, b",c\n1,"x ""y""",2.5\n2,?,NA\n')
    expect(table.rows).toBe(2)
    expect(table.columns.map(({ name, kind }) => [name, kind])).toEqual([
      ['id', 'number'],
      ['a, b', 'category'],
      ['c', 'number'],
    ])
    expect(table.columns[1]?.values).toEqual(['x "y"', null])
    expect([...(table.columns[2]?.values as Float64Array)]).toEqual([2.5, NaN])
  })

  it('kinds override what cells look like', () => {
    const [zip] = readCsv('zip\n10115\n20095\n', { kinds: { zip: 'category' } }).columns
    expect(zip).toEqual({ name: 'zip', kind: 'category', values: ['10115', '20095'] })
    expect(() => readCsv('a\nx\n', { kinds: { a: 'number' } })).toThrow(/row 0, column a: 'x' is not a number/)
    expect(() => readCsv('a\nx\n', { kinds: { b: 'number' } })).toThrow(/no column b/)
  })

  it.each([
    ['no header', '', /no header/],
    ['a short line', 'a,b\n1\n', /Invalid Record Length/],
    ['an open quote', 'a\n"x', /Quote/],
  ])('%s is an error', (_, text, message) => {
    expect(() => readCsv(text)).toThrow(message)
  })

  it('kinds are those of a model or a table, where it is told which', () => {
    const table = readCsv('zip,size\n01234,1\nA1,2\n')
    const model = { featureNames: ['zip', 'size'], featureLevels: [['01234', 'A1'], undefined] }
    for (const like of [table, model]) {
      const { columns } = readCsv('size,zip,more\n1,01234,2\n', { like, kinds: { zip: 'number', more: 'category' } })
      expect(columns.map(({ kind }) => kind)).toEqual(['number', 'category', 'category'])
      expect(columns[1]?.values[0]).toBe('01234')
      expect(() => readCsv('size,zip\nbig,01234\n', { like })).toThrow(/row 0, column size: 'big' is not a number/)
    }
  })

  it('blanks are no number', async () => {
    const features = [{ x: 1 }, { x: 2 }, { x: 3 }, { x: null }]
    const { model } = await train({ features, label: [1, 2, 3, 9] }, { objective: 'squared', rounds: 5 })
    const [blank, missing] = predict(model, [{ x: ' ' }, { x: null }])
    expect(blank).toBe(missing)
  })

  it('text labels become sorted classes', () => {
    const { label, classes, features } = takeLabel(readCsv('x,kind\n1,b\n2,a\n3,b\n'), 'kind')
    expect([...label]).toEqual([1, 0, 1])
    expect(classes).toEqual(['a', 'b'])
    expect(features.columns.map(({ name }) => name)).toEqual(['x'])
    expect(() => takeLabel(readCsv('x,y\n1,\n'), 'y')).toThrow(/row 0 has no y/)
    const later = readCsv('x,kind\n1,b\n')
    expect([...takeLabel(later, 'kind', { classes: classes as string[] }).label]).toEqual([1])
    expect(() => takeLabel(readCsv('x,kind\n1,b\n2,d\n'), 'kind', { classes: ['a', 'b'] })).toThrow(
      /row 1: kind is 'd'; classes are a, b/,
    )
    // Names that look like numbers, in a table that has no other.
    expect([...takeLabel(readCsv('x,kind\n1,7\n'), 'kind', { classes: ['7', 'other'] }).label]).toEqual([0])
    expect(() => takeLabel(readCsv('x,y\n1,\n'), 'z')).toThrow(/no column z/)
  })
})

describe('readLibSvm', () => {
  it('reads labels, queries, absent values and comments', () => {
    const { features, label, group } = readLibSvm('1 qid:7 1:0.5 3:2 # first\n0 qid:7 2:1\n\n2 qid:9 3:nan\n')
    expect([...label]).toEqual([1, 0, 2])
    expect([...(group ?? [])]).toEqual([2, 1])
    expect([...(features.data as Float32Array)]).toEqual([0.5, 0, 2, 0, 1, 0, 0, 0, NaN])
    expect(Number.isNaN(readLibSvm('1 2:1', { absent: 'missing' }).features.data[0])).toBe(true)
    expect(readLibSvm('1 1:1\n2 1:2').group).toBeUndefined()
  })

  it.each([
    ['x 1:1', /line 1: expected a number as label, got 'x'/],
    ['1 1:1\n1 3:1 2:1', /line 2: expected rising indices/],
    ['1 0:1', /an index from 1/],
    ['1 1:x', /a number/],
    ['1 1', /index:value/],
    ['1 70000:1', /an index from 1 to 65,535/],
  ])('%j is an error', (text, message) => {
    expect(() => readLibSvm(text)).toThrow(message)
  })
})

describe('damaged text', () => {
  it('is read or refused with an FtError, never a crash', () => {
    const csv = csvOf(...(Object.values(flats(20)) as [FeatureRecord[], number[]]))
    const svm = '1 qid:7 1:0.5 3:2 # first\n0 qid:7 2:1\n2 qid:9 3:nan\n'
    fc.assert(
      fc.property(
        fc.constantFrom(csv, svm),
        fc.nat(400),
        fc.string({ maxLength: 4 }),
        fc.nat(6),
        (text, at, insert, cut) => {
          const damaged = text.slice(0, at) + insert + text.slice(at + cut)
          for (const read of [() => readCsv(damaged), () => readLibSvm(damaged)]) {
            try {
              read()
            } catch (error) {
              if (!isFtError(error)) throw error
            }
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})

// XGBoost's binary form: golden models of the real program (golden/MAKER.md), there and back, and damaged bytes.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { predict, readXgboost, train, writeXgboost, writeXgboostUbjson } from '../src/index.ts'
import { parseUbjson, writeUbjson } from '../src/exchange/ubjson.ts'
import { makeData } from './support/made.ts'
import { survives } from './support/survives.ts'
import { writtenModels } from './support/writtenModels.ts'

interface Golden {
  readonly name: string
  readonly ubj: string
  readonly json: string
  readonly rows: number
  readonly features: (number | null)[]
  readonly margin: number[]
}

const golden = <T>(file: string) => JSON.parse(readFileSync(new URL(`golden/${file}`, import.meta.url), 'utf8')) as T[]
const cases = golden<Golden>('xgboost-1.7.4-ubj.json')
const named = cases.map((each) => [each.name, each] as const)
const bytesOf = ({ ubj }: Golden): Uint8Array => Buffer.from(ubj, 'base64')

// XGBoost sums at most 7 leaves in float32, each rounding by 2^-24 of the sum: below 1e-6.
const FLOAT32_SUM = 1e-6
const expectClose = (a: ArrayLike<number>, b: ArrayLike<number>): void => {
  expect(a.length).toBe(b.length)
  const worst = Array.from(a, (x, i) => Math.abs(x - (b[i] as number)) / Math.max(1, Math.abs(b[i] as number)))
  expect(Math.max(...worst)).toBeLessThan(FLOAT32_SUM)
}

describe('XGBoost 1.7.4, model.ubj', () => {
  it.each(named)('%s: margins agree', (_, each) => {
    const data = Float32Array.from(each.features, (value) => value ?? NaN)
    const features = { data, rows: each.rows, columns: 4 }
    expectClose(predict(readXgboost(bytesOf(each)), features, { output: 'raw' }), each.margin)
  })

  it.each(named)('%s: the same model as its text, which may come as bytes too', (_, each) => {
    const model = readXgboost(bytesOf(each))
    expect(model).toEqual(readXgboost(each.json))
    expect(model).toEqual(readXgboost(new TextEncoder().encode(each.json)))
    expect(model.featureNames).toEqual(['a', 'b', 'c', 'kind ü'])
  })

  it.each(named)('%s: written and read again it is the same, bit for bit', (_, each) => {
    const model = readXgboost(bytesOf(each))
    for (const weights of ['wrapper', 'inline', 'folded'] as const) {
      // Text names each float32, so that both forms give one model.
      expect(readXgboost(writeXgboostUbjson(model, { weights }))).toEqual(readXgboost(writeXgboost(model, { weights })))
    }
  })

  it('reads a view of a larger buffer, at an odd place', () => {
    const [each] = cases as [Golden]
    const pool = Buffer.concat([Buffer.from('odd'), bytesOf(each)])
    expect(readXgboost(pool.subarray(3))).toEqual(readXgboost(each.json))
  })

  it('what this package writes is what XGBoost has read, with our scores', async () => {
    interface Written {
      readonly name: string
      readonly ubjson: string
      readonly byXgboost: { readonly ubjson: number[] }
    }
    const recorded = new Map(golden<Written>('written.json').map((each) => [each.name, each]))
    for (const { name, model, data, rows } of await writtenModels()) {
      const then = recorded.get(name) as Written
      expect(Buffer.from(writeXgboostUbjson(model)).toString('base64')).toBe(then.ubjson)
      expectClose(predict(model, { data, rows, columns: 6 }, { output: 'raw' }), then.byXgboost.ubjson)
    }
  })
})

describe('damaged bytes', () => {
  const originals = cases.map(bytesOf)

  it('changed anywhere: an error, or a model that predicts', () => {
    let read = 0
    fc.assert(
      fc.property(
        fc.nat(originals.length - 1),
        fc.array(fc.tuple(fc.nat(4000), fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('[]{}$#NSHdDlLUi')))), {
          minLength: 1,
          maxLength: 4,
        }),
        (which, changes) => {
          const copy = Uint8Array.from(originals[which] as Uint8Array)
          for (const [at, value] of changes) copy[at] = value
          read += Number(survives(() => readXgboost(copy)))
        },
      ),
      { numRuns: 800 },
    )
    // Both ends are met: a changed leaf is another model, a changed marker none.
    expect(read).toBeGreaterThan(20)
    expect(read).toBeLessThan(780)
  })

  it('cut short anywhere: an error that names the byte', () => {
    const [bytes] = originals as [Uint8Array]
    for (let length = 1; length < bytes.length; length += 7) {
      expect(() => readXgboost(bytes.subarray(0, length))).toThrow(/readXgboost: (byte \d+: |not JSON)/)
    }
  })

  it.each([
    ['a length beyond the bytes', '[$d#l\x7f\xff\xff\xff', /byte 9: cut short: 2147483647 values/],
    ['a list of nothing without end', '[$Z#l\x7f\xff\xff\xff', /cut short/],
    ['a length below nothing', '[#i\xff', /length -1/],
    ['levels without end', '['.repeat(100_000), /more than 64 levels/],
    ['a type without a length', '[$d1', /lacks its length/],
    ['no value', 'Q', /no value begins with 'Q'/],
    ['more than a document', 'ZZ', /1 bytes follow/],
    ['nothing', '', /cut short/],
  ])('%s', (_, text, message) => {
    expect(() => parseUbjson(Buffer.from(text, 'latin1'), 'test')).toThrow(message)
  })
})

describe('the form itself', () => {
  it('gives back what was written, whatever it is', () => {
    const leaf = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double({ noNaN: true }).filter((x) => !Object.is(x, -0)),
    )
    const document = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('value')), fc.dictionary(fc.string(), tie('value'))),
    })).value
    fc.assert(
      fc.property(document, (value) => {
        expect(JSON.stringify(parseUbjson(writeUbjson(value), 'test'))).toBe(JSON.stringify(value))
      }),
    )
  })

  it('reads every marker, with and without types, lengths and no-ops', () => {
    const text =
      '{i\x01aNT' + 'i\x01bF' + 'i\x01cZ' + 'i\x01dI\x01\x00' + 'i\x01eD\x3f\xf8\0\0\0\0\0\0' + 'i\x01fHi\x0312e'
    const rest = 'i\x01gCx' + 'i\x01h[i\x01i\x02N]' + 'i\x01i{$U#i\x02i\x01xUi\x01yZ}'
    const value = parseUbjson(Buffer.from(text.replace('12e', '1e2') + rest, 'latin1'), 'test')
    expect(value).toEqual({
      ...{ a: true, b: false, c: null, d: 256, e: 1.5, f: 100, g: 'x', h: [1, 2] },
      i: { x: 'U'.charCodeAt(0), y: 'Z'.charCodeAt(0) },
    })
  })

  it('errors are of this project', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          parseUbjson(bytes, 'test')
        } catch (error) {
          expect(isFtError(error)).toBe(true)
        }
      }),
    )
  })

  it('trained models go through with categories and softmax', async () => {
    const made = makeData(300, { task: 'classes' })
    const { model } = await train(made, { objective: 'softmax', rounds: 4, dropout: { dropRate: 0.3 } })
    const again = readXgboost(writeXgboostUbjson(model))
    expectClose(predict(again, made.features, { output: 'raw' }), predict(model, made.features, { output: 'raw' }))
  })
})

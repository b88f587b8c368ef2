// Importers on damaged files: an FtError or a model that predicts, never another error, a hang or a number out of nothing.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { loadModel, readLightgbm, readXgboost, saveModel, train } from '../src/index.ts'
import { crc32 } from '../src/exchange/container.ts'
import { makeData } from './support/made.ts'
import { survives } from './support/survives.ts'

const golden = (file: string): Record<string, unknown>[] =>
  JSON.parse(readFileSync(new URL(`golden/${file}`, import.meta.url), 'utf8')) as Record<string, unknown>[]

const values = fc.oneof(
  fc.constantFrom(null, true, '', 'x', '-1', '1e999', [], {}, [1, 2], -1, 0, 1, 255, 65_536, 2 ** 31, 1e30, 0.5),
  fc.integer(),
)

/** Replaces or deletes one member somewhere in a document. */
function damage(document: unknown, path: readonly number[], value: unknown, remove: boolean): unknown {
  const copy = structuredClone(document)
  let at = copy as Record<string, unknown>
  for (const step of path) {
    const keys = Object.keys(at)
    if (keys.length === 0) return copy
    const key = keys[step % keys.length] as string
    const next = at[key]
    if (typeof next === 'object' && next !== null && step !== path.at(-1)) {
      at = next as Record<string, unknown>
      continue
    }
    if (remove && !Array.isArray(at)) delete at[key]
    else at[key] = value
    return copy
  }
  return copy
}

describe('damaged files', () => {
  it('XGBoost JSON with a member replaced or gone', () => {
    const documents = golden('xgboost-1.7.4.json').map(({ model }) => model)
    let read = 0
    fc.assert(
      fc.property(
        fc.nat(documents.length - 1),
        fc.array(fc.nat(40), { minLength: 3, maxLength: 8 }),
        values,
        fc.boolean(),
        (which, path, value, remove) => {
          read += Number(survives(() => readXgboost(JSON.stringify(damage(documents[which], path, value, remove)))))
        },
      ),
      { numRuns: 600 },
    )
    // Both ends are met: not every damage matters, and most does.
    expect(read).toBeGreaterThan(20)
    expect(read).toBeLessThan(580)
  })

  it('LightGBM text with letters changed', () => {
    const texts = golden('lightgbm-4.6.0.json').map(({ text }) => text as string)
    fc.assert(
      fc.property(
        fc.nat(texts.length - 1),
        fc.nat(3000),
        fc.oneof(fc.constantFrom('-', '9', ' ', '\n', '=', 'nan', '1e999', '99999999999'), fc.string({ maxLength: 3 })),
        fc.nat(5),
        (which, at, insert, cut) => {
          const text = texts[which] as string
          survives(() => readLightgbm(text.slice(0, at) + insert + text.slice(at + cut)))
        },
      ),
      { numRuns: 600 },
    )
  })

  it('own bytes with a byte changed, and the checksum made to fit', async () => {
    const { model } = await train(makeData(200), { objective: 'squared', rounds: 5, maxDepth: 3 })
    const bytes = saveModel(model)
    const end = bytes.length - 4
    fc.assert(
      fc.property(fc.nat(end - 1), fc.nat(255), fc.boolean(), (at, value, fits) => {
        const copy = bytes.slice()
        copy[at] = value
        if (fits) new DataView(copy.buffer).setUint32(end, crc32(copy.subarray(0, end)), true)
        const read = survives(() => loadModel(copy))
        // Without the checksum nothing damaged is read.
        if (!fits && bytes[at] !== value) expect(read).toBe(false)
      }),
      { numRuns: 1500 },
    )
  })

  it.each([
    ['missingLeft', 43],
    ['setAt', -2],
  ] as const)('own bytes that are whole but say %s %s are refused by name', async (field, value) => {
    const { model } = await train(makeData(200), { objective: 'squared', rounds: 2, maxDepth: 3 })
    model.trees[1]![field][0] = value
    expect(() => loadModel(saveModel(model))).toThrow(/tree 1, node 0/)
  })

  it('own bytes cut short', async () => {
    const { model } = await train(makeData(60), { objective: 'squared', rounds: 2, maxDepth: 2 })
    const bytes = saveModel(model)
    for (let length = 0; length < bytes.length; length++) {
      expect(survives(() => loadModel(bytes.subarray(0, length)))).toBe(false)
    }
  })
})

describe('own bytes', () => {
  it('give the same model, bit for bit, of every kind', async () => {
    const made = makeData(300, { missing: 0.1, task: 'classes' })
    const data = made.features.data.map((value, i) => (i % 6 === 4 ? Math.floor(value * 12) : value))
    const features = { data, rows: 300, columns: 6, categorical: [4], names: ['a', 'b', 'c', 'd', 'stadt ü', 'f'] }
    const { model } = await train(
      { features, label: made.label },
      { objective: 'softmax', rounds: 6, dropout: 'paper' },
    )
    expect(loadModel(saveModel(model))).toEqual(model)
    // As read from a file: a view of a larger buffer, at an odd place.
    const pool = Buffer.concat([Buffer.from('odd'), saveModel(model)])
    expect(loadModel(pool.subarray(3))).toEqual(model)
    const empty = await train({ features, label: made.label }, { objective: 'softmax', rounds: 0 })
    expect(loadModel(saveModel(empty.model))).toEqual(empty.model)
    expect([...saveModel(loadModel(saveModel(model)))]).toEqual([...saveModel(model)])
  })

  it('of a newer version are refused as such', async () => {
    const { model } = await train(makeData(60), { objective: 'squared', rounds: 2, maxDepth: 2 })
    const bytes = saveModel(model)
    const at = new TextDecoder('latin1').decode(bytes).indexOf('"version":1') + '"version":'.length
    bytes[at] = '7'.charCodeAt(0)
    new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32(bytes.subarray(0, bytes.length - 4)), true)
    expect(() => loadModel(bytes)).toThrow(/version 7; this package reads up to 1/)
  })

  it('crc32 is the known one', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926)
  })
})

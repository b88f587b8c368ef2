// Interventional SHAP against the definition: Shapley's sum over all subsets, features left out taken from background rows.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contributions, predict, readLightgbm, train, type Model, type TrainOptions } from '../src/index.ts'
import { makeData } from './support/made.ts'

const COLUMNS = 4

/** Four columns, the last a category, some cells missing. */
function made(rows: number, seed: number, task: 'regression' | 'classes' = 'regression') {
  const { features, label } = makeData(rows, { seed, columns: COLUMNS, missing: 0.1, task })
  const data = features.data.map((value, i) => (i % COLUMNS === 3 ? Math.floor(value * 6) : value))
  return { features: { data, rows, columns: COLUMNS, categorical: [3] }, label }
}
type Matrix = ReturnType<typeof made>['features']

/** Mean raw scores of the background rows with the features of a set replaced by the row's, one an output. */
function gameOf(model: Model, x: Float32Array, background: Matrix, set: number): number[] {
  const data = background.data.map((value, i) => ((set >> (i % COLUMNS)) & 1 ? (x[i % COLUMNS] as number) : value))
  const scores = predict(model, { ...background, data }, { output: 'raw' })
  return Array.from({ length: model.outputs }, (_, output) => {
    const own = scores.filter((_, i) => i % model.outputs === output)
    return own.reduce((sum, score) => sum + score, 0) / background.rows
  })
}

/** |S|! (n - |S| - 1)! / n! for n = 4. */
const weights = [6, 2, 2, 6].map((ways) => ways / 24)
const sizeOf = (set: number): number => [0, 1, 2, 3].filter((c) => (set >> c) & 1).length

function byDefinition(model: Model, x: Float32Array, background: Matrix): number[][] {
  const game = Array.from({ length: 16 }, (_, set) => gameOf(model, x, background, set))
  return Array.from({ length: model.outputs }, (_, output) => {
    const value = (set: number): number => game[set]?.[output] as number
    const parts = [0, 1, 2, 3].map((f) => {
      let phi = 0
      for (let set = 0; set < 16; set++) {
        if (!((set >> f) & 1)) phi += (weights[sizeOf(set)] as number) * (value(set | (1 << f)) - value(set))
      }
      return phi
    })
    return [...parts, value(0)]
  })
}

describe('contributions against a background', () => {
  const options = fc.record({
    objective: fc.constantFrom('squared' as const, 'softmax' as const),
    growth: fc.constantFrom('depth' as const, 'leaf' as const),
    dropout: fc.constantFrom(false as const, { dropRate: 0.3 }),
    maxDepth: fc.integer({ min: 1, max: 7 }),
  })

  it('are Shapley values by their definition', async () => {
    await fc.assert(
      fc.asyncProperty(options, fc.nat(), fc.integer({ min: 1, max: 12 }), async (given, seed, size) => {
        const data = made(120, seed, given.objective === 'softmax' ? 'classes' : 'regression')
        const { model } = await train(data, { ...(given as TrainOptions), rounds: 3 })
        const background = made(size, seed + 1).features
        const rows = made(4, seed + 2).features
        const parts = contributions(model, rows, { background })
        for (let row = 0; row < rows.rows; row++) {
          const x = rows.data.subarray(row * COLUMNS, (row + 1) * COLUMNS)
          const expected = byDefinition(model, x, background).flat()
          expected.forEach((phi, i) => {
            // Sums of at most 128 leaves by 12 rows in float64.
            expect(Math.abs((parts[row * expected.length + i] as number) - phi)).toBeLessThan(1e-9)
          })
        }
      }),
      { numRuns: 15 },
    )
  })

  it('add up to the raw score, and to nothing for a row that is its own background', async () => {
    const data = made(300, 4)
    const { model } = await train(data, { objective: 'squared', rounds: 30, dropout: { dropRate: 0.2 } })
    const background = made(20, 5).features
    const raw = predict(model, data.features, { output: 'raw' })
    const parts = contributions(model, data.features, { background })
    raw.forEach((score, row) => {
      const sum = parts.subarray(5 * row, 5 * row + 5).reduce((total, part) => total + part, 0)
      expect(Math.abs(sum - score)).toBeLessThan(1e-9)
    })
    const one = { ...data.features, data: data.features.data.subarray(0, COLUMNS), rows: 1 }
    expect([...contributions(model, one, { background: one })].slice(0, COLUMNS)).toEqual([0, 0, 0, 0])
  })

  it('give a feature that the model does not use nothing, however it follows another', async () => {
    const x = Float32Array.from({ length: 200 }, (_, i) => Math.sin(i))
    const twice = { data: Float32Array.from({ length: 400 }, (_, i) => x[i >> 1] as number), rows: 200, columns: 2 }
    const { model } = await train(
      { features: twice, label: x },
      { objective: 'squared', rounds: 5, interactions: [[0]], columnFraction: 1 },
    )
    const parts = contributions(model, twice, { background: twice })
    const used = new Set(model.trees.flatMap(({ feature }) => [...feature]))
    expect(used).toEqual(new Set([0]))
    for (let row = 0; row < 200; row++) expect(parts[3 * row + 1]).toBe(0)
  })

  it('need no covers', () => {
    const [{ text }] = JSON.parse(readFileSync(new URL('golden/lightgbm-4.6.0.json', import.meta.url), 'utf8')) as [
      { text: string },
    ]
    const model = readLightgbm(text.replaceAll(/internal_weight=.*/g, (line) => line.replaceAll(/[\d.]+/g, '0')))
    const features = { data: Float32Array.from({ length: 50 }, (_, i) => Math.cos(i)), rows: 10, columns: 5 }
    expect(() => contributions(model, features)).toThrow(/lacks covers/)
    expect(contributions(model, features, { background: features }).length).toBe(60)
  })

  it('refuse an empty background, and one of other columns', async () => {
    const data = made(60, 1)
    const { model } = await train(data, { objective: 'squared', rounds: 2 })
    const empty = { ...data.features, data: new Float32Array(0), rows: 0 }
    expect(() => contributions(model, data.features, { background: empty })).toThrow(/row/)
    const other = { data: new Float32Array(6), rows: 2, columns: 3 }
    expect(() => contributions(model, data.features, { background: other })).toThrow(/background: the model takes 4/)
  })
})

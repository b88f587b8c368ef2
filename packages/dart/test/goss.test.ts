// Gradient-based one-side sampling (NeurIPS'17, algorithm 2).
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { metricOf, predict, train, type TrainOptions } from '../src/index.ts'
import { gossRows, largest } from '../src/grow/goss.ts'
import { makeData } from './support/made.ts'

const block = <T>(array: T) => ({ address: 0, length: 0, view: () => array })

/** The rows that are chosen, and both derivatives of all rows afterwards. */
function choose(values: readonly number[], rates: { topRate: number; otherRate: number }, seed = 1) {
  const gradients = Float64Array.from(values)
  const hessians = new Float64Array(values.length).fill(1)
  const list = new Uint32Array(values.length)
  const count = gossRows(rates, {
    rows: values.length,
    list: block(list),
    gradients: block(gradients),
    hessians: block(hessians),
    random: createRandom(seed).stream('goss'),
  })
  return { rows: [...list.subarray(0, count)], gradients, hessians }
}

const numbers = fc.array(
  fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0, -0, 0.5, -0.5, 1e-300, 5e-324)),
  { minLength: 1, maxLength: 60 },
)

describe('the choice of rows', () => {
  it('finds the k-th largest magnitude and how many of its equals belong to the k', () => {
    fc.assert(
      fc.property(numbers, fc.nat(), (values, k) => {
        const count = 1 + (k % values.length)
        const sorted = values.map(Math.abs).sort((a, b) => b - a)
        const { value, ties } = largest(Float64Array.from(values), count)
        expect(value).toBe(sorted[count - 1])
        expect(ties).toBe(count - sorted.filter((x) => x > value).length)
      }),
    )
  })

  it('takes the largest and, of the others, as many as asked for, whose derivatives then stand for all', () => {
    fc.assert(
      fc.property(numbers, fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(), (values, share, seed) => {
        const rates = { topRate: share / 2, otherRate: 0.3 }
        const { rows, hessians } = choose(values, rates, seed)
        const top = Math.round(rates.topRate * values.length)
        const others = Math.min(values.length - top, Math.max(1, Math.round(0.3 * values.length)))
        expect(rows.length).toBe(top + others)
        expect(rows).toEqual([...new Set(rows)].sort((a, b) => a - b))
        const size = (row: number): number => Math.abs(values[row] as number)
        const largestRows = rows.filter((row) => hessians[row] === 1)
        const border = values.map(Math.abs).sort((a, b) => b - a)[top - 1] ?? Infinity
        for (let row = 0; row < values.length; row++) if (size(row) > border) expect(largestRows).toContain(row)
        // Hessians are 1: those of the chosen rows add up to the number of all rows.
        const sum = rows.reduce((total, row) => total + (hessians[row] as number), 0)
        expect(sum).toBeCloseTo(values.length, 9)
      }),
    )
  })

  it('estimates the sum of all gradients without bias', () => {
    const random = createRandom(5).stream('values')
    const values = Array.from({ length: 400 }, () => random.normal() ** 3 + 0.2)
    const all = values.reduce((sum, x) => sum + x, 0)
    const estimates = Array.from({ length: 2000 }, (_, seed) => {
      const { rows, gradients } = choose(values, { topRate: 0.2, otherRate: 0.1 }, seed)
      return rows.reduce((sum, row) => sum + (gradients[row] as number), 0)
    })
    const mean = estimates.reduce((sum, x) => sum + x, 0) / estimates.length
    const variance = estimates.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (estimates.length - 1)
    expect(Math.abs(mean - all)).toBeLessThan(4 * Math.sqrt(variance / estimates.length))
    // Uniform sampling of as many rows is far less certain, for the large ones may be left out.
    const plain = Array.from({ length: 2000 }, (_, seed) => {
      const { rows, gradients } = choose(values, { topRate: 0, otherRate: 0.3 }, seed)
      return rows.reduce((sum, row) => sum + (gradients[row] as number), 0)
    })
    const spread = plain.reduce((sum, x) => sum + (x - all) ** 2, 0) / plain.length
    expect(variance).toBeLessThan(spread / 2)
  })
})

describe('training on them', () => {
  const data = makeData(1200, { missing: 0.05 })
  const test = makeData(600, { seed: 2, missing: 0.05 })
  const quick: TrainOptions = { objective: 'squared', rounds: 40, maxDepth: 4, dropout: { dropRate: 0.1 } }

  it('with all rows taken is training without it, bit for bit', async () => {
    const plain = await train(data, quick)
    for (const topRate of [0, 0.3, 0.75]) {
      const { model } = await train(data, { ...quick, goss: { topRate, otherRate: 1 - topRate } })
      expect(model).toEqual(plain.model)
    }
  })

  it.each(['squared', 'logistic', 'softmax'] as const)(
    '%s: the same bits for any number of threads',
    async (objective) => {
      const task = ({ squared: 'regression', logistic: 'binary', softmax: 'classes' } as const)[objective]
      const large = makeData(30_000, { task, missing: 0.1 })
      const options: TrainOptions = { objective, rounds: 5, dropout: { dropRate: 0.3 }, goss: true }
      const one = await train(large, options)
      expect((await train(large, { ...options, threads: 3 })).model).toEqual(one.model)
      expect((await train(large, { ...options, seed: 2 })).model.trees[0]).not.toEqual(one.model.trees[0])
    },
  )

  it('sees three tenths of the rows and is nearly as good; drops are those of other samplings', async () => {
    const rmse = metricOf('rmse', {})
    const of = async (more: Partial<TrainOptions>) => {
      const { model, history } = await train(data, { ...quick, ...more })
      const scores = [predict(model, test.features)]
      return {
        value: rmse.compute({ scores, labels: test.label, weights: undefined, groups: undefined }),
        dropped: history.map(({ dropped }) => dropped),
      }
    }
    const [all, goss] = [await of({}), await of({ goss: true })]
    expect(goss.value).toBeLessThan(1.15 * all.value)
    expect(goss.dropped).toEqual(all.dropped)
  })

  it.each<[string, Partial<TrainOptions>, RegExp]>([
    ['rates above 1', { goss: { topRate: 0.9, otherRate: 0.2 } }, /together at most 1/],
    ['no others', { goss: { topRate: 0.5, otherRate: 0 } }, /otherRate above 0/],
    ['NaN', { goss: { topRate: NaN } }, /topRate from 0/],
    ['another sampling of rows', { goss: true, rowFraction: 0.5 }, /leave rowFraction at 1/],
    ['gradients of one size', { goss: true, objective: 'absolute' }, /all of one size/],
  ])('%s: refused', async (_, more, message) => {
    await expect(train(data, { ...quick, ...more })).rejects.toThrow(message)
  })
})

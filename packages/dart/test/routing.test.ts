// Leaf numbers of binned rows: those that growth assigned to its own rows, and those that a tree's thresholds give.
import { describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { predict, train, type TrainOptions } from '../src/index.ts'

/** Numbers with missing values, and codes of which some never occur. */
function makeMixed(rows: number) {
  const random = createRandom(11).stream('routing')
  const columns = 4
  const data = new Float32Array(rows * columns)
  const label = new Float64Array(rows)
  for (let row = 0; row < rows; row++) {
    const code = random.integer(0, 39)
    const x = [random.normal(), random.bernoulli(0.2) ? NaN : random.normal(), code, random.integer(0, 3)]
    data.set(x, row * columns)
    label[row] = (x[0] as number) * ((code * 7) % 5) + (Number.isNaN(x[1]) ? 2 : (x[1] as number)) + random.normal()
  }
  return { features: { data, rows, columns, categorical: [2, 3] }, label }
}

const data = makeMixed(4003)
const wide: TrainOptions = { objective: 'squared', dropout: false, rounds: 4, growth: 'leaf', maxLeaves: 400 }

describe('following a tree on bins', () => {
  it.each([
    ['leaf-wise, more leaves than a byte counts', wide, [257, 400]],
    ['level-wise', { ...wide, growth: 'depth', maxLeaves: 0, maxDepth: 5 } as const, [2, 32]],
    ['a tree without a split', { ...wide, minGain: 1e12 }, [0, 1]],
  ])('gives the scores that the thresholds give: %s', async (_, options, [fewest, most]) => {
    for (const rowFraction of [1, 0.4]) {
      const { model, validationScores, history } = await train(
        { ...data, validation: data },
        {
          ...options,
          rowFraction,
          columnCopy: rowFraction < 1,
          trackTraining: true,
          threads: rowFraction === 1 ? 1 : 2,
        },
      )
      const leaves = Math.max(0, ...model.trees.map(({ value }) => value.length))
      expect(leaves).toBeGreaterThanOrEqual(fewest as number)
      expect(leaves).toBeLessThanOrEqual(most as number)
      expect(predict(model, data.features, { output: 'raw' })).toEqual(validationScores)
      for (const { train: own, validation } of history) expect(own).toBe(validation)
    }
  })
})

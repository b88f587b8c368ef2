// Log loss and AUC while training: of the last samples, each as predicted before the model learned from it.
import { expect, it } from 'vitest'
import { createScoreWindow, openShards, train, type TrainOptions, type WindowScore } from '../src/index.ts'
import { plantedSamples } from './support/made.ts'

it('scores the last samples alone, ties half', () => {
  const window = createScoreWindow(4)
  expect(window.score()).toEqual({ samples: 0, logLoss: undefined, auc: undefined })
  window.add([0.75, 0.25], [0, 0])
  expect(window.score().auc).toBeUndefined()
  window.add([0.5, 0.5, 0.75], [1, 0, 1])
  // Left: 0.25 of 0, 0.5 of 1, 0.5 of 0, 0.75 of 1. Of four pairs three are in order and one is a tie.
  const { samples, logLoss, auc } = window.score()
  expect([samples, auc]).toEqual([4, 3.5 / 4])
  expect(logLoss).toBeCloseTo(-(2 * Math.log(0.75) + 2 * Math.log(0.5)) / 4, 14)
})

const data = plantedSamples(400, 1)
async function scores(options: Partial<TrainOptions> & { workers?: number }): Promise<WindowScore[]> {
  const tables = data.categorical.map(({ size }) => ({ rows: size }))
  const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
  const store = await openShards({ tables, d: 8, k: 2, servers: 4, optimizer })
  const all: WindowScore[] = []
  const onStep: TrainOptions['onStep'] = (_, __, score) => void all.push(score())
  await train(data, { store, batch: 50, seed: 5, onStep, ...options }).finally(() => store.close())
  return all
}

it.each([1, 2])('of one batch is that batch before its update, with %i workers', async (workers) => {
  const losses: number[] = []
  const one = await scores({ window: 50, workers, onProgress: ({ note }) => void losses.push(Number(note!.slice(5))) })
  expect(one).toHaveLength(8)
  // The note has four digits.
  one.forEach(({ logLoss }, i) => expect(Math.abs(logLoss! - losses[i]!)).toBeLessThan(6e-5))
  expect(await scores({ window: 50, workers })).toEqual(one)
})

it.each([0, 1.5])('refuses a window of %d', (size) => {
  expect(() => createScoreWindow(size)).toThrow(/window/)
})

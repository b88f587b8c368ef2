// A signal that comes from outside, by a timer: it is heard in the midst of long work.
import { expect, it } from 'vitest'
import { prune, train, type CustomMetric, type TrainOptions } from '../src/index.ts'
import { makeData } from './support/made.ts'

const data = makeData(50)
const options: TrainOptions = { objective: 'squared', rounds: 8, maxDepth: 2 }

/** A metric that takes its time, and counts how often it was asked. */
function slow(milliseconds: number): CustomMetric & { asked: number } {
  return {
    ...{ name: 'slow', better: 'lower', asked: 0 },
    compute() {
      this.asked++
      const end = performance.now() + milliseconds
      while (performance.now() < end);
      return this.asked
    },
  }
}

it('ends training after the round it comes in, though rounds are slow', async () => {
  const metric = slow(60)
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 1)
  const run = train({ ...data, validation: data }, { ...options, metric, signal: controller.signal })
  await expect(run).rejects.toMatchObject({ code: 'ABORTED' })
  expect(metric.asked).toBeLessThanOrEqual(3)
})

it('ends pruning', async () => {
  const { model } = await train(data, options)
  const metric = slow(60)
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 1)
  await expect(prune(model, { ...data, metric, signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' })
  expect(metric.asked).toBeLessThanOrEqual(4)
})

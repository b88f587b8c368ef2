// Scores of the three kinds of answers, and trainings that are judged by them.
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { createRandom } from '@ft/core/random'
import { createScorer, overlap } from '../src/training/score.ts'
import {
  createModelRunner,
  cropAndFlip,
  evaluateCode,
  sum,
  trainModel,
  trainParityModel,
  type Layer,
} from '../src/index.ts'

const side = fc.double({ min: -2, max: 2, noNaN: true })
const box = fc.tuple(side, side, side, side)

describe('boxes', () => {
  it('overlap is symmetric, between 0 and 1, and 1 for a box with itself', () => {
    fc.assert(
      fc.property(box, box, (a, b) => {
        const value = overlap(a, b)
        expect(value).toBe(overlap(b, a))
        expect(value).toBeGreaterThanOrEqual(0)
        expect(value).toBeLessThanOrEqual(1 + 1e-12)
        if (a[2] > 1e-3 && a[3] > 1e-3) expect(overlap(a, a)).toBeCloseTo(1, 9)
      }),
    )
    // Two unit squares moved by half: 1/2 of 3/2; a quarter of one: 1/4
    expect(overlap([0, 0, 1, 1], [0.5, 0, 1, 1])).toBeCloseTo(1 / 3, 12)
    expect(overlap([0, 0, 1, 1], [0, 0, 0.5, 0.5])).toBeCloseTo(1 / 4, 12)
    expect(overlap([0, 0, -1, 1], [0, 0, 1, 1])).toBe(0)
  })
})

it('a constant answer scores what the scorer says', () => {
  const values = { data: Float32Array.of(1, 2, 3, 6), shape: [4, 1], dtype: 'float32' as const }
  const scorer = createScorer({ values }, { samples: 4, outputs: 1, where: 'test' })
  const mean = [0, 1, 2, 3].reduce((total, i) => total + scorer.score([3], i) / 4, 0)
  expect(mean).toBeCloseTo(scorer.constant, 12)
  expect(scorer.score([6], 3)).toBe(1)
  const classes = createScorer({ labels: [1, 1, 0, 2] }, { samples: 4, outputs: 3, where: 'test' })
  expect(classes.constant).toBe(0.5)
  expect(() => createScorer({ boxes: values }, { samples: 4, outputs: 4, where: 'test' })).toThrow(/boxes/)
})

it('crop and flip keep what stays in the picture, and mirror it', () => {
  const image = { height: 3, width: 4, channels: 2 }
  const sample = Float32Array.from({ length: 24 }, (_, i) => i + 1)
  const same = cropAndFlip({ image, padding: 0, flip: false })(sample, createRandom(1))
  expect(same).toEqual(sample)
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom('HWC' as const, 'CHW' as const), (seed, layout) => {
      const moved = cropAndFlip({ image: { ...image, layout }, padding: 2 })(sample, createRandom(seed))
      const kept = [...moved].filter((value) => value !== 0)
      // Each value comes once; at most two rows and two columns leave the picture
      expect(new Set(kept).size).toBe(kept.length)
      expect(kept.length).toBeGreaterThanOrEqual(1 * 2 * 2)
    }),
  )
})

// Squares of random place and size on a canvas of 8 x 8; the box is the square's
const random = createRandom(21)
const count = 3000
const boxes = { data: new Float32Array(4 * count), shape: [count, 4], dtype: 'float32' as const }
const inputs = { data: new Float32Array(64 * count), shape: [count, 64], dtype: 'float32' as const }
for (let i = 0; i < count; i++) {
  const side = random.integer(2, 4)
  const [x, y] = [random.integer(0, 8 - side), random.integer(0, 8 - side)]
  boxes.data.set([x / 4 - 1, y / 4 - 1, side / 4, side / 4], 4 * i)
  for (let r = 0; r < side; r++) for (let c = 0; c < side; c++) inputs.data[64 * i + 8 * (y + r) + x + c] = 1
}
const dense = (from: number, to: number, relu: boolean): Layer => ({
  weights: { data: new Float32Array(from * to), shape: [from, to], dtype: 'float32' },
  bias: { data: new Float32Array(to), shape: [to], dtype: 'float32' },
  relu,
})

it('localisation: a trained base and its parity model find boxes better than the mean box', async () => {
  const base = await trainModel(
    { layers: [dense(64, 48, true), dense(48, 4, false)], inputs, boxes },
    { seed: 1, epochs: 8, batch: 32, learningRate: 5e-3 },
  )
  const trained = await trainParityModel(
    { base: base.layers, code: sum({ k: 2 }), inputs, boxes },
    { seed: 1, epochs: 6, groupsPerBatch: 16, validationSamples: 400, loss: 'huber' },
  )
  const accuracy = evaluateCode({
    code: sum({ k: 2 }),
    inputs,
    boxes,
    base: createModelRunner(base.layers),
    parity: createModelRunner(trained.layers),
  })
  const constant = createScorer({ boxes }, { samples: count, outputs: 4, where: 'test' }).constant
  expect(accuracy.available).toBeGreaterThan(constant + 0.2)
  expect(accuracy.degraded).toBeGreaterThan(constant + 0.05)
  // A share f of lost answers mixes both; the default answer is the mean box
  const [one] = accuracy.overall
  expect(one?.coded).toBeCloseTo(0.99 * accuracy.available + 0.01 * accuracy.degraded, 12)
  expect(one?.defaultAnswer).toBeCloseTo(0.99 * accuracy.available + 0.01 * constant, 12)
})

it('regression: judged by explained variance, chosen by squared error', async () => {
  const sides = Float32Array.from({ length: count }, (_, i) => boxes.data[4 * i + 2]! * 4)
  const values = { data: sides, shape: [count, 1], dtype: 'float32' as const }
  const base = await trainModel(
    { layers: [dense(64, 16, true), dense(16, 1, false)], inputs, values },
    { seed: 1, epochs: 4, batch: 32, learningRate: 5e-3 },
  )
  expect(base.validation).toBeGreaterThan(0.9)
  const trained = await trainParityModel(
    { base: base.layers, code: sum({ k: 2 }), inputs, values },
    { seed: 1, epochs: 4, groupsPerBatch: 16, validationSamples: 400 },
  )
  expect(trained.validation.degraded).toBeGreaterThan(0.5)
  expect(trained.validation.overall[2]?.coded).toBeGreaterThan(trained.validation.overall[2]?.defaultAnswer ?? 1)
})

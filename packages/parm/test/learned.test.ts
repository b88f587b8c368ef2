// The learned code: trained through a frozen perceptron on a made task, served by the coordinator as any other code.
import { describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import {
  createCoordinator,
  createModelRunner,
  evaluateCode,
  fingerprintOf,
  hold,
  learned,
  trainLearnedCode,
  virtualClock,
  type DenseLayer,
} from '../src/index.ts'

const random = createRandom(11)
const normal = (name: string, shape: number[], standardDeviation: number) => ({
  data: random.stream(name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1)), { standardDeviation }),
  shape,
  dtype: 'float32' as const,
})
const inputs = normal('x', [4000, 8], 1)
const layers = (bias: Float32Array): DenseLayer[] => [
  { weights: normal('w1', [8, 16], 0.4), bias: normal('b1', [16], 0.1), relu: true },
  { weights: normal('w2', [16, 3], 0.4), bias: { data: bias, shape: [3], dtype: 'float32' }, relu: false },
]
// Outputs centred, so that no class is much more frequent than the others
const mean = new Float32Array(3)
createModelRunner(layers(new Float32Array(3)))(inputs).data.forEach((value, i) => (mean[i % 3]! -= value / 4000))
const base = layers(mean)
const run = createModelRunner(base)
const outputs = run(inputs).data
const labels = Array.from({ length: 4000 }, (_, i) => {
  const row = outputs.subarray(3 * i, 3 * i + 3)
  return row.indexOf(Math.max(...row))
})
const settings = { seed: 1, epochs: 15, groupsPerBatch: 16, validationSamples: 500, learningRate: 1e-2 }

describe('a code of two', () => {
  it('is right more often than the most frequent class and an untrained parity, and leaves the model alone', async () => {
    const before = fingerprintOf(base)
    const trained = await trainLearnedCode({ base, k: 2, inputs, labels }, settings)
    expect(fingerprintOf(base)).toBe(before)
    const code = learned({ k: 2, ...trained })
    const accuracy = evaluateCode({ code, inputs, labels, base: run, parity: run })
    const counts = [0, 1, 2].map((c) => labels.filter((label) => label === c).length)
    // 74 % when this was written; 41 % of samples are of the most frequent class
    expect(accuracy.degraded).toBeGreaterThan(Math.max(...counts) / 4000 + 0.15)
    expect(trained.validation.available).toBe(1)

    // Held like every approximate answer, although its parity runs on the deployed model
    const clock = virtualClock()
    const models: string[] = []
    let unit = 0
    const coordinator = createCoordinator({
      code,
      policy: hold({ afterMs: 30 }),
      clock,
      dispatch: ({ model, inputs: [x] }, { done }) => {
        models.push(model)
        const { data, shape } = run(x!)
        if (unit++ !== 0) clock.schedule(5, () => done([{ name: 'y', data, shape, dtype: 'float32' }]))
      },
    })
    const row = (i: number) => [
      { name: 'x', data: inputs.data.subarray(8 * i, 8 * i + 8), shape: [1, 8], dtype: 'float32' as const },
    ]
    const pair = [0, 1].map((i) => coordinator.submit({ inputs: row(i) }))
    clock.run()
    const answers = await Promise.all(pair)
    expect(models).toEqual(['base', 'base', 'base'])
    expect(answers.map(({ quality, latencyMs }) => [quality, latencyMs])).toEqual([
      ['reconstructed', 30],
      ['exact', 5],
    ])
  })

  it.each([
    ['conv', 'labels', { height: 1, width: 4, channels: 2 }],
    ['mlp', 'distribution', { height: 1, width: 4, channels: 2 }],
  ] as const)('with encoder %s and loss %s on images %o', async (encoder, loss, image) => {
    const trained = await trainLearnedCode(
      { base, k: 2, inputs, labels, image },
      { ...settings, epochs: 5, encoder, encoderWidth: 8, loss },
    )
    expect(trained.channels).toBe('channels' in image ? 2 : 1)
    const code = learned({ k: 2, ...trained })
    const accuracy = evaluateCode({ code, inputs, labels, base: run, parity: run })
    const counts = [0, 1, 2].map((c) => labels.filter((label) => label === c).length)
    expect(accuracy.degraded).toBeGreaterThan(Math.max(...counts) / 4000 + 0.05)
    // The code encodes what was trained: on the validation samples' kind it is as good
    expect(Math.abs(accuracy.degraded - trained.validation.degraded)).toBeLessThan(0.1)
  })

  it('refuses networks that do not fit, and too few outputs', () => {
    const layer = (rows: number, columns: number): DenseLayer => ({
      weights: normal('w', [rows, columns], 1),
      bias: normal('b', [columns], 1),
      relu: false,
    })
    expect(() => learned({ k: 2, encoder: [layer(16, 7)], decoder: [layer(9, 6)] })).toThrow(/must be \[2 d/)
    const code = learned({ k: 2, encoder: [layer(16, 8)], decoder: [layer(9, 6)] })
    expect(code.canDecode(new Set([0]))).toBe(false)
    expect(() => code.decode(new Map())).toThrow(/at least 2 of 3/)
  })
})

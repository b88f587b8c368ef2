// The learned code: trained through a frozen perceptron on a made task, served by the coordinator as any other code.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import {
  createCoordinator,
  createGateway,
  createModelRunner,
  evaluateCode,
  fingerprintOf,
  hold,
  learned,
  preset,
  readLearnedCode,
  sum,
  trainLearnedCode,
  virtualClock,
  writeLearnedCode,
  writeModelFolder,
  type DenseLayer,
} from '../src/index.ts'
import { parseConfig } from '../src/cli/config.ts'
import { buildWorker } from './support/worker.ts'

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
    const code = learned(trained)
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
    const code = learned(trained)
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

describe('the start', () => {
  // Negative inputs too, of two planes for convolutions
  it.each([
    ['mlp', 8, undefined],
    ['mlp', 20, undefined],
    ['conv', 3, { height: 2, width: 4 }],
    ['conv', 3, { height: 1, width: 4, channels: 2 }],
  ] as const)('is the addition code: encoder %s of width %i, images %o', async (encoder, encoderWidth, image) => {
    for (const k of [2, 3]) {
      const task = { base, k, inputs, labels, ...(image ? { image } : {}) }
      const start = await trainLearnedCode(task, { ...settings, epochs: 0, encoder, encoderWidth })
      expect(start.bestEpoch).toBe(0)
      const of = (code: ReturnType<typeof sum>) => evaluateCode({ code, inputs, labels, base: run, parity: run })
      const [own, added] = [of(learned(start)), of(sum({ k }))]
      expect(own.meanSquaredError / added.meanSquaredError).toBeCloseTo(1, 4)
      expect(Math.abs(own.degraded - added.degraded)).toBeLessThan(0.002)
    }
  })

  it('needs room for the sum in the encoder, and is told when it has none', async () => {
    const task = { base, k: 2, inputs, labels }
    const narrow = { ...settings, epochs: 0, encoderWidth: 7 }
    await expect(trainLearnedCode(task, { ...narrow, initial: 'addition' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    await expect(trainLearnedCode(task, { ...narrow, initial: 'none' as never })).rejects.toThrow(/`initial`/)
    // The published start needs none, and is among the published settings
    const published = preset('mnist-learned', { k: 2 })
    await trainLearnedCode(task, { ...published, ...narrow })
    expect((await trainLearnedCode(task, narrow)).encoder[0]?.bias.data).toHaveLength(7)
  })
})

describe('a saved code', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>
  const scratch = mkdtempSync(join(tmpdir(), 'parm-learned-'))
  const folder = (name: string) => join(scratch, name)
  const train = (seed: number) => trainLearnedCode({ base, k: 2, inputs, labels }, { ...settings, seed, epochs: 1 })
  let trained: Awaited<ReturnType<typeof train>>
  beforeAll(async () => {
    built = await buildWorker()
    trained = await train(1)
    await writeModelFolder(folder('base'), { layers: base })
    await writeModelFolder(folder('other'), { layers: layers(new Float32Array(3)) })
    await writeLearnedCode(folder('code'), trained)
  })
  afterAll(() => {
    built.remove()
    rmSync(scratch, { recursive: true, force: true })
  })
  const serve = async (model: string, code: ReturnType<typeof learned>) => {
    const instance = { worker: { folder: folder(model) }, workerFile: built.workerFile }
    return createGateway({ model: 'm', instances: [instance, instance], code, policy: hold({ afterMs: 20 }) })
  }

  it('is read as it was written, and from a configuration', async () => {
    const read = await readLearnedCode(folder('code'))
    const { k, channels, baseFingerprint, encoder, decoder } = trained
    expect(baseFingerprint).toBe(fingerprintOf(base))
    expect([read.k, read.channels, read.baseFingerprint]).toEqual([k, channels, baseFingerprint])
    expect([read.encoder, read.decoder].map(fingerprintOf)).toEqual([encoder, decoder].map(fingerprintOf))
    const config = { model: 'm', instances: [{ folder: 'base' }], code: { kind: 'learned', folder: 'code' } }
    const parsed = parseConfig(JSON.stringify(config), folder('parm.json')).code
    expect([parsed?.name, parsed?.k, parsed?.baseFingerprint]).toEqual(['learned', 2, baseFingerprint])
    const absent = JSON.stringify({ ...config, code: { kind: 'learned', folder: 'none' } })
    expect(() => parseConfig(absent, folder('parm.json'))).toThrow(/code: cannot read .*ft-code.json/)
  })

  it('answers for its own base model, and is refused for another', async () => {
    const code = learned(await readLearnedCode(folder('code')))
    const gateway = await serve('base', code)
    await gateway.close()
    await expect(serve('other', code)).rejects.toMatchObject({
      code: 'FINGERPRINT_MISMATCH',
      details: { got: fingerprintOf(base) },
    })
    // Networks of which nothing is known are taken at their word
    const { baseFingerprint: _unknown, ...unbound } = trained
    await (await serve('other', learned(unbound))).close()
  })

  it('is refused when a network is not its own, or its manifest not one', async () => {
    const damaged = (name: string, change: (manifest: Record<string, unknown>) => object) => {
      cpSync(folder('code'), folder(name), { recursive: true })
      const file = join(folder(name), 'ft-code.json')
      const manifest = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
      writeFileSync(file, JSON.stringify(change(manifest)))
      return readLearnedCode(folder(name))
    }
    await writeLearnedCode(folder('second'), await train(2))
    cpSync(folder('code'), folder('mixed'), { recursive: true })
    cpSync(join(folder('second'), 'decoder'), join(folder('mixed'), 'decoder'), { recursive: true })
    await expect(readLearnedCode(folder('mixed'))).rejects.toMatchObject({ code: 'FINGERPRINT_MISMATCH' })
    await expect(damaged('newer', (own) => ({ ...own, version: 2 }))).rejects.toMatchObject({
      code: 'VERSION_UNSUPPORTED',
    })
    await expect(damaged('partial', (own) => ({ ...own, baseFingerprint: undefined }))).rejects.toMatchObject({
      code: 'CORRUPT_DATA',
    })
    await expect(readLearnedCode(folder('none'))).rejects.toMatchObject({ code: 'IO' })
  })
})

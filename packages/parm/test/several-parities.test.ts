// Codes of several parities: a model for each is trained, judged on every pattern of lost units, saved, and served by real
// worker processes.
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import {
  createGateway,
  createModelRunner,
  evaluateCode,
  fingerprintOf,
  hold,
  readModelFolder,
  sum,
  trainParityModel,
  weighted,
  writeModelFolder,
  type Code,
  type DenseLayer,
  type Gateway,
  type NamedTensor,
} from '../src/index.ts'
import { buildWorker } from './support/worker.ts'

const random = createRandom(11)
const normal = (name: string, shape: number[], standardDeviation: number) => ({
  data: random.stream(name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1)), { standardDeviation }),
  shape,
  dtype: 'float32' as const,
})
const base: DenseLayer[] = [
  { weights: normal('w1', [8, 16], 0.4), bias: normal('b1', [16], 0.1), relu: true },
  { weights: normal('w2', [16, 3], 0.4), bias: normal('b2', [3], 0.1), relu: false },
]
const inputs = normal('x', [3000, 8], 1)
const run = createModelRunner(base)
const outputs = run(inputs).data
const labels = Array.from({ length: 3000 }, (_, i) => {
  const row = outputs.subarray(3 * i, 3 * i + 3)
  return row.indexOf(Math.max(...row))
})
const code = weighted({ k: 2, r: 2 })
const settings = { seed: 1, epochs: 4, groupsPerBatch: 16, validationSamples: 500 }
const train = (parity: number) => trainParityModel({ base, code, inputs, labels }, { ...settings, parity })

describe('a linear model', () => {
  const weights = normal('linear', [8, 3], 1)
  const bias = normal('linear bias', [3], 1)
  const linear = (scale: number) =>
    createModelRunner([{ weights, bias: { ...bias, data: bias.data.map((b) => scale * b) }, relu: false }])

  it.each([
    ['the default weights', undefined],
    [
      'a sum and a difference',
      [
        [1, 1],
        [1, -1],
      ],
    ],
  ])('is reconstructed from its own weighted sums whatever two units are lost, with %s', (_what, coefficients) => {
    const own = weighted({ k: 2, r: 2, ...(coefficients ? { coefficients } : {}) })
    const total = (parity: number) => own.parityWeights?.(2 + parity).reduce((a, b) => a + b, 0) ?? NaN
    const models = [0, 1].map((parity) => linear(total(parity)))
    const answers = linear(1)(inputs).data
    const classes = Array.from({ length: 3000 }, (_, i) => {
      const row = answers.subarray(3 * i, 3 * i + 3)
      return row.indexOf(Math.max(...row))
    })
    const accuracy = evaluateCode({ code: own, inputs, labels: classes, base: linear(1), parity: models })
    expect(accuracy.patterns.map(({ missing }) => missing)).toEqual([[0], [1], [0, 1], [0, 2], [0, 3], [1, 2], [1, 3]])
    // Rounding decides between classes whose scores are almost equal
    for (const { degraded } of accuracy.patterns) expect(degraded).toBeGreaterThan(0.998)
    expect(accuracy.degradedByLosses).toHaveLength(2)
    // Of one lost query each, whatever else may be lost
    expect(accuracy.meanSquaredError).toBeLessThan(1e-10)
    expect(accuracy.agreement).toBeGreaterThan(0.998)
    expect(accuracy.agreement).toBeLessThanOrEqual(1)
    expect(() => evaluateCode({ code: own, inputs, labels: classes, base: run, parity: run })).toThrow(/2 models/)
  })
})

describe('trained parities', () => {
  it('each improve on the deployed model in its place, and together bear two losses', async () => {
    const trained = [await train(0), await train(1)]
    const of = (models: readonly DenseLayer[][]) =>
      evaluateCode({ code, inputs, labels, base: run, parity: models.map((layers) => createModelRunner(layers)) })
    const [untrained, accuracy] = [of([base, base]), of(trained.map(({ layers }) => layers))]
    const lost = (from: typeof accuracy, ...missing: number[]) =>
      from.patterns.find((pattern) => pattern.missing.join() === missing.join())?.degraded as number
    // With one parity lost as well, the other alone decides: each has learned its own row
    for (const missing of [
      [0, 3],
      [1, 3],
      [0, 2],
      [1, 2],
      [0, 1],
    ])
      expect(lost(accuracy, ...missing), missing.join()).toBeGreaterThan(lost(untrained, ...missing))
    expect(accuracy.degradedByLosses[0]).toBe(accuracy.degraded)
    const pairs = accuracy.patterns.filter(({ missing }) => missing.length === 2)
    expect(accuracy.degradedByLosses[1]).toBeCloseTo(
      pairs.reduce((total, { degraded }) => total + degraded / 5, 0),
      12,
    )
    trained.forEach(({ parity, validation, history, bestEpoch }, j) => {
      expect(parity).toEqual({
        baseFingerprint: fingerprintOf(base),
        code: 'weighted',
        k: 2,
        weights: [
          [1, 1],
          [1, 2],
        ][j],
      })
      // Judged by itself, the other parity being lost
      expect(validation.patterns).toHaveLength(2)
      expect(history[bestEpoch - 1]?.degraded ?? validation.degraded).toBe(validation.degraded)
    })
  })

  it('ask which parity is meant where there are several, and take none that is not there', async () => {
    const task = { base, code, inputs, labels }
    for (const options of [settings, { ...settings, parity: 2 }])
      await expect(trainParityModel(task, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    await expect(trainParityModel({ ...task, code: sum({ k: 2 }) }, { ...settings, parity: 1 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })
})

describe('the gateway, with worker processes', () => {
  let built: Awaited<ReturnType<typeof buildWorker>>
  const open: Gateway[] = []
  const folder = (name: string) => join(built.folder, name)
  const worker = (name: string) => [{ worker: { folder: folder(name) }, workerFile: built.workerFile }]
  beforeAll(async () => {
    built = await buildWorker()
    await writeModelFolder(folder('base'), { layers: base })
    for (const parity of [0, 1]) await writeModelFolder(folder(`parity-${parity}`), await train(parity))
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((gateway) => gateway.close()))
  })
  afterAll(() => built.remove())

  async function start(coded: Code, parityInstances: Record<string, ReturnType<typeof worker>>): Promise<Gateway> {
    const gateway = await createGateway({
      model: 'm',
      code: coded,
      policy: hold({ afterMs: 20 }),
      deadlineMs: 5000,
      instances: [...worker('base'), ...worker('base')],
      parityInstances,
    })
    open.push(gateway)
    return gateway
  }
  const trained = () => ({ 'parity-0': worker('parity-0'), 'parity-1': worker('parity-1') })

  it('answers both queries of a group from its two parities when all instances of the model hang', async () => {
    const gateway = await start(code, trained())
    const pids = gateway.snapshot().instances.flatMap(({ name, pid }) => (name.startsWith('base') ? [pid ?? 0] : []))
    for (const pid of pids) process.kill(pid, 'SIGSTOP')
    const x = inputs.data.subarray(0, 16)
    const response = await fetch(`${gateway.url}/v2/models/m/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs: [{ name: 'input', datatype: 'FP32', shape: [2, 8], data: [...x] }] }),
    })
    const reply = (await response.json()) as { parameters: object; outputs: { data: number[] }[] }
    for (const pid of pids) process.kill(pid, 'SIGCONT')
    expect(reply.parameters).toMatchObject({ 'ft.qualities': 'reconstructed,reconstructed' })

    // What the saved models and the code give in this process
    const member = (i: number): NamedTensor[] => [
      { name: 'input', data: inputs.data.subarray(8 * i, 8 * i + 8), shape: [1, 8], dtype: 'float32' },
    ]
    const units = code.encode([member(0), member(1)])
    const got = new Map<number, NamedTensor[]>()
    for (const parity of [0, 1]) {
      const { layers, manifest } = await readModelFolder(folder(`parity-${parity}`))
      expect(manifest.parity?.weights).toEqual(parity === 0 ? [1, 1] : [1, 2])
      const { data, shape } = createModelRunner(layers)(units[2 + parity]?.[0] as NamedTensor)
      got.set(2 + parity, [{ name: 'output', data, shape, dtype: 'float32' }])
    }
    const expected = code.decode(got).outputs.flatMap((output) => Array.from(output[0]?.data as Float32Array))
    reply.outputs[0]?.data.forEach((value, i) => expect(value).toBeCloseTo(expected[i] as number, 4))
    expect(reply.outputs[0]?.data).toHaveLength(6)
  })

  it('refuses parity models in one another’s place, and those trained to other weights', async () => {
    const swapped = { 'parity-0': worker('parity-1'), 'parity-1': worker('parity-0') }
    await expect(start(code, swapped)).rejects.toMatchObject({ code: 'FINGERPRINT_MISMATCH' })
    const other = weighted({
      k: 2,
      r: 2,
      coefficients: [
        [1, 1],
        [1, -1],
      ],
    })
    await expect(start(other, trained())).rejects.toThrow(/times 1,-1, got 1,2/)
  })
})

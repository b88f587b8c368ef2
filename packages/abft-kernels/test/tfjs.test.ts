// Protected TensorFlow.js models: equal to the plain ones, and any wrong product is found, on two backends.
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { isFtError, type PlannedLayer, type ProtectionPlan } from '@ft/core'
import { protectTfjs } from '../src/tfjs.ts'

const schemes = ['row', 'global', 'replication'] as const

type Kernel = (name: string, inputs: object, attributes?: object) => tf.Tensor

/** Runs `work` while kernels that `strikes` names have one value of their output changed, `times` times in all. */
async function struck<T>(
  o: { strikes: (name: string, call: number) => boolean; change: (value: number) => number; times?: number },
  work: () => Promise<T>,
): Promise<T> {
  const engine = tf.engine() as unknown as { runKernel: Kernel }
  const original = engine.runKernel
  const calls = new Map<string, number>()
  let left = o.times ?? Infinity
  engine.runKernel = function (name, inputs, attributes) {
    const output = original.call(engine, name, inputs, attributes)
    const call = (calls.get(name) ?? 0) + 1
    calls.set(name, call)
    if (left === 0 || !o.strikes(name, call)) return output
    left--
    const values = output.dataSync().slice() as Float32Array
    const at = values.length >> 1
    values[at] = o.change(values[at] as number)
    return tf.tensor(values, output.shape)
  }
  try {
    return await work()
  } finally {
    engine.runKernel = original
  }
}

function convNet(): tf.LayersModel {
  const model = tf.sequential()
  const seeded = (seed: number) => tf.initializers.randomNormal({ stddev: 0.3, seed })
  model.add(
    tf.layers.conv2d({
      name: 'conv',
      inputShape: [9, 8, 3],
      filters: 6,
      kernelSize: 3,
      strides: 2,
      padding: 'same',
      activation: 'relu',
      kernelInitializer: seeded(1),
      biasInitializer: seeded(2),
    }),
  )
  model.add(
    tf.layers.depthwiseConv2d({
      name: 'depthwise',
      kernelSize: 3,
      padding: 'same',
      activation: 'relu6',
      depthwiseInitializer: seeded(3),
    }),
  )
  model.add(
    tf.layers.conv2d({ name: 'pointwise', filters: 5, kernelSize: 1, activation: 'elu', kernelInitializer: seeded(4) }),
  )
  model.add(tf.layers.flatten())
  model.add(
    tf.layers.dense({
      name: 'dense',
      units: 12,
      activation: 'sigmoid',
      kernelInitializer: seeded(5),
      biasInitializer: seeded(6),
    }),
  )
  model.add(tf.layers.dense({ name: 'logits', units: 4, kernelInitializer: seeded(7) }))
  return model
}

const image = (seed = 9): tf.Tensor => tf.randomNormal([2, 9, 8, 3], 0, 1, 'float32', seed)
const values = (tensor: unknown): number[] => Array.from((tensor as tf.Tensor).dataSync())

describe.each(['cpu', 'wasm'])('on the %s backend', (backend) => {
  beforeAll(async () => {
    expect(await tf.setBackend(backend)).toBe(true)
  })

  it.each(schemes)('%s: a clean run gives what the model gives, and says so', async (scheme) => {
    const [model, x] = [convNet(), image()]
    const guarded = await protectTfjs(tf, model, { plan: { scheme } })
    expect(guarded.layers).toEqual(['conv', 'depthwise', 'pointwise', 'dense', 'logits'])
    const { outputs, report } = await guarded.predict(x)
    expect(report).toEqual({ status: 'clean', detections: [], checks: 5, runs: 1, badInput: false, unprotected: [] })
    const plain = values(model.predict(x))
    values(outputs).forEach((value, i) => expect(value).toBeCloseTo(plain[i] as number, 5))
    guarded.dispose()
  })

  it.each(schemes)('%s: a wrong product is named, and running again corrects it', async (scheme) => {
    const [model, x] = [convNet(), image()]
    const guarded = await protectTfjs(tf, model, { plan: { scheme } })
    const plain = values(model.predict(x))
    const kernels = [
      { id: 'conv', strikes: (name: string, call: number) => name === 'FusedConv2D' && call === 1 },
      { id: 'dense', strikes: (name: string, call: number) => name === '_FusedMatMul' && call === 1 },
      { id: 'depthwise', strikes: (name: string, call: number) => name.includes('Depthwise') && call === 1 },
    ]
    for (const { id, strikes } of kernels) {
      for (const change of [(v: number) => v + 3, (v: number) => -v - 3, () => NaN, () => Infinity]) {
        const { outputs, report } = await struck({ strikes, change, times: 1 }, () => guarded.predict(x))
        expect(report).toMatchObject({ status: 'corrected', runs: 2 })
        expect(report.detections.map((each) => each.id)).toContain(id)
        values(outputs).forEach((value, i) => expect(value).toBeCloseTo(plain[i] as number, 5))
      }
    }
    guarded.dispose()
  })

  it('runs again only when asked, and says when it did not help', async () => {
    const [model, x] = [convNet(), image()]
    const always = { strikes: (name: string) => name === 'FusedConv2D', change: (v: number) => v + 5 }
    const reporting = await protectTfjs(tf, model, { onFault: 'report' })
    const seen = await struck(always, () => reporting.predict(x))
    expect(seen.report).toMatchObject({ status: 'detected', runs: 1 })
    const correcting = await protectTfjs(tf, model, { retries: 2 })
    const failed = await struck(always, () => correcting.predict(x))
    expect(failed.report).toMatchObject({ status: 'uncorrectable', runs: 3 })
    const throwing = await protectTfjs(tf, model, { onFault: 'throw' })
    const error: unknown = await struck(always, () => throwing.predict(x)).catch((e: unknown) => e)
    expect(isFtError(error, 'FAULT_DETECTED')).toBe(true)
    // The engine is as it was.
    expect((await throwing.predict(x)).report.status).toBe('clean')
  })

  it("a NaN in the input is the input's fault", async () => {
    const guarded = await protectTfjs(tf, convNet())
    const bad = values(image())
    bad[17] = NaN
    const { report } = await guarded.predict(tf.tensor(bad, [2, 9, 8, 3]))
    expect(report).toMatchObject({ status: 'detected', badInput: true, runs: 1 })
  })

  it('bounds hold for operands of any scale: no clean run fails', async () => {
    for (const [seed, scale] of [
      [1, 1e-18],
      [2, 1e-3],
      [3, 1],
      [4, 1e6],
    ] as const)
      for (const scheme of ['row', 'global'] as const) {
        const model = tf.sequential()
        model.add(
          tf.layers.dense({
            inputShape: [700],
            units: 300,
            activation: 'relu',
            kernelInitializer: tf.initializers.randomUniform({ minval: 0, maxval: scale, seed }),
          }),
        )
        model.add(tf.layers.dense({ units: 10, kernelInitializer: tf.initializers.randomNormal({ stddev: 1, seed }) }))
        const guarded = await protectTfjs(tf, model, { plan: { scheme } })
        const { report } = await guarded.predict(tf.randomUniform([64, 700], 0, 1, 'float32', seed))
        expect(report.status).toBe('clean')
        guarded.dispose()
      }
  })

  it('leaves no tensors behind', async () => {
    const [model, x] = [convNet(), image()]
    const guarded = await protectTfjs(tf, model)
    const once = async () => (await guarded.predict(x)).outputs as tf.Tensor
    ;(await once()).dispose()
    const before = tf.memory().numTensors
    for (let i = 0; i < 3; i++) (await once()).dispose()
    expect(tf.memory().numTensors).toBe(before)
    const sums = before
    guarded.dispose()
    expect(tf.memory().numTensors).toBeLessThan(sums)
  })

  it('recurrent layers, and attention written with products of two computed operands', async () => {
    const input = tf.input({ shape: [5, 4] })
    const recurrent = tf.layers
      .gru({ name: 'gru', units: 6, returnSequences: true, kernelInitializer: 'ones' })
      .apply(input) as tf.SymbolicTensor
    const scores = tf.layers.dot({ axes: [2, 2] }).apply([recurrent, recurrent]) as tf.SymbolicTensor
    const model = tf.model({ inputs: input, outputs: scores })
    const guarded = await protectTfjs(tf, model)
    const { report } = await guarded.predict(tf.randomNormal([2, 5, 4], 0, 1, 'float32', 3))
    expect(report.status).toBe('clean')
    // Two products a step, and the scores.
    expect(report.checks).toBeGreaterThanOrEqual(11)
  })
})

it('a product whose rounding has no bound is listed, not waved through', async () => {
  const half = { ...tf, backend: () => ({ floatPrecision: () => 16 as const }) }
  const model = tf.sequential()
  model.add(tf.layers.dense({ name: 'long', inputShape: [2100], units: 4, activation: 'relu' }))
  model.add(tf.layers.dense({ name: 'short', units: 3 }))
  const x = tf.randomNormal([2, 2100], 0, 1, 'float32', 1)
  const guarded = await protectTfjs(half, model)
  const { outputs, report } = await guarded.predict(x)
  expect(report.unprotected).toEqual([{ id: 'long', reason: 'rounding of float16 has no bound at this size' }])
  expect(report.checks).toBe(1)
  expect(values(outputs)).toEqual(values(model.predict(x)))
  const twice = await protectTfjs(half, model, { plan: { scheme: 'replication' } })
  expect((await twice.predict(x)).report).toMatchObject({ status: 'clean', checks: 2, unprotected: [] })
})

describe('plans', () => {
  const plan = (layers: Partial<PlannedLayer>[], target: ProtectionPlan['target'] = 'tfjs'): ProtectionPlan => ({
    schema: 'ft.plan',
    version: 1,
    target,
    model: { name: 'net', fingerprint: 'f' },
    device: 'here',
    layers: layers as PlannedLayer[],
  })

  it('give each layer its own scheme; what they leave out is listed', async () => {
    const guarded = await protectTfjs(tf, convNet(), {
      plan: plan([
        { id: 'conv', scheme: 'global' },
        { id: 'dense', scheme: 'row' },
      ]),
    })
    const { report } = await guarded.predict(image())
    expect(report.checks).toBe(2)
    expect(report.unprotected.map(({ id }) => id)).toEqual(['depthwise', 'pointwise', 'logits'])
  })

  it('of other targets and other models are refused', async () => {
    const refused = async (code: string, wanted: ProtectionPlan | { scheme: 'column' }) => {
      const error: unknown = await protectTfjs(tf, convNet(), { plan: wanted as ProtectionPlan }).catch(
        (e: unknown) => e,
      )
      expect(isFtError(error) && error.code).toBe(code)
    }
    await refused('INVALID_ARGUMENT', plan([], 'onnx'))
    await refused('INVALID_ARGUMENT', { scheme: 'column' })
    await refused('FINGERPRINT_MISMATCH', plan([{ id: 'elsewhere', scheme: 'row' }]))
  })
})

describe('a GraphModel', () => {
  afterEach(() => tf.setBackend('cpu'))
  /** conv + bias + relu, pooled, and a product with a transposed matrix, as a converted model has them. */
  const graph = async (): Promise<tf.GraphModel> => {
    const [filter, bias, matrix] = [3 * 3 * 2 * 4, 4, 5 * 4].map((size, s) =>
      Float32Array.from({ length: size }, (_, i) => Math.sin(i + s)),
    ) as [Float32Array, Float32Array, Float32Array]
    const float = { type: 'DT_FLOAT' }
    const constant = (name: string) => ({ name, op: 'Const', attr: { dtype: float } })
    const data = new Float32Array([...filter, ...bias, ...matrix]).buffer
    const artifacts = {
      format: 'graph-model',
      modelTopology: {
        node: [
          {
            name: 'x',
            op: 'Placeholder',
            attr: { dtype: float, shape: { shape: { dim: [1, 6, 6, 2].map((size) => ({ size })) } } },
          },
          constant('w'),
          constant('b'),
          constant('m'),
          { name: 'w/read', op: 'Identity', input: ['w'], attr: { T: float } },
          {
            name: 'features',
            op: '_FusedConv2D',
            input: ['x', 'w/read', 'b'],
            attr: {
              T: float,
              strides: { list: { i: [1, 1, 1, 1] } },
              padding: { s: btoa('SAME') },
              data_format: { s: btoa('NHWC') },
              dilations: { list: { i: [1, 1, 1, 1] } },
              num_args: { i: 1 },
              fused_ops: { list: { s: [btoa('BiasAdd'), btoa('Relu')] } },
            },
          },
          { name: 'shape', op: 'Const', attr: { dtype: { type: 'DT_INT32' } } },
          { name: 'rows', op: 'Reshape', input: ['features', 'shape'], attr: { T: float } },
          {
            name: 'scores',
            op: 'MatMul',
            input: ['rows', 'm'],
            attr: { T: float, transpose_a: { b: false }, transpose_b: { b: true } },
          },
        ],
        versions: {},
      },
      weightSpecs: [
        { name: 'w', shape: [3, 3, 2, 4], dtype: 'float32' as const },
        { name: 'b', shape: [4], dtype: 'float32' as const },
        { name: 'm', shape: [5, 4], dtype: 'float32' as const },
        { name: 'shape', shape: [2], dtype: 'int32' as const },
      ],
      weightData: concatenated(data, new Int32Array([-1, 4]).buffer),
    }
    return await tf.loadGraphModel(tf.io.fromMemory(artifacts))
  }

  it.each(schemes)('%s: nodes by name, transposed weights, faults named and corrected', async (scheme) => {
    const model = await graph()
    const x = tf.randomNormal([1, 6, 6, 2], 0, 1, 'float32', 4)
    const guarded = await protectTfjs(tf, model, { plan: { scheme } })
    expect([...guarded.layers].sort()).toEqual(['features', 'scores'])
    const clean = await guarded.predict(x)
    expect(clean.report).toMatchObject({ status: 'clean', checks: 2 })
    expect(values(clean.outputs)).toEqual(values(model.predict(x)))
    const strikes = (name: string, call: number) => /MatMul/.test(name) && call === 1
    const { report } = await struck({ strikes, change: (v) => v + 1, times: 1 }, () => guarded.predict(x))
    expect(report.status).toBe('corrected')
    expect(report.detections.map(({ id }) => id)).toEqual(['scores'])
  })
})

function concatenated(...parts: ArrayBufferLike[]): ArrayBuffer {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    all.set(new Uint8Array(part), at)
    at += part.byteLength
  }
  return all.buffer
}

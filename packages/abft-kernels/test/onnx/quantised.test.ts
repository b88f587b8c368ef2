// Quantised products: exact checks, with every optimisation on, in the forms that exporters write.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Fault } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { graphBuilder, parseModel, serializeModel, type GraphBuilder, type OnnxModel } from '@ft/onnx'
import { createGuardedSession, injectOnnx, protectOnnx, type Ort } from '../../src/onnx.ts'
import { raiseWeights } from '../../src/onnx/exactBytes.ts'
import { ort, runPlain } from './models.ts'

const all = { graphOptimizationLevel: 'all', logSeverityLevel: 4 } as const
type Byte = 'int8' | 'uint8'
const arrays = { int8: Int8Array, uint8: Uint8Array }
const random = createRandom(5).stream('quantised')
const integers = (size: number, low: number, high: number) =>
  Int32Array.from({ length: size }, () => random.integer(low, high))

const byte = (b: GraphBuilder, name: string, type: Byte, value: number) =>
  b.initializer(name, { type, shape: [], data: arrays[type].of(value) })
const float = (b: GraphBuilder, name: string, values: number[], shape: number[] = []) =>
  b.initializer(name, { dtype: 'float32', shape, data: Float32Array.from(values) })

/** Weights over the whole range of their type, or without its lowest value. */
const weights = (b: GraphBuilder, name: string, type: Byte, shape: number[], lowest = type === 'int8' ? -128 : 0) =>
  b.initializer(name, {
    type,
    shape,
    data: arrays[type].from(
      integers(
        shape.reduce((n, size) => n * size, 1),
        lowest,
        type === 'int8' ? 127 : 255,
      ),
    ),
  })

/** QLinearConv, padded and grouped with scales by channel, then QLinearMatMul on its flattened output. */
function qlinear(type: Byte, weightType: Byte): Uint8Array {
  const b = graphBuilder({ name: 'qlinear' })
  const x = b.input('x', type, ['batch', 4, 6, 6])
  const [zero, weightZero] = [type === 'int8' ? -7 : 120, weightType === 'int8' ? 0 : 131]
  const conv = b.node(
    'QLinearConv',
    [
      x,
      float(b, 'xs', [0.02]),
      byte(b, 'xz', type, zero),
      weights(b, 'w', weightType, [8, 2, 3, 3]),
      float(
        b,
        'ws',
        [1, 2, 3, 4, 5, 6, 7, 8].map((v) => v / 900),
        [8],
      ),
      b.initializer('wz', { type: weightType, shape: [8], data: arrays[weightType].from(Array(8).fill(weightZero)) }),
      float(b, 'ys', [0.05]),
      byte(b, 'yz', type, type === 'int8' ? 5 : 100),
      b.initializer('bias', { type: 'int32', shape: [8], data: integers(8, -3000, 3000) }),
    ],
    { outputs: ['conv'], attributes: { group: { int: 2 }, pads: { ints: [1, 1, 1, 1] } } },
  )
  const flat = b.node('Flatten', [conv])
  const inputs = [
    flat,
    'ys',
    'yz',
    weights(b, 'm', weightType, [288, 10]),
    float(b, 'ms', [0.002]),
    byte(b, 'mz', weightType, weightType === 'int8' ? 3 : 128),
    float(b, 'os', [0.1]),
    byte(b, 'oz', type, 0),
  ]
  b.output(b.node('QLinearMatMul', inputs, { outputs: ['product'] }), type, ['batch', 10])
  return serializeModel(b.build())
}

/** The same between dequantise and quantise nodes: a convolution with a ReLU that its zero point makes idle, and a product. */
function qdq(type: Byte): Uint8Array {
  const b = graphBuilder({ name: 'qdq' })
  const x = b.input('x', type, ['batch', 4, 6, 6])
  const dequantise = (q: string, scale: string, zero: string, axis?: number) =>
    b.node('DequantizeLinear', [q, scale, zero], axis === undefined ? {} : { attributes: { axis: { int: axis } } })
  const xd = dequantise(x, float(b, 'xs', [0.02]), byte(b, 'xz', type, type === 'int8' ? -7 : 120))
  const ws = Array.from({ length: 8 }, (_, i) => (i + 1) / 900)
  const zeros = b.initializer('wz', { type: 'int8', shape: [8], data: new Int8Array(8) })
  const wd = dequantise(weights(b, 'w', 'int8', [8, 4, 3, 3], -127), float(b, 'ws', ws, [8]), zeros, 0)
  const bias = b.initializer('bias', { type: 'int32', shape: [8], data: integers(8, -3000, 3000) })
  const none = b.initializer('bz', { type: 'int32', shape: [8], data: new Int32Array(8) })
  const biasScale = float(
    b,
    'bs',
    ws.map((scale) => Math.fround(scale) * Math.fround(0.02)),
    [8],
  )
  const conv = b.node('Conv', [xd, wd, dequantise(bias, biasScale, none, 0)], {
    outputs: ['conv'],
    attributes: { strides: { ints: [2, 1] } },
  })
  const quantised = b.node('QuantizeLinear', [conv, float(b, 'ys', [0.05]), byte(b, 'yz', type, 3)], { outputs: ['q'] })
  const flat = b.node('Flatten', [dequantise(quantised, 'ys', 'yz')])
  const again = dequantise(b.node('QuantizeLinear', [flat, 'ys', 'yz']), 'ys', 'yz')
  const md = dequantise(weights(b, 'm', 'int8', [64, 10]), float(b, 'ms', [0.002]), byte(b, 'mz', 'int8', 0))
  const product = b.node('MatMul', [again, md], { outputs: ['product'] })
  b.output(
    b.node('QuantizeLinear', [product, float(b, 'os', [0.1]), byte(b, 'oz', type, 9)], { outputs: ['y'] }),
    type,
    ['batch', 10],
  )
  return serializeModel(b.build())
}

const inputOf = (type: Byte, seed: number): Record<string, ort.Tensor> => {
  const stream = createRandom(seed).stream('input')
  const [low, high] = type === 'int8' ? [-128, 127] : [0, 255]
  const data = arrays[type].from(Array.from({ length: 3 * 144 }, () => stream.integer(low, high)))
  return { x: new ort.Tensor(type, data as Uint8Array, [3, 4, 6, 6]) }
}

const cases = [
  { name: 'QLinear, uint8 by int8', bytes: qlinear('uint8', 'int8'), type: 'uint8' },
  { name: 'QLinear, uint8 by uint8', bytes: qlinear('uint8', 'uint8'), type: 'uint8' },
  { name: 'QLinear, int8 by int8', bytes: qlinear('int8', 'int8'), type: 'int8' },
  { name: 'dequantised, uint8', bytes: qdq('uint8'), type: 'uint8' },
  { name: 'dequantised, int8', bytes: qdq('int8'), type: 'int8' },
] as const

describe.each(cases)('$name', ({ name, bytes, type }) => {
  it('replication is exact: clean runs are clean, and every flipped bit of a weight that changes the output is found', async () => {
    const made = protectOnnx(bytes, { scheme: 'replication' })
    expect(made.unprotected).toEqual([])
    expect(made.protected.map(({ id, bound }) => [id, bound])).toEqual([
      ['conv', 0],
      ['product', 0],
    ])
    const session = await createGuardedSession(ort as never, made.bytes, { session: all })
    const [clean] = await Promise.all(
      Array.from({ length: 6 }, async (_, seed) => {
        const { outputs, report } = await session.run(inputOf(type, seed))
        expect(report).toMatchObject({ status: 'clean', runs: 1 })
        const plain = await runPlain(bytes, inputOf(type, seed))
        for (const [output, { data }] of Object.entries(plain)) expect(outputs[output]?.data).toEqual(data)
        return plain
      }),
    )
    await session.release()
    let found = 0
    for (const layer of ['conv', 'product'])
      for (let bit = 0; bit < 8; bit++) {
        const site = { kind: 'packed-weight', step: 7, column: 3 } as const
        const flip: Fault = { layer, site, effect: { kind: 'flip', bits: [bit] } }
        const struck = await createGuardedSession(ort as never, injectOnnx(made.bytes, [flip]), { session: all })
        const { outputs, report } = await struck.run(inputOf(type, 0))
        await struck.release()
        const [output, { data }] = Object.entries(clean ?? {})[0] as [string, ort.Tensor]
        const wrong = String(outputs[output]?.data) !== String(data)
        if (wrong) expect(report.detections.map(({ id }) => id)).toEqual([layer])
        found += report.detections.length
      }
    expect(found).toBeGreaterThan(8)
  })

  it('the copy is computed as its product is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ft-quantised-'))
    const { bytes: safe } = protectOnnx(bytes, { scheme: 'replication' })
    const opTypes = await Promise.all(
      [bytes, safe].map(async (model, i) => {
        const path = join(folder, `${i}.onnx`)
        const session = await ort.InferenceSession.create(model, { ...all, optimizedModelFilePath: path })
        await session.release()
        return parseModel(readFileSync(path)).graph.node.map(({ opType }) => opType)
      }),
    )
    rmSync(folder, { recursive: true })
    const [plain, checked] = opTypes.map((names) => names.filter((name) => name.startsWith('QLinear')).sort()) as [
      string[],
      string[],
    ]
    // onnxruntime computes dequantised int8 in float32 on x86: there the copy is negated floats, and just as exact.
    if (name !== 'dequantised, int8') expect(plain).toEqual(['QLinearConv', 'QLinearMatMul'])
    expect(checked).toEqual(plain.flatMap((opType) => [opType, opType]))
  })

  it.each(['row', 'global'] as const)('%s: no sum can be had, and the reason says which check can', (scheme) => {
    const { protected: done, unprotected } = protectOnnx(bytes, { scheme })
    expect(done).toEqual([])
    expect(unprotected.map(({ id }) => id)).toEqual(['conv', 'product'])
    for (const { reason } of unprotected) expect(reason).toMatch(/replication checks it/)
  })
})

it('what does not end in a quantiser, or whose weights are computed, is left out with its reason', () => {
  const b = graphBuilder({ name: 'open' })
  const x = b.input('x', 'uint8', [2, 8])
  const w = b.input('w', 'int8', [8, 4])
  const [scale, zero, weightZero] = [float(b, 's', [0.1]), byte(b, 'z', 'uint8', 3), byte(b, 'wz', 'int8', 0)]
  const xd = b.node('DequantizeLinear', [x, scale, zero])
  const stored = b.node('DequantizeLinear', [weights(b, 'm', 'int8', [8, 4]), scale, weightZero])
  const computed = b.node('DequantizeLinear', [w, scale, weightZero])
  b.output(b.node('MatMul', [xd, stored], { outputs: ['a'] }), 'float32', [2, 4])
  const product = b.node('MatMul', [xd, computed], { outputs: ['b'] })
  b.output(b.node('QuantizeLinear', [product, scale, zero]), 'uint8', [2, 4])
  b.output(
    b.node('QLinearMatMul', [x, scale, zero, w, scale, weightZero, scale, zero], { outputs: ['c'] }),
    'uint8',
    [2, 4],
  )
  const { protected: done, unprotected } = protectOnnx(serializeModel(b.build()), { scheme: 'replication' })
  expect(done).toEqual([])
  expect(unprotected).toEqual([
    { id: 'a', reason: expect.stringMatching(/not quantised right behind/) as string },
    { id: 'b', reason: expect.stringMatching(/not stored/) as string },
    { id: 'c', reason: expect.stringMatching(/not stored/) as string },
  ])
})

it('ConvInteger in groups: each group has its own sums, and every flipped bit of a weight is found', async () => {
  const b = graphBuilder({ name: 'grouped' })
  const x = b.input('x', 'uint8', [3, 4, 6, 6])
  const inputs = [x, weights(b, 'f', 'int8', [6, 2, 3, 3]), byte(b, 'xz', 'uint8', 9), byte(b, 'fz', 'int8', 0)]
  b.output(b.node('ConvInteger', inputs, { outputs: ['y'], attributes: { group: { int: 2 } } }), 'int32', [3, 6, 4, 4])
  const made = protectOnnx(serializeModel(b.build()), { scheme: 'row' })
  expect(made.protected.map(({ id, bound }) => [id, bound])).toEqual([['y', 0]])
  for (let bit = -1; bit < 8; bit++) {
    const site = { kind: 'packed-weight', step: 7, column: 4 } as const
    const flips: Fault[] = bit < 0 ? [] : [{ layer: 'y', site, effect: { kind: 'flip', bits: [bit] } }]
    const session = await createGuardedSession(ort as never, injectOnnx(made.bytes, flips), { session: all })
    const { report } = await session.run(inputOf('uint8', 2))
    expect(report.detections).toHaveLength(bit < 0 ? 0 : 1)
    await session.release()
  }
})

describe('a runtime whose products of uint8 by int8 saturate', () => {
  type Node = Ort<ort.Tensor, ort.InferenceSession.SessionOptions>
  /** Says so of itself, on every processor; what it was given. */
  function saturating(): { runtime: Node; given: OnnxModel[] } {
    const given: OnnxModel[] = []
    const create: Node['InferenceSession']['create'] = async (bytes, options) => {
      const model = parseModel(bytes)
      if (model.graph.name !== 'probe') {
        given.push(model)
        return await ort.InferenceSession.create(bytes, options)
      }
      const run = () => Promise.resolve({ y: new ort.Tensor('int32', new Int32Array(64).fill(1_048_544), [4, 16]) })
      return { run, release: () => Promise.resolve() }
    }
    return { runtime: { InferenceSession: { create } }, given }
  }
  /** As runtimes without VNNI compute 64 products of 255 and 127, and as it is right. */
  const large = (weightType: Byte): Uint8Array => {
    const b = graphBuilder({ name: 'large' })
    const x = b.input('x', 'uint8', [4, 64])
    const w = b.initializer('w', {
      type: weightType,
      shape: [64, 16],
      data: arrays[weightType].from(Array(1024).fill(127)),
    })
    b.output(b.node('MatMulInteger', [x, w], { outputs: ['y'] }), 'int32', [4, 16])
    return serializeModel(b.build())
  }

  it('gets the same products as uint8 by uint8: outputs are exact and flipped weights are found', async () => {
    const models = [
      ...cases.map(({ bytes, type }) => ({
        bytes,
        feeds: inputOf(type, 3),
        scheme: 'replication' as const,
        layer: 'conv',
      })),
      {
        bytes: large('int8'),
        feeds: { x: new ort.Tensor('uint8', new Uint8Array(256).fill(255), [4, 64]) },
        scheme: 'row' as const,
        layer: 'y',
      },
    ]
    for (const { bytes, feeds, scheme, layer } of models) {
      const { runtime, given } = saturating()
      const made = protectOnnx(bytes, { scheme })
      const session = await createGuardedSession(runtime, made.bytes, { session: all })
      const { outputs, report } = await session.run(feeds)
      await session.release()
      expect(report.status).toBe('clean')
      const plain = await runPlain(bytes, feeds)
      for (const [name, { data }] of Object.entries(plain)) expect(outputs[name]?.data).toEqual(data)
      expect(given).toHaveLength(1)
      expect(raiseWeights(given[0]!)).toBe(undefined)
      const flip: Fault = {
        layer,
        site: { kind: 'packed-weight', step: 7, column: 3 },
        effect: { kind: 'flip', bits: [6] },
      }
      const struck = await createGuardedSession(runtime, injectOnnx(made.bytes, [flip]), { session: all })
      expect((await struck.run(feeds)).report.detections.map(({ id }) => id)).toEqual([layer])
      await struck.release()
    }
  })

  it('is asked only where it matters', async () => {
    const asked = async (bytes: Uint8Array): Promise<string[]> => {
      const names: string[] = []
      const create: Node['InferenceSession']['create'] = async (given, options) => {
        names.push(parseModel(given).graph.name)
        return await ort.InferenceSession.create(given, options)
      }
      const { bytes: safe } = protectOnnx(bytes, { scheme: 'row' })
      await (await createGuardedSession({ InferenceSession: { create } }, safe, { session: all })).release()
      return names
    }
    expect(await asked(large('int8'))).toEqual(['probe', 'large'])
    expect(await asked(large('uint8'))).toEqual(['large'])
  })

  it('or cannot be asked, is given the model as it is', async () => {
    const given: number[] = []
    const create: Node['InferenceSession']['create'] = async (bytes, options) => {
      if (parseModel(bytes).graph.name === 'probe') throw new Error('no such operator')
      given.push(bytes.length)
      return await ort.InferenceSession.create(bytes, options)
    }
    const { bytes } = protectOnnx(large('int8'), { scheme: 'row' })
    await (await createGuardedSession({ InferenceSession: { create } }, bytes, { session: all })).release()
    expect(given).toEqual([bytes.length])
  })

  it('or not, products are exact', async () => {
    const session = await createGuardedSession(ort as never, protectOnnx(large('int8'), { scheme: 'row' }).bytes)
    const { outputs, report } = await session.run({
      x: new ort.Tensor('uint8', new Uint8Array(256).fill(255), [4, 64]),
    })
    await session.release()
    expect(report).toMatchObject({ status: 'clean', runs: 1 })
    expect(new Set(outputs['y']?.data as Int32Array)).toEqual(new Set([64 * 255 * 127]))
  })
})

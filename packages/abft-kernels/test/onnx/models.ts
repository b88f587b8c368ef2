// Small models with every operator that can carry a check, made with the graph builder; real ones where they lie.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRandom } from '@ft/core/random'
import { graphBuilder, parseModel, serializeModel, type GraphBuilder } from '@ft/onnx'
import * as ort from 'onnxruntime-node'
import { exactBytes } from '../../src/onnx/exactBytes.ts'

const normal = (seed: string, shape: readonly number[], scale = 1) => {
  const size = shape.reduce((all, length) => all * length, 1)
  const data = createRandom(7).stream(seed).fillNormal(new Float32Array(size))
  return { dtype: 'float32' as const, shape, data: data.map((value) => scale * value) }
}

const put = (b: GraphBuilder, name: string, shape: readonly number[], scale = 1) =>
  b.initializer(name, normal(name, shape, scale))

/** Convolutions of every kind: batch-normalised, strided, padded, grouped, dilated, with a residual; then two Gemms. */
export function convNet(): Uint8Array {
  const b = graphBuilder({ name: 'conv net' })
  const x = b.input('x', 'float32', ['batch', 3, 16, 16])
  const conv = (
    input: string,
    w: string,
    output: string,
    attributes: Record<string, { ints: number[] } | { int: number }>,
    bias?: string,
  ) => b.node('Conv', bias ? [input, w, bias] : [input, w], { outputs: [output], attributes })
  const c1 = conv(x, put(b, 'w1', [8, 3, 3, 3], 0.3), 'c1', { pads: { ints: [1, 1, 1, 1] } })
  const bn = b.node(
    'BatchNormalization',
    [
      c1,
      put(b, 'scale', [8]),
      put(b, 'shift', [8]),
      put(b, 'mean', [8]),
      b.initializer('var', { dtype: 'float32', shape: [8], data: new Float32Array(8).fill(2) }),
    ],
    { outputs: ['bn'] },
  )
  const r1 = b.node('Relu', [bn], { outputs: ['r1'] })
  const c2 = conv(
    r1,
    put(b, 'w2', [8, 4, 3, 3], 0.2),
    'c2',
    { group: { int: 2 }, pads: { ints: [1, 1, 1, 1] } },
    put(b, 'b2', [8]),
  )
  const sum = b.node('Relu', [b.node('Add', [c2, r1])], { outputs: ['r2'] })
  const c3 = conv(sum, put(b, 'w3', [12, 8, 1, 1], 0.3), 'c3', {}, put(b, 'b3', [12]))
  const c4 = conv(c3, put(b, 'w4', [6, 12, 3, 3], 0.1), 'c4', {
    strides: { ints: [2, 2] },
    dilations: { ints: [2, 1] },
    pads: { ints: [2, 0, 1, 1] },
  })
  const r4 = b.node('Relu', [c4], { outputs: ['r4'] })
  const pooled = b.node('Flatten', [b.node('GlobalAveragePool', [r4])], { outputs: ['flat'] })
  const g1 = b.node('Relu', [
    b.node('Gemm', [pooled, put(b, 'wg', [20, 6]), put(b, 'bg', [20])], {
      outputs: ['g1'],
      attributes: { transB: { int: 1 }, alpha: { float: 0.5 }, beta: { float: 2 } },
    }),
  ])
  b.output(b.node('MatMul', [g1, put(b, 'wm', [20, 5])], { outputs: ['logits'] }), 'float32', ['batch', 5])
  return serializeModel(b.build())
}
export const convLayers = ['c1', 'c2', 'c3', 'c4', 'g1', 'logits']

/** Convolutions in the channel counts that runtimes keep in blocks: strided, linear, and with two kinds of residuals. */
export function blocks(): Uint8Array {
  const b = graphBuilder({ name: 'blocks' })
  const conv = (x: string, id: string, o: { from: number; to: number; taps: number; stride?: number }): string => {
    const [pad, stride] = [(o.taps - 1) / 2, o.stride ?? 1]
    const w = put(b, `w ${id}`, [o.to, o.from, o.taps, o.taps], Math.sqrt(2 / (o.from * o.taps * o.taps)))
    return b.node('Conv', [x, w, put(b, `b ${id}`, [o.to], 0.1)], {
      outputs: [id],
      attributes: { pads: { ints: [pad, pad, pad, pad] }, strides: { ints: [stride, stride] } },
    })
  }
  const relu = (x: string) => b.node('Relu', [x])
  const x = b.input('x', 'float32', ['batch', 3, 24, 24])
  const stem = relu(conv(x, 'stem', { from: 3, to: 16, taps: 7, stride: 2 }))
  const inner = relu(conv(stem, 'inner', { from: 16, to: 16, taps: 3, stride: 2 }))
  const outer = conv(inner, 'outer', { from: 16, to: 32, taps: 1 })
  const short = conv(stem, 'short', { from: 16, to: 32, taps: 1, stride: 2 })
  const first = relu(b.node('Add', [outer, short]))
  // Not behind a ReLU: its values have both signs.
  const linear = conv(first, 'linear', { from: 32, to: 16, taps: 3 })
  const last = relu(b.node('Add', [conv(linear, 'last', { from: 16, to: 32, taps: 3 }), first]))
  b.output(b.node('Flatten', [b.node('GlobalAveragePool', [last])], { outputs: ['features'] }), 'float32', [
    'batch',
    32,
  ])
  return serializeModel(b.build())
}
export const blockLayers = ['stem', 'inner', 'outer', 'short', 'linear', 'last']

/** One attention head after a projection with bias. */
export function attention(): Uint8Array {
  const b = graphBuilder({ name: 'attention' })
  const x = b.input('tokens', 'float32', [2, 9, 12])
  const q = b.node('Add', [b.node('MatMul', [x, put(b, 'wq', [12, 8])], { outputs: ['q'] }), put(b, 'bq', [8])], {
    outputs: ['qb'],
  })
  const k = b.node('MatMul', [x, put(b, 'wk', [12, 8])], { outputs: ['k'] })
  const v = b.node('MatMul', [x, put(b, 'wv', [12, 8])], { outputs: ['v'] })
  const scores = b.node('MatMul', [q, b.node('Transpose', [k], { attributes: { perm: { ints: [0, 2, 1] } } })], {
    outputs: ['scores'],
  })
  const p = b.node('Softmax', [scores], { outputs: ['p'], attributes: { axis: { int: -1 } } })
  b.output(b.node('MatMul', [p, v], { outputs: ['attended'] }), 'float32', [2, 9, 8])
  return serializeModel(b.build())
}
export const attentionLayers = ['q', 'k', 'v', 'scores', 'p', 'attended']

/** Integer products: MatMulInteger with zero points, ConvInteger without. */
export function integers(): Uint8Array {
  const b = graphBuilder({ name: 'integers' })
  const random = createRandom(3).stream('integers')
  const bytes = (size: number) => Uint8Array.from({ length: size }, () => random.integer(0, 255))
  const a = b.input('a', 'uint8', [5, 40])
  const image = b.input('image', 'uint8', [2, 3, 6, 6])
  const zero = (name: string, value: number, signed: boolean) =>
    b.initializer(name, {
      type: signed ? 'int8' : 'uint8',
      shape: [],
      data: signed ? Int8Array.of(value) : Uint8Array.of(value),
    })
  const w = b.initializer('w', { type: 'int8', shape: [40, 30], data: new Int8Array(bytes(1200).buffer) })
  b.output(
    b.node('MatMulInteger', [a, w, zero('za', 120, false), zero('zw', -3, true)], { outputs: ['product'] }),
    'int32',
    [5, 30],
  )
  const f = b.initializer('f', { type: 'uint8', shape: [7, 3, 3, 3], data: bytes(189) })
  const conv = b.node('ConvInteger', [image, f, zero('zx', 11, false), zero('zf', 130, false)], {
    outputs: ['convolved'],
    attributes: { pads: { ints: [1, 1, 1, 1] } },
  })
  b.output(conv, 'int32', [2, 7, 6, 6])
  return serializeModel(b.build())
}

/** An embedding bag and a dense layer. */
export function bag(keepdims: boolean): Uint8Array {
  const b = graphBuilder({ name: 'bag' })
  const ids = b.input('ids', 'int64', ['batch', 4])
  const rows = b.node('Gather', [put(b, 'table', [50, 8]), ids])
  const axes = b.initializer('axes', { type: 'int64', shape: [1], data: BigInt64Array.of(1n) })
  const sum = b.node('ReduceSum', [rows, axes], {
    outputs: ['bag'],
    attributes: { keepdims: { int: keepdims ? 1 : 0 } },
  })
  b.output(b.node('MatMul', [sum, put(b, 'w', [8, 3])], { outputs: ['y'] }), 'float32')
  return serializeModel(b.build())
}

export function feed(shape: readonly number[], seed: number): ort.Tensor {
  const size = shape.reduce((all, length) => all * length, 1)
  return new ort.Tensor('float32', createRandom(seed).stream('feed').fillNormal(new Float32Array(size)), [...shape])
}

export async function runPlain(
  bytes: Uint8Array,
  feeds: Record<string, ort.Tensor>,
): Promise<Record<string, ort.Tensor>> {
  const options = { graphOptimizationLevel: 'all', logSeverityLevel: 3 } as const
  // Exact 8-bit products on every processor, as guarded sessions have them.
  const exact = await exactBytes(ort as never, { model: parseModel(bytes), bytes }, options)
  const session = await ort.InferenceSession.create(exact, options)
  const outputs = await session.run(feeds)
  await session.release()
  return outputs
}

const folder =
  process.env['FT_MODELS_DIR'] ?? (process.env['FT_DATA_DIR'] && join(process.env['FT_DATA_DIR'], '..', 'models'))
export const haveModels = folder !== undefined && existsSync(folder)
if (!haveModels && process.env['FT_REQUIRE']?.split(',').includes('data'))
  throw new Error('models beside FT_DATA_DIR are required and missing')
if (!haveModels) console.log('skipped: tests on real models need FT_DATA_DIR or FT_MODELS_DIR')

export const realModel = (path: string): Uint8Array => readFileSync(join(folder ?? '', path))
export { ort }

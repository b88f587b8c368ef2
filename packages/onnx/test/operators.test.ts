// Shape functions against onnxruntime: one small graph an operator, the shapes it really computes.
import { describe, expect, it } from 'vitest'
import * as ort from 'onnxruntime-node'
import {
  graphBuilder,
  inferShapes,
  serializeModel,
  type AttributeValue,
  type OnnxTensor,
  type OnnxType,
} from '../src/index.ts'

type Input = { shape: number[]; type?: OnnxType } | { values: number[]; type?: OnnxType; shape?: number[] }
interface Case {
  op: string
  inputs: (Input | null)[]
  attributes?: Record<string, AttributeValue>
  outputs?: number
  opset?: number
  domain?: string
}

const f = (...shape: number[]): Input => ({ shape })
const ints = (...values: number[]): Input => ({ values })
const u8 = (...shape: number[]): Input => ({ shape, type: 'uint8' })
const i8 = (...shape: number[]): Input => ({ shape, type: 'int8' })
const scale = (): Input => ({ shape: [] })
const zero = (type: OnnxType): Input => ({ shape: [], type })

const cases: Case[] = [
  { op: 'Add', inputs: [f(2, 1, 3), f(4, 1)] },
  { op: 'Greater', inputs: [f(2, 3), f(3)] },
  { op: 'Where', inputs: [{ shape: [2, 1], type: 'bool' }, f(1, 3), f(2, 3)] },
  { op: 'Gelu', inputs: [f(2, 5)], opset: 20 },
  { op: 'Softmax', inputs: [f(2, 5)] },
  { op: 'LayerNormalization', inputs: [f(2, 4, 8), f(8), f(8)] },
  { op: 'PRelu', inputs: [f(2, 3, 4), f(3, 1)] },
  { op: 'Dropout', inputs: [f(3, 4)], outputs: 2 },
  { op: 'CumSum', inputs: [f(3, 4), { values: [1], shape: [] }] },
  { op: 'Clip', inputs: [f(3, 4)] },
  { op: 'Sum', inputs: [f(3, 1), f(1, 4), f(4)] },
  { op: 'Cast', inputs: [f(3)], attributes: { to: { int: 7 } } },
  {
    op: 'Conv',
    inputs: [f(2, 3, 17, 13), f(8, 3, 3, 5)],
    attributes: { strides: { ints: [2, 3] }, pads: { ints: [1, 0, 2, 1] }, dilations: { ints: [2, 1] } },
  },
  {
    op: 'Conv',
    inputs: [f(1, 4, 9, 9), f(8, 2, 3, 3)],
    attributes: { group: { int: 2 }, auto_pad: { string: 'SAME_UPPER' }, strides: { ints: [2, 2] } },
  },
  { op: 'Conv', inputs: [f(1, 4, 9, 10), f(8, 4, 2, 3)], attributes: { auto_pad: { string: 'SAME_LOWER' } } },
  { op: 'Conv', inputs: [f(1, 4, 9, 10), f(8, 4, 2, 3)], attributes: { auto_pad: { string: 'VALID' } } },
  { op: 'Conv', inputs: [f(1, 2, 20), f(3, 2, 4)], attributes: { strides: { ints: [3] }, pads: { ints: [1, 2] } } },
  { op: 'Conv', inputs: [f(1, 2, 5, 6, 7), f(3, 2, 2, 3, 1)] },
  {
    op: 'ConvTranspose',
    inputs: [f(1, 4, 5, 6), f(4, 3, 3, 2)],
    attributes: { strides: { ints: [2, 3] }, pads: { ints: [1, 0, 1, 1] }, output_padding: { ints: [1, 0] } },
  },
  {
    op: 'ConvTranspose',
    inputs: [f(1, 4, 5, 5), f(4, 3, 3, 3)],
    attributes: { group: { int: 2 }, dilations: { ints: [2, 2] } },
  },
  { op: 'ConvInteger', inputs: [u8(1, 2, 5, 5), u8(3, 2, 3, 3)] },
  {
    op: 'QLinearConv',
    inputs: [u8(1, 2, 6, 6), scale(), zero('uint8'), u8(3, 2, 3, 3), scale(), zero('uint8'), scale(), zero('uint8')],
    attributes: { pads: { ints: [1, 1, 1, 1] } },
  },
  {
    op: 'MaxPool',
    inputs: [f(1, 3, 11, 8)],
    attributes: {
      kernel_shape: { ints: [3, 2] },
      strides: { ints: [2, 2] },
      ceil_mode: { int: 1 },
      pads: { ints: [1, 0, 1, 0] },
    },
    outputs: 2,
  },
  {
    op: 'MaxPool',
    inputs: [f(1, 3, 6, 6)],
    attributes: {
      kernel_shape: { ints: [2, 2] },
      strides: { ints: [3, 3] },
      ceil_mode: { int: 1 },
      pads: { ints: [1, 1, 1, 1] },
    },
  },
  {
    op: 'AveragePool',
    inputs: [f(1, 3, 11, 8)],
    attributes: { kernel_shape: { ints: [3, 3] }, auto_pad: { string: 'SAME_UPPER' }, strides: { ints: [2, 3] } },
  },
  { op: 'GlobalAveragePool', inputs: [f(2, 3, 5, 4)] },
  { op: 'MatMul', inputs: [f(2, 1, 3, 4), f(5, 4, 6)] },
  { op: 'MatMul', inputs: [f(4), f(2, 4, 3)] },
  { op: 'MatMul', inputs: [f(3, 4), f(4)] },
  { op: 'MatMulInteger', inputs: [u8(3, 4), i8(4, 5)] },
  {
    op: 'QLinearMatMul',
    inputs: [u8(3, 4), scale(), zero('uint8'), u8(4, 5), scale(), zero('uint8'), scale(), zero('uint8')],
  },
  { op: 'Gemm', inputs: [f(4, 3), f(5, 4)], attributes: { transA: { int: 1 }, transB: { int: 1 } } },
  {
    op: 'FusedMatMul',
    inputs: [f(2, 4, 3), f(2, 5, 4)],
    attributes: { transA: { int: 1 }, transB: { int: 1 } },
    domain: 'com.microsoft',
  },
  { op: 'Einsum', inputs: [f(2, 3, 4), f(2, 4, 5)], attributes: { equation: { string: 'bij, bjk -> bik' } } },
  { op: 'LSTM', inputs: [f(7, 2, 3), f(1, 16, 3), f(1, 16, 4)], attributes: { hidden_size: { int: 4 } }, outputs: 3 },
  {
    op: 'GRU',
    inputs: [f(7, 2, 3), f(2, 12, 3), f(2, 12, 4)],
    attributes: { hidden_size: { int: 4 }, direction: { string: 'bidirectional' } },
    outputs: 2,
  },
  { op: 'Reshape', inputs: [f(2, 3, 4), ints(0, -1, 2)] },
  { op: 'Flatten', inputs: [f(2, 3, 4)], attributes: { axis: { int: 2 } } },
  { op: 'Flatten', inputs: [f(2, 3, 4)], attributes: { axis: { int: -1 } } },
  { op: 'Squeeze', inputs: [f(1, 3, 1, 4), ints(0, -2)] },
  { op: 'Squeeze', inputs: [f(1, 3, 1, 4)] },
  { op: 'Unsqueeze', inputs: [f(3, 4), ints(0, -1)] },
  { op: 'Transpose', inputs: [f(2, 3, 4)] },
  { op: 'Transpose', inputs: [f(2, 3, 4)], attributes: { perm: { ints: [1, 0, 2] } } },
  { op: 'Concat', inputs: [f(2, 3), f(2, 5)], attributes: { axis: { int: -1 } } },
  { op: 'Split', inputs: [f(2, 7)], attributes: { axis: { int: 1 }, num_outputs: { int: 3 } }, outputs: 3, opset: 18 },
  { op: 'Split', inputs: [f(2, 7), ints(3, 4)], attributes: { axis: { int: 1 } }, outputs: 2 },
  { op: 'Slice', inputs: [f(10, 8), ints(-3, 7), ints(100, -9), ints(0, 1), ints(1, -2)] },
  { op: 'Slice', inputs: [f(10, 8), ints(1), ints(-1)] },
  { op: 'Gather', inputs: [f(5, 4), { values: [0, 2, 1, 3], shape: [2, 2] }], attributes: { axis: { int: 1 } } },
  { op: 'GatherElements', inputs: [f(3, 3), { values: [0, 1, 2, 0, 1, 2], shape: [2, 3] }] },
  { op: 'GatherND', inputs: [f(3, 4, 5), { values: [0, 1, 2, 3], shape: [2, 2] }] },
  { op: 'Expand', inputs: [f(3, 1), ints(2, 1, 6)] },
  { op: 'Tile', inputs: [f(2, 3), ints(2, 3)] },
  { op: 'Pad', inputs: [f(2, 3), ints(1, 0, 2, 3)] },
  { op: 'DepthToSpace', inputs: [f(1, 8, 2, 3)], attributes: { blocksize: { int: 2 } } },
  { op: 'SpaceToDepth', inputs: [f(1, 2, 4, 6)], attributes: { blocksize: { int: 2 } } },
  { op: 'ReduceMean', inputs: [f(2, 3, 4)], attributes: { axes: { ints: [1, -1] }, keepdims: { int: 0 } } },
  { op: 'ReduceSum', inputs: [f(2, 3, 4), ints(-1)] },
  { op: 'ReduceMax', inputs: [f(2, 3, 4)] },
  { op: 'ReduceL2', inputs: [f(2, 3, 4), ints(0)], attributes: { keepdims: { int: 0 } }, opset: 18 },
  { op: 'ArgMax', inputs: [f(2, 3, 4)], attributes: { axis: { int: 1 }, keepdims: { int: 0 } } },
  { op: 'TopK', inputs: [f(2, 9), ints(3)], outputs: 2 },
  { op: 'OneHot', inputs: [{ values: [1, 2], shape: [2] }, { values: [5], shape: [] }, f(2)] },
  { op: 'QuantizeLinear', inputs: [f(2, 3), scale(), zero('int8')] },
  { op: 'DequantizeLinear', inputs: [u8(2, 3), scale(), zero('uint8')] },
  { op: 'DynamicQuantizeLinear', inputs: [f(2, 3)], outputs: 3 },
  { op: 'Resize', inputs: [f(1, 2, 3, 4), null, null, ints(1, 2, 6, 5)] },
  {
    op: 'Range',
    inputs: [
      { values: [2], shape: [] },
      { values: [11], shape: [] },
      { values: [3], shape: [] },
    ],
  },
  { op: 'ConstantOfShape', inputs: [ints(2, 3)] },
  { op: 'Shape', inputs: [f(2, 3, 4)], attributes: { start: { int: 1 }, end: { int: -1 } } },
  { op: 'Size', inputs: [f(2, 3, 4)] },
]

function stored(input: Input): OnnxTensor {
  const values = 'values' in input ? input.values : undefined
  const shape = input.shape ?? [values?.length ?? 0]
  const type = input.type ?? (values ? 'int64' : 'float32')
  const count = shape.reduce((all, size) => all * size, 1)
  if (type === 'int64') return { type, shape, data: BigInt64Array.from((values ?? []).map(BigInt)) }
  if (type === 'uint8' || type === 'bool') return { type, shape, data: new Uint8Array(count) }
  if (type === 'int8') return { type, shape, data: new Int8Array(count) }
  return { type: 'float32', shape, data: new Float32Array(count).fill(1) }
}

function build({ op, inputs, attributes, outputs = 1, opset = 17, domain }: Case) {
  const b = graphBuilder({ name: op, opset, ...(domain ? { domains: { [domain]: 1 } } : {}) })
  const names = inputs.map((input, i) => (input === null ? '' : b.initializer(`i${i}`, stored(input))))
  const out = Array.from({ length: outputs }, (_, i) => `o${i}`)
  b.node(op, names, { outputs: out, ...(attributes ? { attributes } : {}), ...(domain ? { domain } : {}) })
  const { values } = inferShapes(b.build())
  for (const name of out) b.output(name, values.get(name)?.type ?? 'float32')
  return { model: b.build(), out, values }
}

describe('shape functions agree with onnxruntime', () => {
  it.each(cases.map((item, index) => ({ ...item, title: `${item.op} #${index}` })))('$title', async (item) => {
    const { model, out, values } = build(item)
    const session = await ort.InferenceSession.create(serializeModel(model), {
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 3,
    })
    const results = await session.run({})
    await session.release()
    for (const name of out) expect([name, values.get(name)?.shape]).toEqual([name, [...(results[name]?.dims ?? [])]])
    // onnxruntime names types as ONNX does, but for 64-bit floats and half floats, which no case here makes.
    for (const name of out) expect(values.get(name)?.type).toBe(results[name]?.type)
  })
})

describe('folding of integer vectors', () => {
  it('computes the target shape of an attention reshape from the input', () => {
    const b = graphBuilder({ name: 'heads' })
    const x = b.input('x', 'float32', ['batch', 'tokens', 768])
    const shape = b.node('Shape', [x])
    const index = (value: number) =>
      b.initializer(`i${value}`, { type: 'int64', shape: [1], data: BigInt64Array.of(BigInt(value)) })
    const batch = b.node('Gather', [shape, index(0)])
    const tokens = b.node('Gather', [shape, index(1)])
    const target = b.node('Concat', [batch, tokens, index(12), index(64)], { attributes: { axis: { int: 0 } } })
    const heads = b.node('Transpose', [b.node('Reshape', [x, target])], {
      attributes: { perm: { ints: [0, 2, 1, 3] } },
    })
    b.output(heads, 'float32')
    const model = b.build()
    expect(inferShapes(model, { bind: { batch: 2, tokens: 5 } }).values.get(heads)?.shape).toEqual([2, 12, 5, 64])
    // Unbound names travel through the shape computation.
    expect(inferShapes(model).values.get(heads)?.shape).toEqual(['batch', 12, 'tokens', 64])
    expect(inferShapes(model).unbound).toEqual(['batch', 'tokens'])
  })
})

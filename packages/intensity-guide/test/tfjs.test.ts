import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { readTfjs } from '../src/index.ts'

const layer = (class_name: string, name: string, config: object, inbound?: string[][]) => ({
  class_name,
  name,
  config: { name, ...config },
  ...(inbound ? { inbound_nodes: inbound.map((call) => call.map((from) => [from, 0, 0, {}])) } : {}),
})
const sequential = (layers: object[]) => ({
  modelTopology: { class_name: 'Sequential', config: { name: 's', layers } },
})

const digits = sequential([
  layer('Conv2D', 'c1', {
    filters: 8,
    kernel_size: [5, 5],
    strides: [1, 1],
    padding: 'valid',
    activation: 'relu',
    batch_input_shape: [null, 28, 28, 1],
  }),
  layer('MaxPooling2D', 'p1', { pool_size: [2, 2], strides: [2, 2], padding: 'valid' }),
  layer('SeparableConv2D', 'c2', {
    filters: 16,
    kernel_size: [3, 3],
    strides: [1, 1],
    padding: 'same',
    activation: 'relu',
  }),
  layer('GlobalAveragePooling2D', 'g', {}),
  layer('Dense', 'd', { units: 10, activation: 'softmax' }),
])

const text = (value: string) => ({ s: Buffer.from(value).toString('base64') })
const numbers = (...values: number[]) => ({ list: { i: values.map(String) } })
const node = (name: string, op: string, input: string[] = [], attr: object = {}) => ({ name, op, input, attr })

/** An image through a strided convolution, a depthwise one, a mean, a reshape whose target is stored, and a product. */
const graph = {
  format: 'graph-model',
  modelTopology: {
    node: [
      // Out of order on purpose
      node('logits', '_FusedMatMul', ['flat', 'w'], {
        fused_ops: { list: { s: [text('BiasAdd').s, text('Relu').s] } },
      }),
      node('image', 'Placeholder', [], {
        shape: { shape: { dim: [{ size: '-1' }, { size: '32' }, { size: '32' }, { size: '3' }] } },
      }),
      node('conv', '_FusedConv2D', ['image', 'filter'], { strides: numbers(1, 2, 2, 1), padding: text('SAME') }),
      node('relu', 'Relu', ['conv']),
      node('depth', 'DepthwiseConv2dNative', ['relu', 'taps'], {
        strides: numbers(1, 1, 1, 1),
        padding: text('VALID'),
      }),
      node('mean', 'Mean', ['depth', 'axes'], { keep_dims: { b: true } }),
      node('flat', 'Reshape', ['mean', 'target']),
      node('filter', 'Const'),
      node('taps', 'Const'),
      node('axes', 'Const'),
      node('target', 'Const'),
      node('w', 'Const'),
    ],
  },
  weightsManifest: [
    {
      paths: ['part1', 'part2'],
      weights: [
        { name: 'filter', shape: [3, 3, 3, 16], dtype: 'float32', quantization: { dtype: 'uint8' } },
        { name: 'axes', shape: [2], dtype: 'int32' },
        { name: 'taps', shape: [3, 3, 16, 1], dtype: 'float32' },
        { name: 'target', shape: [2], dtype: 'int32' },
        { name: 'w', shape: [16, 5], dtype: 'float32' },
      ],
    },
  ],
}
/** Weight files with axes [1, 2] and target [-1, 16], split inside a tensor. */
function readFile(path: string): Uint8Array {
  const all = new Uint8Array(3 * 3 * 3 * 16 + 8 + 4 * 3 * 3 * 16 + 8 + 4 * 16 * 5)
  const view = new DataView(all.buffer)
  ;[1, 2].forEach((value, i) => view.setInt32(432 + 4 * i, value, true))
  ;[-1, 16].forEach((value, i) => view.setInt32(432 + 8 + 576 + 4 * i, value, true))
  return path === 'part1' ? all.slice(0, 435) : all.slice(435)
}

const brief = (model: unknown, options: Parameters<typeof readTfjs>[1] = {}) =>
  readTfjs(JSON.stringify(model), options).layers.map(({ id, m, n, k, activation }) =>
    [id, m, n, k, activation ?? ''].join(' '),
  )

describe('LayersModel files', () => {
  it('sequential: convolutions, separable ones as two products, dense layers', () => {
    expect(brief(digits, { batch: 2 })).toEqual([
      'c1 1152 8 25 relu',
      'c2/depthwise 288 8 9 ',
      'c2/pointwise 288 16 8 relu',
      'd 2 10 16 softmax',
    ])
    const [first] = readTfjs(JSON.stringify(digits)).layers
    expect(first?.op).toMatchObject({
      kind: 'conv2d',
      x: [1, 28, 28, 1],
      filter: [5, 5, 1, 8],
      pad: [0, 0, 0, 0],
      groups: 1,
    })
  })

  it('functional: branches, sums, models in models, layers that are called twice', () => {
    const block = {
      class_name: 'Functional',
      config: {
        name: 'block',
        layers: [
          layer('InputLayer', 'in', { batch_input_shape: [null, 8] }, []),
          layer('Dense', 'inner', { units: 8, activation: 'relu' }, [['in']]),
        ],
        input_layers: [['in', 0, 0]],
        output_layers: [['inner', 0, 0]],
      },
    }
    const model = {
      modelTopology: {
        model_config: {
          class_name: 'Functional',
          config: {
            name: 'm',
            layers: [
              layer('InputLayer', 'x', { batch_input_shape: [null, 8] }, []),
              { ...block, name: 'block', inbound_nodes: [[['x', 0, 0, {}]]] },
              layer('Add', 'sum', {}, [['x', 'block']]),
              layer('Concatenate', 'both', { axis: -1 }, [['x', 'sum']]),
              layer('Dense', 'out', { units: 3 }, [['both']]),
            ],
            input_layers: [['x', 0, 0]],
            output_layers: [['out', 0, 0]],
          },
        },
      },
    }
    expect(brief(model, { batch: 4 })).toEqual(['block/inner 4 8 8 relu', 'out 4 3 16 '])
  })

  it('says what it leaves out and what it does not know', () => {
    const network = readTfjs(
      JSON.stringify(
        sequential([
          layer('LSTM', 'rnn', { units: 4, return_sequences: false, batch_input_shape: [null, 7, 3] }),
          layer('Mystery', 'what', {}),
          layer('Dense', 'd', { units: 2 }),
        ]),
      ),
    )
    expect(network).toMatchObject({
      layers: [],
      skipped: [
        { id: 'rnn', opType: 'LSTM', reason: 'recurrent products are not described' },
        { id: 'd', opType: 'Dense', reason: 'its shape is unknown' },
      ],
      unsupported: ['Mystery'],
      unknownShare: 1 / 3,
    })
  })

  it('names an input without a size, and takes one', () => {
    const model = sequential([layer('Dense', 'd', { units: 2, batch_input_shape: [null, null, 16] })])
    expect(() => brief(model)).toThrow(/input d is \?x\?x16; give its whole shape/)
    expect(brief(model, { inputs: { d: [2, 5, 16] } })).toEqual(['d 10 2 16 '])
  })

  it('refuses damaged sizes by name', () => {
    const model = sequential([layer('Dense', 'd', { units: '10', batch_input_shape: [1, 4] })])
    expect(() => brief(model)).toThrow(/units of layer d must be a positive integer, got "10"/)
    expect(() => brief({ modelTopology: { class_name: 'Sequential', config: {} } })).toThrow(/no list of layers/)
    expect(() => brief({})).toThrow(/neither a LayersModel/)
  })
})

describe('GraphModel files', () => {
  it('follow shapes from the input, in any order of nodes, through stored numbers', () => {
    expect(brief(graph, { readFile, batch: 2 })).toEqual(['conv 512 16 27 ', 'depth 392 16 9 ', 'logits 2 5 16 relu'])
    const [conv, depth] = readTfjs(JSON.stringify(graph), { readFile }).layers
    // SAME at stride 2 on 32 pixels pads one row and column behind
    expect(conv?.op).toMatchObject({ pad: [0, 1, 0, 1], stride: [2, 2], groups: 1 })
    expect(depth?.op).toMatchObject({ groups: 16, filter: [3, 3, 1, 16] })
  })

  it('without weight files leave out what depends on them, by name', () => {
    const network = readTfjs(JSON.stringify(graph))
    expect(network.layers.map(({ id }) => id)).toEqual(['conv', 'depth'])
    expect(network.skipped).toEqual([{ id: 'logits', opType: '_FusedMatMul', reason: 'its shape is unknown' }])
  })

  it('refuse circles, files that end early, and inputs without a size', () => {
    const circle = { modelTopology: { node: [node('a', 'Relu', ['b']), node('b', 'Relu', ['a'])] } }
    expect(() => brief(circle)).toThrow(/reads what depends on it/)
    expect(() => brief(graph, { readFile: () => new Uint8Array(3) })).toThrow(/weight files end before axes/)
    const open = {
      modelTopology: {
        node: [node('x', 'Placeholder', [], { shape: { shape: { dim: [{ size: '1' }, { size: '-1' }] } } })],
      },
    }
    expect(() => brief(open)).toThrow(/input x is 1x\?; give its whole shape/)
  })
})

describe('damaged files', () => {
  it.each([
    ['LayersModel', JSON.stringify(digits)],
    ['GraphModel', JSON.stringify(graph)],
  ])('%s: any change of a few characters is refused or gives sound layers', (_, whole) => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.constantFrom(...'0123456789-"[]{},nulx. ')), {
          minLength: 1,
          maxLength: 3,
        }),
        (changes) => {
          let damaged = whole
          for (const [at, character] of changes) damaged = damaged.slice(0, at) + character + damaged.slice(at + 1)
          try {
            for (const { m, n, k } of readTfjs(damaged, { readFile }).layers)
              for (const size of [m, n, k]) expect(Number.isSafeInteger(size) && size > 0).toBe(true)
          } catch (error) {
            if (!isFtError(error)) throw error
          }
        },
      ),
      { numRuns: 4000 },
    )
  })
})

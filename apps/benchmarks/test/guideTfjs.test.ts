// The guide's reader of TensorFlow.js models beside TensorFlow.js: whatever shape that computes, each layer must have.
import * as tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { readTfjs } from '@ft/intensity-guide'

beforeAll(async () => {
  await tf.setBackend('cpu')
})

/** The model.json that `model.save` writes. */
async function saved(model: tf.LayersModel): Promise<string> {
  let artifacts: tf.io.ModelArtifacts | undefined
  await model.save(
    tf.io.withSaveHandler((given) => {
      artifacts = given
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } })
    }),
  )
  return JSON.stringify({
    modelTopology: artifacts?.modelTopology,
    weightsManifest: [{ paths: [], weights: artifacts?.weightSpecs }],
  })
}

const product = (sizes: readonly (number | null)[]) => sizes.reduce<number>((all, size) => all * (size ?? NaN), 1)

interface Expected {
  readonly id: string
  readonly outputs: number
  /** Multiply-adds an output: elements of the kernel behind one output channel. */
  readonly k: number
}

/** What TensorFlow.js says of each layer with a kernel, for one sample. */
function expectedOf(model: tf.LayersModel): Expected[] {
  return model.layers.flatMap((layer): Expected[] => {
    const kernels = layer.weights.filter(({ name }) => /kernel/.test(name)).map(({ shape }) => shape)
    const [first, second] = kernels
    if (!first) return []
    const outputs = product((layer.outputShape as (number | null)[]).slice(1))
    const kind = layer.getClassName()
    if (kind === 'SeparableConv2D' && second) {
      const [height = 0, width = 0, channels = 0, multiplier = 0] = first as number[]
      const pixels = outputs / (second[3] ?? NaN)
      return [
        { id: `${layer.name}/depthwise`, outputs: pixels * channels * multiplier, k: height * width },
        { id: `${layer.name}/pointwise`, outputs, k: second[2] ?? NaN },
      ]
    }
    if (kind === 'DepthwiseConv2D') return [{ id: layer.name, outputs, k: (first[0] ?? NaN) * (first[1] ?? NaN) }]
    return [{ id: layer.name, outputs, k: product(first.slice(0, -1)) }]
  })
}

function images(): tf.LayersModel {
  const x = tf.input({ shape: [37, 41, 3], name: 'image' })
  const conv = (name: string, filters: number, kernelSize: number | [number, number], rest: object = {}) =>
    tf.layers.conv2d({ name, filters, kernelSize, ...rest })
  const apply = (layer: tf.layers.Layer, of: tf.SymbolicTensor | tf.SymbolicTensor[]) =>
    layer.apply(of) as tf.SymbolicTensor
  let y = apply(conv('stem', 12, 5, { strides: 2, padding: 'same', activation: 'relu', useBias: false }), x)
  y = apply(tf.layers.batchNormalization({ name: 'bn' }), y)
  const left = apply(conv('dilated', 12, [3, 1], { dilationRate: [2, 1], padding: 'same' }), y)
  const right = apply(
    tf.layers.depthwiseConv2d({ name: 'depthwise', kernelSize: 3, depthMultiplier: 1, padding: 'same' }),
    y,
  )
  y = apply(tf.layers.add({ name: 'sum' }), [left, right])
  y = apply(tf.layers.concatenate({ name: 'both', axis: -1 }), [y, left])
  y = apply(
    tf.layers.zeroPadding2d({
      name: 'pad',
      padding: [
        [1, 2],
        [0, 3],
      ],
    }),
    y,
  )
  y = apply(
    tf.layers.separableConv2d({ name: 'separable', filters: 7, kernelSize: [3, 5], strides: 2, depthMultiplier: 2 }),
    y,
  )
  y = apply(tf.layers.maxPooling2d({ name: 'pool', poolSize: 3, strides: 2, padding: 'same' }), y)
  y = apply(tf.layers.upSampling2d({ name: 'up', size: [2, 2] }), y)
  y = apply(tf.layers.averagePooling2d({ name: 'average', poolSize: [2, 3] }), y)
  y = apply(tf.layers.permute({ name: 'turn', dims: [2, 1, 3] }), y)
  const flat = apply(tf.layers.flatten({ name: 'flat' }), y)
  const pooled = apply(tf.layers.globalMaxPooling2d({ name: 'pooled' }), y)
  y = apply(tf.layers.concatenate({ name: 'joined' }), [flat, pooled])
  y = apply(tf.layers.dense({ name: 'hidden', units: 30, activation: 'tanh' }), y)
  y = apply(tf.layers.reshape({ name: 'shaped', targetShape: [5, 6] }), y)
  y = apply(tf.layers.dense({ name: 'rows', units: 4 }), y)
  return tf.model({ inputs: x, outputs: y })
}

function sequences(): tf.LayersModel {
  const inner = tf.sequential({ name: 'inner' })
  inner.add(tf.layers.dense({ name: 'first', units: 9, inputShape: [6], activation: 'relu' }))
  inner.add(tf.layers.dense({ name: 'second', units: 5 }))
  const model = tf.sequential({ name: 'outer' })
  model.add(
    tf.layers.conv1d({ name: 'along', filters: 6, kernelSize: 4, strides: 2, padding: 'valid', inputShape: [50, 3] }),
  )
  model.add(tf.layers.maxPooling1d({ name: 'pool1', poolSize: 2 }))
  model.add(tf.layers.timeDistributed({ name: 'steps', layer: tf.layers.dense({ name: 'step', units: 6 }) }))
  model.add(tf.layers.globalAveragePooling1d({ name: 'mean' }))
  model.add(inner)
  return model
}

describe('LayersModels', () => {
  it.each([1, 3])('images, batch %i: outputs and multiply-adds of every layer', async (batch) => {
    const model = images()
    const read = readTfjs(await saved(model), { batch })
    expect(read).toMatchObject({ skipped: [], unsupported: [] })
    expect(read.layers.map(({ id, m, n, k }) => ({ id, outputs: m * n, k }))).toEqual(
      expectedOf(model).map((item) => ({ ...item, outputs: batch * item.outputs })),
    )
  })

  it('sequences, with a model inside', async () => {
    const model = sequences()
    const read = readTfjs(await saved(model), { batch: 2 })
    expect(read).toMatchObject({ skipped: [], unsupported: [] })
    const inner = model.getLayer('inner') as unknown as tf.LayersModel
    const expected = [
      ...expectedOf({ layers: model.layers.filter(({ name }) => name === 'along') } as tf.LayersModel),
      { id: 'steps', outputs: 12 * 6, k: 6 },
      ...expectedOf(inner).map((item) => ({ ...item, id: `inner/${item.id}` })),
    ]
    expect(read.layers.map(({ id, m, n, k }) => ({ id, outputs: m * n, k }))).toEqual(
      expected.map((item) => ({ ...item, outputs: 2 * item.outputs })),
    )
  })
})

describe('GraphModels', () => {
  const text = (value: string) => ({ s: btoa(value) })
  const numbers = (...values: number[]) => ({ list: { i: values.map(String) } })
  const float = { T: { type: 'DT_FLOAT' } }
  const node = (name: string, op: string, input: string[] = [], attr: object = {}) => ({
    name,
    op,
    input,
    attr: { ...float, ...attr },
  })
  const window = (stride: number, padding: string) => ({
    strides: numbers(1, stride, stride, 1),
    dilations: numbers(1, 1, 1, 1),
    padding: text(padding),
    data_format: text('NHWC'),
  })
  const constants: Record<string, { shape: number[]; values?: number[] }> = {
    filter: { shape: [3, 3, 3, 8] },
    taps: { shape: [3, 3, 8, 2] },
    margins: { shape: [4, 2], values: [0, 0, 1, 2, 0, 1, 0, 0] },
    axes: { shape: [2], values: [1, 2] },
    zero: { shape: [1], values: [0] },
    one: { shape: [1], values: [1] },
    size: { shape: [], values: [16] },
    w: { shape: [5, 16] },
  }
  const nodes = [
    node('image', 'Placeholder', [], {
      dtype: { type: 'DT_FLOAT' },
      shape: { shape: { dim: [-1, 21, 18, 3].map((size) => ({ size: String(size) })) } },
    }),
    ...Object.entries(constants).map(([name, { values }]) =>
      node(name, 'Const', [], { dtype: { type: values ? 'DT_INT32' : 'DT_FLOAT' } }),
    ),
    node('conv', 'Conv2D', ['image', 'filter'], window(2, 'SAME')),
    node('relu', 'Relu6', ['conv']),
    node('padded', 'Pad', ['relu', 'margins']),
    node('depth', 'DepthwiseConv2dNative', ['padded', 'taps'], window(1, 'VALID')),
    node('pooled', 'MaxPool', ['depth'], { ...window(2, 'SAME'), ksize: numbers(1, 3, 3, 1) }),
    node('mean', 'Mean', ['pooled', 'axes'], { keep_dims: { b: true } }),
    node('shape', 'Shape', ['mean'], { out_type: { type: 'DT_INT32' } }),
    node('rows', 'StridedSlice', ['shape', 'zero', 'one', 'one'], { shrink_axis_mask: { i: '1' } }),
    node('target', 'Pack', ['rows', 'size'], { axis: { i: '0' }, N: { i: '2' } }),
    node('flat', 'Reshape', ['mean', 'target']),
    node('logits', 'MatMul', ['flat', 'w'], { transpose_a: { b: false }, transpose_b: { b: true } }),
  ]
  const specs = Object.entries(constants).map(([name, { shape, values }]) => ({
    name,
    shape,
    dtype: values ? ('int32' as const) : ('float32' as const),
  }))
  const data = new Uint8Array(
    Object.values(constants).flatMap(({ shape, values }) => [
      ...new Uint8Array((values ? Int32Array.from(values) : new Float32Array(product(shape)).fill(0.1)).buffer),
    ]),
  )

  it('every node has the shape that it has when it runs', async () => {
    const topology = { node: nodes, versions: { producer: 1, minConsumer: 1 } }
    const model = await tf.loadGraphModel(
      tf.io.fromMemory({ modelTopology: topology, weightSpecs: specs, weightData: data.buffer, format: 'graph-model' }),
    )
    const names = ['conv', 'depth', 'logits']
    const tensors = model.execute({ image: tf.ones([4, 21, 18, 3]) }, names) as tf.Tensor[]
    const manifest = [{ paths: ['weights.bin'], weights: specs }]
    const read = readTfjs(JSON.stringify({ modelTopology: topology, weightsManifest: manifest }), {
      batch: 4,
      readFile: () => data,
    })
    expect(read).toMatchObject({ skipped: [], unsupported: [] })
    expect(read.layers.map(({ id, m, n }) => [id, m * n, n])).toEqual(
      names.map((name, i) => [name, tensors[i]?.size, tensors[i]?.shape.at(-1)]),
    )
    expect(read.layers.map(({ k }) => k)).toEqual([27, 9, 16])
  })
})

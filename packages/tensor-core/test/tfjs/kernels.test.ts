// The training kernels on the wasm backend beside those of the cpu backend, which sums in float64.
import fc from 'fast-check'
import { isFtError, type SyncMatmulEngine } from '@ft/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { registerTrainingKernels, type TrainingKernels } from '../../src/tfjs.ts'
import { createWasmEngine, type WasmEngine } from '../../src/wasm.ts'
import { floats } from '../support/cases.ts'
import { u } from '../support/compare.ts'
import { kernel, tf, use } from './support.ts'

let engine: WasmEngine
let kernels: TrainingKernels
beforeAll(async () => {
  await use('wasm')
  engine = createWasmEngine({ threads: 1 })
  kernels = registerTrainingKernels(tf, engine)
})
afterAll(async () => {
  kernels.unregister()
  await engine.dispose()
})

type Four = [number, number, number, number]

const side = fc.integer({ min: 1, max: 9 })
const geometry = fc
  .record({
    batch: fc.integer({ min: 1, max: 3 }),
    height: side,
    width: side,
    channels: fc.integer({ min: 1, max: 4 }),
    out: fc.integer({ min: 1, max: 5 }),
    kernel: fc.tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 4 })),
    strides: fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 })),
    pad: fc.constantFrom('same', 'valid', 'explicit'),
    seed: fc.nat(1e6),
  })
  .filter(({ height, width, kernel: [kh, kw] }) => height >= kh && width >= kw)

const tensor = (shape: number[], seed: number): tf.Tensor => tf.tensor(floats(shape, seed).data, shape)

/** Pads of two rows above, one below, three columns right. */
function padding(pad: string, format: 'NHWC' | 'NCHW'): unknown {
  if (pad !== 'explicit') return pad
  const [none, rows, columns] = [
    [0, 0],
    [2, 1],
    [0, 3],
  ]
  return format === 'NHWC' ? [none, rows, columns, none] : [none, none, rows, columns]
}

interface Gradient {
  readonly x: tf.Tensor
  readonly dy: tf.Tensor
  readonly attrs: Record<string, unknown>
  /** Output pixels of the batch. */
  readonly k: number
}

/**
 * Both backends' gradients: each element is a float32 sum of k products in blocks of 256 steps: at most 256 + k / 256 + 2
 * roundings on partial sums below the sum of magnitudes, which the cpu backend gives for |x| and |dy|; and one rounding
 * of the cpu's result and one of that sum.
 */
async function compareGradients(name: string, { x, dy, attrs, k }: Gradient): Promise<void> {
  const ours = await kernel('wasm', name, { inputs: { x, dy }, attrs })
  const theirs = await kernel('cpu', name, { inputs: { x, dy }, attrs })
  const [sizeX, sizeDy] = [tf.abs(x), tf.abs(dy)]
  const magnitudes = await kernel('cpu', name, { inputs: { x: sizeX, dy: sizeDy }, attrs })
  expect(ours.shape).toEqual(theirs.shape)
  ours.values.forEach((value, i) => {
    const bound = (256 + k / 256 + 4) * u * (magnitudes.values[i] as number)
    expect(Math.abs(value - (theirs.values[i] as number))).toBeLessThanOrEqual(bound)
  })
  tf.dispose([x, dy, sizeX, sizeDy])
}

describe('gradients of filters', () => {
  it.each(['NHWC', 'NCHW'] as const)('equal those of the cpu backend, %s', async (dataFormat) => {
    await fc.assert(
      fc.asyncProperty(geometry, async (o) => {
        await use('cpu')
        const shape =
          dataFormat === 'NHWC' ? [o.batch, o.height, o.width, o.channels] : [o.batch, o.channels, o.height, o.width]
        const pad = padding(o.pad, dataFormat)
        const filterShape: Four = [...o.kernel, o.channels, o.out]
        const format = tf.backend_util.convertConv2DDataFormat(dataFormat)
        const info = tf.backend_util.computeConv2DInfo(
          shape as Four,
          filterShape,
          o.strides,
          1,
          pad as 'same',
          undefined,
          false,
          format,
        )
        const k = o.batch * info.outHeight * info.outWidth
        const attrs = { strides: o.strides, pad, dataFormat, dimRoundingMode: undefined, filterShape }
        const operands = { x: tensor(shape, o.seed), dy: tensor(info.outShape, o.seed + 1) }
        await compareGradients('Conv2DBackpropFilter', { ...operands, attrs, k })
      }),
      { numRuns: 60 },
    )
  })

  it('equal those of the cpu backend, depthwise', async () => {
    await fc.assert(
      fc.asyncProperty(geometry, async (o) => {
        await use('cpu')
        const shape: Four = [o.batch, o.height, o.width, o.channels]
        const filterShape: Four = [...o.kernel, o.channels, 1 + (o.out % 2)]
        const pad = padding(o.pad, 'NHWC') as 'same'
        const info = tf.backend_util.computeConv2DInfo(shape, filterShape, o.strides, 1, pad, undefined, true)
        const k = o.batch * info.outHeight * info.outWidth
        const attrs = { strides: o.strides, dilations: [1, 1], pad, dimRoundingMode: undefined, filterShape }
        const operands = { x: tensor(shape, o.seed), dy: tensor(info.outShape, o.seed + 1) }
        await compareGradients('DepthwiseConv2dNativeBackpropFilter', { ...operands, attrs, k })
      }),
      { numRuns: 60 },
    )
  })

  it('of depthwise inputs equal those of the cpu backend', async () => {
    await fc.assert(
      fc.asyncProperty(geometry, async (o) => {
        await use('cpu')
        const inputShape: Four = [o.batch, o.height, o.width, o.channels]
        const multiplier = 1 + (o.out % 2)
        const filterShape: Four = [...o.kernel, o.channels, multiplier]
        const pad = padding(o.pad, 'NHWC') as 'same'
        const info = tf.backend_util.computeConv2DInfo(inputShape, filterShape, o.strides, 1, pad, undefined, true)
        const attrs = { strides: o.strides, dilations: [1, 1], pad, dimRoundingMode: undefined, inputShape }
        const inputs = { dy: tensor(info.outShape, o.seed), filter: tensor(filterShape, o.seed + 1) }
        const name = 'DepthwiseConv2dNativeBackpropInput'
        const ours = await kernel('wasm', name, { inputs, attrs })
        const theirs = await kernel('cpu', name, { inputs, attrs })
        expect(ours.shape).toEqual(theirs.shape)
        // As many products below 1 as the filter has taps and the channel outputs; each addition rounds, and both results.
        const k = o.kernel[0] * o.kernel[1] * multiplier
        ours.values.forEach((value, i) =>
          expect(Math.abs(value - (theirs.values[i] as number))).toBeLessThanOrEqual((k + 3) * k * u),
        )
        tf.dispose([inputs.dy, inputs.filter])
      }),
      { numRuns: 60 },
    )
  })

  it('of dilated depthwise filters are the sums of their definition', async () => {
    const [x, dy] = [floats([2, 9, 8, 3], 1), floats([2, 5, 2, 3], 2)]
    const dilations: [number, number] = [2, 3]
    const ours = await kernel('wasm', 'DepthwiseConv2dNativeBackpropFilter', {
      inputs: { x: tensor([2, 9, 8, 3], 1), dy: tensor([2, 5, 2, 3], 2) },
      attrs: { strides: [1, 1], dilations, pad: 'valid', dimRoundingMode: undefined, filterShape: [3, 3, 3, 1] },
    })
    for (let r = 0; r < 3; r++)
      for (let s = 0; s < 3; s++)
        for (let c = 0; c < 3; c++) {
          let sum = 0
          for (let b = 0; b < 2; b++)
            for (let p = 0; p < 5; p++)
              for (let q = 0; q < 2; q++) {
                const pixel = ((b * 9 + p + 2 * r) * 8 + q + 3 * s) * 3 + c
                sum += (x.data[pixel] as number) * (dy.data[((b * 5 + p) * 2 + q) * 3 + c] as number)
              }
          // 20 products of at most 1, each addition rounded, and the result.
          expect(Math.abs((ours.values[(r * 3 + s) * 3 + c] as number) - sum)).toBeLessThanOrEqual(21 * 20 * u)
        }
  })

  it('reach the optimizer: a small network learns the same on both backends', async () => {
    const losses = { wasm: [] as number[], cpu: [] as number[] }
    for (const backend of ['wasm', 'cpu'] as const) {
      await use(backend)
      const kernelInitializer = tf.initializers.heNormal({ seed: 1 })
      const model = tf.sequential({
        layers: [
          tf.layers.conv2d({
            inputShape: [10, 10, 1],
            filters: 4,
            kernelSize: 3,
            activation: 'relu',
            kernelInitializer,
          }),
          tf.layers.depthwiseConv2d({ kernelSize: 3, depthwiseInitializer: kernelInitializer }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 3, activation: 'softmax', kernelInitializer }),
        ],
      })
      model.compile({ optimizer: tf.train.sgd(0.05), loss: 'categoricalCrossentropy' })
      const x = tensor([8, 10, 10, 1], 5)
      const y = tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2, 0, 1], 'int32'), 3)
      for (let step = 0; step < 12; step++) losses[backend].push((await model.trainOnBatch(x, y)) as number)
      model.dispose()
      tf.dispose([x, y])
    }
    expect(losses.wasm.at(-1)).toBeLessThan(0.8 * (losses.wasm[0] as number))
    // Twelve steps of float32 networks that round differently: far from where small differences grow.
    losses.wasm.forEach((loss, i) => expect(Math.abs(loss - (losses.cpu[i] as number))).toBeLessThan(1e-4))
  })
})

describe('sums by segment', () => {
  const problem = fc.record({
    rows: fc.integer({ min: 1, max: 40 }),
    width: fc.integer({ min: 1, max: 6 }),
    count: fc.integer({ min: 1, max: 12 }),
    seed: fc.nat(1e6),
  })

  it('have the bits of the cpu backend, ids outside left out', async () => {
    await fc.assert(
      fc.asyncProperty(problem, async ({ rows, width, count, seed }) => {
        await use('cpu')
        const x = tensor([rows, width], seed)
        const ids = Array.from({ length: rows }, (_, i) => ((seed + 7 * i * i) % (count + 3)) - 1)
        const segmentIds = tf.tensor1d(ids, 'int32')
        const call = { inputs: { x, segmentIds }, attrs: { numSegments: count } }
        const ours = await kernel('wasm', 'UnsortedSegmentSum', call)
        expect(ours).toEqual(await kernel('cpu', 'UnsortedSegmentSum', call))
        tf.dispose([x, segmentIds])
      }),
      { numRuns: 60 },
    )
  })

  it('are the gradient of an embedding look-up on the wasm backend', async () => {
    await use('wasm')
    const table = tf.variable(tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2]))
    const { grads } = tf.variableGrads(() => tf.sum(tf.gather(table, tf.tensor1d([2, 0, 2], 'int32'))))
    expect(Array.from(await (grads[table.name] as tf.Tensor).data())).toEqual([1, 1, 0, 0, 2, 2])
    table.dispose()
    const inputs = { x: tf.tensor1d([1, 2, 3], 'int32'), segmentIds: tf.tensor1d([0, 0, 1], 'int32') }
    const sums = await kernel('wasm', 'UnsortedSegmentSum', { inputs, attrs: { numSegments: 2 } })
    expect(sums).toEqual({ values: Int32Array.of(3, 3), shape: [2], dtype: 'int32' })
  })

  it('refuse another number of ids than rows', async () => {
    const inputs = { x: tf.ones([3, 2]), segmentIds: tf.tensor1d([0, 1], 'int32') }
    await expect(kernel('wasm', 'UnsortedSegmentSum', { inputs, attrs: { numSegments: 2 } })).rejects.toSatisfy(
      (error) => isFtError(error, 'SHAPE_MISMATCH'),
    )
  })
})

it('keeps no tensor and no wasm memory over 300 gradients', async () => {
  await use('wasm')
  const x = tensor([2, 8, 8, 3], 1)
  const filter = tensor([3, 3, 3, 4], 2)
  const gradient = (): void =>
    tf.dispose(tf.grad((w) => tf.sum(tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, 'same')))(filter))
  for (let i = 0; i < 20; i++) gradient()
  const before = { tensors: tf.memory().numTensors, used: (engine.runtime as { used?: number }).used }
  for (let i = 0; i < 300; i++) gradient()
  expect({ tensors: tf.memory().numTensors, used: (engine.runtime as { used?: number }).used }).toEqual(before)
  expect(before.used).toBeGreaterThan(0)
  tf.dispose([x, filter])
})

describe('registration', () => {
  it('adds what is not there, once, and takes its own away', () => {
    const names = [
      'Conv2DBackpropFilter',
      'DepthwiseConv2dNativeBackpropFilter',
      'DepthwiseConv2dNativeBackpropInput',
      'UnsortedSegmentSum',
    ]
    expect(kernels.registered).toEqual(names)
    const second = registerTrainingKernels(tf, engine)
    expect(second.registered).toEqual([])
    second.unregister()
    for (const name of names) expect(tf.getKernel(name, 'wasm')).toBeDefined()
    kernels.unregister()
    for (const name of names) expect(tf.getKernel(name, 'wasm') ?? undefined).toBeUndefined()
    kernels.unregister()
    kernels = registerTrainingKernels(tf, engine)
    expect(kernels.registered).toEqual(names)
  })

  it('refuses an engine whose products are promises', () => {
    let thrown: unknown
    try {
      registerTrainingKernels(tf, { name: 'webgpu' } as unknown as SyncMatmulEngine)
    } catch (error) {
      thrown = error
    }
    expect(isFtError(thrown, 'INVALID_ARGUMENT')).toBe(true)
  })
})

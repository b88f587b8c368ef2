// Gradients computed here, of dense layers and of a convolution's input: those of TensorFlow.js, but for rounding.
import * as tf from '@tensorflow/tfjs'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { beforeAll, describe, expect, it } from 'vitest'
import { createDenseGradients } from '../src/training/denseGradients.ts'
import { denseLearnedGradient, tensorflowLearnedGradient } from '../src/training/learnedGradients.ts'
import { forward, parametersOf, tensorsOf } from '../src/training/network.ts'
import { outputLoss } from '../src/training/outputLoss.ts'
import type { ConvLayer, DenseLayer } from '../src/index.ts'

const random = createRandom(5)
const normal = (name: string, shape: number[]) => ({
  data: random.stream(name).fillNormal(new Float32Array(shape.reduce((a, b) => a * b, 1)), { standardDeviation: 0.5 }),
  shape,
  dtype: 'float32' as const,
})
const sizes = [7, 12, 5, 3]
const layers: DenseLayer[] = sizes.slice(1).map((out, i) => ({
  weights: normal(`w${i}`, [sizes[i] as number, out]),
  bias: normal(`b${i}`, [out]),
  relu: i < 2,
}))
const rows = 33
const x = normal('x', [rows, 7]).data
const targets = normal('y', [rows, 3]).data
const parameters = parametersOf(layers)

/**
 * Every gradient is a sum over paths: an input, a weight of each layer forwards, the loss, a weight of each layer backwards.
 * A term is rounded at most once for each of its products and of the sums it is in: 7 + 12 + 5 and biases forwards, 3 + 5 +
 * 12 backwards, 33 rows, and a few in the loss.
 */
const ROUNDINGS = 7 + 12 + 5 + 3 + 5 + 12 + 33 + 2 * sizes.length + 10
const UNIT = 2 ** -24

/** Sums of the magnitudes of all terms, in float64: of the outputs of each layer and of each gradient. */
function magnitudes(): { outputs: Float64Array[]; gradients: Float64Array[]; inputs: Float64Array } {
  const product = (a: ArrayLike<number>, b: ArrayLike<number>, [m, k, n]: [number, number, number]) => {
    const c = new Float64Array(m * n)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) for (let l = 0; l < k; l++) c[i * n + j]! += Math.abs(a[i * k + l]! * b[l * n + j]!)
    return c
  }
  const turned = (a: ArrayLike<number>, [m, n]: [number, number]) =>
    Float64Array.from({ length: m * n }, (_, e) => a[(e % m) * n + Math.floor(e / m)]!)
  const outputs: Float64Array[] = []
  layers.forEach((_, i) => {
    const [from, out] = [sizes[i]!, sizes[i + 1]!]
    const sums = product(i === 0 ? x : outputs[i - 1]!, parameters[2 * i]!, [rows, from, out])
    outputs.push(sums.map((value, e) => value + Math.abs(parameters[2 * i + 1]![e % out]!)))
  })
  const gradients: Float64Array[] = []
  let dz: Float64Array = outputs[2]!.map((value, e) => (2 * (value + Math.abs(targets[e]!))) / targets.length)
  for (let i = layers.length - 1; i >= 0; i--) {
    const [from, out] = [sizes[i]!, sizes[i + 1]!]
    const before = i === 0 ? x : outputs[i - 1]!
    gradients[2 * i] = product(turned(before, [rows, from]), dz, [from, rows, out])
    gradients[2 * i + 1] = product(new Float64Array(rows).fill(1), dz, [1, rows, out])
    dz = product(dz, turned(parameters[2 * i]!, [from, out]), [rows, out, from])
  }
  return { outputs, gradients, inputs: dz }
}

/** Two computations, each within the bound. */
function expectEqual(got: ArrayLike<number>, wanted: ArrayLike<number>, magnitude: Float64Array): void {
  expect(got.length).toBe(wanted.length)
  for (let e = 0; e < magnitude.length; e++)
    expect(Math.abs(got[e]! - wanted[e]!)).toBeLessThanOrEqual(2 * ROUNDINGS * UNIT * magnitude[e]!)
}

const bounds = magnitudes()
beforeAll(() => tf.setBackend('cpu'))

describe.each(['squared', 'huber'] as const)('loss %s', (kind) => {
  it('has the gradients that TensorFlow.js computes, of parameters and inputs', async () => {
    const passes = createDenseGradients(createWasmEngine({ threads: 1 }), { layers, parameters })
    const outputs = passes.forward(x, rows)
    const { loss, gradient } = outputLoss(kind, { outputs, targets })
    const { gradients, inputs } = passes.backward(gradient, { inputs: true })

    const lossOf = (...[input, ...tensors]: tf.Tensor[]) => {
      const y = tf.tensor2d(targets, [rows, 3])
      const all = forward(tf, input as tf.Tensor2D, { layers, tensors })
      return kind === 'huber' ? tf.losses.huberLoss(y, all) : all.sub(y).square().mean<tf.Scalar>()
    }
    const { value, grads } = tf.valueAndGrads(lossOf)([tf.tensor2d(x, [rows, 7]), ...tensorsOf(tf, layers, parameters)])
    expect(loss).toBeCloseTo(value.dataSync()[0]!, 4)
    gradients.forEach((own, p) => expectEqual(own, grads[p + 1]!.dataSync(), bounds.gradients[p]!))
    expectEqual(inputs!, grads[0]!.dataSync(), bounds.inputs)
    // Both losses have parts of their own here: some differences are above 1, some below
    const sizes = outputs.map((output, e) => Math.abs(output - targets[e]!))
    expect(Math.max(...sizes)).toBeGreaterThan(1)
    expect(Math.min(...sizes)).toBeLessThan(1)
  })
})

it('opens the same units as TensorFlow.js: no sum before a ReLU is so near zero that rounding decides', () => {
  const open = layers.map((layer) => ({ ...layer, relu: false }))
  let before: Float32Array = x
  layers.forEach(({ relu }, i) => {
    const one = [open[i] as DenseLayer]
    const passes = createDenseGradients(createWasmEngine({ threads: 1 }), {
      layers: one,
      parameters: parametersOf(one),
    })
    const sums = Float32Array.from(passes.forward(before, rows))
    if (relu)
      sums.forEach((sum, e) => expect(Math.abs(sum)).toBeGreaterThan(2 * ROUNDINGS * UNIT * bounds.outputs[i]![e]!))
    before = relu ? sums.map((sum) => Math.max(0, sum)) : sums
  })
})

it('takes batches of other sizes in turn, and leaves frozen parameters alone', () => {
  const passes = createDenseGradients(createWasmEngine({ threads: 1 }), { layers, parameters })
  const whole = Float32Array.from(passes.forward(x, rows))
  const half = Float32Array.from(passes.forward(x.subarray(0, 7 * 16), 16))
  expect([...half]).toEqual([...whole.subarray(0, 3 * 16)])
  const ones = () => new Float32Array(3 * 16).fill(1)
  const { inputs } = passes.backward(ones(), { inputs: true })
  const alone = Float32Array.from(inputs as Float32Array)
  const frozen = passes.backward(ones(), { inputs: true, frozen: true })
  expect([...(frozen.inputs as Float32Array)]).toEqual([...alone])
  expect(passes.backward(ones()).inputs).toBeUndefined()
})

describe.each(['outputs', 'distribution', 'labels'] as const)('a learned code, loss by %s', (loss) => {
  it.each([1, 2])('has the gradients that TensorFlow.js computes (%i channels)', (channels) => {
    const [k, plane, classes, groups] = [2, 4, 3, 9]
    const layersOf = (name: string, widths: readonly number[]): DenseLayer[] =>
      widths.slice(1).map((out, i) => ({
        weights: normal(`${name}w${i}${channels}`, [widths[i] as number, out]),
        bias: normal(`${name}b${i}${channels}`, [out]),
        relu: i < widths.length - 2,
      }))
    const encoder = layersOf('encoder', [k * plane, 6, plane])
    const decoder = layersOf('decoder', [(k + 1) * classes, 9, 6, k * classes])
    const problem = {
      base: layersOf('base', [channels * plane, 5, classes]),
      encoder,
      decoder,
      parameters: [...parametersOf(encoder), ...parametersOf(decoder)],
      k,
      channels,
      plane,
      classes,
      loss,
      targets: normal('outputs', [50, classes]).data,
      labelOf: (row: number) => row % classes,
    }
    const groupRows = Uint32Array.from({ length: k * groups }, (_, i) => (7 * i) % 50)
    const planes = normal(`planes${channels}`, [groups * channels, k * plane]).data
    const own = denseLearnedGradient(problem)?.(groupRows, planes)
    const { gradient, dispose } = tensorflowLearnedGradient(tf, problem)
    const wanted = gradient(groupRows, planes)
    dispose()
    expect(own?.loss).toBeCloseTo(wanted.loss, 5)
    // Terms of at most 100 roundings each (all sums on a path together), of which a gradient's largest element has many:
    // their magnitudes are taken as up to 100 times it, as none cancels so far here
    own?.gradients.forEach((one, p) => {
      const other = wanted.gradients[p] as ArrayLike<number>
      const largest = Math.max(...Array.from(other, Math.abs))
      for (let e = 0; e < other.length; e++)
        expect(Math.abs(one[e]! - other[e]!)).toBeLessThanOrEqual(2 * 100 * UNIT * 100 * largest)
    })
  })
})

it.each([
  [7, 6, 2, 3],
  [8, 8, 2, 3],
  [9, 5, 3, 5],
  [5, 7, 2, 1],
])('has the input gradient of a convolution of %i x %i images, stride %i, %i taps', (height, width, stride, taps) => {
  const image = { height, width }
  const conv = (from: number, to: number, size: { height: number; width: number }, by: number): ConvLayer => ({
    kind: 'conv',
    weights: normal(`conv${from}${taps}`, [taps, taps, from, to]),
    bias: normal(`convb${to}`, [to]),
    relu: false,
    image: size,
    stride: by,
  })
  // Linear, so that both see the same: the first layer's parameters get their gradients through the second's inputs
  const two = [conv(2, 3, image, 1), conv(3, 4, image, stride)]
  const images = tf.tensor2d(normal('images', [5, height * width * 2]).data, [5, height * width * 2])
  const plain = (...[first, b1, second, b2]: tf.Tensor[]) => {
    const x4 = images.reshape<tf.Tensor4D>([5, height, width, 2])
    const one = tf.conv2d(x4, first as tf.Tensor4D, 1, 'same').add<tf.Tensor4D>(b1 as tf.Tensor)
    return tf
      .conv2d(one, second as tf.Tensor4D, stride, 'same')
      .add(b2 as tf.Tensor)
      .square()
      .sum<tf.Scalar>()
  }
  const own = (...tensors: tf.Tensor[]) => forward(tf, images, { layers: two, tensors }).square().sum<tf.Scalar>()
  const at = tensorsOf(tf, two, parametersOf(two))
  const [got, wanted] = [tf.valueAndGrads(own)(at).grads, tf.valueAndGrads(plain)(at).grads]
  wanted.forEach((gradient, p) => {
    const values = gradient.dataSync()
    // Sums on a path: taps of both layers forwards, of the second backwards, all pixels of five images; a gradient of a sum
    // of squares has few terms that cancel, so that its largest element stands for their magnitude
    const roundings = taps * taps * (2 + 3 + 4) + 5 * height * width
    const largest = Math.max(...values.map(Math.abs))
    got[p]!.dataSync().forEach((value, e) =>
      expect(Math.abs(value - values[e]!)).toBeLessThanOrEqual(2 * roundings * UNIT * largest),
    )
  })
})

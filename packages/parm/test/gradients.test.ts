// Gradients computed here, of dense layers and convolutions: those of TensorFlow.js, but for rounding.
import * as tf from '@tensorflow/tfjs'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { beforeAll, describe, expect, it } from 'vitest'
import { convEncoder, mlpDecoder } from '../src/training/coders.ts'
import { engineLearnedGradient, tensorflowLearnedGradient } from '../src/training/learnedGradients.ts'
import { forward, initialWeights, parametersOf, tensorsOf } from '../src/training/network.ts'
import { outputLoss, taskLoss } from '../src/training/outputLoss.ts'
import { createPasses } from '../src/training/passes.ts'
import type { ConvLayer, DenseLayer, Layer } from '../src/index.ts'

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
    const passes = createPasses(createWasmEngine({ threads: 1 }), { layers, parameters })
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
    const passes = createPasses(createWasmEngine({ threads: 1 }), {
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
  const passes = createPasses(createWasmEngine({ threads: 1 }), { layers, parameters })
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
    const own = engineLearnedGradient(problem)(groupRows, planes)
    const { gradient, dispose } = tensorflowLearnedGradient(tf, problem)
    const wanted = gradient(groupRows, planes)
    dispose()
    expect(own.loss).toBeCloseTo(wanted.loss, 5)
    // All sums on a path together have at most 100 terms
    expectNear(own.gradients, wanted.gradients, 100)
  })
})

it.each([1, 3])('trains the convolutional encoder through a convolutional model (%i channels)', (channels) => {
  const [k, classes, groups, image] = [2, 3, 5, { height: 7, width: 6 }]
  const plane = 42
  const random = createRandom(9 + channels)
  const encoder = initialWeights(convEncoder({ k, image, channels: 3 }), { random, scheme: 'scaled' })
  const decoder = initialWeights(mlpDecoder({ k, classes }), { random: random.stream('decoder'), scheme: 'scaled' })
  const base: Layer[] = [
    convolution({ taps: 3, from: channels, to: 4, image, stride: 2, relu: true }),
    { weights: normal(`dense${channels}`, [4 * 3 * 4, classes]), bias: normal('dense bias', [classes]), relu: false },
  ]
  const problem = {
    base,
    encoder,
    decoder,
    parameters: [...parametersOf(encoder), ...parametersOf(decoder)],
    k,
    channels,
    plane,
    classes,
    loss: 'outputs' as const,
    targets: normal('outputs', [50, classes]).data,
    labelOf: () => 0,
  }
  const groupRows = Uint32Array.from({ length: k * groups }, (_, i) => (7 * i) % 50)
  const planes = normal(`convolved planes${channels}`, [groups * channels, k * plane]).data
  const own = engineLearnedGradient(problem)(groupRows, planes)
  const { gradient, dispose } = tensorflowLearnedGradient(tf, problem)
  const wanted = gradient(groupRows, planes)
  dispose()
  expect(own.loss).toBeCloseTo(wanted.loss, 5)
  // Six layers of 27 terms, the model's 9 and 48, as many back, the decoder's, and all pixels of the groups' planes
  expectNear(own.gradients, wanted.gradients, 2 * (6 * 27 + 9 + 48 + 24) + 5 * 3 * 42)
})

/** Their magnitudes are taken as up to 100 times a gradient's largest element, as none cancels so far here. */
function expectNear(got: readonly ArrayLike<number>[], wanted: readonly ArrayLike<number>[], roundings: number): void {
  expect(got.length).toBe(wanted.length)
  got.forEach((one, p) => {
    const other = wanted[p] as ArrayLike<number>
    const largest = Math.max(...Array.from(other, Math.abs))
    // A gradient of zeros would be near anything small
    expect(largest).toBeGreaterThan(0)
    for (let e = 0; e < other.length; e++)
      expect(Math.abs(one[e]! - other[e]!)).toBeLessThanOrEqual(2 * roundings * UNIT * 100 * largest)
  })
}

function convolution(o: {
  taps: number
  from: number
  to: number
  image: ConvLayer['image']
  stride: number
  relu: boolean
}): ConvLayer {
  const { taps, from, to, image, stride, relu } = o
  return {
    kind: 'conv',
    weights: normal(`conv${from}${taps}`, [taps, taps, from, to]),
    bias: normal(`convb${to}`, [to]),
    relu,
    image,
    stride,
  }
}

it.each([
  [7, 6, 2, 3],
  [8, 8, 2, 3],
  [9, 5, 3, 5],
  [5, 7, 2, 1],
])('has the gradients of convolutions of %i x %i images, stride %i, %i taps', (height, width, stride, taps) => {
  const image = { height, width }
  // Linear, so that all see the same: the first layer's parameters get their gradients through the second's inputs
  const two = [
    convolution({ taps, from: 2, to: 3, image, stride: 1, relu: false }),
    convolution({ taps, from: 3, to: 4, image, stride, relu: false }),
  ]
  const pixels = normal('images', [5, height * width * 2]).data
  const images = tf.tensor2d(pixels, [5, height * width * 2])
  const plain = (...[x, first, b1, second, b2]: tf.Tensor[]) => {
    const x4 = (x as tf.Tensor).reshape<tf.Tensor4D>([5, height, width, 2])
    const one = tf.conv2d(x4, first as tf.Tensor4D, 1, 'same').add<tf.Tensor4D>(b1 as tf.Tensor)
    return tf
      .conv2d(one, second as tf.Tensor4D, stride, 'same')
      .add(b2 as tf.Tensor)
      .square()
      .sum<tf.Scalar>()
  }
  const byTensorflow = (...tensors: tf.Tensor[]) =>
    forward(tf, images, { layers: two, tensors }).square().sum<tf.Scalar>()
  const at = tensorsOf(tf, two, parametersOf(two))
  const [wantedInputs, ...wanted] = tf.valueAndGrads(plain)([images, ...at]).grads
  const got = tf
    .valueAndGrads(byTensorflow)(at)
    .grads.map((gradient) => gradient.dataSync())

  const passes = createPasses(createWasmEngine({ threads: 1 }), { layers: two, parameters: parametersOf(two) })
  const outputs = passes.forward(pixels, 5)
  const own = passes.backward(
    outputs.map((value) => 2 * value),
    { inputs: true },
  )

  // Sums on a path: taps of both layers forwards, of the second backwards, all pixels of five images; a gradient of a sum
  // of squares has few terms that cancel, so that its largest element stands for their magnitude
  const roundings = taps * taps * (2 + 3 + 4) + 5 * height * width
  const expectAlike = (values: ArrayLike<number>, other: tf.Tensor) => {
    const known = other.dataSync()
    const largest = Math.max(...known.map(Math.abs))
    expect(values.length).toBe(known.length)
    for (let e = 0; e < known.length; e++)
      expect(Math.abs(values[e]! - known[e]!)).toBeLessThanOrEqual(2 * roundings * UNIT * largest)
  }
  wanted.forEach((gradient, p) => {
    expectAlike(got[p] as ArrayLike<number>, gradient)
    expectAlike(own.gradients[p] as Float32Array, gradient)
  })
  expectAlike(own.inputs as Float32Array, wantedInputs as tf.Tensor)
})

it('adds up the gradient of a filter over parts of a batch', () => {
  // 300 images of 20 x 20 pixels and 9 taps are gathered in five parts
  const layer = convolution({ taps: 3, from: 1, to: 2, image: { height: 20, width: 20 }, stride: 1, relu: false })
  const pixels = normal('many images', [300, 400]).data
  const passes = createPasses(createWasmEngine({ threads: 1 }), { layers: [layer], parameters: parametersOf([layer]) })
  passes.forward(pixels, 300)
  const ones = new Float32Array(300 * 400 * 2).fill(1)
  const [filter, bias] = passes.backward(ones).gradients
  expect([...(bias as Float32Array)]).toEqual([300 * 400, 300 * 400])
  for (let r = 0; r < 3; r++)
    for (let s = 0; s < 3; s++) {
      let [sum, size] = [0, 0]
      for (let b = 0; b < 300; b++)
        for (let y = Math.max(0, r - 1); y < Math.min(20, 19 + r); y++)
          for (let x = Math.max(0, s - 1); x < Math.min(20, 19 + s); x++) {
            const value = pixels[b * 400 + y * 20 + x]!
            sum += value
            size += Math.abs(value)
          }
      // Blocks of 256 terms, 29,128 such sums at most: rounding at most once a term of a block and once a block
      for (const o of [0, 1])
        expect(Math.abs(filter![(r * 3 + s) * 2 + o]! - sum)).toBeLessThan((256 + 500) * UNIT * size)
    }
})

it.each(['labels', 'values', 'boxes'] as const)('has the loss that TensorFlow.js computes for %s', (kind) => {
  const [n, width] = [6, 4]
  const outputs = normal(`outputs of ${kind}`, [n, width]).data.map((value) => 4 * value)
  const wanted = normal(`answers of ${kind}`, [n, width])
  const classes = Int32Array.from({ length: n }, (_, i) => (3 * i) % width)
  const answers = kind === 'labels' ? { labels: classes } : kind === 'values' ? { values: wanted } : { boxes: wanted }
  const own = taskLoss(answers, outputs)
  const theirs = tf.valueAndGrad((x) => {
    const all = x as tf.Tensor2D
    const y = tf.tensor2d(wanted.data, [n, width])
    if (kind === 'labels') return tf.losses.softmaxCrossEntropy(tf.oneHot(classes, width), all)
    return kind === 'values' ? all.sub(y).square().mean<tf.Scalar>() : tf.losses.huberLoss(y, all)
  })(tf.tensor2d(outputs, [n, width]))
  expect(own.loss).toBeCloseTo(theirs.value.dataSync()[0]!, 4)
  // Exponentials of numbers below 8 in float32: relative errors of some 2^-20
  theirs.grad.dataSync().forEach((value, e) => expect(Math.abs(own.gradient[e]! - value)).toBeLessThan(1e-5))
})

// Models on TensorFlow.js: forward passes that it differentiates.
import type * as TensorFlow from '@tensorflow/tfjs'
import type { Random } from '@ft/core/random'
import { outputsOf, type ConvLayer, type Layer } from '../models/layers.ts'

type Matrix = TensorFlow.Tensor2D
type Images = TensorFlow.Tensor4D

/** Weights and biases of a model in turn, as they are trained. */
export function parametersOf(layers: readonly Layer[]): Float32Array[] {
  return layers.flatMap(({ weights, bias }) => [Float32Array.from(weights.data), Float32Array.from(bias.data)])
}

/** A model of the same form with other weights, which are copied. */
export function withParameters<L extends Layer>(layers: readonly L[], parameters: readonly Float32Array[]): L[] {
  return layers.map((layer, i) => ({
    ...layer,
    weights: { ...layer.weights, data: Float32Array.from(parameters[2 * i] as Float32Array) },
    bias: { ...layer.bias, data: Float32Array.from(parameters[2 * i + 1] as Float32Array) },
  }))
}

/**
 * Weights to start from: 'published' draws dense ones from N(0, 0.01) and convolutions after Xavier with ReLU's gain, as the
 * papers' code does; 'scaled' draws all from N(0, 2 / inputs of a unit), which deeper models need. Biases are zero.
 */
export function initialWeights<L extends Layer>(
  layers: readonly L[],
  { random, scheme }: { readonly random: Random; readonly scheme: 'published' | 'scaled' },
): L[] {
  return layers.map((layer, i) => {
    const { weights, bias, relu } = layer
    const stream = random.stream('layer', i)
    const data = new Float32Array(weights.data.length)
    const fanIn = weights.data.length / (weights.shape.at(-1) as number)
    if (scheme === 'scaled') stream.fillNormal(data, { standardDeviation: Math.sqrt((relu ? 2 : 1) / fanIn) })
    else if (layer.kind !== 'conv') stream.fillNormal(data, { standardDeviation: 0.01 })
    else {
      const fanOut = weights.data.length / (weights.shape[2] as number)
      const limit = Math.SQRT2 * Math.sqrt(6 / (fanIn + fanOut))
      for (let e = 0; e < data.length; e++) data[e] = stream.uniform(-limit, limit)
    }
    return { ...layer, weights: { ...weights, data }, bias: { ...bias, data: new Float32Array(bias.data.length) } }
  })
}

/** Parameters as tensors of their layers' shapes, weights and biases in turn. */
export function tensorsOf(
  tf: typeof TensorFlow,
  layers: readonly Layer[],
  parameters: readonly Float32Array[],
): TensorFlow.Tensor[] {
  return layers.flatMap(({ weights, bias }, i) => [
    tf.tensor(parameters[2 * i] as Float32Array, [...weights.shape]),
    tf.tensor(parameters[2 * i + 1] as Float32Array, [bias.data.length]),
  ])
}

/**
 * The value of a loss and its gradient with respect to each tensor, as plain arrays.
 *
 * @param o.prepare - makes what the loss needs besides, outside of what is differentiated
 */
export function lossAndGradients(
  tf: typeof TensorFlow,
  o: {
    readonly tensors: () => TensorFlow.Tensor[]
    readonly prepare: () => (...tensors: TensorFlow.Tensor[]) => TensorFlow.Scalar
  },
): { loss: number; gradients: ArrayLike<number>[] } {
  const found = { loss: NaN, gradients: [] as ArrayLike<number>[] }
  // Nothing is handed out by `tidy` itself: it would look for tensors at every index of the arrays, half of a step's time
  tf.tidy(() => {
    const { value, grads } = tf.valueAndGrads(o.prepare())(o.tensors())
    found.loss = value.dataSync()[0] as number
    found.gradients = grads.map((gradient) => gradient.dataSync())
  })
  return found
}

/**
 * The outputs of a model.
 *
 * @param x - made outside of the function that is differentiated
 * @param o.constantInputs - nothing needs the gradient of the inputs, which saves its computation
 */
export function forward(
  tf: typeof TensorFlow,
  x: Matrix,
  o: {
    readonly layers: readonly Layer[]
    readonly tensors: readonly TensorFlow.Tensor[]
    readonly constantInputs?: boolean
  },
): Matrix {
  return o.layers.reduce<Matrix>((activation, layer, i) => {
    const [weights, bias] = [o.tensors[2 * i] as TensorFlow.Tensor, o.tensors[2 * i + 1] as TensorFlow.Tensor]
    const constant = o.constantInputs === true && i === 0
    if (layer.kind !== 'conv') {
      const sum: Matrix = product(tf, { x: activation, w: weights as Matrix, constant }).add(bias)
      return layer.relu ? sum.relu() : sum
    }
    const { height, width } = layer.image
    const images: Images = activation.reshape([-1, height, width, layer.weights.shape[2] as number])
    const sum: Images = convolution(tf, { x: images, w: weights as Images, layer, constant }).add(bias)
    return (layer.relu ? sum.relu() : sum).reshape([-1, outputsOf(layer)])
  }, x)
}

type Save = (tensors: TensorFlow.Tensor[]) => void

// The WebAssembly backend has a fast product only for operands that are not transposed, and the built-in gradients
// transpose: explicit transposes make a training step more than twice as fast.
function product(tf: typeof TensorFlow, { x, w, constant }: { x: Matrix; w: Matrix; constant: boolean }): Matrix {
  if (constant) {
    const run = tf.customGrad((b) => ({
      value: x.matMul(b as Matrix),
      gradFunc: (dy: TensorFlow.Tensor) => [x.transpose().matMul(dy)],
    }))
    return run(w) as Matrix
  }
  const run = tf.customGrad((a, b, save) => {
    const [left, right] = [a as Matrix, b as Matrix]
    ;(save as Save)([left, right])
    return {
      value: left.matMul(right),
      gradFunc: (dy: TensorFlow.Tensor, [kept, weights]: TensorFlow.Tensor[]) => [
        dy.matMul((weights as TensorFlow.Tensor).transpose()),
        (kept as TensorFlow.Tensor).transpose().matMul(dy),
      ],
    }
  })
  return run(x, w) as Matrix
}

interface Convolution {
  readonly x: Images
  readonly w: Images
  readonly layer: ConvLayer
  readonly constant: boolean
}

// TensorFlow.js has no gradients of dilated convolutions, and its WebAssembly gradient of the input is ten times as slow as
// a convolution, which it is when the stride is 1: of the output's gradient, by the turned filter. With other strides it is
// one product whose elements are then added where their taps saw the input.
function convolution(tf: typeof TensorFlow, { x, w, layer, constant }: Convolution): Images {
  const { stride = 1, dilation = 1 } = layer
  const value = (a: Images, b: Images) => tf.conv2d(a, b, stride, 'same', 'NHWC', dilation)
  if (constant) {
    const run = tf.customGrad((b) => ({
      value: value(x, b as Images),
      gradFunc: (dy: TensorFlow.Tensor) => [filterGradient(tf, { x, dy: dy as Images, layer })],
    }))
    return run(w) as Images
  }
  const run = tf.customGrad((a, b, save) => {
    ;(save as Save)([a as Images, b as Images])
    return {
      value: value(a as Images, b as Images),
      gradFunc: (gradient: TensorFlow.Tensor, saved: TensorFlow.Tensor[]) => {
        const [dy, kept, filter] = [gradient as Images, saved[0] as Images, saved[1] as Images]
        const dx =
          stride === 1
            ? tf.conv2d(dy, filter.reverse([0, 1]).transpose<Images>([0, 1, 3, 2]), 1, 'same', 'NHWC', dilation)
            : stridedInputGradient(tf, { dy, filter, shape: kept.shape, stride })
        return [dx, filterGradient(tf, { x: kept, dy, layer })]
      },
    }
  })
  return run(x, w)
}

/** dX[b, i, j, c] = sum over taps (r, s) and outputs (p, q) with p stride + r - pad = i of dY[b, p, q, o] W[r, s, c, o]. */
function stridedInputGradient(
  tf: typeof TensorFlow,
  o: { dy: Images; filter: Images; shape: Images['shape']; stride: number },
): Images {
  const { dy, filter, shape, stride } = o
  const [batch, height, width, channels] = shape
  const [down = 0, across = 0, , out = 0] = filter.shape
  const [, rows = 0, columns = 0] = dy.shape
  const before = (size: number, outSize: number, taps: number) =>
    Math.floor(Math.max(0, (outSize - 1) * stride + taps - size) / 2)
  const [top, left] = [before(height, rows, down), before(width, columns, across)]
  const seen = dy
    .reshape<Matrix>([-1, out])
    .matMul(filter.reshape<Matrix>([-1, out]).transpose<Matrix>())
    .dataSync()
  const gradient = new Float32Array(batch * height * width * channels)
  let at = 0
  for (let b = 0; b < batch; b++)
    for (let p = 0; p < rows; p++)
      for (let q = 0; q < columns; q++)
        for (let r = 0; r < down; r++) {
          const y = p * stride + r - top
          for (let s = 0; s < across; s++, at += channels) {
            const x = q * stride + s - left
            if (y < 0 || y >= height || x < 0 || x >= width) continue
            const to = ((b * height + y) * width + x) * channels
            for (let c = 0; c < channels; c++)
              gradient[to + c] = (gradient[to + c] as number) + (seen[at + c] as number)
          }
        }
  return tf.tensor4d(gradient, shape)
}

function filterGradient(tf: typeof TensorFlow, o: { x: Images; dy: Images; layer: ConvLayer }): TensorFlow.Tensor {
  const { x, dy, layer } = o
  const { stride = 1, dilation = 1 } = layer
  const [height = 0, width = 0, channels = 0, out = 0] = layer.weights.shape
  if (dilation === 1) {
    const attributes = { strides: stride, pad: 'same', dataFormat: 'NHWC' }
    const filterShape = [height, width, channels, out] as [number, number, number, number]
    return tf.engine().runKernel<TensorFlow.Tensor>('Conv2DBackpropFilter', { x, dy }, { ...attributes, filterShape })
  }
  // Each tap sees the image moved by its place: its gradient is one product over all pixels
  const [down, across] = [(dilation * (height - 1)) / 2, (dilation * (width - 1)) / 2]
  const padded = x.pad([
    [0, 0],
    [down, down],
    [across, across],
    [0, 0],
  ])
  const columns = dy.reshape([-1, out])
  const taps: TensorFlow.Tensor[] = []
  for (let r = 0; r < height; r++)
    for (let s = 0; s < width; s++) {
      const seen = padded.slice([0, r * dilation, s * dilation, 0], x.shape)
      taps.push(seen.reshape([-1, channels]).transpose().matMul(columns))
    }
  return tf.stack(taps).reshape([height, width, channels, out])
}

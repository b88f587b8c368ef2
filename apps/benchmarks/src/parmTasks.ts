// The models and data of bench "parm-accuracy": the papers' own perceptrons, and convolutional networks trained here, as the
// papers' are not in hand.
import {
  logSpectrograms,
  pixelsToFloat,
  readBaseModel,
  readImages,
  readSpokenDigits,
  type Recording,
} from '@ft/datasets'
import type { Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import {
  createModelRunner,
  cropAndFlip,
  denseFromTorch,
  trainModel,
  type Answers,
  type Augment,
  type ImageForm,
  type Layer,
} from '@ft/parm'
import type { BenchContext } from './bench.ts'

/** Samples with what is right for them. */
export type Part = { readonly inputs: Tensor } & Answers

export interface Task {
  readonly base: readonly Layer[]
  readonly run: (x: Tensor) => Tensor
  readonly train: Part
  readonly test: Part
  readonly image: ImageForm
  /** For training: forms of a sample that mean the same. */
  readonly augment?: Augment
}

export type PerceptronName = 'mnist' | 'fashion-mnist'
export type NetworkName = 'cnn-mnist' | 'cnn-fashion-mnist' | 'cnn-cifar-10' | 'speech' | 'boxes'

const grey = { height: 28, width: 28 }
const moved = (image: ImageForm, flip: boolean) => cropAndFlip({ image, padding: 1, flip })

/** The papers' published weights. */
export async function perceptronTask(name: PerceptronName) {
  const model = await readBaseModel(`${name}-base-mlp`)
  const base = denseFromTorch(model.tensors.map(({ tensor }) => tensor))
  const part = async (which: 'train' | 'test') => {
    const { images, labels } = await readImages(name, { part: which })
    return { inputs: { ...pixelsToFloat(images), shape: [labels.length, 784] }, labels }
  }
  const [train, test] = [await part('train'), await part('test')]
  return { base, run: createModelRunner(base), train, test, image: grey, published: model.testCorrect }
}

interface Untrained {
  readonly layers: readonly Layer[]
  readonly train: Part
  readonly test: Part
  readonly image: ImageForm
  readonly augment?: Augment
  /** Of the base model, and with --quick. */
  readonly epochs: readonly [number, number]
}

const networks: Readonly<Record<NetworkName, () => Promise<Untrained>>> = {
  'cnn-mnist': () => greyNetwork('mnist'),
  'cnn-fashion-mnist': () => greyNetwork('fashion-mnist'),
  'cnn-cifar-10': photographs,
  speech,
  boxes,
}

const trainedHere = new WeakMap<BenchContext, Map<NetworkName, Promise<Task>>>()

/** A network trained here for its task, once a run; the same for all seeds of what is then trained for it. */
export function networkTask(name: NetworkName, context: BenchContext): Promise<Task> {
  const known = trainedHere.get(context) ?? new Map<NetworkName, Promise<Task>>()
  trainedHere.set(context, known)
  const task = known.get(name) ?? trainNetwork(name, context)
  known.set(name, task)
  return task
}

async function trainNetwork(name: NetworkName, context: BenchContext): Promise<Task> {
  const { layers, epochs, ...rest } = await networks[name]()
  const train = context.quick ? firstOf(rest.train, 12_000) : rest.train
  const checkpoint = context.checkpoint(`${name}-base${context.quick ? '-quick' : ''}-${context.seed}`)
  const trained = await trainModel(
    { layers, ...train },
    {
      ...(checkpoint === undefined ? {} : { checkpoint }),
      seed: context.seed,
      epochs: context.quick ? epochs[1] : epochs[0],
      learningRate: 2e-3,
      ...(rest.augment ? { augment: rest.augment } : {}),
      onProgress: ({ done, total, note }) => context.note(`${name} base model: epoch ${done}/${total}, ${note}`),
    },
  )
  return { ...rest, train, base: trained.layers, run: createModelRunner(trained.layers) }
}

async function greyNetwork(set: PerceptronName): Promise<Untrained> {
  const { train, test } = await perceptronTask(set)
  const layers = chain(grey, [conv(3, 16, 2), conv(3, 32, 2), dense(64), dense(10)])
  return { layers, train, test, image: grey, augment: moved(grey, set === 'fashion-mnist'), epochs: [8, 3] }
}

async function photographs(): Promise<Untrained> {
  const image = { height: 32, width: 32, channels: 3 }
  const [mean, deviation] = [[0.4914, 0.4822, 0.4465] as const, [0.2023, 0.1994, 0.201] as const]
  const part = async (which: 'train' | 'test') => {
    const { images, labels } = await readImages('cifar-10', { part: which })
    const data = Float32Array.from(images.data, (pixel, i) => {
      const channel = i % 3
      return (pixel / 255 - (mean[channel] as number)) / (deviation[channel] as number)
    })
    return { inputs: { data, shape: [labels.length, 3072], dtype: 'float32' as const }, labels }
  }
  const layers = chain(image, [conv(3, 16, 1), conv(3, 32, 2), conv(3, 64, 2), dense(10)])
  return {
    layers,
    train: await part('train'),
    test: await part('test'),
    image,
    augment: cropAndFlip({ image }),
    epochs: [25, 3],
  }
}

async function speech(): Promise<Untrained> {
  const image = { height: 81, width: 50 }
  const all = await readSpokenDigits()
  const part = (which: Recording['part']) => {
    const chosen = all.filter((recording) => recording.part === which)
    const inputs = { ...logSpectrograms(chosen), shape: [chosen.length, 81 * 50] }
    return { inputs, labels: chosen.map(({ digit }) => digit) }
  }
  // Consecutive recordings are of one digit: groups are of what comes in any order
  const order = createRandom(0).stream('order')
  const mixed = ({ inputs, labels }: ReturnType<typeof part>) => {
    const rows = order.permutation(labels.length)
    return { inputs: pickRows(inputs, rows), labels: Array.from(rows, (row) => labels[row] as number) }
  }
  const layers = chain(image, [conv(5, 16, 2), conv(3, 32, 2), dense(64), dense(10)])
  return {
    layers,
    train: mixed(part('train')),
    test: mixed(part('test')),
    image,
    augment: cropAndFlip({ image, padding: 3, flip: false }),
    epochs: [15, 10],
  }
}

/** Digits somewhere on a larger canvas; the answer is the box around the ink, in shares of the canvas. */
async function boxes(): Promise<Untrained> {
  const size = 40
  const image = { height: size, width: size }
  const part = async (which: 'train' | 'test') => {
    const { images } = await readImages('mnist', { part: which })
    const count = which === 'train' ? 20_000 : 5000
    const random = createRandom(0).stream(`boxes-${which}`)
    const inputs = new Float32Array(count * size * size)
    const answers = new Float32Array(4 * count)
    for (let i = 0; i < count; i++) {
      const [top, left] = [random.integer(0, size - 28), random.integer(0, size - 28)]
      const ink = { low: [size, size] as [number, number], high: [0, 0] as [number, number] }
      for (let y = 0; y < 28; y++)
        for (let x = 0; x < 28; x++) {
          const pixel = images.data[i * 784 + y * 28 + x] as number
          if (pixel === 0) continue
          const at = [left + x, top + y] as const
          inputs[(i * size + at[1]) * size + at[0]] = pixel / 255
          for (const axis of [0, 1] as const) {
            ink.low[axis] = Math.min(ink.low[axis], at[axis])
            ink.high[axis] = Math.max(ink.high[axis], at[axis] + 1)
          }
        }
      const box = [...ink.low, ink.high[0] - ink.low[0], ink.high[1] - ink.low[1]]
      answers.set(
        box.map((value) => value / size),
        4 * i,
      )
    }
    return {
      inputs: { data: inputs, shape: [count, size * size], dtype: 'float32' as const },
      boxes: { data: answers, shape: [count, 4], dtype: 'float32' as const },
    }
  }
  const layers = chain(image, [conv(5, 8, 2), conv(3, 16, 2), dense(64), dense(4)])
  return { layers, train: await part('train'), test: await part('test'), image, epochs: [12, 8] }
}

type Form =
  | { readonly kind: 'conv'; readonly taps: number; readonly out: number; readonly stride: number }
  | { readonly kind: 'dense'; readonly out: number }

const conv = (taps: number, out: number, stride: number): Form => ({ kind: 'conv', taps, out, stride })
const dense = (out: number): Form => ({ kind: 'dense', out })

/** Layers of these forms, one after the other, without weights; ReLU after all but the last. */
function chain(image: ImageForm, forms: readonly Form[]): Layer[] {
  let { height, width } = image
  let channels = image.channels ?? 1
  let features: number | undefined
  return forms.map((form, i) => {
    const { out } = form
    const relu = i < forms.length - 1
    const bias: Tensor = { data: new Float32Array(out), shape: [out], dtype: 'float32' }
    const zeros = (...shape: number[]): Tensor => ({
      data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
      shape,
      dtype: 'float32',
    })
    if (form.kind === 'dense') {
      const weights = zeros(features ?? height * width * channels, out)
      features = out
      return { weights, bias, relu }
    }
    const layer = {
      kind: 'conv' as const,
      weights: zeros(form.taps, form.taps, channels, out),
      bias,
      relu,
      image: { height, width },
      stride: form.stride,
    }
    height = Math.ceil(height / form.stride)
    width = Math.ceil(width / form.stride)
    channels = out
    return layer
  })
}

/** Samples in another order. */
export function pickRows({ data, shape }: Tensor, rows: Uint32Array): Tensor {
  const width = data.length / (shape[0] as number)
  const picked = new Float32Array(rows.length * width)
  rows.forEach((row, i) => picked.set(data.subarray(row * width, (row + 1) * width), i * width))
  return { data: picked, shape: [rows.length, width], dtype: 'float32' }
}

/** The first samples of a part. */
export function firstOf(part: Part, most: number): Part {
  const count = Math.min(most, part.inputs.shape[0] as number)
  const cut = ({ data, shape, dtype }: Tensor): Tensor => {
    const width = data.length / (shape[0] as number)
    return { data: data.subarray(0, count * width), shape: [count, width], dtype }
  }
  const inputs = cut(part.inputs)
  if (part.labels !== undefined) return { inputs, labels: Array.from(part.labels).slice(0, count) }
  return part.values ? { inputs, values: cut(part.values) } : { inputs, boxes: cut(part.boxes) }
}

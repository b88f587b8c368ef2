// Shapes of Keras layers as TensorFlow.js saves them: from a layer's config and its inputs' shapes to its output's shape
// and its products.
import { FtError, type DType, type LinearLayer, type Pair, type TBLR } from '@ft/core'
import { isRecord, type Json } from '../network.ts'
import { convolution, dense, slide, type Window } from './geometry.ts'

export type Shape = readonly number[]

export interface LayerResult {
  /** Undefined where it is not known. */
  readonly shape: Shape | undefined
  readonly products?: readonly LinearLayer[]
  /** Why this layer's own product is not described. */
  readonly skipped?: string
}

export interface LayerInput {
  readonly id: string
  readonly config: Json
  readonly inputs: readonly Shape[]
  readonly dtype: DType
  /** Shape of a stored tensor of the model by its name, where the manifest has it. */
  readonly stored?: (name: string) => Shape | undefined
}

/** Undefined: a kind that is not known here. */
export function layerResult(kind: string, input: LayerInput): LayerResult | undefined {
  const known = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
  if (!known) return undefined
  if (input.config['data_format'] === 'channels_first') return { shape: undefined, skipped: 'its channels come first' }
  return known(input)
}

type Kind = (input: LayerInput) => LayerResult

const same: Kind = ({ inputs }) => ({ shape: inputs[0] })
const merge: Kind = ({ inputs }) => ({
  shape: inputs.reduce<Shape | undefined>((a, b) => a && broadcast(a, b), inputs[0]),
})
const pool: Kind = ({ id, config, inputs: [x = []] }) => {
  const flat = x.length === 3
  const image = flat ? [x[0] ?? 1, x[1] ?? 1, 1, x[2] ?? 1] : x
  const along = ([first, second]: Pair): Pair => [first, flat ? 1 : second]
  const kernel = along(pair({ id, config }, 'pool_size', 2))
  const stride = (config['strides'] ?? null) === null ? kernel : along(pair({ id, config }, 'strides', 1))
  const place = slide([image[1] ?? 1, image[2] ?? 1], { kernel, stride, dilation: [1, 1], padding: paddingOf(config) })
  if (!place) return { shape: undefined }
  const [height, width] = place.size
  return { shape: flat ? [x[0] ?? 1, height, x[2] ?? 1] : [x[0] ?? 1, height, width, x[3] ?? 1] }
}
const poolAll: Kind = ({ config, inputs: [x = []] }) => ({
  shape:
    config['keepdims'] === true
      ? x.map((size, axis) => (axis > 0 && axis < x.length - 1 ? 1 : size))
      : [x[0] ?? 1, x.at(-1) ?? 1],
})
const recurrent: Kind = ({ id, config, inputs: [x = []] }) => {
  const units = whole({ id, config }, 'units')
  const sequence = config['return_sequences'] === true
  return {
    shape: sequence ? [x[0] ?? 1, x[1] ?? 1, units] : [x[0] ?? 1, units],
    skipped: 'recurrent products are not described',
  }
}

const kinds: Readonly<Record<string, Kind>> = {
  ...Object.fromEntries(
    [
      'Activation',
      'ReLU',
      'LeakyReLU',
      'PReLU',
      'ELU',
      'ThresholdedReLU',
      'Softmax',
      'BatchNormalization',
      'LayerNormalization',
      'Dropout',
      'SpatialDropout1D',
      'SpatialDropout2D',
      'GaussianNoise',
      'GaussianDropout',
      'AlphaDropout',
      'Masking',
      'Rescaling',
      'ActivityRegularization',
    ].map((name) => [name, same]),
  ),
  ...Object.fromEntries(['Add', 'Subtract', 'Multiply', 'Average', 'Maximum', 'Minimum'].map((name) => [name, merge])),
  ...Object.fromEntries(
    ['MaxPooling1D', 'MaxPooling2D', 'AveragePooling1D', 'AveragePooling2D'].map((name) => [name, pool]),
  ),
  ...Object.fromEntries(
    ['GlobalAveragePooling1D', 'GlobalAveragePooling2D', 'GlobalMaxPooling1D', 'GlobalMaxPooling2D'].map((name) => [
      name,
      poolAll,
    ]),
  ),
  ...Object.fromEntries(['LSTM', 'GRU', 'SimpleRNN'].map((name) => [name, recurrent])),

  Dense: ({ id, config, inputs: [x = []], dtype }) => {
    const { shape, layer } = dense(x, { id, units: whole({ id, config }, 'units'), dtype, ...activation(config) })
    return { shape, products: [layer] }
  },
  Conv2D: (input) => conv(input, { filters: whole(input, 'filters'), groups: whole(input, 'groups', 1) }),
  Conv1D: ({ inputs: [x = []], ...input }) => {
    const image = [x[0] ?? 1, 1, x[1] ?? 1, x[2] ?? 1]
    const options = { filters: whole(input, 'filters'), groups: whole(input, 'groups', 1), flat: true }
    const { shape, ...rest } = conv({ ...input, inputs: [image] }, options)
    return { ...rest, shape: shape && [shape[0] ?? 1, shape[2] ?? 1, shape[3] ?? 1] }
  },
  DepthwiseConv2D: (input) => {
    const channels = input.inputs[0]?.[3] ?? 1
    return conv(input, { filters: channels * whole(input, 'depth_multiplier', 1), groups: channels })
  },
  SeparableConv2D: (input) => {
    const channels = input.inputs[0]?.[3] ?? 1
    // TensorFlow.js does not save this layer's multiplier; its kernel's last size is it.
    const multiplier = input.stored?.(`${input.config['name'] as string}/depthwise_kernel`)?.[3] ?? 1
    const filters = channels * whole(input, 'depth_multiplier', multiplier)
    const depthwise = conv({ ...input, id: `${input.id}/depthwise` }, { filters, groups: channels, linear: true })
    if (!depthwise.shape) return depthwise
    const { shape, layer } = dense(depthwise.shape, {
      id: `${input.id}/pointwise`,
      units: whole(input, 'filters'),
      dtype: input.dtype,
      ...activation(input.config),
    })
    return { shape, products: [...(depthwise.products ?? []), layer] }
  },
  Conv2DTranspose: ({ id, config, inputs: [x = []] }) => {
    const [kernel, stride] = [pair({ id, config }, 'kernel_size', 1), pair({ id, config }, 'strides', 1)]
    const size = (length: number, axis: 0 | 1) =>
      length * stride[axis] + (paddingOf(config) === 'same' ? 0 : Math.max(0, kernel[axis] - stride[axis]))
    const shape = [x[0] ?? 1, size(x[1] ?? 1, 0), size(x[2] ?? 1, 1), whole({ id, config }, 'filters')]
    return { shape, skipped: 'transposed convolutions are not described' }
  },
  Embedding: ({ id, config, inputs: [x = []] }) => ({ shape: [...x, whole({ id, config }, 'output_dim')] }),
  Flatten: ({ inputs: [x = []] }) => ({ shape: [x[0] ?? 1, product(x.slice(1))] }),
  Reshape: ({ config, inputs: [x = []] }) => {
    const target = numbers(config['target_shape'])
    const rest = product(x.slice(1)) / product(target.filter((size) => size > 0))
    const shape = [x[0] ?? 1, ...target.map((size) => (size > 0 ? size : rest))]
    return { shape: product(shape) === product(x) && shape.every(Number.isInteger) ? shape : undefined }
  },
  Permute: ({ config, inputs: [x = []] }) => {
    const shape = [x[0] ?? 1, ...numbers(config['dims']).map((axis) => x[axis] ?? NaN)]
    return { shape: product(shape) === product(x) ? shape : undefined }
  },
  RepeatVector: ({ id, config, inputs: [x = []] }) => ({ shape: [x[0] ?? 1, whole({ id, config }, 'n'), x[1] ?? 1] }),
  ZeroPadding2D: ({ config, inputs: [x = []] }) => ({ shape: resized(x, margins(config['padding']), 1) }),
  Cropping2D: ({ config, inputs: [x = []] }) => ({ shape: resized(x, margins(config['cropping']), -1) }),
  UpSampling2D: ({ id, config, inputs: [x = []] }) => {
    const [rows, columns] = pair({ id, config }, 'size', 2)
    return { shape: [x[0] ?? 1, (x[1] ?? 1) * rows, (x[2] ?? 1) * columns, x[3] ?? 1] }
  },
  Concatenate: ({ config, inputs }) => {
    const [first = []] = inputs
    const axis = typeof config['axis'] === 'number' ? (config['axis'] + first.length) % first.length : first.length - 1
    return { shape: first.map((size, at) => (at === axis ? inputs.reduce((sum, x) => sum + (x[at] ?? 0), 0) : size)) }
  },
}

function conv(
  { id, config, inputs: [x = []], dtype }: LayerInput,
  {
    filters,
    groups,
    flat = false,
    linear = false,
  }: { filters: number; groups: number; flat?: boolean; linear?: boolean },
): LayerResult {
  const at = (field: string): Pair => {
    const [first, second] = pair({ id, config }, field, 1)
    return flat ? [1, first] : [first, second]
  }
  const window: Window = {
    kernel: at('kernel_size'),
    stride: at('strides'),
    dilation: at('dilation_rate'),
    padding: paddingOf(config),
  }
  if (config['padding'] === 'causal') return { shape: x, skipped: 'causal convolutions are not described' }
  const made = convolution(x, { id, dtype, window, filters, groups, ...(linear ? {} : activation(config)) })
  return made
    ? { shape: made.shape, products: [made.layer] }
    : { shape: undefined, skipped: 'its kernel does not fit its input' }
}

function activation(config: Json): { activation?: string } {
  const given = config['activation']
  const name = isRecord(given) ? given['class_name'] : given
  return typeof name === 'string' && name !== 'linear' ? { activation: name.toLowerCase() } : {}
}

function paddingOf(config: Json): 'same' | 'valid' {
  return config['padding'] === 'same' ? 'same' : 'valid'
}

type Configured = Pick<LayerInput, 'id' | 'config'>

/** A size in a layer's config. */
function whole({ id, config }: Configured, field: string, fallback?: number): number {
  return positive(config[field] ?? fallback, { id, field })
}

function positive(value: unknown, { id, field }: { id: string; field: string }): number {
  if (Number.isSafeInteger(value) && (value as number) > 0) return value as number
  const message = `readTfjs: ${field} of layer ${id} must be a positive integer, got ${JSON.stringify(value) ?? 'nothing'}`
  throw new FtError('CORRUPT_DATA', message, { layer: id, field })
}

/** One or two sizes; 1-d layers have one, which is the second axis's here. */
function pair(input: Configured, field: string, fallback: number): Pair {
  const value = input.config[field] ?? fallback
  const [first, second = first] = (Array.isArray(value) ? value : [value]) as unknown[]
  const at = { id: input.id, field }
  return [positive(first, at), positive(second, at)]
}

function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.filter((item): item is number => Number.isSafeInteger(item)) : []
}

function margins(value: unknown): TBLR {
  if (typeof value === 'number') return [value, value, value, value]
  const [rows = 0, columns = 0] = Array.isArray(value) ? (value as (number | Pair)[]) : []
  const both = (side: number | Pair): Pair => (typeof side === 'number' ? [side, side] : [side[0], side[1]])
  return [...both(rows), ...both(columns)]
}

function resized(x: Shape, [top, bottom, left, right]: TBLR, sign: 1 | -1): Shape | undefined {
  const shape = [x[0] ?? 1, (x[1] ?? 1) + sign * (top + bottom), (x[2] ?? 1) + sign * (left + right), x[3] ?? 1]
  return shape.every((size) => size > 0) ? shape : undefined
}

function broadcast(a: Shape, b: Shape): Shape | undefined {
  const length = Math.max(a.length, b.length)
  const at = (shape: Shape, axis: number) => shape[axis - length + shape.length] ?? 1
  const shape = Array.from({ length }, (_, axis) => Math.max(at(a, axis), at(b, axis)))
  const fits = shape.every((size, axis) => [at(a, axis), at(b, axis)].every((own) => own === size || own === 1))
  return fits ? shape : undefined
}

function product(sizes: Shape): number {
  return sizes.reduce((all, size) => all * size, 1)
}

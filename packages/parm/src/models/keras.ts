// Layers as TensorFlow.js describes them in model.json: Reshape before a row's first convolution, Flatten after its last.
import { FtError } from '@ft/core'
import { inputsOf, outputImage, type ConvLayer, type Layer } from './layers.ts'

/** Layers without their weights. */
export type LayerForm =
  Omit<Extract<Layer, { kind?: 'dense' }>, 'weights' | 'bias'> | Omit<ConvLayer, 'weights' | 'bias'>

interface Described {
  readonly class_name: string
  readonly config: Record<string, unknown>
}

/** The layers' description, and the name of each that has weights. */
export function keras(layers: readonly Layer[]): { config: Described[]; names: string[] } {
  const config: Described[] = []
  const names: string[] = []
  const push = (class_name: string, own: Record<string, unknown>) =>
    config.push({
      class_name,
      config: {
        trainable: true,
        ...(config.length === 0 ? { batch_input_shape: [null, inputsOf(layers[0] as Layer)], dtype: 'float32' } : {}),
        ...own,
      },
    })
  layers.forEach((layer, i) => {
    const { weights, relu } = layer
    const common = { activation: relu ? 'relu' : 'linear', use_bias: true }
    const before = layers[i - 1]
    if (layer.kind === 'conv') {
      const { image, stride = 1, dilation = 1 } = layer
      const [height, width, channels, filters] = weights.shape
      const name = `conv2d_${i + 1}`
      if (before?.kind !== 'conv')
        push('Reshape', { name: `reshape_${i + 1}`, target_shape: [image.height, image.width, channels] })
      push('Conv2D', {
        name,
        ...common,
        filters,
        kernel_size: [height, width],
        strides: [stride, stride],
        dilation_rate: [dilation, dilation],
        padding: 'same',
        data_format: 'channels_last',
      })
      names.push(name)
      if (layers[i + 1]?.kind !== 'conv') push('Flatten', { name: `flatten_${i + 1}`, data_format: 'channels_last' })
    } else {
      const name = `dense_${i + 1}`
      push('Dense', { name, ...common, units: weights.shape[1] })
      names.push(name)
    }
  })
  return { config, names }
}

/**
 * The forms of described layers.
 *
 * @throws FtError `CORRUPT_DATA`, `UNSUPPORTED`
 */
export function unkeras(described: unknown, folder: string): LayerForm[] {
  if (!Array.isArray(described))
    throw new FtError('CORRUPT_DATA', `readModelFolder: ${folder}/model.json must list layers`, { folder })
  let image: ConvLayer['image'] | undefined
  return described.flatMap((layer: unknown, i): LayerForm[] => {
    const [name, config] = [field(layer, 'class_name'), field(layer, 'config')]
    const activation = field(config, 'activation')
    const relu = activation === 'relu'
    const known = relu || activation === 'linear'
    if (name === 'Dense' && known) return [{ relu }]
    if (name === 'Flatten') return []
    if (name === 'Reshape') {
      const shape = field(config, 'target_shape')
      const [height, width] = Array.isArray(shape) && shape.length === 3 ? (shape as number[]) : []
      if (Number.isSafeInteger(height) && Number.isSafeInteger(width)) {
        image = { height: height as number, width: width as number }
        return []
      }
    }
    if (name === 'Conv2D' && known && image && field(config, 'padding') === 'same') {
      const [stride, dilation] = [pairOf(field(config, 'strides')), pairOf(field(config, 'dilation_rate'))]
      if (stride !== undefined && dilation !== undefined) {
        const form: Omit<ConvLayer, 'weights' | 'bias'> = { kind: 'conv', relu, image, stride, dilation }
        image = outputImage(form)
        return [form]
      }
    }
    throw new FtError(
      'UNSUPPORTED',
      `readModelFolder: layer ${i} must be dense or a convolution of padding 'same', with ReLU or none; serve other models from a module of yours`,
      { folder, layer: i },
    )
  })
}

/** A pair of equal positive integers, as one. */
function pairOf(value: unknown): number | undefined {
  if (!Array.isArray(value) || value.length !== 2 || value[0] !== value[1]) return undefined
  return Number.isSafeInteger(value[0]) && value[0] > 0 ? (value[0] as number) : undefined
}

export function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}

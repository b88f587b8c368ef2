// Convolutions and pooling: output sizes from kernels, strides, dilations and padding.
import { FtError } from '@ft/core'
import { intAttribute, intsAttribute, stringAttribute } from '../attributes.ts'
import type { NodeProto } from '../proto/onnx_pb.js'
import { each, type NodeContext, type ShapeFunction, type ShapeTable } from './context.ts'
import { isKnown, numbers, type Dimension, type Value } from './values.ts'

/** Window geometry of a node with `rank` spatial axes. Pads are resolved from `auto_pad`. */
export interface Window {
  readonly kernel: number[]
  readonly strides: number[]
  readonly dilations: number[]
  /** First half before, second half after, by axis. */
  readonly pads: number[]
}

/**
 * Reads a convolution's or pooling's window.
 *
 * @param spatial - input sizes, needed to resolve `SAME` padding
 */
export function windowOf(node: NodeProto, kernel: readonly number[], spatial: readonly Dimension[]): Window {
  const rank = kernel.length
  const ones = () => Array<number>(rank).fill(1)
  const strides = intsAttribute(node, 'strides', ones())
  const dilations = intsAttribute(node, 'dilations', ones())
  const pads = intsAttribute(node, 'pads', Array<number>(2 * rank).fill(0))
  if (
    strides.length !== rank ||
    dilations.length !== rank ||
    pads.length !== 2 * rank ||
    strides.some((stride) => stride < 1)
  ) {
    throw new FtError(
      'CORRUPT_DATA',
      `node ${node.name} (${node.opType}): strides, dilations or pads do not fit a ${rank}-d kernel`,
      {
        node: node.name,
        strides,
        dilations,
        pads,
      },
    )
  }
  const automatic = stringAttribute(node, 'auto_pad', 'NOTSET')
  if (automatic === 'SAME_UPPER' || automatic === 'SAME_LOWER') {
    for (let axis = 0; axis < rank; axis++) {
      const size = spatial[axis]
      if (!isKnown(size)) continue
      const stride = strides[axis] ?? 1
      const reach = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1
      const total = Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach - size)
      const small = Math.floor(total / 2)
      pads[axis] = automatic === 'SAME_UPPER' ? small : total - small
      pads[axis + rank] = total - (pads[axis] ?? 0)
    }
  } else if (automatic === 'VALID') {
    pads.fill(0)
  }
  return { kernel: [...kernel], strides, dilations, pads }
}

function outputSizes(
  spatial: readonly Dimension[],
  { kernel, strides, dilations, pads }: Window,
  ceil: boolean,
): Dimension[] {
  const rank = kernel.length
  return spatial.map((size, axis) => {
    if (!isKnown(size)) return undefined
    const stride = strides[axis] ?? 1
    const before = pads[axis] ?? 0
    const padded = size + before + (pads[axis + rank] ?? 0)
    const reach = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1
    const steps = (padded - reach) / stride
    let out = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
    // A last window that would start in the padding after the input is left out.
    if (ceil && (out - 1) * stride >= size + before) out--
    return Math.max(0, out)
  })
}

function convolution(type: (context: NodeContext) => Value['type'], filterAt = 1): ShapeFunction {
  return (context) => {
    const { node, inputs } = context
    const [x] = inputs
    const filter = inputs[filterAt]
    const out = type(context)
    if (!x?.shape || !filter?.shape) return [{ type: out }]
    const spatial = x.shape.slice(2)
    const kernel = intsAttribute(node, 'kernel_shape') ?? numbers(filter.shape.slice(2))
    if (kernel === undefined) return [{ type: out }]
    if (kernel.length !== spatial.length) {
      throw new FtError(
        'CORRUPT_DATA',
        `node ${node.name} (${node.opType}): a ${kernel.length}-d kernel on a ${spatial.length}-d input`,
        {
          node: node.name,
        },
      )
    }
    return [
      {
        type: out,
        shape: [x.shape[0], filter.shape[0], ...outputSizes(spatial, windowOf(node, kernel, spatial), false)],
      },
    ]
  }
}

const transposed: ShapeFunction = ({ node, inputs: [x, filter] }) => {
  if (!x?.shape || !filter?.shape) return [{ type: x?.type }]
  const spatial = x.shape.slice(2)
  const kernel = intsAttribute(node, 'kernel_shape') ?? numbers(filter.shape.slice(2))
  if (kernel === undefined) return [{ type: x.type }]
  const rank = kernel.length
  const { strides, dilations, pads } = windowOf(node, kernel, spatial)
  const extra = intsAttribute(node, 'output_padding', Array<number>(rank).fill(0))
  const given = intsAttribute(node, 'output_shape')
  const same = stringAttribute(node, 'auto_pad', 'NOTSET').startsWith('SAME')
  const sizes = spatial.map((size, axis): Dimension => {
    if (given) return given[axis + given.length - rank]
    if (!isKnown(size)) return undefined
    const stride = strides[axis] ?? 1
    if (same) return size * stride
    const reach = ((kernel[axis] ?? 1) - 1) * (dilations[axis] ?? 1) + 1
    return stride * (size - 1) + (extra[axis] ?? 0) + reach - (pads[axis] ?? 0) - (pads[axis + rank] ?? 0)
  })
  const channels = filter.shape[1]
  const groups = intAttribute(node, 'group', 1)
  return [{ type: x.type, shape: [x.shape[0], isKnown(channels) ? channels * groups : undefined, ...sizes] }]
}

const pooling: ShapeFunction = ({ node, inputs: [x], opset }) => {
  const kernel = intsAttribute(node, 'kernel_shape')
  if (!x?.shape || !kernel) return [{ type: x?.type }, { type: 'int64' }]
  const spatial = x.shape.slice(2)
  const ceil = opset >= 10 && intAttribute(node, 'ceil_mode', 0) === 1
  const shape = [...x.shape.slice(0, 2), ...outputSizes(spatial, windowOf(node, kernel, spatial), ceil)]
  return [
    { type: x.type, shape },
    { type: 'int64', shape },
  ]
}

const globalPooling: ShapeFunction = ({ inputs: [x] }) => [
  { type: x?.type, shape: x?.shape?.map((size, axis) => (axis < 2 ? size : 1)) },
]

export const windows: ShapeTable = {
  Conv: convolution(({ inputs }) => inputs[0]?.type),
  FusedConv: convolution(({ inputs }) => inputs[0]?.type),
  ConvInteger: convolution(() => 'int32'),
  // x, x_scale, x_zero_point, w, ...
  QLinearConv: convolution(({ inputs }) => inputs[7]?.type ?? inputs[0]?.type, 3),
  ConvTranspose: transposed,
  ...each('MaxPool AveragePool LpPool QLinearAveragePool', pooling),
  ...each('GlobalAveragePool GlobalMaxPool GlobalLpPool QLinearGlobalAveragePool', globalPooling),
}

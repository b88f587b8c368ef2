// Follows one activation through an architecture and writes down its linear layers. Architectures in this folder are
// told as their authors tell them (kernel, stride, padding, channels); every shape is derived, none is stored.
import { FtError, type DType, type LinearLayer, type NHWC, type Pair } from '@ft/core'

export interface ConvSpec {
  kernel: number
  stride?: number
  pad?: number
  groups?: number
}

export interface TraceInput {
  batch: number
  height: number
  width: number
  channels: number
  dtype: DType
}

/**
 * A network under construction. `shape` is the current activation; branches save and restore it. A shape object stands for
 * one tensor: assign a new one for what a sum or a concatenation makes, so that no layer is taken for its neighbour's next.
 */
export interface Trace {
  shape: NHWC
  /** The layers so far. A layer whose only reader is another one (through activations) names it as its `next`. */
  layers(): LinearLayer[]
  conv(id: string, channels: number, spec: ConvSpec): void
  pool(spec: { kernel: number; stride: number; pad?: number; ceil?: boolean }): void
  /** A fixed output size whatever the input's (adaptive pooling). */
  poolTo(height: number, width: number): void
  flatten(): void
  dense(id: string, features: number): void
}

export function trace(input: TraceInput): Trace {
  const layers: LinearLayer[] = []
  const producers = new Map<NHWC, string>()
  const readers = new Map<string, string[]>()
  /** Adds a layer that reads one tensor, and returns the tensor that it makes. */
  const add = (layer: LinearLayer, from: NHWC, to: NHWC): NHWC => {
    const producer = producers.get(from)
    if (producer !== undefined) readers.set(producer, [...(readers.get(producer) ?? []), layer.id])
    producers.set(to, layer.id)
    layers.push(layer)
    return to
  }
  return {
    shape: [input.batch, input.height, input.width, input.channels],
    layers: () =>
      layers.map((layer) => {
        const [next, ...others] = readers.get(layer.id) ?? []
        return next === undefined || others.length > 0 ? layer : { ...layer, next }
      }),
    conv(id, channels, { kernel, stride = 1, pad = 0, groups = 1 }) {
      const [batch, height, width, inChannels] = this.shape
      const outHeight = outputSize(id, height, kernel, stride, pad)
      const outWidth = outputSize(id, width, kernel, stride, pad)
      const step: Pair = [stride, stride]
      const layer: LinearLayer = {
        id,
        m: batch * outHeight * outWidth,
        n: channels,
        k: (inChannels / groups) * kernel * kernel,
        count: 1,
        dtype: input.dtype,
        op: {
          kind: 'conv2d',
          x: this.shape,
          filter: [kernel, kernel, inChannels / groups, channels],
          stride: step,
          pad: [pad, pad, pad, pad],
          dilation: [1, 1],
          groups,
        },
      }
      this.shape = add(layer, this.shape, [batch, outHeight, outWidth, channels])
    },
    pool({ kernel, stride, pad = 0, ceil = false }) {
      const [batch, height, width, channels] = this.shape
      const size = (length: number) => {
        const steps = (length + 2 * pad - kernel) / stride
        return (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
      }
      this.shape = [batch, size(height), size(width), channels]
    },
    poolTo(height, width) {
      this.shape = [this.shape[0], height, width, this.shape[3]]
    },
    flatten() {
      const [batch, height, width, channels] = this.shape
      this.shape = [batch, 1, 1, height * width * channels]
    },
    dense(id, features) {
      const [batch, height, width, channels] = this.shape
      const m = batch * height * width
      const op = { kind: 'matmul', batch: 1 } as const
      const layer: LinearLayer = { id, m, n: features, k: channels, count: 1, dtype: input.dtype, op }
      this.shape = add(layer, this.shape, [batch, height, width, features])
    },
  }
}

function outputSize(id: string, length: number, kernel: number, stride: number, pad: number): number {
  const size = Math.floor((length + 2 * pad - kernel) / stride) + 1
  if (size < 1) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `zoo: layer ${id} needs at least ${kernel - 2 * pad} input pixels, got ${length}`,
      {
        layer: id,
        length,
        kernel,
      },
    )
  }
  return size
}

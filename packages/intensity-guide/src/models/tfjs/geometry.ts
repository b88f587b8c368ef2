// Windows over images as TensorFlow counts them, and the layers that convolutions make.
import type { DType, LinearLayer, Pair, TBLR } from '@ft/core'

export interface Window {
  readonly kernel: Pair
  readonly stride: Pair
  readonly dilation: Pair
  readonly padding: 'same' | 'valid' | TBLR
}

/** Output pixels and padding of one axis. */
function alongAxis(length: number, window: Window, axis: 0 | 1): { size: number; pad: Pair } {
  const { kernel, stride, dilation, padding } = window
  const reach = (kernel[axis] - 1) * dilation[axis] + 1
  if (padding === 'same') {
    const size = Math.ceil(length / stride[axis])
    const all = Math.max(0, (size - 1) * stride[axis] + reach - length)
    return { size, pad: [Math.floor(all / 2), Math.ceil(all / 2)] }
  }
  const pad: Pair = padding === 'valid' ? [0, 0] : axis === 0 ? [padding[0], padding[1]] : [padding[2], padding[3]]
  return { size: Math.floor((length + pad[0] + pad[1] - reach) / stride[axis]) + 1, pad }
}

/** Output `[height, width]` and `[top, bottom, left, right]` padding; undefined when the window does not fit. */
export function slide(image: Pair, window: Window): { size: Pair; pad: TBLR } | undefined {
  const [rows, columns] = [alongAxis(image[0], window, 0), alongAxis(image[1], window, 1)]
  if (rows.size < 1 || columns.size < 1) return undefined
  return { size: [rows.size, columns.size], pad: [...rows.pad, ...columns.pad] }
}

interface Conv {
  readonly id: string
  readonly dtype: DType
  readonly window: Window
  /** Output channels. */
  readonly filters: number
  readonly groups: number
  readonly activation?: string
}

/** A convolution of `[batch, height, width, channels]`; undefined when it does not fit. */
export function convolution(
  x: readonly number[],
  conv: Conv,
): { layer: LinearLayer; shape: readonly [number, number, number, number] } | undefined {
  const [batch = 0, height = 0, width = 0, channels = 0] = x
  const { id, dtype, window, filters, groups, activation } = conv
  const place = slide([height, width], window)
  if (!place || x.length !== 4 || channels % groups !== 0 || filters % groups !== 0) return undefined
  const [[outHeight, outWidth], perGroup] = [place.size, channels / groups]
  const [kernelHeight, kernelWidth] = window.kernel
  return {
    shape: [batch, outHeight, outWidth, filters],
    layer: {
      id,
      m: batch * outHeight * outWidth,
      n: filters,
      k: perGroup * kernelHeight * kernelWidth,
      count: 1,
      dtype,
      op: {
        kind: 'conv2d',
        x: [batch, height, width, channels],
        filter: [kernelHeight, kernelWidth, perGroup, filters],
        stride: window.stride,
        pad: place.pad,
        dilation: window.dilation,
        groups,
      },
      ...(activation ? { activation } : {}),
    },
  }
}

/** A product of all rows of `[..., k]` with one weight matrix `[k, n]`. */
export function dense(
  x: readonly number[],
  { id, units, dtype, activation }: { id: string; units: number; dtype: DType; activation?: string },
): { layer: LinearLayer; shape: readonly number[] } {
  const m = x.slice(0, -1).reduce((all, size) => all * size, 1)
  const k = x.at(-1) ?? 1
  return {
    shape: [...x.slice(0, -1), units],
    layer: {
      id,
      m,
      n: units,
      k,
      count: 1,
      dtype,
      op: { kind: 'matmul', batch: 1 },
      ...(activation ? { activation } : {}),
    },
  }
}

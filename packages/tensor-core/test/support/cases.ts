// Operands and convolutions that several suites use.
import type { Conv2dOptions, HWIO, NHWC, Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'

/** Uniform numbers in [-1, 1). */
export function floats(shape: readonly number[], seed: number): Tensor {
  const data = new Float32Array(size(shape))
  createRandom(seed).stream('operand').fillUniform(data, { low: -1, high: 1 })
  return { data, shape: [...shape], dtype: 'float32' }
}

export function integers(
  shape: readonly number[],
  dtype: 'int8' | 'uint8',
  value: number | ((i: number) => number),
): Tensor {
  const data = dtype === 'int8' ? new Int8Array(size(shape)) : new Uint8Array(size(shape))
  const random = createRandom(typeof value === 'number' ? value : 0).stream('integers')
  for (let i = 0; i < data.length; i++) data[i] = typeof value === 'number' ? random.uint32() : value(i)
  return { data, shape: [...shape], dtype }
}

export function size(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1)
}

export interface ConvCase {
  readonly name: string
  readonly x: NHWC
  readonly filter: HWIO
  readonly options: Conv2dOptions
}

export const convCases: readonly ConvCase[] = [
  { name: '1x1', x: [1, 5, 7, 3], filter: [1, 1, 3, 5], options: {} },
  { name: '1x1 with stride 2', x: [2, 6, 7, 4], filter: [1, 1, 4, 9], options: { stride: [2, 2] } },
  { name: '3x3 same', x: [1, 8, 8, 8], filter: [3, 3, 8, 16], options: { pad: [1, 1, 1, 1] } },
  { name: '3x3 valid, odd sizes', x: [3, 7, 5, 3], filter: [3, 3, 3, 11], options: {} },
  {
    name: '5x3 with uneven pads',
    x: [1, 9, 6, 2],
    filter: [5, 3, 2, 8],
    options: { pad: [0, 3, 2, 1], stride: [2, 1] },
  },
  { name: 'dilated', x: [1, 11, 12, 4], filter: [3, 3, 4, 4], options: { dilation: [2, 3], pad: [2, 2, 3, 3] } },
  {
    name: 'dilated with stride',
    x: [2, 13, 12, 2],
    filter: [3, 2, 2, 3],
    options: { dilation: [2, 2], stride: [3, 2], pad: [1, 0, 0, 1] },
  },
  { name: 'two groups', x: [2, 6, 6, 8], filter: [3, 3, 4, 6], options: { groups: 2, pad: [1, 1, 1, 1] } },
  {
    name: 'depthwise',
    x: [1, 9, 9, 10],
    filter: [3, 3, 1, 10],
    options: { groups: 10, pad: [1, 1, 1, 1], stride: [2, 2] },
  },
  { name: 'depthwise with multiplier 2', x: [1, 6, 6, 5], filter: [3, 3, 1, 10], options: { groups: 5 } },
  { name: 'padding wider than the image', x: [1, 2, 2, 3], filter: [5, 5, 3, 2], options: { pad: [4, 4, 4, 4] } },
  {
    name: 'first layer, 7x7 stride 2',
    x: [1, 17, 17, 3],
    filter: [7, 7, 3, 8],
    options: { stride: [2, 2], pad: [3, 3, 3, 3] },
  },
  { name: 'channels first', x: [2, 6, 7, 5], filter: [3, 3, 6, 4], options: { format: 'NCHW', pad: [1, 1, 1, 1] } },
  {
    name: 'channels first, groups and stride',
    x: [2, 6, 7, 5],
    filter: [3, 3, 2, 9],
    options: { format: 'NCHW', groups: 3, stride: [2, 1] },
  },
]

// A product as the kernels see it: sizes, strides, geometry. Matrix products and convolutions differ in nothing else.
import type { TypedArray } from '@ft/core'
import type { Conv2dProblem } from '../problem/conv2d.ts'
import type { MatmulProblem } from '../problem/matmul.ts'
import type { Params } from './params.ts'

export interface Task {
  readonly where: 'matmul' | 'matmulInt8' | 'conv2d'
  readonly problem: MatmulProblem | Conv2dProblem
  readonly a: TypedArray
  /** Whether rows of A are gathered from an image. */
  readonly gather: boolean
  readonly geometry: Params
}

export function matmulTask(problem: MatmulProblem): Task {
  const { m, n, k, strideA, transposeA } = problem
  return {
    where: problem.integer ? 'matmulInt8' : 'matmul',
    problem,
    a: problem.a.data,
    gather: false,
    geometry: {
      aItem: strideA,
      aRow: transposeA ? 1 : k,
      aStep: transposeA ? m : 1,
      aStepsFirst: transposeA ? 0 : 1,
      cItem: m * n,
      cRow: n,
      cColumn: 1,
      rowsPerOuter: Math.max(1, m),
    },
  }
}

export function conv2dTask(problem: Conv2dProblem): Task {
  const { x, n, filter, channels, outChannels, outHeight, outWidth, format } = problem
  const pixels = outHeight * outWidth
  const output: Params =
    format === 'NHWC'
      ? { cItem: n, cRow: outChannels, cColumn: 1, rowsPerOuter: Math.max(1, problem.m) }
      : { cItem: n * pixels, cOuter: outChannels * pixels, cRow: 1, cColumn: pixels, rowsPerOuter: pixels }
  const shared = { where: 'conv2d', problem, a: x.data } as const
  if (isMatrix(problem))
    return {
      ...shared,
      gather: false,
      geometry: { ...output, aItem: filter[2], aRow: channels, aStep: 1, aStepsFirst: 1, biasItem: n },
    }
  return { ...shared, gather: true, geometry: { ...output, ...gathered(problem), biasItem: n } }
}

/** A 1x1 convolution without stride or padding, channels last: pixels are rows already. */
function isMatrix({ filter, stride, pad, format }: Conv2dProblem): boolean {
  const plain = filter[0] === 1 && filter[1] === 1 && stride[0] === 1 && stride[1] === 1
  return plain && format === 'NHWC' && pad.every((p) => p === 0)
}

function gathered(problem: Conv2dProblem): Params {
  const { height, width, channels, filter, stride, pad, dilation, outHeight, outWidth, format } = problem
  const last = format === 'NHWC'
  const xChannel = last ? 1 : height * width
  return {
    aItem: filter[2] * xChannel,
    // Neighbours in memory are channels, which are steps, or pixels, which are rows.
    aStepsFirst: last ? 1 : 0,
    height,
    width,
    kernelWidth: filter[1],
    groupChannels: Math.max(1, filter[2]),
    strideY: stride[0],
    strideX: stride[1],
    padTop: pad[0],
    padLeft: pad[2],
    dilationY: dilation[0],
    dilationX: dilation[1],
    outHeight,
    outWidth,
    xImage: height * width * channels,
    xLine: last ? width * channels : width,
    xPixel: last ? channels : 1,
    xChannel,
  }
}

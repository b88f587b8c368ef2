// The operands of one product (a batch item or a group) as plain float64 matrices. A convolution is written out.
import type { HWIO, Tensor } from '@ft/core'
import type { Conv2dProblem } from '../problem/conv2d.ts'
import type { MatmulProblem } from '../problem/matmul.ts'

export type Problem = MatmulProblem | Conv2dProblem

/** A of product `item`: `[m, k]`. */
export function matrixA(problem: Problem, item: number): Float64Array {
  return problem.kind === 'matmul' ? plainA(problem, item) : patches(problem, item)
}

function plainA(problem: MatmulProblem, item: number): Float64Array {
  const { m, k, strideA, transposeA } = problem
  const { data } = problem.a
  const a = new Float64Array(m * k)
  for (let i = 0; i < m; i++)
    for (let s = 0; s < k; s++) a[i * k + s] = data[item * strideA + (transposeA ? s * m + i : i * k + s)] as number
  return a
}

function patches(problem: Conv2dProblem, group: number): Float64Array {
  const { batch, outHeight, outWidth, stride, pad, dilation, filter } = problem
  const [kh, kw, channels] = filter
  const a = new Float64Array(problem.m * problem.k)
  let at = 0
  for (let b = 0; b < batch; b++)
    for (let p = 0; p < outHeight; p++)
      for (let q = 0; q < outWidth; q++)
        for (let r = 0; r < kh; r++)
          for (let s = 0; s < kw; s++)
            for (let c = 0; c < channels; c++) {
              const y = p * stride[0] - pad[0] + r * dilation[0]
              const x = q * stride[1] - pad[2] + s * dilation[1]
              a[at++] = pixel(problem, { b, y, x, c: group * channels + c })
            }
  return a
}

function pixel(problem: Conv2dProblem, at: { b: number; y: number; x: number; c: number }): number {
  const { height, width, channels, format } = problem
  const { b, y, x, c } = at
  if (y < 0 || y >= height || x < 0 || x >= width) return 0
  const index =
    format === 'NHWC' ? ((b * height + y) * width + x) * channels + c : ((b * channels + c) * height + y) * width + x
  return problem.x.data[index] as number
}

/** Weights as products use them: `[count, k, n]` float64. A filter gives one matrix a group. */
export interface WeightMatrices {
  readonly k: number
  readonly n: number
  readonly count: number
  readonly values: Float64Array
}

export function matmulWeights(weights: Tensor, transposeB: boolean): WeightMatrices {
  const [rows, columns] = weights.shape.slice(-2) as [number, number]
  const [k, n] = transposeB ? [columns, rows] : [rows, columns]
  const count = weights.shape.length === 3 ? (weights.shape[0] as number) : 1
  const values = new Float64Array(count * k * n)
  for (let item = 0; item < count; item++)
    for (let s = 0; s < k; s++)
      for (let j = 0; j < n; j++)
        values[(item * k + s) * n + j] = weights.data[item * k * n + (transposeB ? j * k + s : s * n + j)] as number
  return { k, n, count, values }
}

export function filterWeights(filter: Tensor, groups: number): WeightMatrices {
  const [kh, kw, i, o] = filter.shape as unknown as HWIO
  const [k, n] = [kh * kw * i, o / groups]
  const values = new Float64Array(groups * k * n)
  for (let g = 0; g < groups; g++)
    for (let s = 0; s < k; s++)
      for (let j = 0; j < n; j++) values[(g * k + s) * n + j] = filter.data[s * o + g * n + j] as number
  return { k, n, count: groups, values }
}

/** Index of C[i, j] of product `item` in the output. */
export function outputIndex(problem: Problem, at: { item: number; i: number; j: number }): number {
  const { item, i, j } = at
  if (problem.kind === 'matmul') return (item * problem.m + i) * problem.n + j
  const channel = item * problem.n + j
  if (problem.format === 'NHWC') return i * problem.outChannels + channel
  const pixels = problem.outHeight * problem.outWidth
  return (Math.floor(i / pixels) * problem.outChannels + channel) * pixels + (i % pixels)
}

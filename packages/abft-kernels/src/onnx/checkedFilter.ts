// The filter of a convolution, as its checks need it: stored, float32, finite, with its sums over output channels.
import { intAttribute, type NodeProto, type OnnxTensor } from '@ft/onnx'
import { biasSums, type SiteContext } from './site.ts'

export interface CheckedFilter {
  readonly tensor: OnnxTensor
  readonly data: Float32Array
  readonly bias: Float32Array | undefined
  readonly out: number
  /** Size of each tap axis. */
  readonly taps: readonly number[]
  /** Products in one output. */
  readonly k: number
  /** Channels of the input, of all groups. */
  readonly channels: number
  /** Sums over the outputs of w and of |w|, `[channels, ...taps]`. */
  readonly sums: Float64Array
  readonly absolute: Float64Array
  readonly biasSum: number
  readonly biasAbsolute: number
}

export function checkedFilter(node: NodeProto, { index }: SiteContext): CheckedFilter | { reason: string } {
  const tensor = index.constant(node.input[1] ?? '')
  if (!tensor) return { reason: 'its filter is not constant' }
  const { data, shape } = tensor
  if (!(data instanceof Float32Array)) return { reason: `its filter is ${tensor.type}; checks have bounds for float32` }
  if (shape.length !== 4 && shape.length !== 3) return { reason: `a ${shape.length - 2}-d convolution` }
  if (!data.every(Number.isFinite)) return { reason: 'its filter is not finite' }
  const stored = node.input[2] ? index.constant(node.input[2]) : undefined
  if (node.input[2] && !(stored?.data instanceof Float32Array)) return { reason: 'its bias is not constant' }
  const bias = stored?.data as Float32Array | undefined
  const [biasSum, biasAbsolute] = biasSums(bias)
  const groups = intAttribute(node, 'group', 1)
  const [out = 0, perGroup = 0, ...taps] = shape
  const k = perGroup * taps.reduce((all, size) => all * size, 1)
  const [sums, absolute] = [new Float64Array(groups * k), new Float64Array(groups * k)]
  for (let n = 0; n < out; n++) {
    const to = Math.floor(n / (out / groups)) * k
    for (let i = 0; i < k; i++) {
      const w = data[n * k + i] as number
      sums[to + i] = (sums[to + i] as number) + w
      absolute[to + i] = (absolute[to + i] as number) + Math.abs(w)
    }
  }
  return { tensor, data, bias, out, taps, k, channels: groups * perGroup, sums, absolute, biasSum, biasAbsolute }
}

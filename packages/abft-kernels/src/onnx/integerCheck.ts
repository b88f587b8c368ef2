// Checks of integer products: exact, so that any difference at all is a fault.
import { intAttribute, type NodeProto, type OnnxTensor } from '@ft/onnx'
import { GEOMETRY, type Built, type Site, type SiteContext } from './site.ts'

/** Digits of the column sums in base 256: three reach 2^23, sums of 32,768 weights of 8 bits. */
const DIGITS = 3

/**
 * Row check of MatMulInteger and ConvInteger (any groups): sums of weights exceed 8 bits, so that their digits in base 256
 * become three more columns of the same kind of product, put together in 64-bit integers.
 */
export function integerCheck(site: Site, context: SiteContext): Built {
  if (site.scheme === 'replication')
    return { reason: 'twice its 8-bit weights do not fit 8 bits; its row check is exact already' }
  const { node } = site
  const { emit, index } = context
  const conv = node.opType === 'ConvInteger'
  const weights = index.constant(node.input[1] ?? '')
  if (!weights || !(weights.data instanceof Int8Array || weights.data instanceof Uint8Array))
    return { reason: 'its weights are not constant' }
  const zero = zeroPoint(node, context)
  if (zero === undefined) return { reason: 'the zero point of its weights is not one constant' }
  const sums = conv ? filterSums(weights, { zero, groups: intAttribute(node, 'group', 1) }) : columnSums(weights, zero)
  if (sums === undefined) return { reason: 'a batch of stored weights' }
  const axis = conv ? 1 : (context.shapes.values.get(node.output[0] ?? '')?.shape?.length ?? 0) - 1
  if (axis < 0) return { reason: 'its rank is not known' }
  if (sums.values.some((value) => Math.abs(value) > 2 ** 22)) return { reason: 'its column sums exceed 23 bits' }

  const digits = digitsOf(sums, weights.type === 'uint8')
  const digitTensor = emit.stored('ft_digits', { type: weights.type, shape: digits.shape, data: digits.data })
  const own = weights.type === 'uint8' ? 128 : 0
  const ownZero = emit.stored('ft_digits_zero', {
    type: weights.type,
    shape: [],
    data: weights.type === 'uint8' ? Uint8Array.of(own) : Int8Array.of(own),
  })
  const inputZero = node.input[2] ? [node.input[2]] : [zeroOf(site, context)]
  const parts = emit.alike(node, [node.input[0] ?? '', digitTensor, ...inputZero, ownZero], GEOMETRY)
  const shape = conv ? [DIGITS, 1, 1] : [DIGITS]
  const powers = emit.stored('ft_powers', { type: 'int64', shape, data: BigInt64Array.of(1n, 256n, 65_536n) })
  const expected = emit.reduce('ReduceSum', emit.node('Mul', [emit.cast(parts, 'int64'), powers]), [axis])
  const actual = emit.reduce('ReduceSum', emit.cast(node.output[0] ?? '', 'int64'), [axis])
  return {
    difference: emit.cast(emit.node('Sub', [actual, expected]), 'float32'),
    scale: undefined,
    bound: 0,
  }
}

function zeroPoint(node: NodeProto, { index }: SiteContext): number | undefined {
  if (!node.input[3]) return 0
  const stored = index.constant(node.input[3])
  return stored && ArrayBuffer.isView(stored.data) && stored.data.length === 1 ? Number(stored.data[0]) : undefined
}

/** A zero point of the input's type, for nodes that leave theirs out. */
function zeroOf({ node }: Site, { emit, shapes }: SiteContext): string {
  const type = shapes.values.get(node.input[0] ?? '')?.type === 'int8' ? 'int8' : 'uint8'
  return emit.stored('ft_zero', { type, shape: [], data: type === 'int8' ? Int8Array.of(0) : Uint8Array.of(0) })
}

interface Sums {
  readonly values: Float64Array
  /** Shape of one digit's weights, and whether digits are the last axis. */
  readonly shape: readonly number[]
  readonly last: boolean
}

/** Sums over the columns of `[k, n]`. */
function columnSums({ data, shape }: OnnxTensor, zero: number): Sums | undefined {
  const [k = 0, n = 0] = shape
  if (shape.length !== 2) return undefined
  const values = new Float64Array(k)
  for (let i = 0; i < k * n; i++)
    values[Math.floor(i / n)] = (values[Math.floor(i / n)] as number) + Number(data[i]) - zero
  return { values, shape: [k], last: true }
}

/** Sums over the output channels of `[out, in / groups, ...taps]`, for every channel of the input. */
function filterSums({ data, shape }: OnnxTensor, { zero, groups }: { zero: number; groups: number }): Sums {
  const [out = 0, perGroup = 0, ...taps] = shape
  const each = perGroup * taps.reduce((all, size) => all * size, 1)
  const values = new Float64Array(groups * each)
  for (let i = 0; i < out * each; i++) {
    const group = Math.floor(Math.floor(i / each) / (out / groups))
    const at = group * each + (i % each)
    values[at] = (values[at] as number) + Number(data[i]) - zero
  }
  return { values, shape: [groups * perGroup, ...taps], last: false }
}

/** Balanced digits: value = d0 + 256 d1 + 65,536 d2 with d in [-128, 127], stored with zero point 128 when unsigned. */
function digitsOf({ values, shape, last }: Sums, unsigned: boolean): { data: Int8Array | Uint8Array; shape: number[] } {
  const count = values.length
  const data = unsigned ? new Uint8Array(count * DIGITS) : new Int8Array(count * DIGITS)
  for (let i = 0; i < count; i++) {
    let rest = values[i] as number
    for (let digit = 0; digit < DIGITS; digit++) {
      const low = ((((rest + 128) % 256) + 256) % 256) - 128
      rest = (rest - low) / 256
      data[last ? i * DIGITS + digit : digit * count + i] = low + (unsigned ? 128 : 0)
    }
  }
  return { data, shape: last ? [...shape, DIGITS] : [DIGITS, ...shape] }
}

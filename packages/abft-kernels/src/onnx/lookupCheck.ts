// Checks of embedding bags (Gather and ReduceSum; Li et al. 2021) and of softmax rows inside attention.
import { intAttribute, intsAttribute, type NodeProto } from '@ft/onnx'
import { roundingBound, UNKNOWN_SIZE, type Built, type Site, type SiteContext } from './site.ts'

/** The look-up that a ReduceSum adds up, when it is one. */
export function bagOf(node: NodeProto, { index }: Pick<SiteContext, 'index'>): NodeProto | undefined {
  if (node.opType !== 'ReduceSum') return undefined
  const gather = index.producer(node.input[0] ?? '')
  if (gather?.opType !== 'Gather' || intAttribute(gather, 'axis', 0) !== 0) return undefined
  return index.constant(gather.input[0] ?? '')?.shape.length === 2 ? gather : undefined
}

/** Sum over a bag's elements = sum of its rows' sums, which are stored: `[rows, 2]` with sums of absolute values. */
export function bagCheck(site: Site, context: SiteContext): Built {
  const { emit, index, shapes } = context
  const gather = bagOf(site.node, context) as NodeProto
  if (site.scheme === 'replication')
    return { reason: 'twice its table would double the model; its row check covers it' }
  const table = index.constant(gather.input[0] ?? '')
  if (!table || !(table.data instanceof Float32Array)) return { reason: 'its table is not float32' }
  if (!table.data.every(Number.isFinite)) return { reason: 'its table is not finite' }
  const looked = shapes.values.get(gather.output[0] ?? '')?.shape
  const given = site.node.input[1] ? index.constant(site.node.input[1]) : undefined
  const axes = given ? Array.from(given.data as ArrayLike<bigint>, Number) : intsAttribute(site.node, 'axes')
  const rank = looked?.length
  if (rank === undefined || axes === undefined) return { reason: 'the axes that it adds over are not known' }
  const over = axes.map((axis) => (axis < 0 ? axis + rank : axis))
  if (over.includes(rank - 1)) return { reason: 'it adds over the elements of its rows' }

  const [rows = 0, width = 0] = table.shape
  const sums = new Float32Array(rows * 2)
  for (let row = 0; row < rows; row++) {
    let [sum, absolute] = [0, 0]
    for (let j = row * width; j < (row + 1) * width; j++) {
      sum += table.data[j] as number
      absolute += Math.abs(table.data[j] as number)
    }
    sums[2 * row] = sum
    sums[2 * row + 1] = absolute
  }
  const keep = intAttribute(site.node, 'keepdims', 1) === 1
  const last = keep ? rank - 1 : rank - 1 - over.length
  const rowSums = emit.node('Gather', [emit.floats('ft_row_sums', [rows, 2], sums), gather.input[1] ?? ''])
  const both = emit.reduce('ReduceSum', rowSums, over, { keep })
  const pick = (column: number) => emit.pick(both, { axis: last, index: column })
  const y = site.node.output[0] ?? ''
  const bag = over.reduce((all, axis) => {
    const size = looked?.[axis]
    return all * (typeof size === 'number' ? size : UNKNOWN_SIZE)
  }, 1)
  const actual = emit.reduce('ReduceSum', y, [last])
  return {
    difference: emit.node('Sub', [actual, pick(0)]),
    scale: pick(1),
    bound: roundingBound(2 * bag + width + 4),
  }
}

/** Rows of a softmax sum to one, up to the rounding of their terms and of the sum. */
export function softmaxCheck({ node }: Site, { emit, shapes }: SiteContext): Built {
  const y = node.output[0] ?? ''
  const shape = shapes.values.get(y)?.shape
  const axis = intAttribute(node, 'axis', -1)
  const at = axis < 0 && shape ? axis + shape.length : axis
  const size = shape?.[at]
  const n = typeof size === 'number' ? size : UNKNOWN_SIZE
  const one = emit.floats('ft_unit', [], [1])
  // Each term has a few roundings of its own (exp, division), and the divisor and the check add n terms each.
  return {
    difference: emit.node('Sub', [emit.reduce('ReduceSum', y, [at]), one]),
    scale: one,
    bound: roundingBound(2 * n + 16),
  }
}

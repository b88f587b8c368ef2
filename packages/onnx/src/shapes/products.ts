// Matrix products, contractions, recurrent layers and attention.
import { intAttribute, stringAttribute } from '../attributes.ts'
import { each, type NodeContext, type ShapeFunction, type ShapeTable } from './context.ts'
import { broadcast, isKnown, type Dimension, type Value } from './values.ts'

/** numpy's matmul: 1-d operands gain an axis and lose it again; leading axes broadcast. */
export function matmulShape(
  a: readonly Dimension[] | undefined,
  b: readonly Dimension[] | undefined,
): Dimension[] | undefined {
  if (!a || !b || a.length === 0 || b.length === 0) return undefined
  const left = a.length === 1 ? [1, ...a] : [...a]
  const right = b.length === 1 ? [...b, 1] : [...b]
  const lead = broadcast([left.slice(0, -2), right.slice(0, -2)])
  if (!lead) return undefined
  return [...lead, ...(a.length === 1 ? [] : [left.at(-2)]), ...(b.length === 1 ? [] : [right.at(-1)])]
}

const matmul =
  (type: (context: NodeContext) => Value['type'], second = 1): ShapeFunction =>
  (context) => [{ type: type(context), shape: matmulShape(context.inputs[0]?.shape, context.inputs[second]?.shape) }]

const fused: ShapeFunction = ({ node, inputs: [a, b] }) => {
  const flip = (shape: readonly Dimension[] | undefined, transpose: boolean) =>
    shape && transpose && shape.length > 1 ? [...shape.slice(0, -2), shape.at(-1), shape.at(-2)] : shape
  return [
    {
      type: a?.type,
      shape: matmulShape(
        flip(a?.shape, intAttribute(node, 'transA', 0) === 1),
        flip(b?.shape, intAttribute(node, 'transB', 0) === 1),
      ),
    },
  ]
}

const gemm: ShapeFunction = ({ node, inputs: [a, b] }) => {
  const m = a?.shape?.[intAttribute(node, 'transA', 0) ? 1 : 0]
  const n = b?.shape?.[intAttribute(node, 'transB', 0) ? 0 : 1]
  return [{ type: a?.type, shape: a?.shape && b?.shape ? [m, n] : undefined }]
}

const einsum: ShapeFunction = ({ node, inputs }) => {
  const [left = '', right] = stringAttribute(node, 'equation', '').replaceAll(' ', '').split('->')
  if (right === undefined || left.includes('...')) return [{ type: inputs[0]?.type }]
  const sizes = new Map<string, Dimension>()
  left.split(',').forEach((labels, index) => {
    ;[...labels].forEach((label, axis) => {
      const size = inputs[index]?.shape?.[axis]
      if (!sizes.has(label) || isKnown(size)) sizes.set(label, size)
    })
  })
  return [{ type: inputs[0]?.type, shape: [...right].map((label) => sizes.get(label)) }]
}

const recurrent: ShapeFunction = ({ node, inputs: [x, , recurrence] }) => {
  const hidden = intAttribute(node, 'hidden_size') ?? recurrence?.shape?.[2]
  const directions = stringAttribute(node, 'direction', 'forward') === 'bidirectional' ? 2 : 1
  if (!x?.shape) return [{ type: x?.type }]
  const batchFirst = intAttribute(node, 'layout', 0) === 1
  const [first, second] = x.shape
  const last: Value = { type: x.type, shape: batchFirst ? [first, directions, hidden] : [directions, second, hidden] }
  return [
    { type: x.type, shape: batchFirst ? [first, second, directions, hidden] : [first, directions, second, hidden] },
    last,
    last,
  ]
}

/** Attention over packed [batch, tokens, width] operands: the width of the values, the tokens of the queries. */
const attention: ShapeFunction = ({ node, inputs: [q, k, v] }) => {
  if (q?.shape?.length === 4) return [{ type: q.type, shape: [...q.shape.slice(0, 3), v?.shape?.[3]] }]
  if (q?.shape?.length !== 3) return [{ type: q?.type }]
  const queries = intAttribute(node, 'q_num_heads')
  const keys = intAttribute(node, 'kv_num_heads')
  const width = v?.shape?.[2]
  const scale = queries !== undefined && keys !== undefined ? queries / keys : 1
  return [{ type: q.type, shape: [q.shape[0], q.shape[1], isKnown(width) ? width * scale : k?.shape?.[2]] }]
}

export const products: ShapeTable = {
  MatMul: matmul(({ inputs }) => inputs[0]?.type),
  MatMulInteger: matmul(() => 'int32'),
  MatMulIntegerToFloat: matmul(() => 'float32'),
  // a, a_scale, a_zero_point, b, ...
  QLinearMatMul: matmul(({ inputs }) => inputs[7]?.type ?? inputs[0]?.type, 3),
  FusedMatMul: fused,
  Gemm: gemm,
  FusedGemm: gemm,
  Einsum: einsum,
  ...each('LSTM GRU RNN', recurrent),
  ...each('Attention MultiHeadAttention', attention),
}

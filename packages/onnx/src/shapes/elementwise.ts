// Operators that keep a shape or broadcast several.
import { intAttribute, tensorAttribute } from '../attributes.ts'
import { typeName, type OnnxType } from '../dtypes.ts'
import { each, type NodeContext, type ShapeFunction, type ShapeTable } from './context.ts'
import { MAX_ELEMENTS, valueOfTensor } from './stored.ts'
import { broadcast, isKnown, product, type Dimension, type Value } from './values.ts'

const like: ShapeFunction = ({ inputs: [x] }) => [{ type: x?.type, shape: x?.shape }]

function joined(
  inputs: readonly (Value | undefined)[],
  type: OnnxType | undefined,
  elements?: readonly Dimension[],
): Value {
  return { type, shape: broadcast(inputs.map((input) => input?.shape)), ...(elements ? { elements } : {}) }
}

/** Element-wise arithmetic on known integers, so that shape computations fold. */
function fold(
  inputs: readonly (Value | undefined)[],
  operation: (a: number, b: number) => number,
): readonly Dimension[] | undefined {
  const [a, b] = inputs
  if (!a?.elements || !b?.elements || inputs.length !== 2) return undefined
  const length = Math.max(a.elements.length, b.elements.length)
  if (![a, b].every((input) => input.elements?.length === length || input.elements?.length === 1)) return undefined
  return Array.from({ length }, (_, i) => {
    const left = a.elements?.[a.elements.length === 1 ? 0 : i]
    const right = b.elements?.[b.elements.length === 1 ? 0 : i]
    return isKnown(left) && isKnown(right) ? operation(left, right) : undefined
  })
}

const isInteger = (type: OnnxType | undefined) => type !== undefined && /^u?int/.test(type)

const arithmetic =
  (operation: (a: number, b: number) => number): ShapeFunction =>
  ({ inputs }) => [joined(inputs, inputs[0]?.type, isInteger(inputs[0]?.type) ? fold(inputs, operation) : undefined)]

const compare =
  (operation?: (a: number, b: number) => boolean): ShapeFunction =>
  ({ inputs }) => [joined(inputs, 'bool', operation ? fold(inputs, (a, b) => Number(operation(a, b))) : undefined)]

const divide = (a: number, b: number) => (b === 0 ? 0 : Math.trunc(a / b))

function cast({ node, inputs: [x] }: NodeContext): readonly Value[] {
  const type = typeName(intAttribute(node, 'to', 1), `node ${node.name}`)
  return [{ type, shape: x?.shape, elements: x?.elements }]
}

const dropout: ShapeFunction = ({ inputs: [x], opset }) => [
  { type: x?.type, shape: x?.shape },
  { type: opset >= 12 ? 'bool' : x?.type, shape: x?.shape },
]

const normalization: ShapeFunction = ({ inputs: [x] }) => [{ type: x?.type, shape: x?.shape }]

const firstIsBool: ShapeFunction = ({ inputs: [x] }) => [{ type: 'bool', shape: x?.shape }]

/** Quantising: same shape, the type of the zero point (or of the attribute). */
const quantize: ShapeFunction = ({ node, inputs: [x, , zero] }) => {
  const declared = intAttribute(node, 'output_dtype', 0)
  return [{ type: declared ? typeName(declared, `node ${node.name}`) : (zero?.type ?? 'uint8'), shape: x?.shape }]
}

const constantOfShape: ShapeFunction = ({ node, inputs: [shape] }) => {
  const fill = tensorAttribute(node, 'value')
  const rank = shape?.shape?.[0]
  const out = shape?.elements ?? (isKnown(rank) ? Array<Dimension>(rank).fill(undefined) : undefined)
  const count = out && product(out)
  const value = fill && valueOfTensor(fill)
  return [
    {
      type: value?.type ?? 'float32',
      shape: out,
      ...(value?.elements && count !== undefined && count <= MAX_ELEMENTS
        ? { elements: Array<Dimension>(count).fill(value.elements[0]) }
        : {}),
    },
  ]
}

export const elementwise: ShapeTable = {
  ...each(
    'Relu LeakyRelu Sigmoid Tanh Elu Selu Celu HardSigmoid HardSwish Gelu FastGelu QuickGelu Erf Exp Log Sqrt Abs Neg Reciprocal ' +
      'Floor Ceil Round Sign Clip Softmax LogSoftmax Hardmax LRN InstanceNormalization GroupNormalization ' +
      'MeanVarianceNormalization LpNormalization RMSNormalization Softplus Softsign ThresholdedRelu Mish Swish Sin Cos Tan Asin ' +
      'Acos Atan Sinh Cosh Asinh Acosh Atanh CumSum Trilu BitwiseNot Bernoulli Shrink RotaryEmbedding ScatterND ScatterElements ' +
      'Scatter ReverseSequence',
    like,
  ),
  ...each('BatchNormalization LayerNormalization SimplifiedLayerNormalization SkipLayerNormalization', normalization),
  ...each('BiasGelu BiasAdd PRelu', like),
  Not: ({ inputs: [x] }) => [
    {
      type: 'bool',
      shape: x?.shape,
      elements: x?.elements?.map((flag) => (isKnown(flag) ? Number(!flag) : undefined)),
    },
  ],
  ...each('IsNaN IsInf', firstIsBool),
  Identity: ({ inputs: [x] }) => [x],
  Dropout: dropout,
  Cast: cast,
  CastLike: ({ inputs: [x, target] }) => [{ type: target?.type, shape: x?.shape, elements: x?.elements }],
  Add: arithmetic((a, b) => a + b),
  Sub: arithmetic((a, b) => a - b),
  Mul: arithmetic((a, b) => a * b),
  Div: arithmetic(divide),
  Mod: arithmetic((a, b) => (b === 0 ? 0 : ((a % b) + b) % b)),
  Min: arithmetic(Math.min),
  Max: arithmetic(Math.max),
  And: compare((a, b) => a !== 0 && b !== 0),
  Or: compare((a, b) => a !== 0 || b !== 0),
  Xor: compare((a, b) => (a !== 0) !== (b !== 0)),
  ...each('Pow Sum Mean BitShift BitwiseAnd BitwiseOr BitwiseXor', ({ inputs }) => [joined(inputs, inputs[0]?.type)]),
  Equal: compare((a, b) => a === b),
  Greater: compare((a, b) => a > b),
  GreaterOrEqual: compare((a, b) => a >= b),
  Less: compare((a, b) => a < b),
  LessOrEqual: compare((a, b) => a <= b),
  Where: ({ inputs }) => [joined(inputs, inputs[1]?.type, select(inputs))],
  QuantizeLinear: quantize,
  DequantizeLinear: ({ inputs: [x, scale] }) => [{ type: scale?.type ?? 'float32', shape: x?.shape }],
  DynamicQuantizeLinear: ({ inputs: [x] }) => [
    { type: 'uint8', shape: x?.shape },
    { type: 'float32', shape: [] },
    { type: 'uint8', shape: [] },
  ],
  ...each('QLinearAdd QLinearMul', ({ inputs }) => [joined([inputs[0], inputs[3]], inputs[0]?.type)]),
  ...each('QLinearSigmoid QLinearLeakyRelu', like),
  ConstantOfShape: constantOfShape,
  ...each('RandomNormalLike RandomUniformLike EyeLike', like),
}

function select([condition, yes, no]: readonly (Value | undefined)[]): readonly Dimension[] | undefined {
  const flags = condition?.elements
  if (!flags || !yes?.elements || !no?.elements) return undefined
  const pick = (from: readonly Dimension[], i: number) => from[from.length === 1 ? 0 : i]
  const length = Math.max(flags.length, yes.elements.length, no.elements.length)
  return Array.from({ length }, (_, i) => {
    const flag = pick(flags, i)
    return isKnown(flag) ? pick((flag ? yes : no).elements ?? [], i) : undefined
  })
}

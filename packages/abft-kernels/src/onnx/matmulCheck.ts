// Checks of float matrix products: MatMul with constant or computed right operand (attention), and Gemm.
import { floatAttribute, intAttribute, type NodeProto, type OnnxTensor } from '@ft/onnx'
import { doubled } from './convCheck.ts'
import { biasSums, roundingBound, UNKNOWN_SIZE, type Built, type Site, type SiteContext } from './site.ts'

/** A product and, where one follows alone, the addition of its bias: left together so that they still fuse. */
interface Product {
  readonly a: string
  readonly b: string
  /** The value compared: the product, or the product with its bias. */
  readonly y: string
  readonly bias: Float32Array | undefined
  readonly alpha: number
  readonly transA: boolean
  readonly transB: boolean
  readonly gemm: boolean
}

export function matmulCheck(site: Site, context: SiteContext): Built {
  const product = site.node.opType === 'Gemm' ? gemmOf(site.node, context) : matmulOf(site.node, context)
  if ('reason' in product) return product
  const weights = context.index.constant(product.b)
  if (weights && !(weights.data instanceof Float32Array))
    return { reason: `its weights are ${weights.type}; checks have bounds for float32` }
  if (site.scheme === 'replication') return replica(product, weights, context)
  if (weights) return constantCheck(site, product, { weights, context })
  if (product.gemm) return { reason: 'a Gemm of computed weights' }
  return computedCheck(site, product, context)
}

function gemmOf(node: NodeProto, { index }: SiteContext): Product | { reason: string } {
  const [a = '', b = '', c] = node.input
  const beta = floatAttribute(node, 'beta', 1)
  const stored = c ? index.constant(c) : undefined
  const width = index.constant(b)?.shape[intAttribute(node, 'transB', 0) === 1 ? 0 : 1]
  if (c && !(stored?.data instanceof Float32Array)) return { reason: 'its bias is not constant' }
  if (stored && (stored.data.length !== width || (stored.shape.length === 2 && stored.shape[0] !== 1)))
    return { reason: 'its bias is not one value a column' }
  return {
    a,
    b,
    y: node.output[0] ?? '',
    bias: (stored?.data as Float32Array | undefined)?.map((value) => beta * value),
    alpha: floatAttribute(node, 'alpha', 1),
    transA: intAttribute(node, 'transA', 0) === 1,
    transB: intAttribute(node, 'transB', 0) === 1,
    gemm: true,
  }
}

function matmulOf(node: NodeProto, { index, shapes }: SiteContext): Product | { reason: string } {
  const [a = '', b = ''] = node.input
  if (shapes.values.get(a)?.type && shapes.values.get(a)?.type !== 'float32')
    return { reason: `a product of ${shapes.values.get(a)?.type}; checks have bounds for float32` }
  if ([a, b].some((name) => (shapes.values.get(name)?.shape?.length ?? 2) < 2))
    return { reason: 'a product with a vector' }
  const y = node.output[0] ?? ''
  const plain = { a, b, alpha: 1, transA: false, transB: false, gemm: false }
  const [reader, ...others] = index.consumers(y)
  if (reader?.opType === 'Add' && others.length === 0 && !index.isOutput(y)) {
    const other = index.constant(reader.input.find((name) => name !== y) ?? '')
    const columns = index.constant(b)?.shape.at(-1)
    if (other?.data instanceof Float32Array && other.data.length === columns && other.shape.at(-1) === columns)
      return { ...plain, y: reader.output[0] ?? '', bias: other.data }
  }
  return { ...plain, y, bias: undefined }
}

interface Constant {
  readonly weights: OnnxTensor
  readonly context: SiteContext
}

/** Weights known offline: their sums over columns are stored, `[k, 2]`, beside the sums of absolute values. */
function constantCheck(site: Site, p: Product, { weights, context }: Constant): Built {
  const { emit } = context
  if (weights.shape.length !== 2) return { reason: 'a batch of stored weights' }
  const data = weights.data as Float32Array
  if (!data.every(Number.isFinite)) return { reason: 'its weights are not finite' }
  const [k, n] = p.transB
    ? [weights.shape[1] ?? 0, weights.shape[0] ?? 0]
    : [weights.shape[0] ?? 0, weights.shape[1] ?? 0]
  const [sums, absolute] = [new Float64Array(k), new Float64Array(k)]
  for (let i = 0; i < data.length; i++) {
    const row = p.transB ? i % k : Math.floor(i / n)
    sums[row] = (sums[row] as number) + p.alpha * (data[i] as number)
    absolute[row] = (absolute[row] as number) + Math.abs(p.alpha * (data[i] as number))
  }
  const pooled = site.scheme === 'global'
  const rows = pooled ? rowsOf(p, context) : 0
  const [bias, biasAbsolute] = biasSums(p.bias)
  const axis = axesOf(p, context)
  const rowAxis = p.transA ? axis(-1) : axis(-2)
  const pool = (value: string, axis: number) => (pooled ? emit.reduce('ReduceMean', value, [axis]) : value)
  const predict = (a: string, columns: Float64Array[], biases: number[]): string => {
    const width = columns.length
    const matrix = Array.from(
      { length: k * width },
      (_, i) => (columns[i % width] as Float64Array)[Math.floor(i / width)] as number,
    )
    const check = emit.floats('ft_check_weights', [k, width], matrix)
    const added = emit.floats('ft_check_bias', [width], biases)
    const left = pool(a, rowAxis)
    if (p.gemm) return emit.node('Gemm', [left, check, added], { transA: { int: p.transA ? 1 : 0 } })
    return emit.node('Add', [emit.node('MatMul', [left, check]), added])
  }
  const actual = emit.reduce('ReduceSum', pool(p.y, axis(-2)), [axis(-1)])
  const bound = roundingBound(2 * (k + 3) + n + 4 + 2 * rows)
  if (!context.nonNegative(p.a)) {
    const expected = predict(p.a, [sums], [bias])
    const scale = predict(emit.node('Abs', [p.a]), [absolute], [biasAbsolute])
    return { difference: emit.node('Sub', [actual, expected]), scale, bound }
  }
  const both = predict(p.a, [sums, absolute], [bias, biasAbsolute])
  const pick = (column: number) => emit.pick(both, { axis: axis(-1), index: column })
  return { difference: emit.node('Sub', [actual, pick(0)]), scale: pick(1), bound }
}

/** Both operands computed: `C e = A (B e)` with B e taken at run time. */
function computedCheck(site: Site, p: Product, context: SiteContext): Built {
  const { emit, shapes } = context
  const pooled = site.scheme === 'global'
  const axis = axesOf(p, context)
  const pool = (value: string) => (pooled ? emit.reduce('ReduceMean', value, [axis(-2)]) : value)
  const shape = shapes.values.get(p.b)?.shape
  const known = (size: unknown) => (typeof size === 'number' ? size : UNKNOWN_SIZE)
  const [k, n] = [known(shape?.at(-2)), known(shape?.at(-1))]
  const along = (b: string) => emit.reduce('ReduceSum', b, [axis(-1)])
  const absolute = (value: string) => (context.nonNegative(value) ? value : emit.node('Abs', [value]))
  const expected = emit.node('MatMul', [pool(p.a), along(p.b)])
  const scale = emit.node('MatMul', [pool(absolute(p.a)), along(absolute(p.b))])
  const actual = emit.reduce('ReduceSum', pool(p.y), [axis(-1)])
  const rows = pooled ? 2 * rowsOf(p, context) : 0
  return {
    difference: emit.node('Sub', [actual, expected]),
    scale,
    bound: roundingBound(2 * (k + 3) + 2 * n + 4 + rows),
  }
}

/** Axes counted from the end, as numbers from the front where the rank is known: old operator sets know no others. */
function axesOf(p: Product, { shapes }: SiteContext): (axis: number) => number {
  const rank = p.gemm ? 2 : shapes.values.get(p.y)?.shape?.length
  return (axis) => (rank === undefined ? axis : axis + rank)
}

function rowsOf(p: Product, { shapes }: SiteContext): number {
  const rows = shapes.values.get(p.y)?.shape?.at(-2)
  return typeof rows === 'number' ? rows : UNKNOWN_SIZE
}

function replica(p: Product, weights: OnnxTensor | undefined, { emit }: SiteContext): Built {
  const twice = (values: Float32Array) => values.map((value) => 2 * value)
  const b = weights
    ? emit.floats('ft_twice', weights.shape, twice(weights.data as Float32Array))
    : emit.node('Add', [p.b, p.b])
  const bias = p.bias && emit.floats('ft_twice_bias', [p.bias.length], twice(p.bias))
  if (p.gemm) {
    const attributes = {
      alpha: { float: p.alpha },
      transA: { int: p.transA ? 1 : 0 },
      transB: { int: p.transB ? 1 : 0 },
    }
    return doubled(p.y, emit.node('Gemm', bias ? [p.a, b, bias] : [p.a, b], attributes), emit)
  }
  const product = emit.node('MatMul', [p.a, b])
  return doubled(p.y, bias ? emit.node('Add', [product, bias]) : product, emit)
}

// Operators that move, cut, join and count elements, folding the small integer tensors that later shapes depend on.
import { attribute, intAttribute, intsAttribute, tensorAttribute } from '../attributes.ts'
import { each, type NodeContext, type ShapeFunction, type ShapeTable } from './context.ts'
import { MAX_ELEMENTS, valueOfTensor } from './stored.ts'
import { isKnown, normalizeAxis, numbers, pickElements, product, type Dimension, type Value } from './values.ts'

const constant: ShapeFunction = ({ node }) => {
  const tensor = tensorAttribute(node, 'value')
  if (tensor) return [valueOfTensor(tensor)]
  const int = attribute(node, 'value_int')
  if (int) return [{ type: 'int64', shape: [], elements: [Number(int.i)] }]
  const ints = intsAttribute(node, 'value_ints')
  if (ints) return [{ type: 'int64', shape: [ints.length], elements: ints }]
  if (attribute(node, 'value_float')) return [{ type: 'float32', shape: [] }]
  const floats = attribute(node, 'value_floats')
  if (floats) return [{ type: 'float32', shape: [floats.floats.length] }]
  const strings = attribute(node, 'value_strings')
  return [{ type: 'string', shape: strings ? [strings.strings.length] : [] }]
}

/** Integers from an input where there is one, else from the attribute that older versions used. */
function integers({ node, inputs }: NodeContext, input: number, name: string): Dimension[] | undefined {
  const value = inputs[input]
  if (value) return value.elements ? [...value.elements] : undefined
  return intsAttribute(node, name)
}

const shapeOf: ShapeFunction = ({ node, inputs: [x] }) => {
  if (!x?.shape) return [{ type: 'int64', shape: [undefined] }]
  const clamp = (at: number) => Math.min(Math.max(normalizeAxis(at, x.shape?.length ?? 0), 0), x.shape?.length ?? 0)
  const part = x.shape.slice(clamp(intAttribute(node, 'start', 0)), clamp(intAttribute(node, 'end', x.shape.length)))
  return [{ type: 'int64', shape: [part.length], elements: part }]
}

const reshape: ShapeFunction = (context) => {
  const [x] = context.inputs
  const wanted = integers(context, 1, 'shape')
  const rank = context.inputs[1]?.shape?.[0]
  if (!wanted) return [{ type: x?.type, shape: isKnown(rank) ? Array<Dimension>(rank).fill(undefined) : undefined }]
  const keepZero = intAttribute(context.node, 'allowzero', 0) === 1
  const shape = wanted.map((size, axis) => (size === 0 && !keepZero ? x?.shape?.[axis] : size))
  const open = shape.indexOf(-1)
  if (open >= 0) {
    const total = x?.shape ? product(x.shape) : undefined
    const rest = product(shape.filter((_, axis) => axis !== open))
    shape[open] = total !== undefined && rest ? total / rest : undefined
  }
  return [{ type: x?.type, shape, elements: x?.elements }]
}

const flatten: ShapeFunction = ({ node, inputs: [x] }) => {
  if (!x?.shape) return [{ type: x?.type, shape: [undefined, undefined] }]
  const axis = normalizeAxis(intAttribute(node, 'axis', 1), x.shape.length)
  return [{ type: x.type, shape: [product(x.shape.slice(0, axis)), product(x.shape.slice(axis))] }]
}

const squeeze: ShapeFunction = (context) => {
  const [x] = context.inputs
  if (!x?.shape) return [{ type: x?.type }]
  const axes = integers(context, 1, 'axes')?.map((axis) => normalizeAxis(Number(axis), x.shape?.length ?? 0))
  const shape = x.shape.filter((size, axis) => (axes ? !axes.includes(axis) : size !== 1))
  return [{ type: x.type, shape, elements: x.elements }]
}

const unsqueeze: ShapeFunction = (context) => {
  const [x] = context.inputs
  const axes = integers(context, 1, 'axes')
  if (!x?.shape || !axes) return [{ type: x?.type }]
  const rank = x.shape.length + axes.length
  const places = new Set(axes.map((axis) => normalizeAxis(Number(axis), rank)))
  const rest = [...x.shape]
  const shape = Array.from({ length: rank }, (_, axis) => (places.has(axis) ? 1 : rest.shift()))
  return [{ type: x.type, shape, elements: x.elements }]
}

const transpose: ShapeFunction = ({ node, inputs: [x] }) => {
  if (!x?.shape) return [{ type: x?.type }]
  const order = intsAttribute(
    node,
    'perm',
    x.shape.map((_, axis) => (x.shape?.length ?? 0) - 1 - axis),
  )
  const shape = order.map((axis) => x.shape?.[axis])
  const elements = pickElements(x.elements, x.shape, shape, (index) =>
    order.map((_, axis) => index[order.indexOf(axis)] ?? 0),
  )
  return [{ type: x.type, shape, elements }]
}

const concat: ShapeFunction = ({ node, inputs }) => {
  const [first] = inputs
  const known = inputs.find((input) => input?.shape)
  if (!known?.shape) return [{ type: first?.type }]
  const axis = normalizeAxis(intAttribute(node, 'axis', 0), known.shape.length)
  const shape = known.shape.map((size, at): Dimension => {
    const here = inputs.map((input) => input?.shape?.[at])
    if (at === axis) return here.every(isKnown) ? here.reduce((sum, part) => sum + part, 0) : undefined
    return here.find(isKnown) ?? size
  })
  const whole = axis === 0 && inputs.every((input) => input?.elements)
  return [
    {
      type: first?.type,
      shape,
      ...(whole ? { elements: inputs.flatMap((input) => [...(input?.elements ?? [])]) } : {}),
    },
  ]
}

const split: ShapeFunction = (context) => {
  const { node, inputs } = context
  const [x] = inputs
  const parts = node.output.length
  if (!x?.shape) return Array<Value>(parts).fill({ type: x?.type })
  const axis = normalizeAxis(intAttribute(node, 'axis', 0), x.shape.length)
  const size = x.shape[axis]
  const given = integers(context, 1, 'split')
  const chunk = isKnown(size) ? Math.ceil(size / parts) : undefined
  return Array.from({ length: parts }, (_, part): Value => {
    const even = chunk === undefined || !isKnown(size) ? undefined : Math.min(chunk, size - part * chunk)
    const length = inputs[1] || given ? given?.[part] : even
    return { type: x.type, shape: x.shape?.map((old, at) => (at === axis ? length : old)) }
  })
}

const slice: ShapeFunction = (context) => {
  const { inputs } = context
  const [x] = inputs
  const starts = integers(context, 1, 'starts')
  const ends = integers(context, 2, 'ends')
  if (!x?.shape) return [{ type: x?.type }]
  const count = starts?.length ?? 0
  const axes = integers(context, 3, 'axes') ?? Array.from({ length: count }, (_, i) => i)
  if (!starts || !ends || (inputs[3] && !inputs[3].elements))
    return [{ type: x.type, shape: x.shape.map(() => undefined) }]
  const steps = integers(context, 4, 'steps') ?? Array<Dimension>(count).fill(1)
  const shape: Dimension[] = [...x.shape]
  const ranges = new Map<number, number[]>()
  axes.forEach((rawAxis, i) => {
    const axis = normalizeAxis(Number(rawAxis), shape.length)
    const size = x.shape?.[axis]
    const [start, end, step] = [starts[i], ends[i], steps[i]]
    if (!isKnown(size) || !isKnown(start) || !isKnown(end) || !isKnown(step) || step === 0) {
      shape[axis] = undefined
      return
    }
    const { from, length } = sliceRange(start, end, step, size)
    shape[axis] = length
    if (x.elements)
      ranges.set(
        axis,
        Array.from({ length }, (_, at) => from + at * step),
      )
  })
  const elements = pickElements(x.elements, x.shape, shape, (index) =>
    index.map((at, axis) => ranges.get(axis)?.[at] ?? at),
  )
  return [{ type: x.type, shape, elements }]
}

function sliceRange(start: number, end: number, step: number, size: number): { from: number; length: number } {
  const clamp = (at: number, low: number, high: number) => Math.min(Math.max(at < 0 ? at + size : at, low), high)
  const from = step > 0 ? clamp(start, 0, size) : clamp(start, 0, size - 1)
  const to = step > 0 ? clamp(end, 0, size) : end < -size ? -1 : clamp(end, -1, size)
  return { from, length: Math.max(0, Math.ceil((to - from) / step)) }
}

const gather: ShapeFunction = ({ node, inputs: [x, indices] }) => {
  if (!x?.shape || !indices?.shape) return [{ type: x?.type }]
  const axis = normalizeAxis(intAttribute(node, 'axis', 0), x.shape.length)
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)]
  const { elements } = x
  const picked =
    elements && indices.elements?.map((at) => (isKnown(at) ? elements[normalizeAxis(at, elements.length)] : undefined))
  return [{ type: x.type, shape, ...(shape.length <= 1 ? { elements: picked } : {}) }]
}

const gatherNd: ShapeFunction = ({ node, inputs: [x, indices] }) => {
  const last = indices?.shape?.at(-1)
  if (!x?.shape || !indices?.shape || !isKnown(last)) return [{ type: x?.type }]
  return [
    {
      type: x.type,
      shape: [...indices.shape.slice(0, -1), ...x.shape.slice(intAttribute(node, 'batch_dims', 0) + last)],
    },
  ]
}

const expand: ShapeFunction = ({ inputs: [x, shape] }) => {
  const wanted = shape?.elements
  if (!x?.shape || !wanted) return [{ type: x?.type }]
  const rank = Math.max(x.shape.length, wanted.length)
  const at = (sizes: readonly Dimension[], axis: number) =>
    axis < rank - sizes.length ? 1 : sizes[axis - rank + sizes.length]
  const out = Array.from({ length: rank }, (_, axis) => {
    const [have, want] = [at(x.shape ?? [], axis), at(wanted, axis)]
    return have === 1 ? want : want === 1 ? have : (have ?? want)
  })
  return [{ type: x.type, shape: out }]
}

const tile: ShapeFunction = ({ inputs: [x, repeats] }) => [
  {
    type: x?.type,
    shape: x?.shape?.map((size, axis) => {
      const times = repeats?.elements?.[axis]
      return isKnown(size) && isKnown(times) ? size * times : undefined
    }),
  },
]

const pad: ShapeFunction = (context) => {
  const [x] = context.inputs
  const pads = integers(context, 1, 'pads')
  if (!x?.shape) return [{ type: x?.type }]
  const rank = x.shape.length
  const axes =
    context.inputs[3]?.elements?.map((axis) => normalizeAxis(Number(axis), rank)) ?? x.shape.map((_, axis) => axis)
  return [
    {
      type: x.type,
      shape: x.shape.map((size, axis) => {
        const place = axes.indexOf(axis)
        if (place < 0) return size
        const [before, after] = [pads?.[place], pads?.[place + axes.length]]
        return isKnown(size) && isKnown(before) && isKnown(after) ? size + before + after : undefined
      }),
    },
  ]
}

const resize: ShapeFunction = ({ node, inputs }) => {
  const [x] = inputs
  if (!x?.shape) return [{ type: x?.type }]
  const sizes = inputs[3]?.elements
  return [
    {
      type: x.type,
      shape: node.opType === 'Resize' && sizes?.length === x.shape.length ? sizes : x.shape.map(() => undefined),
    },
  ]
}

const blocks =
  (deeper: boolean): ShapeFunction =>
  ({ node, inputs: [x] }) => {
    const size = intAttribute(node, 'blocksize', 1)
    const [n, c, h, w] = numbers(x?.shape) ?? []
    if (n === undefined || c === undefined || h === undefined || w === undefined) return [{ type: x?.type }]
    return [
      {
        type: x?.type,
        shape: deeper ? [n, c * size * size, h / size, w / size] : [n, c / (size * size), h * size, w * size],
      },
    ]
  }

const range: ShapeFunction = ({ inputs: [start, limit, delta] }) => {
  const [from, to, by] = [start?.elements?.[0], limit?.elements?.[0], delta?.elements?.[0]]
  if (!isKnown(from) || !isKnown(to) || !isKnown(by) || by === 0) return [{ type: start?.type, shape: [undefined] }]
  const length = Math.max(0, Math.ceil((to - from) / by))
  const elements = length <= MAX_ELEMENTS ? Array.from({ length }, (_, i) => from + i * by) : undefined
  return [{ type: start?.type, shape: [length], ...(elements ? { elements } : {}) }]
}

const reduce =
  (type?: Value['type']): ShapeFunction =>
  (context) => {
    const { node, inputs, opset } = context
    const [x] = inputs
    const out = type ?? x?.type
    if (!x?.shape) return [{ type: out }]
    const rank = x.shape.length
    const listed = node.opType.startsWith('Arg') ? [intAttribute(node, 'axis', 0)] : integers(context, 1, 'axes')
    if (inputs[1] && !listed) return [{ type: out }]
    const none = !listed || listed.length === 0
    if (none && opset >= 18 && intAttribute(node, 'noop_with_empty_axes', 0) === 1)
      return [{ type: out, shape: x.shape }]
    const axes = none ? x.shape.map((_, axis) => axis) : listed.map((axis) => normalizeAxis(Number(axis), rank))
    const keep = intAttribute(node, 'keepdims', 1) === 1
    const shape = x.shape.flatMap((size, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [size]))
    const folded = node.opType === 'ReduceProd' && x.elements ? product(x.elements) : undefined
    return [{ type: out, shape, ...(folded !== undefined && shape.length <= 1 ? { elements: [folded] } : {}) }]
  }

const topK: ShapeFunction = (context) => {
  const { node, inputs } = context
  const [x] = inputs
  const k = inputs[1]?.elements?.[0] ?? intAttribute(node, 'k')
  if (!x?.shape) return [{ type: x?.type }, { type: 'int64' }]
  const axis = normalizeAxis(intAttribute(node, 'axis', -1), x.shape.length)
  const shape = x.shape.map((size, at) => (at === axis ? k : size))
  return [
    { type: x.type, shape },
    { type: 'int64', shape },
  ]
}

const oneHot: ShapeFunction = ({ node, inputs: [indices, depth, values] }) => {
  if (!indices?.shape) return [{ type: values?.type }]
  const axis = normalizeAxis(intAttribute(node, 'axis', -1), indices.shape.length + 1)
  const shape = [...indices.shape.slice(0, axis), depth?.elements?.[0], ...indices.shape.slice(axis)]
  return [{ type: values?.type, shape }]
}

export const movement: ShapeTable = {
  Constant: constant,
  Shape: shapeOf,
  Size: ({ inputs: [x] }) => [{ type: 'int64', shape: [], elements: [x?.shape ? product(x.shape) : undefined] }],
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Concat: concat,
  Split: split,
  Slice: slice,
  Gather: gather,
  GatherElements: ({ inputs: [x, indices] }) => [{ type: x?.type, shape: indices?.shape }],
  GatherND: gatherNd,
  Expand: expand,
  Tile: tile,
  Pad: pad,
  ...each('Resize Upsample', resize),
  DepthToSpace: blocks(false),
  SpaceToDepth: blocks(true),
  Range: range,
  ...each(
    'ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare',
    reduce(),
  ),
  ...each('ArgMax ArgMin', reduce('int64')),
  TopK: topK,
  OneHot: oneHot,
  NonZero: ({ inputs: [x] }) => [{ type: 'int64', shape: [x?.shape?.length, undefined] }],
}

// Shape inference: one pass over the graph in order, each operator's shape function applied to what is known so far.
import { FtError, assertInteger } from '@ft/core'
import { graphAttribute } from './attributes.ts'
import { typeName } from './dtypes.ts'
import type { OnnxModel } from './model.ts'
import type { GraphProto, NodeProto, TypeProto, ValueInfoProto } from './proto/onnx_pb.js'
import type { ShapeTable } from './shapes/context.ts'
import { elementwise } from './shapes/elementwise.ts'
import { movement } from './shapes/movement.ts'
import { products } from './shapes/products.ts'
import { valueOfTensor } from './shapes/stored.ts'
import { isKnown, unknown, type Dimension, type Value } from './shapes/values.ts'
import { windows } from './shapes/windows.ts'

const table: ShapeTable = { ...elementwise, ...movement, ...products, ...windows }

export interface InferOptions {
  /** Sizes of named dimensions: `{ batch: 1 }`. */
  readonly bind?: Readonly<Record<string, number>>
  /** Whole shapes of inputs: `{ data: [1, 3, 224, 224] }`. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>
  /** Values of small integer inputs that decide shapes or branches: `{ sr: [16000] }`. */
  readonly values?: Readonly<Record<string, readonly number[]>>
}

export interface ShapeInference {
  /** Every value of the graph and of the branches that run, by name. */
  readonly values: ReadonlyMap<string, Value>
  /** Operators without a shape function: what follows from them may be unknown. */
  readonly unsupported: readonly { readonly node: string; readonly opType: string; readonly output: string }[]
  /** Names of dimensions of the inputs that nothing binds. */
  readonly unbound: readonly string[]
}

/**
 * Infers the shape and element type of every value.
 *
 * Follows `If` into the branch that its condition selects when that is known, else into both. Values inside `Loop` and
 * `Scan` bodies are left out.
 *
 * Cost: linear in nodes; no tensor data are computed beyond small integer vectors.
 *
 * @throws FtError `INVALID_ARGUMENT` for a bound input or dimension that the graph does not have, or a shape that contradicts it;
 * `CORRUPT_DATA` when a node's attributes do not fit its inputs or the graph is not in topological order
 */
export function inferShapes(model: OnnxModel, options: InferOptions = {}): ShapeInference {
  const values = new Map<string, Value>()
  const unsupported: { node: string; opType: string; output: string }[] = []
  const opsets = new Map(
    model.opsetImport.map((entry) => [entry.domain === 'ai.onnx' ? '' : entry.domain, Number(entry.version)]),
  )
  bindInputs(model.graph, options, values)

  const visit = (graph: GraphProto): void => {
    for (const tensor of graph.initializer) values.set(tensor.name, valueOfTensor(tensor))
    for (const node of graph.node) visitNode(node)
  }
  const visitNode = (node: NodeProto): void => {
    const inputs = node.input.map((name) => (name === '' ? undefined : lookUp(name, node)))
    let outputs: readonly (Value | undefined)[]
    const shape = table[node.opType]
    if (node.opType === 'If') {
      outputs = visitIf(node, inputs[0])
    } else if (
      shape === undefined ||
      (node.domain !== '' && node.domain !== 'ai.onnx' && node.domain !== 'com.microsoft')
    ) {
      unsupported.push({ node: node.name, opType: node.opType, output: node.output[0] ?? '' })
      outputs = []
    } else {
      outputs = shape({ node, inputs, opset: opsets.get(node.domain === 'ai.onnx' ? '' : node.domain) ?? 1 })
    }
    node.output.forEach((name, index) => {
      if (name !== '') values.set(name, tidy(outputs[index] ?? unknown))
    })
  }
  const lookUp = (name: string, node: NodeProto): Value => {
    const value = values.get(name)
    if (value) return value
    throw new FtError(
      'CORRUPT_DATA',
      `inferShapes: node ${node.name || node.output[0]} (${node.opType}) reads ${name}, which nothing before it makes`,
      {
        node: node.name,
        input: name,
      },
    )
  }
  const visitIf = (node: NodeProto, condition: Value | undefined): (Value | undefined)[] => {
    const chosen = condition?.elements?.[0]
    const branches = ['then_branch', 'else_branch'].map((name) => graphAttribute(node, name))
    const taken = isKnown(chosen) ? [branches[chosen ? 0 : 1]] : branches
    const results = taken.map((branch) => {
      if (!branch) return []
      visit(branch)
      return branch.output.map((output) => values.get(output.name))
    })
    return node.output.map((_, index) => results.map((result) => result[index]).reduce(merge))
  }

  visit(model.graph)
  return { values, unsupported, unbound: unboundDimensions(model.graph, values) }
}

/** What both branches of an If agree on. */
function merge(a: Value | undefined, b: Value | undefined): Value {
  if (!a?.shape || !b?.shape || a.shape.length !== b.shape.length) return { type: a?.type }
  return { type: a.type, shape: a.shape.map((size, axis) => (size === b.shape?.[axis] ? size : undefined)) }
}

/** Shape vectors with nothing known in them are not worth keeping; a symbol among elements is. */
function tidy(value: Value): Value {
  return value.elements?.every((element) => element === undefined) ? { type: value.type, shape: value.shape } : value
}

function bindInputs(graph: GraphProto, options: InferOptions, values: Map<string, Value>): void {
  const stored = new Set(graph.initializer.map((tensor) => tensor.name))
  const inputs = graph.input.filter((input) => !stored.has(input.name))
  for (const name of [...Object.keys(options.inputs ?? {}), ...Object.keys(options.values ?? {})]) {
    if (inputs.some((input) => input.name === name)) continue
    throw new FtError(
      'INVALID_ARGUMENT',
      `inferShapes: the graph has no input ${name}; it has ${inputs.map((input) => input.name).join(', ')}`,
      { name },
    )
  }
  for (const [name, elements] of Object.entries(options.values ?? {})) {
    if (Array.isArray(elements) && elements.every(Number.isSafeInteger)) continue
    const message = `inferShapes: values of ${name} must be a list of whole numbers, as [16000], got ${String(elements)}`
    throw new FtError('INVALID_ARGUMENT', message, { name })
  }
  checkBound(inputs, options)
  for (const input of inputs) {
    const declared = valueOfType(input.type, `input ${input.name}`)
    const given = options.inputs?.[input.name]
    if (given && declared.shape) checkAgainst(input.name, given, declared.shape)
    const shape =
      given ?? declared.shape?.map((size) => (typeof size === 'string' ? (options.bind?.[size] ?? size) : size))
    const elements = options.values?.[input.name]
    values.set(input.name, { type: declared.type, shape, ...(elements ? { elements } : {}) })
  }
}

/** A misspelt dimension would stay unbound, or a fixed size be taken for the one asked for. */
function checkBound(inputs: readonly ValueInfoProto[], { bind = {} }: InferOptions): void {
  const shapes = inputs.flatMap((input) => valueOfType(input.type, `input ${input.name}`).shape ?? [])
  const names = [...new Set(shapes.filter((size) => typeof size === 'string'))]
  for (const [name, size] of Object.entries(bind)) {
    if (!names.includes(name)) {
      const known = names.length === 0 ? 'none' : names.join(', ')
      throw new FtError(
        'INVALID_ARGUMENT',
        `inferShapes: the inputs have no named dimension ${name} to bind; there are ${known}`,
        { name },
      )
    }
    assertInteger(size, { where: 'inferShapes', argument: `bind.${name}`, min: 0 })
  }
}

function checkAgainst(name: string, given: readonly number[], declared: readonly Dimension[]): void {
  const fits =
    given.length === declared.length && given.every((size, axis) => !isKnown(declared[axis]) || declared[axis] === size)
  if (fits) return
  throw new FtError(
    'INVALID_ARGUMENT',
    `inferShapes: input ${name} is declared ${shapeText(declared)}, got ${shapeText(given)}`,
    { name, given, declared },
  )
}

function shapeText(shape: readonly Dimension[]): string {
  return shape.length === 0 ? 'a scalar' : shape.map((size) => size ?? '?').join('x')
}

/** The declared type of an input or output. */
export function valueOfType(type: TypeProto | undefined, where: string): Value {
  if (type?.value.case !== 'tensorType') return unknown
  const { elemType, shape } = type.value.value
  return {
    type: typeName(elemType, where),
    shape: shape?.dim.map((dim): Dimension => {
      if (dim.value.case === 'dimParam') return dim.value.value === '' ? undefined : dim.value.value
      return dim.value.case === 'dimValue' ? Number(dim.value.value) : undefined
    }),
  }
}

function unboundDimensions(graph: GraphProto, values: ReadonlyMap<string, Value>): string[] {
  const names = graph.input.flatMap((input: ValueInfoProto) =>
    (values.get(input.name)?.shape ?? []).flatMap((size, axis) =>
      typeof size === 'string' ? [size] : size === undefined ? [`${input.name}[${axis}]`] : [],
    ),
  )
  return [...new Set(names)]
}

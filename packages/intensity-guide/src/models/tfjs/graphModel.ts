// TensorFlow.js GraphModels: frozen TensorFlow graphs as JSON, with their weights' shapes beside them.
import { FtError } from '@ft/core'
import { isRecord, type Json } from '../network.ts'
import { isProduct, opResult, type Known, type OpResult } from './graphOps.ts'
import type { InputOptions, Walk } from './layersModel.ts'
import { constants, type ReadFile } from './weights.ts'

interface Node {
  readonly name: string
  readonly kind: string
  readonly inputs: readonly string[]
  readonly attributes: Json
}

/** @throws FtError `CORRUPT_DATA` for what is no graph; `INVALID_ARGUMENT` for an input without a size, naming it */
export function walkGraphModel(model: Json, options: InputOptions & { readFile?: ReadFile }): Walk {
  const walk: Walk = { layers: [], skipped: [], unknown: [], operators: 0 }
  const nodes = nodesOf(model)
  const byName = new Map(nodes.map((node) => [node.name, node]))
  const stored = constants(model, options.readFile)
  const results = new Map<string, OpResult>()
  for (const node of inOrder(nodes, byName)) {
    if (node.kind === 'Placeholder') {
      results.set(node.name, { shape: placeholderShape(node, options) })
    } else if (node.kind === 'Const') {
      results.set(node.name, stored.get(node.name) ?? {})
    } else {
      walk.operators += 1
      results.set(node.name, visit(node, { results, walk, dtype: options.dtype }))
    }
  }
  return walk
}

function visit(
  { name, kind, inputs, attributes }: Node,
  { results, walk, dtype }: { results: ReadonlyMap<string, OpResult>; walk: Walk; dtype: InputOptions['dtype'] },
): OpResult {
  const read = inputs.filter((input) => !input.startsWith('^')).map((input) => outputOf(input, results))
  const result = opResult(kind, { id: name, attributes, inputs: read, dtype })
  if (result === undefined) {
    if (kind !== 'NoOp') walk.unknown.push(kind)
    return {}
  }
  if (result.product) walk.layers.push(result.product)
  if (result.skipped !== undefined && isProduct(kind))
    walk.skipped.push({ id: name, opType: kind, reason: result.skipped })
  return result
}

/** The tensor behind 'name' or 'name:1'. */
function outputOf(input: string, results: ReadonlyMap<string, OpResult>): Known {
  const [name = '', output = '0'] = input.split(':')
  const result = results.get(name)
  const { shape, elements } = (output === '0' ? result : result?.others?.[Number(output) - 1]) ?? {}
  return { ...(shape ? { shape } : {}), ...(elements ? { elements } : {}) }
}

function nodesOf(model: Json): Node[] {
  const topology = isRecord(model['modelTopology']) ? model['modelTopology'] : {}
  const list = topology['node']
  if (!Array.isArray(list)) throw new FtError('CORRUPT_DATA', 'readTfjs: modelTopology has no list of nodes')
  return list.map((item: unknown, index) => {
    const node = isRecord(item) ? item : {}
    const { name, op, input = [], attr } = node
    if (typeof name !== 'string' || typeof op !== 'string' || !Array.isArray(input)) {
      throw new FtError('CORRUPT_DATA', `readTfjs: node ${index} needs name, op and input`, { index })
    }
    const inputs = input.filter((each): each is string => typeof each === 'string')
    return { name, kind: op, inputs, attributes: isRecord(attr) ? attr : {} }
  })
}

/** Nodes after all that they read; the file's order need not be one. */
function inOrder(nodes: readonly Node[], byName: ReadonlyMap<string, Node>): Node[] {
  const done = new Set<string>()
  const open = new Set<string>()
  const ordered: Node[] = []
  for (const root of nodes) {
    // A stack of its own: graphs can be deeper than calls may be
    const stack = [root]
    while (stack.length > 0) {
      const node = stack.at(-1) as Node
      if (done.has(node.name)) {
        stack.pop()
        continue
      }
      open.add(node.name)
      const waiting = node.inputs
        .map((input) => byName.get(input.replace(/^\^/, '').split(':')[0] ?? ''))
        .filter((source) => source !== undefined && !done.has(source.name)) as Node[]
      const circle = waiting.find((source) => open.has(source.name))
      if (circle)
        throw new FtError('CORRUPT_DATA', `readTfjs: node ${circle.name} reads what depends on it`, {
          node: circle.name,
        })
      if (waiting.length > 0) {
        stack.push(...waiting.slice(0, 1))
        continue
      }
      done.add(node.name)
      open.delete(node.name)
      ordered.push(node)
      stack.pop()
    }
  }
  return ordered
}

function placeholderShape({ name, attributes }: Node, { inputs, batch }: InputOptions): number[] {
  const given = inputs?.[name]
  if (given) return [...given]
  const attribute = isRecord(attributes['shape']) ? attributes['shape']['shape'] : undefined
  const dims = isRecord(attribute) && Array.isArray(attribute['dim']) ? (attribute['dim'] as unknown[]) : undefined
  const declared = dims?.map((dim) => (isRecord(dim) ? Number(dim['size']) : NaN)) ?? []
  const sized = declared.map((size, axis) => (axis === 0 ? (batch ?? (size > 0 ? size : 1)) : size))
  if (dims && sized.every((size) => Number.isSafeInteger(size) && size > 0)) return sized
  const shown = declared.map((size) => (size > 0 ? size : '?')).join('x') || 'of no shape'
  throw new FtError('INVALID_ARGUMENT', `readTfjs: input ${name} is ${shown}; give its whole shape (inputs)`, {
    unbound: [name],
  })
}

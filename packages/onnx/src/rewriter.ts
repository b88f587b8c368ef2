// Changes graphs: new nodes after a value, replaced nodes, more outputs. Works on the model it is given; clone first to keep it.
import { FtError, type Tensor } from '@ft/core'
import { makeNode, makeValueInfo, type NodeOptions } from './builder.ts'
import { subgraphs } from './attributes.ts'
import type { OnnxType } from './dtypes.ts'
import { indexGraph, readsOf, type GraphIndex } from './graph.ts'
import type { OnnxModel } from './model.ts'
import type { GraphProto, NodeProto } from './proto/onnx_pb.js'
import type { Dimension } from './shapes/values.ts'
import { fromTensor, makeTensor, type OnnxTensor } from './tensors.ts'

export interface Rewriter {
  readonly graph: GraphProto
  /** Look-ups on the graph as it is now. */
  index(): GraphIndex
  /** A name that nothing has, made from `base`. */
  freshName(base: string): string
  /** Stores a tensor under a fresh name and returns the name. */
  initializer(base: string, tensor: Tensor | OnnxTensor): string
  /** Adds a node at the end; `finish` puts it in order. Returns its first output's name. */
  node(opType: string, inputs: readonly string[], options?: NodeOptions): string
  /** Makes every reader of a value read another instead, `except` some; graph outputs keep their name. */
  redirect(from: string, to: string, except?: readonly NodeProto[]): void
  remove(node: NodeProto): void
  replace(node: NodeProto, by: readonly NodeProto[]): void
  addOutput(name: string, type: OnnxType, shape?: readonly Dimension[]): void
  /**
   * Sorts nodes topologically and drops initialisers that nothing reads.
   *
   * @throws FtError `INVALID_ARGUMENT` for an output that nothing makes; `CORRUPT_DATA` for a cycle
   */
  finish(): void
}

export function rewriter(model: OnnxModel): Rewriter {
  const { graph } = model
  const names = new Set<string>()
  const note = (part: GraphProto): void => {
    for (const item of [...part.input, ...part.output, ...part.initializer, ...part.valueInfo]) names.add(item.name)
    for (const node of part.node) {
      for (const name of [...node.input, ...node.output, node.name]) names.add(name)
      subgraphs(node).forEach(note)
    }
  }
  note(graph)

  const freshName = (base: string): string => {
    let name = base
    for (let i = 1; names.has(name); i++) name = `${base}_${i}`
    names.add(name)
    return name
  }
  return {
    graph,
    index: () => indexGraph(graph),
    freshName,
    initializer(base, tensor) {
      const name = freshName(base)
      graph.initializer.push('dtype' in tensor ? fromTensor(name, tensor) : makeTensor(name, tensor))
      return name
    },
    node(opType, inputs, options = {}) {
      const outputs = options.outputs ?? [freshName(`${inputs[0] ?? ''}_${opType.toLowerCase()}`)]
      for (const name of outputs) names.add(name)
      graph.node.push(makeNode(opType, inputs, outputs, options))
      return outputs[0] ?? ''
    },
    redirect(from, to, except = []) {
      for (const node of graph.node) if (!except.includes(node)) redirectIn(node, from, to)
    },
    remove(node) {
      graph.node = graph.node.filter((other) => other !== node)
    },
    replace(node, by) {
      graph.node = graph.node.flatMap((other) => (other === node ? [...by] : [other]))
    },
    addOutput(name, type, shape) {
      if (graph.output.some((output) => output.name === name)) return
      graph.output.push(makeValueInfo(name, type, shape))
    },
    finish() {
      const unmade = graph.output.find(({ name }) => !isMade(graph, name))
      if (unmade)
        throw new FtError('INVALID_ARGUMENT', `rewriter: nothing makes the output ${unmade.name}`, {
          name: unmade.name,
        })
      graph.node = sortNodes(graph)
      const read = new Set([...graph.node.flatMap(readsOf), ...graph.output.map((output) => output.name)])
      const dropped = new Set(graph.initializer.filter((tensor) => !read.has(tensor.name)).map((tensor) => tensor.name))
      graph.initializer = graph.initializer.filter((tensor) => !dropped.has(tensor.name))
      // Before IR version 4 initialisers were listed as inputs too.
      graph.input = graph.input.filter((input) => !dropped.has(input.name))
    },
  }
}

function isMade({ node, input, initializer, sparseInitializer }: GraphProto, name: string): boolean {
  return (
    node.some((each) => each.output.includes(name)) ||
    [...input, ...initializer].some((each) => each.name === name) ||
    sparseInitializer.some(({ values }) => values?.name === name)
  )
}

function redirectIn(node: NodeProto, from: string, to: string): void {
  node.input = node.input.map((name) => (name === from ? to : name))
  for (const graph of subgraphs(node)) {
    // A name made inside shadows the outer one.
    if (graph.node.some((inner) => inner.output.includes(from))) continue
    for (const inner of graph.node) redirectIn(inner, from, to)
    for (const output of graph.output) if (output.name === from) output.name = to
  }
}

/** Depth-first topological order that keeps the given order where it can. */
function sortNodes(graph: GraphProto): NodeProto[] {
  const producers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)))
  const sorted: NodeProto[] = []
  const state = new Map<NodeProto, 'open' | 'done'>()
  for (const root of graph.node) {
    const stack: NodeProto[] = [root]
    while (stack.length > 0) {
      const node = stack[stack.length - 1] as NodeProto
      if (state.get(node) === 'done') {
        stack.pop()
        continue
      }
      const waiting = readsOf(node).flatMap((name) => {
        const producer = producers.get(name)
        return producer && producer !== node && state.get(producer) !== 'done' ? [producer] : []
      })
      if (waiting.length === 0) {
        state.set(node, 'done')
        sorted.push(node)
        stack.pop()
        continue
      }
      if (state.get(node) === 'open' && waiting.some((producer) => state.get(producer) === 'open')) {
        throw new FtError('CORRUPT_DATA', `the graph has a cycle through ${node.output[0]}`, { node: node.name })
      }
      state.set(node, 'open')
      stack.push(...waiting)
    }
  }
  return sorted
}

// What an operator's shape function sees of its node.
import type { NodeProto } from '../proto/onnx_pb.js'
import type { Value } from './values.ts'

export interface NodeContext {
  readonly node: NodeProto
  /** Version of the operator set that the node's domain is imported at. */
  readonly opset: number
  /** Values of the inputs; an omitted optional input is undefined. */
  readonly inputs: readonly (Value | undefined)[]
}

/** Values of a node's outputs, first to last; missing ones are unknown. */
export type ShapeFunction = (context: NodeContext) => readonly (Value | undefined)[]

export type ShapeTable = Readonly<Record<string, ShapeFunction>>

/** Gives the same function to several operators. */
export function each(names: string, shape: ShapeFunction): ShapeTable {
  return Object.fromEntries(names.split(' ').map((name) => [name, shape]))
}

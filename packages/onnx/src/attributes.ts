// Attributes of nodes: read with their defaults, made from plain values.
import { create } from '@bufbuild/protobuf'
import { FtError } from '@ft/core'
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as Kind,
  type AttributeProto,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from './proto/onnx_pb.js'

export function attribute(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find((item) => item.name === name)
}

export function intAttribute(node: NodeProto, name: string): number | undefined
export function intAttribute(node: NodeProto, name: string, fallback: number): number
export function intAttribute(node: NodeProto, name: string, fallback?: number): number | undefined {
  const found = attribute(node, name)
  return found ? Number(found.i) : fallback
}

export function floatAttribute(node: NodeProto, name: string, fallback: number): number {
  return attribute(node, name)?.f ?? fallback
}

export function stringAttribute(node: NodeProto, name: string, fallback: string): string {
  const found = attribute(node, name)
  return found ? new TextDecoder().decode(found.s) : fallback
}

export function intsAttribute(node: NodeProto, name: string): number[] | undefined
export function intsAttribute(node: NodeProto, name: string, fallback: number[]): number[]
export function intsAttribute(node: NodeProto, name: string, fallback?: number[]): number[] | undefined {
  return attribute(node, name)?.ints.map(Number) ?? fallback
}

export function tensorAttribute(node: NodeProto, name: string): TensorProto | undefined {
  return attribute(node, name)?.t
}

export function graphAttribute(node: NodeProto, name: string): GraphProto | undefined {
  return attribute(node, name)?.g
}

/** Graphs that a node carries: the branches of If, the bodies of Loop and Scan. */
export function subgraphs(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap((item) => [...(item.g ? [item.g] : []), ...item.graphs])
}

/** A plain attribute value, with its kind named: JavaScript cannot tell 1 from 1.0. */
export type AttributeValue =
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly string: string }
  | { readonly strings: readonly string[] }
  | { readonly tensor: TensorProto }
  | { readonly graph: GraphProto }

const attributeKinds: readonly string[] = ['int', 'ints', 'float', 'floats', 'string', 'strings', 'tensor', 'graph']

/** @throws FtError `INVALID_ARGUMENT` for a value whose kind is not named */
export function makeAttribute(name: string, value: AttributeValue): AttributeProto {
  const kinds = typeof value === 'object' && (value as unknown) !== null ? Object.keys(value) : []
  if (kinds.length !== 1 || !attributeKinds.includes(kinds[0] ?? '')) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `makeAttribute: ${name} must name its kind, as { int: 1 } or { floats: [0.5] }; kinds are ${attributeKinds.join(', ')}`,
      { attribute: name },
    )
  }
  const text = (string: string) => new TextEncoder().encode(string)
  if ('int' in value) return create(AttributeProtoSchema, { name, type: Kind.INT, i: BigInt(value.int) })
  if ('ints' in value) return create(AttributeProtoSchema, { name, type: Kind.INTS, ints: value.ints.map(BigInt) })
  if ('float' in value) return create(AttributeProtoSchema, { name, type: Kind.FLOAT, f: value.float })
  if ('floats' in value) return create(AttributeProtoSchema, { name, type: Kind.FLOATS, floats: [...value.floats] })
  if ('string' in value) return create(AttributeProtoSchema, { name, type: Kind.STRING, s: text(value.string) })
  if ('strings' in value)
    return create(AttributeProtoSchema, { name, type: Kind.STRINGS, strings: value.strings.map(text) })
  if ('tensor' in value) return create(AttributeProtoSchema, { name, type: Kind.TENSOR, t: value.tensor })
  return create(AttributeProtoSchema, { name, type: Kind.GRAPH, g: value.graph })
}

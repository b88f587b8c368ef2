// Builds graphs node by node.
import { create } from '@bufbuild/protobuf'
import type { Tensor } from '@ft/core'
import { makeAttribute, type AttributeValue } from './attributes.ts'
import { typeCode, type OnnxType } from './dtypes.ts'
import type { OnnxModel } from './model.ts'
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProtoSchema,
  TypeProto_TensorSchema,
  ValueInfoProtoSchema,
  type GraphProto,
  type NodeProto,
  type ValueInfoProto,
} from './proto/onnx_pb.js'
import type { Dimension } from './shapes/values.ts'
import { fromTensor, makeTensor, type OnnxTensor } from './tensors.ts'

export interface NodeOptions {
  readonly attributes?: Readonly<Record<string, AttributeValue>>
  /** Names of the outputs; default one generated name. */
  readonly outputs?: readonly string[]
  readonly name?: string
  /** Operator domain; default ONNX's own. */
  readonly domain?: string
}

export interface GraphBuilder {
  /** Declares an input and returns its name. Dimensions may be named. */
  input(name: string, type: OnnxType, shape: readonly Dimension[]): string
  /** Stores a tensor and returns its name. */
  initializer(name: string, tensor: Tensor | OnnxTensor): string
  /** Adds a node and returns its first output's name. */
  node(opType: string, inputs: readonly string[], options?: NodeOptions): string
  /** Declares an output. */
  output(name: string, type: OnnxType, shape?: readonly Dimension[]): void
  graph(): GraphProto
  build(): OnnxModel
}

export function makeValueInfo(name: string, type: OnnxType, shape?: readonly Dimension[]): ValueInfoProto {
  const tensorType = create(TypeProto_TensorSchema, { elemType: typeCode(type) })
  if (shape) {
    const dim = shape.map((size) =>
      create(TensorShapeProto_DimensionSchema, {
        value:
          typeof size === 'number'
            ? { case: 'dimValue', value: BigInt(size) }
            : typeof size === 'string'
              ? { case: 'dimParam', value: size }
              : { case: undefined },
      }),
    )
    tensorType.shape = create(TensorShapeProtoSchema, { dim })
  }
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensorType } }),
  })
}

export function makeNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  options: NodeOptions = {},
): NodeProto {
  return create(NodeProtoSchema, {
    opType,
    input: [...inputs],
    output: [...outputs],
    name: options.name ?? outputs[0] ?? '',
    domain: options.domain ?? '',
    attribute: Object.entries(options.attributes ?? {}).map(([name, value]) => makeAttribute(name, value)),
  })
}

/**
 * Starts a graph.
 *
 * @param options.opset - version of ONNX's operator set; default 17
 * @param options.domains - further operator sets and their versions
 * @example
 * ```ts
 * const b = graphBuilder({ name: 'double' })
 * const x = b.input('x', 'float32', ['n'])
 * b.output(b.node('Add', [x, x], { outputs: ['y'] }), 'float32', ['n'])
 * b.build().graph.node.length // => 1
 * ```
 */
export function graphBuilder(options: {
  name: string
  opset?: number
  domains?: Readonly<Record<string, number>>
}): GraphBuilder {
  const graph = create(GraphProtoSchema, { name: options.name })
  let made = 0
  return {
    input(name, type, shape) {
      graph.input.push(makeValueInfo(name, type, shape))
      return name
    },
    initializer(name, tensor) {
      graph.initializer.push('dtype' in tensor ? fromTensor(name, tensor) : makeTensor(name, tensor))
      return name
    },
    node(opType, inputs, nodeOptions = {}) {
      const outputs = nodeOptions.outputs ?? [`${opType.toLowerCase()}_${made++}`]
      graph.node.push(makeNode(opType, inputs, outputs, nodeOptions))
      return outputs[0] ?? ''
    },
    output(name, type, shape) {
      graph.output.push(makeValueInfo(name, type, shape))
    },
    graph: () => graph,
    build() {
      const sets = { '': options.opset ?? 17, ...options.domains }
      return create(ModelProtoSchema, {
        // IR version 8 goes with operator set 17 and is read by every runtime since 2022.
        irVersion: 8n,
        producerName: '@ft/onnx',
        opsetImport: Object.entries(sets).map(([domain, version]) =>
          create(OperatorSetIdProtoSchema, { domain, version: BigInt(version) }),
        ),
        graph,
      }) as OnnxModel
    },
  }
}

// Stored tensors as values of shape inference.
import { typeName } from '../dtypes.ts'
import type { TensorProto } from '../proto/onnx_pb.js'
import { readTensor } from '../tensors.ts'
import type { Value } from './values.ts'

/** Integers longer than this are data, not shapes. */
export const MAX_ELEMENTS = 4096

/** A stored tensor as a value; elements of small integer tensors are kept. */
export function valueOfTensor(proto: TensorProto): Value {
  const type = typeName(proto.dataType, `tensor ${proto.name}`)
  const shape = proto.dims.map(Number)
  const small = shape.reduce((all, size) => all * size, 1) <= MAX_ELEMENTS
  if (!small || !/^(u?int|bool)/.test(type)) return { type, shape }
  return { type, shape, elements: Array.from(readTensor(proto).data as ArrayLike<number | bigint>, Number) }
}

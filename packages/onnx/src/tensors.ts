// Tensors inside a model: raw or typed fields, inline or in a file beside the model, read into arrays and made from them.
import { create } from '@bufbuild/protobuf'
import { FtError, type Tensor } from '@ft/core'
import { layoutOf, toDType, typeCode, typeName, type OnnxData, type OnnxType } from './dtypes.ts'
import { TensorProtoSchema, TensorProto_DataLocation, type TensorProto } from './proto/onnx_pb.js'

/** A tensor of an ONNX model. Half floats are bit patterns, complex numbers two slots, 4-bit integers one a slot. */
export interface OnnxTensor {
  readonly type: OnnxType
  readonly shape: readonly number[]
  readonly data: OnnxData
}

function corrupt(name: string, message: string, details: Record<string, unknown> = {}): FtError {
  return new FtError('CORRUPT_DATA', `tensor ${name || '(unnamed)'}: ${message}`, { tensor: name, ...details })
}

/** Shape of a stored tensor, with every dimension checked. */
export function tensorShape(proto: TensorProto): number[] {
  return proto.dims.map((dim, axis) => {
    const size = Number(dim)
    if (!Number.isSafeInteger(size) || size < 0) throw corrupt(proto.name, `dimension ${axis} is ${dim}`, { axis })
    return size
  })
}

function elementsOf(proto: TensorProto): number {
  const count = tensorShape(proto).reduce((product, size) => product * size, 1)
  if (!Number.isSafeInteger(count)) throw corrupt(proto.name, `shape ${proto.dims.join('x')} is too large`)
  return count
}

export function isExternal(proto: TensorProto): boolean {
  return proto.dataLocation === TensorProto_DataLocation.EXTERNAL
}

/**
 * Reads a stored tensor.
 *
 * Cost: one copy of the data, so that arrays are aligned and independent of the model's bytes.
 *
 * @throws FtError `CORRUPT_DATA` when fields and shape disagree, `IO` when the data lie in a file that was not given,
 * `UNSUPPORTED` for element types that ONNX does not define
 */
export function readTensor(proto: TensorProto): OnnxTensor {
  const type = typeName(proto.dataType, `tensor ${proto.name}`)
  const shape = tensorShape(proto)
  const count = elementsOf(proto)
  if (isExternal(proto)) {
    const location = proto.externalData.find((entry) => entry.key === 'location')?.value
    throw new FtError(
      'IO',
      `tensor ${proto.name}: its data lie in ${location}; give parseModel an \`external\` reader`,
      {
        tensor: proto.name,
        location,
      },
    )
  }
  const data = proto.rawData.length > 0 || count === 0 ? fromRaw(proto, type, count) : fromFields(proto, type, count)
  return { type, shape, data }
}

function fromRaw(proto: TensorProto, type: OnnxType, count: number): OnnxData {
  if (type === 'string') {
    if (count === 0) return []
    throw corrupt(proto.name, 'strings cannot be raw')
  }
  const { bits, array } = layoutOf(type)
  const expected = Math.ceil((count * bits) / 8)
  if (proto.rawData.length !== expected) {
    throw corrupt(
      proto.name,
      `expected ${expected} bytes for ${proto.dims.join('x')} ${type}, got ${proto.rawData.length}`,
      {
        expected,
        got: proto.rawData.length,
      },
    )
  }
  const bytes = Uint8Array.from(proto.rawData)
  if (bits === 4) return unpackNibbles(bytes, type, count)
  if (array === undefined) throw corrupt(proto.name, `element type ${type} has no data`)
  return new array(bytes.buffer)
}

function unpackNibbles(bytes: Uint8Array, type: OnnxType, count: number): Int8Array | Uint8Array {
  const signed = type === 'int4'
  const out = signed ? new Int8Array(count) : new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const nibble = ((bytes[i >> 1] ?? 0) >> (4 * (i & 1))) & 15
    out[i] = signed && nibble > 7 ? nibble - 16 : nibble
  }
  return out
}

function fromFields(proto: TensorProto, type: OnnxType, count: number): OnnxData {
  const check = <T extends ArrayLike<unknown>>(values: T, slots = count): T => {
    if (values.length !== slots) {
      throw corrupt(proto.name, `expected ${slots} values for ${proto.dims.join('x')} ${type}, got ${values.length}`, {
        expected: slots,
        got: values.length,
      })
    }
    return values
  }
  switch (type) {
    case 'float32':
      return Float32Array.from(check(proto.floatData))
    case 'complex64':
      return Float32Array.from(check(proto.floatData, 2 * count))
    case 'float64':
      return Float64Array.from(check(proto.doubleData))
    case 'complex128':
      return Float64Array.from(check(proto.doubleData, 2 * count))
    case 'int64':
      return BigInt64Array.from(check(proto.int64Data))
    case 'uint64':
      return BigUint64Array.from(check(proto.uint64Data))
    case 'uint32':
      return Uint32Array.from(check(proto.uint64Data), Number)
    case 'string':
      return check(proto.stringData).map((bytes) => new TextDecoder().decode(bytes))
    case 'int4':
    case 'uint4':
    case 'float4e2m1':
      // Typed 4-bit data lie two a value, as in raw form.
      return unpackNibbles(Uint8Array.from(check(proto.int32Data, Math.ceil(count / 2))), type, count)
    case 'undefined':
      throw corrupt(proto.name, 'has no element type')
    default: {
      const { array } = layoutOf(type)
      const values = check(proto.int32Data)
      const out = new (array as new (buffer: ArrayBuffer) => Int32Array)(
        new ArrayBuffer((count * layoutOf(type).bits) / 8),
      )
      for (let i = 0; i < count; i++) out[i] = values[i] ?? 0
      return out
    }
  }
}

/**
 * Makes a stored tensor, raw.
 *
 * @throws FtError `SHAPE_MISMATCH` when data and shape disagree
 */
export function makeTensor(name: string, { type, shape, data }: OnnxTensor): TensorProto {
  const { bits, array } = layoutOf(type)
  const slots =
    shape.reduce((product, size) => product * size, 1) * (type === 'complex64' || type === 'complex128' ? 2 : 1)
  if (data.length !== slots) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `makeTensor: ${name}: shape ${shape.join('x')} needs ${slots} values, got ${data.length}`,
      {
        shape,
        expected: slots,
        got: data.length,
      },
    )
  }
  const proto = create(TensorProtoSchema, { name, dims: shape.map(BigInt), dataType: typeCode(type) })
  if (type === 'string') {
    proto.stringData = (data as readonly string[]).map((text) => new TextEncoder().encode(text))
    return proto
  }
  if (bits === 4) {
    const packed = new Uint8Array(Math.ceil(slots / 2))
    for (let i = 0; i < slots; i++) packed[i >> 1] = (packed[i >> 1] ?? 0) | ((Number(data[i]) & 15) << (4 * (i & 1)))
    proto.rawData = packed
    return proto
  }
  if (array === undefined || !ArrayBuffer.isView(data)) {
    throw new FtError('INVALID_ARGUMENT', `makeTensor: ${name}: ${type} data must be a typed array`, { type })
  }
  proto.rawData = Uint8Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return proto
}

/**
 * Turns a model's tensor into a plain one.
 *
 * @throws FtError `UNSUPPORTED` for strings, complex numbers and 8-bit floats; 64-bit integers become float64, and are
 * refused beyond 2^53
 */
export function toTensor(tensor: OnnxTensor): Tensor {
  const { type, shape, data } = tensor
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    const values = Float64Array.from(data as BigInt64Array, Number)
    if (values.some((value) => !Number.isSafeInteger(value))) {
      throw new FtError('UNSUPPORTED', 'toTensor: a 64-bit integer exceeds 2^53', { type })
    }
    return { data: values, shape, dtype: 'float64' }
  }
  const dtype = type === 'int4' ? 'int8' : type === 'uint4' ? 'uint8' : toDType(type)
  if (dtype === undefined || !ArrayBuffer.isView(data)) {
    throw new FtError('UNSUPPORTED', `toTensor: ${type} has no plain form`, { type })
  }
  return { data: data, shape, dtype }
}

/** Makes a stored tensor of a plain one. */
export function fromTensor(name: string, { data, shape, dtype }: Tensor): TensorProto {
  return makeTensor(name, { type: dtype, shape, data })
}

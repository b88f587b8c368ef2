import { create } from '@bufbuild/protobuf'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { fromTensor, makeTensor, readTensor, toTensor, type OnnxTensor, type OnnxType } from '../src/index.ts'
import { onnxTypes } from '../src/dtypes.ts'
import { TensorProtoSchema, type TensorProto } from '../src/proto/onnx_pb.js'

const samples: [OnnxType, OnnxTensor['data']][] = [
  ['float32', Float32Array.of(1.5, -0, 3e38, NaN)],
  ['float64', Float64Array.of(1.5, -0, 3e300, Infinity)],
  ['int8', Int8Array.of(-128, 127, 0, -1)],
  ['uint8', Uint8Array.of(0, 255, 1, 2)],
  ['int16', Int16Array.of(-32768, 32767, 0, 1)],
  ['uint16', Uint16Array.of(65535, 0, 1, 2)],
  ['int32', Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, 1)],
  ['uint32', Uint32Array.of(2 ** 32 - 1, 0, 1, 2)],
  ['int64', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 0n, 1n)],
  ['uint64', BigUint64Array.of(2n ** 64n - 1n, 0n, 1n, 2n)],
  ['bool', Uint8Array.of(0, 1, 1, 0)],
  ['float16', Uint16Array.of(0x3c00, 0x8000, 0x7c00, 1)],
  ['bfloat16', Uint16Array.of(0x3f80, 0x8000, 0x7f80, 1)],
  ['float8e4m3fn', Uint8Array.of(0, 127, 128, 255)],
  ['int4', Int8Array.of(-8, 7, 0, -1)],
  ['uint4', Uint8Array.of(15, 0, 7, 8)],
  ['complex64', Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
  ['complex128', Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
  ['string', ['a', 'ü', '', '\u{1f600}']],
]

/** The same values in the typed fields that older writers use. */
function typed(type: OnnxType, data: OnnxTensor['data']): TensorProto {
  const proto = create(TensorProtoSchema, { name: 't', dims: [4n], dataType: onnxTypes.indexOf(type) })
  if (type === 'float32' || type === 'complex64') proto.floatData = Array.from(data as Float32Array)
  else if (type === 'float64' || type === 'complex128') proto.doubleData = Array.from(data as Float64Array)
  else if (type === 'int64') proto.int64Data = Array.from(data as BigInt64Array)
  else if (type === 'uint64') proto.uint64Data = Array.from(data as BigUint64Array)
  else if (type === 'uint32') proto.uint64Data = Array.from(data as Uint32Array, BigInt)
  else if (type === 'string') proto.stringData = (data as string[]).map((text) => new TextEncoder().encode(text))
  else if (type === 'int4' || type === 'uint4') {
    const bits = Array.from(data as Int8Array, (value) => value & 15)
    proto.int32Data = [0, 2].map((i) => (bits[i] ?? 0) | ((bits[i + 1] ?? 0) << 4))
  } else proto.int32Data = Array.from(data as Int32Array)
  return proto
}

describe('stored tensors', () => {
  it.each(samples)('%s survives raw and typed storage', (type, data) => {
    const tensor: OnnxTensor = { type, shape: [4], data }
    expect(readTensor(makeTensor('t', tensor))).toEqual(tensor)
    expect(readTensor(typed(type, data))).toEqual(tensor)
  })

  it('does not share memory with the model it is read from', () => {
    const proto = makeTensor('t', { type: 'float32', shape: [2], data: Float32Array.of(1, 2) })
    const { data } = readTensor(proto)
    ;(data as Float32Array)[0] = 9
    expect(readTensor(proto).data).toEqual(Float32Array.of(1, 2))
  })

  it('round-trips any float32 matrix through the plain form', () => {
    fc.assert(
      fc.property(fc.float32Array({ minLength: 6, maxLength: 6 }), (data) => {
        const tensor = { data, shape: [2, 3], dtype: 'float32' as const }
        expect(toTensor(readTensor(fromTensor('t', tensor)))).toEqual(tensor)
      }),
    )
  })

  it.each(samples.filter(([type]) => type !== 'string'))('refuses %s data of the wrong length', (type, data) => {
    const proto = makeTensor('t', { type, shape: [4], data })
    proto.rawData = proto.rawData.subarray(1)
    expect(() => readTensor(proto)).toThrow(/tensor t: expected \d+ bytes/)
    expect(() => makeTensor('t', { type, shape: [5], data })).toThrow(/needs/)
  })

  it('refuses shapes that no memory holds and types that do not exist', () => {
    const code = (proto: TensorProto) => {
      try {
        readTensor(proto)
      } catch (error) {
        return isFtError(error) ? error.code : 'not ours'
      }
      return 'none'
    }
    expect(code(create(TensorProtoSchema, { dims: [-1n], dataType: 1 }))).toBe('CORRUPT_DATA')
    expect(code(create(TensorProtoSchema, { dims: [2n ** 40n, 2n ** 40n], dataType: 1 }))).toBe('CORRUPT_DATA')
    expect(code(create(TensorProtoSchema, { dims: [1n], dataType: 99 }))).toBe('UNSUPPORTED')
    expect(code(create(TensorProtoSchema, { dims: [1n], dataType: 1, dataLocation: 1 }))).toBe('IO')
  })

  it('turns 64-bit integers into float64 while they fit', () => {
    expect(toTensor({ type: 'int64', shape: [2], data: BigInt64Array.of(-3n, 2n ** 53n - 1n) }).data).toEqual(
      Float64Array.of(-3, 2 ** 53 - 1),
    )
    expect(() => toTensor({ type: 'int64', shape: [1], data: BigInt64Array.of(2n ** 60n) })).toThrow(/2\^53/)
  })
})

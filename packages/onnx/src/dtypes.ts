// ONNX element types by name, and how their elements lie in memory.
import { FtError, type DType } from '@ft/core'

/** Element types of ONNX tensors, by the number the format gives them. */
export const onnxTypes = [
  'undefined',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
] as const

export type OnnxType = (typeof onnxTypes)[number]

export type OnnxData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | readonly string[]

interface Layout {
  /** Bits of one element as stored; 4-bit types lie two a byte. */
  readonly bits: number
  /** Array that holds one element a slot (two slots for complex numbers). */
  readonly array?: new (buffer: ArrayBuffer) => Exclude<OnnxData, readonly string[]>
}

const layouts: Readonly<Record<OnnxType, Layout>> = {
  undefined: { bits: 0 },
  string: { bits: 0 },
  float32: { bits: 32, array: Float32Array },
  uint8: { bits: 8, array: Uint8Array },
  int8: { bits: 8, array: Int8Array },
  uint16: { bits: 16, array: Uint16Array },
  int16: { bits: 16, array: Int16Array },
  int32: { bits: 32, array: Int32Array },
  int64: { bits: 64, array: BigInt64Array },
  bool: { bits: 8, array: Uint8Array },
  float16: { bits: 16, array: Uint16Array },
  float64: { bits: 64, array: Float64Array },
  uint32: { bits: 32, array: Uint32Array },
  uint64: { bits: 64, array: BigUint64Array },
  complex64: { bits: 64, array: Float32Array },
  complex128: { bits: 128, array: Float64Array },
  bfloat16: { bits: 16, array: Uint16Array },
  float8e4m3fn: { bits: 8, array: Uint8Array },
  float8e4m3fnuz: { bits: 8, array: Uint8Array },
  float8e5m2: { bits: 8, array: Uint8Array },
  float8e5m2fnuz: { bits: 8, array: Uint8Array },
  uint4: { bits: 4 },
  int4: { bits: 4 },
  float4e2m1: { bits: 4 },
}

export function layoutOf(type: OnnxType): Layout {
  return layouts[type]
}

export function typeName(code: number, where: string): OnnxType {
  const name = onnxTypes[code]
  if (name === undefined) {
    throw new FtError('UNSUPPORTED', `${where}: element type ${code} is not one of ONNX's known types`, { where, code })
  }
  return name
}

/** @throws FtError `INVALID_ARGUMENT` for a name that is none */
export function typeCode(type: OnnxType): number {
  const code = onnxTypes.indexOf(type)
  if (code >= 0) return code
  throw new FtError('INVALID_ARGUMENT', `no element type ${String(type)}; there are ${onnxTypes.slice(1).join(', ')}`, {
    type,
  })
}

/** The project's element type of an ONNX type, where there is one. */
export function toDType(type: OnnxType): DType | undefined {
  switch (type) {
    case 'float64':
    case 'float32':
    case 'float16':
    case 'bfloat16':
    case 'int32':
    case 'uint32':
    case 'int16':
    case 'uint16':
    case 'int8':
    case 'uint8':
    case 'bool':
      return type
    default:
      return undefined
  }
}

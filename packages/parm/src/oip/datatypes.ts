// The protocol's element types, and how their bytes lie: little-endian, row-major; BYTES as 4-byte lengths with contents.
import { endianness } from 'node:os'
import { FtError, type DType, type TypedArray } from '@ft/core'
import { room } from './room.ts'

export type Datatype =
  | 'BOOL'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FP16'
  | 'BF16'
  | 'FP32'
  | 'FP64'
  | 'BYTES'

interface Storage {
  readonly bytes: number
  readonly dtype?: DType
  /** Smallest and largest value of an integer type that numbers hold. */
  readonly range?: readonly [number, number]
  /** And of one that they do not. */
  readonly wide?: readonly [bigint, bigint]
}

const signed = (bits: number) => [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] as const
const unsigned = (bits: number) => [0, 2 ** bits - 1] as const

/** `bytes: 0` marks elements of their own lengths. */
export const datatypes: Readonly<Record<Datatype, Storage>> = {
  BOOL: { bytes: 1, dtype: 'bool' },
  UINT8: { bytes: 1, dtype: 'uint8', range: unsigned(8) },
  UINT16: { bytes: 2, dtype: 'uint16', range: unsigned(16) },
  UINT32: { bytes: 4, dtype: 'uint32', range: unsigned(32) },
  UINT64: { bytes: 8, wide: [0n, (1n << 64n) - 1n] },
  INT8: { bytes: 1, dtype: 'int8', range: signed(8) },
  INT16: { bytes: 2, dtype: 'int16', range: signed(16) },
  INT32: { bytes: 4, dtype: 'int32', range: signed(32) },
  INT64: { bytes: 8, wide: [-(1n << 63n), (1n << 63n) - 1n] },
  FP16: { bytes: 2, dtype: 'float16' },
  BF16: { bytes: 2, dtype: 'bfloat16' },
  FP32: { bytes: 4, dtype: 'float32' },
  FP64: { bytes: 8, dtype: 'float64' },
  BYTES: { bytes: 0 },
}

export const isDatatype = (value: unknown): value is Datatype =>
  typeof value === 'string' && Object.hasOwn(datatypes, value)

const byDtype = new Map(
  Object.entries(datatypes).flatMap(([name, { dtype }]) => (dtype ? [[dtype, name as Datatype]] : [])),
)

export function datatypeOf(dtype: DType): Datatype {
  return byDtype.get(dtype) as Datatype
}

const arrays = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const

/** Bytes as a typed array, copied only when they are not aligned. */
export function viewAs(dtype: DType, bytes: Uint8Array): TypedArray {
  assertLittleEndian()
  const form = arrays[dtype]
  const aligned = bytes.byteOffset % form.BYTES_PER_ELEMENT === 0 ? bytes : alignedCopy(bytes)
  return new form(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / form.BYTES_PER_ELEMENT)
}

function alignedCopy(bytes: Uint8Array): Uint8Array {
  const copy = room(bytes.length)
  copy.set(bytes)
  return copy
}

export function bytesOf(data: TypedArray): Uint8Array {
  assertLittleEndian()
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

function assertLittleEndian(): void {
  if (endianness() !== 'LE') throw new FtError('UNSUPPORTED', 'oip: needs a little-endian machine', {})
}

// Making and checking tensors. Tensors are plain data (types/tensor.ts); there is nothing to dispose of.
import { FtError } from './errors.ts'
import { toBits } from './formats/bits.ts'
import { invalidArgument, type Argument } from './guards.ts'
import type { DType, Tensor, TypedArray } from './types/tensor.ts'

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

/** A zero-filled array that holds `length` elements of a type: float16 and bfloat16 as patterns, bool as bytes. */
export function allocate<D extends DType>(dtype: D, length: number): InstanceType<(typeof arrays)[D]> {
  return new arrays[dtype](length) as InstanceType<(typeof arrays)[D]>
}

/**
 * Elements of a shape; 1 for a scalar's `[]`.
 *
 * @throws FtError `INVALID_ARGUMENT` when a size is not a non-negative integer or the product exceeds 2^53
 * @example
 * ```ts
 * sizeOf([2, 3, 4]) // => 24
 * ```
 */
export function sizeOf(shape: readonly number[]): number {
  let size = 1
  for (const length of shape) {
    if (!Number.isInteger(length) || length < 0) {
      throw invalidArgument({ where: 'sizeOf', argument: 'shape' }, 'non-negative integers', shape)
    }
    size *= length
  }
  if (size > Number.MAX_SAFE_INTEGER) {
    throw invalidArgument({ where: 'sizeOf', argument: 'shape' }, 'a shape of at most 2^53 elements', shape)
  }
  return size
}

/**
 * A tensor over an array (not copied) or of plain numbers (copied into the type's array).
 *
 * Shapes: `data.length` must be the product of `shape`.
 *
 * @param dtype - default: what the typed array holds, 'float32' for plain numbers. Give 'float16' or 'bfloat16' for a
 * `Uint16Array` of patterns; plain numbers are rounded to them.
 * @throws FtError `SHAPE_MISMATCH` when lengths differ, `INVALID_ARGUMENT` when the array cannot hold the type
 * @example
 * ```ts
 * tensor([1, 2, 3, 4], [2, 2]).dtype // => 'float32'
 * tensor(new Int8Array(6), [2, 3]).dtype // => 'int8'
 * ```
 */
export function tensor(data: TypedArray | readonly number[], shape: readonly number[], dtype?: DType): Tensor {
  const at = { where: 'tensor', argument: 'data' }
  const type = dtype ?? (ArrayBuffer.isView(data) ? dtypeOf(data) : 'float32')
  if (!Object.hasOwn(arrays, type)) {
    throw invalidArgument({ ...at, argument: 'dtype' }, `one of ${Object.keys(arrays).join(', ')}`, dtype)
  }
  const values = ArrayBuffer.isView(data) ? data : arrayFrom(data, type)
  if (!(values instanceof arrays[type])) throw invalidArgument(at, `a ${arrays[type].name} for ${type}`, data)
  if (values.length !== sizeOf(shape)) {
    const message = `tensor: \`data\` must have ${sizeOf(shape)} elements for shape [${shape.join(', ')}], got ${values.length}`
    throw new FtError('SHAPE_MISMATCH', message, { shape, length: values.length })
  }
  return { data: values, shape: [...shape], dtype: type }
}

/** A tensor of zeros; default type 'float32'. */
export function zeros(shape: readonly number[], dtype: DType = 'float32'): Tensor {
  return { data: allocate(dtype, sizeOf(shape)), shape: [...shape], dtype }
}

/** What a value must be to serve as a tensor argument. Absent fields allow anything. */
export interface TensorExpectation extends Argument {
  readonly dtype?: DType | readonly DType[]
  /** Sizes of each axis; `null` allows any size. */
  readonly shape?: readonly (number | null)[]
  /** Allowed number of axes. */
  readonly rank?: number | readonly number[]
}

/**
 * Checks that a value is a tensor and fits: type, axes, sizes, and data of the length that its shape says.
 *
 * @throws FtError `INVALID_ARGUMENT` when it is no tensor or of another type, `SHAPE_MISMATCH` when its shape differs
 * @example
 * ```ts
 * const a = zeros([2, 3])
 * assertTensor(a, { where: 'matmul', argument: 'a', dtype: 'float32', shape: [null, 3] })
 * ```
 */
export function assertTensor(value: unknown, expected: TensorExpectation): asserts value is Tensor {
  if (!isTensorLike(value)) throw invalidArgument(expected, 'a tensor { data, shape, dtype }', value)
  const { data, shape, dtype } = value
  const dtypes = typeof expected.dtype === 'string' ? [expected.dtype] : expected.dtype
  if (dtypes && !dtypes.includes(dtype)) throw invalidArgument(expected, `of type ${dtypes.join(' or ')}`, dtype)
  if (!(data instanceof arrays[dtype])) throw invalidArgument(expected, `${dtype} in a ${arrays[dtype].name}`, data)
  const ranks = typeof expected.rank === 'number' ? [expected.rank] : expected.rank
  if (ranks && !ranks.includes(shape.length)) throw shapeMismatch(expected, `${ranks.join(' or ')} axes`, shape)
  const sizes = expected.shape
  if (sizes && !(sizes.length === shape.length && sizes.every((size, i) => size === null || size === shape[i]))) {
    throw shapeMismatch(expected, `shape [${sizes.map((size) => size ?? 'any').join(', ')}]`, shape)
  }
  if (data.length !== sizeOf(shape)) {
    throw shapeMismatch(expected, `${sizeOf(shape)} elements of data for its shape (it has ${data.length})`, shape)
  }
}

/**
 * Whether two arrays have bytes in common: views of one buffer that overlap. Empty arrays share nothing.
 *
 * Not seen: views of a shared wasm memory from before and after it grew, which are of two buffer objects; take views anew.
 */
export function sharesMemory(a: ArrayBufferView, b: ArrayBufferView): boolean {
  if (a.byteLength === 0 || b.byteLength === 0 || a.buffer !== b.buffer) return false
  return a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength
}

/** The error of a tensor whose shape does not fit; throw it. `expected` completes "must have". */
export function shapeMismatch(at: Argument, expected: string, shape: readonly number[]): FtError {
  const message = `${at.where}: \`${at.argument}\` must have ${expected}, got shape [${shape.join(', ')}]`
  return new FtError('SHAPE_MISMATCH', message, { where: at.where, argument: at.argument, expected, shape: [...shape] })
}

function isTensorLike(value: unknown): value is Tensor {
  if (typeof value !== 'object' || value === null) return false
  const { data, shape, dtype } = value as Partial<Record<keyof Tensor, unknown>>
  return (
    ArrayBuffer.isView(data) &&
    Array.isArray(shape) &&
    shape.every((length) => Number.isInteger(length) && length >= 0) &&
    typeof dtype === 'string' &&
    Object.hasOwn(arrays, dtype)
  )
}

function dtypeOf(data: TypedArray): DType {
  for (const [dtype, array] of Object.entries(arrays)) {
    if (dtype !== 'float16' && dtype !== 'bfloat16' && data instanceof array) return dtype as DType
  }
  throw invalidArgument({ where: 'tensor', argument: 'data' }, 'a typed array of an element type', data)
}

function arrayFrom(numbers: readonly number[], dtype: DType): TypedArray {
  const values = allocate(dtype, numbers.length)
  const pattern = dtype === 'float16' || dtype === 'bfloat16'
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i] as number
    values[i] = pattern ? toBits(value, dtype) : dtype === 'bool' ? Number(value !== 0) : value
  }
  return values
}

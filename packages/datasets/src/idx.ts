// IDX, the format of MNIST: a magic number with element type and rank, the dimensions, then the elements, big-endian.
import type { DType, Tensor, TypedArray } from '@ft/core'
import { corrupt } from './internal/corrupt.ts'
import { contentOf, type Source } from './internal/source.ts'

interface ElementType {
  readonly dtype: DType
  readonly size: number
  make(length: number): TypedArray
  read(view: DataView, at: number): number
}

/** By the third byte of the magic number. */
const ELEMENT_TYPES: Readonly<Record<number, ElementType>> = {
  0x08: { dtype: 'uint8', size: 1, make: (n) => new Uint8Array(n), read: (view, at) => view.getUint8(at) },
  0x09: { dtype: 'int8', size: 1, make: (n) => new Int8Array(n), read: (view, at) => view.getInt8(at) },
  0x0b: { dtype: 'int16', size: 2, make: (n) => new Int16Array(n), read: (view, at) => view.getInt16(at) },
  0x0c: { dtype: 'int32', size: 4, make: (n) => new Int32Array(n), read: (view, at) => view.getInt32(at) },
  0x0d: { dtype: 'float32', size: 4, make: (n) => new Float32Array(n), read: (view, at) => view.getFloat32(at) },
  0x0e: { dtype: 'float64', size: 8, make: (n) => new Float64Array(n), read: (view, at) => view.getFloat64(at) },
}

const READER = 'readIdx'
const HIGHEST_RANK = 8
/** Far above MNIST's 47 MB; keeps damaged dimensions from asking for all memory. */
const MOST_BYTES = 2 ** 30

/**
 * Reads an IDX file, gzip-compressed or not, piece by piece into its typed array.
 *
 * @returns a tensor of the file's dimensions and element type
 * @throws FtError `IO`, or `CORRUPT_DATA` for a wrong magic number, dimensions that cannot be, too few bytes or too many
 */
export async function readIdx(source: Source): Promise<Tensor> {
  const wrong = (where: string, expected: string, got: string) =>
    corrupt({ reader: READER, source, where, expected, got })
  let head = new Uint8Array(0)
  let body: { bytes: Uint8Array; filled: number; header: IdxHeader } | undefined
  for await (const piece of contentOf(source, READER)) {
    let rest: Uint8Array = piece
    if (body === undefined) {
      head = joined(head, piece)
      const header = headerOf(head, wrong)
      if (header === undefined) continue
      body = { bytes: new Uint8Array(header.elements * header.type.size), filled: 0, header }
      rest = head.subarray(header.length)
    }
    if (body.filled + rest.length > body.bytes.length) {
      throw wrong('data', `${body.bytes.length} bytes for [${body.header.shape.join(', ')}]`, 'more')
    }
    body.bytes.set(rest, body.filled)
    body.filled += rest.length
  }
  if (body === undefined) throw wrong('header', 'a magic number and dimensions', `${head.length} bytes`)
  if (body.filled < body.bytes.length) {
    throw wrong('data', `${body.bytes.length} bytes for [${body.header.shape.join(', ')}]`, `${body.filled}`)
  }
  const { type, shape } = body.header
  return { data: fromBigEndian(body.bytes, type), shape, dtype: type.dtype }
}

interface IdxHeader {
  /** Bytes of the header. */
  readonly length: number
  readonly type: ElementType
  readonly shape: readonly number[]
  readonly elements: number
}

/** The header, once enough bytes are there. */
function headerOf(
  head: Uint8Array,
  wrong: (where: string, expected: string, got: string) => Error,
): IdxHeader | undefined {
  if (head.length < 4) return undefined
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  const type = ELEMENT_TYPES[head[2]!]
  const rank = head[3]!
  if (head[0] !== 0 || head[1] !== 0 || type === undefined || rank < 1 || rank > HIGHEST_RANK) {
    const known = Object.keys(ELEMENT_TYPES).map((code) => `0x${Number(code).toString(16)}`)
    throw wrong(
      'magic number',
      `00 00, a type of ${known.join(' ')}, a rank of 1..${HIGHEST_RANK}`,
      [...head.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
    )
  }
  const length = 4 + 4 * rank
  if (head.length < length) return undefined
  const shape = Array.from({ length: rank }, (_, d) => view.getUint32(4 + 4 * d))
  const elements = shape.reduce((product, size) => product * size, 1)
  if (elements * type.size > MOST_BYTES) {
    throw wrong('dimensions', `at most ${MOST_BYTES} bytes`, `[${shape.join(', ')}] of ${type.dtype}`)
  }
  return { length, type, shape, elements }
}

function fromBigEndian(bytes: Uint8Array, type: ElementType): TypedArray {
  if (type.dtype === 'uint8') return bytes
  const data = type.make(bytes.length / type.size)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < data.length; i++) data[i] = type.read(view, i * type.size)
  return data
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

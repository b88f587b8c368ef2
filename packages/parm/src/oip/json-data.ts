// Tensor contents as JSON: numbers, truth values or strings, flat or nested by the shape.
import { toBits, fromBits } from '@ft/core/formats'
import type { TypedArray } from '@ft/core'
import { bytesOf, datatypes, viewAs, type Datatype } from './datatypes.ts'
import { OipError } from './error.ts'
import { integerOf } from './json-source.ts'

/** How the text said it, for values that JavaScript's reading of it does not tell. */
export interface JsonReading {
  /** The same data, from `JsonSource.exact`. Without: integers beyond 2^53 are refused. */
  readonly exact?: () => unknown
  /** Whether numbers that are not finite were written so; otherwise they are finite ones that are too large. */
  readonly nonFinite?: boolean
  /** Whether null stands for NaN, as servers in Python write it. */
  readonly nullIsNaN?: boolean
}

interface Form {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly size: number
}

/** The bytes of a JSON `data` field, checked against its shape and type. @throws OipError 400 */
export function bytesFromJson(data: unknown, tensor: Form, reading: JsonReading = {}): Uint8Array {
  const flat = flattened(data, tensor)
  if (tensor.datatype === 'BYTES') return strings(flat, tensor.name)
  const { range, wide } = datatypes[tensor.datatype]
  if (wide) return wideIntegers(flat, { tensor, wide, exact: reading.exact })
  if (range) return integers(flat, { tensor, range })
  return tensor.datatype === 'BOOL' ? truths(flat, tensor) : floats(flat, { tensor, reading })
}

function flattened(data: unknown, tensor: Form): unknown[] {
  const flat: unknown[] = []
  flatten(data, { tensor, axis: 0, flat })
  if (flat.length !== tensor.size)
    throw new OipError(
      400,
      `tensor '${tensor.name}': shape [${tensor.shape.join(', ')}] needs ${tensor.size} elements, got ${flat.length}`,
    )
  return flat
}

function flatten(
  data: unknown,
  o: { tensor: { name: string; shape: readonly number[]; size: number }; axis: number; flat: unknown[] },
): void {
  const { tensor, axis, flat } = o
  if (!Array.isArray(data))
    throw new OipError(400, `tensor '${tensor.name}': data must be an array of elements or nested arrays`)
  const nested = data.some((element) => Array.isArray(element))
  if (!nested) {
    // Either all elements flat, or a row of the innermost axis
    const expected = axis === 0 ? undefined : tensor.shape[axis]
    if (axis > 0 && (axis !== tensor.shape.length - 1 || data.length !== expected))
      throw new OipError(400, `tensor '${tensor.name}': nested data must follow shape [${tensor.shape.join(', ')}]`)
    for (const element of data) flat.push(element)
    return
  }
  if (axis >= tensor.shape.length - 1 || data.length !== tensor.shape[axis])
    throw new OipError(400, `tensor '${tensor.name}': nested data must follow shape [${tensor.shape.join(', ')}]`)
  for (const element of data) flatten(element, { tensor, axis: axis + 1, flat })
}

function strings(flat: readonly unknown[], name: string): Uint8Array {
  const parts = flat.flatMap((element, i) => {
    if (typeof element !== 'string')
      throw new OipError(400, `tensor '${name}': element ${i} must be a string for BYTES`)
    const contents = Buffer.from(element, 'utf8')
    const length = Buffer.alloc(4)
    length.writeUInt32LE(contents.length)
    return [length, contents]
  })
  return new Uint8Array(Buffer.concat(parts))
}

interface Wrong {
  readonly tensor: Form
  readonly i: number
  readonly expected: string
}

const wrong = ({ tensor: { name, datatype }, i, expected }: Wrong) =>
  new OipError(400, `tensor '${name}': element ${i} must be ${expected} for ${datatype}`)

const INTEGER = 'an integer below 2^53'

function integers(flat: readonly unknown[], o: { tensor: Form; range: readonly [number, number] }): Uint8Array {
  const { tensor } = o
  const [low, high] = o.range
  const values = emptyValues(tensor)
  flat.forEach((element, i) => {
    if (typeof element !== 'number' || !Number.isSafeInteger(element)) throw wrong({ tensor, i, expected: INTEGER })
    if (element < low || element > high) throw wrong({ tensor, i, expected: `in [${low}, ${high}]` })
    values[i] = element
  })
  return bytesOf(values)
}

/** Integers of 64 bits: read again from the text where a number has lost digits. */
function wideIntegers(
  flat: readonly unknown[],
  o: { tensor: Form; wide: readonly [bigint, bigint]; exact: JsonReading['exact'] },
): Uint8Array {
  const { tensor, exact } = o
  const [low, high] = o.wide
  const rounded = flat.some((element) => typeof element === 'number' && !Number.isSafeInteger(element))
  const elements = rounded && exact ? flattened(exact(), tensor) : flat
  const expected = exact ? 'an integer, in digits' : INTEGER
  const values = new BigInt64Array(elements.length)
  elements.forEach((element, i) => {
    const value = integerOf(element)
    if (value === undefined) throw wrong({ tensor, i, expected })
    if (value < low || value > high) throw wrong({ tensor, i, expected: `in [${low}, ${high}]` })
    values[i] = value
  })
  return new Uint8Array(values.buffer)
}

function truths(flat: readonly unknown[], tensor: Form): Uint8Array {
  return Uint8Array.from(flat, (element, i) => {
    if (typeof element !== 'boolean') throw wrong({ tensor, i, expected: 'true or false' })
    return Number(element)
  })
}

function floats(flat: readonly unknown[], { tensor, reading }: { tensor: Form; reading: JsonReading }): Uint8Array {
  const { dtype } = datatypes[tensor.datatype]
  const half = dtype === 'float16' || dtype === 'bfloat16' ? dtype : undefined
  const values = emptyValues(tensor)
  for (let i = 0; i < flat.length; i++) {
    const element = flat[i] === null && reading.nullIsNaN ? NaN : flat[i]
    if (typeof element !== 'number') throw wrong({ tensor, i, expected: 'a number' })
    const stored = half ? toBits(element, half) : element
    values[i] = stored
    if (Number.isFinite(half ? fromBits(stored, half) : values[i])) continue
    if (!Number.isNaN(element) && (Number.isFinite(element) || !reading.nonFinite))
      throw wrong({ tensor, i, expected: 'a number that is not too large' })
  }
  return bytesOf(values)
}

function emptyValues({ datatype, size }: Form): TypedArray {
  const { bytes, dtype } = datatypes[datatype]
  return viewAs(dtype as NonNullable<typeof dtype>, new Uint8Array(size * bytes))
}

/** The contents as JSON text, flat. */
export function jsonFromBytes({
  name,
  datatype,
  bytes,
}: {
  name: string
  datatype: Datatype
  bytes: Uint8Array
}): string {
  if (datatype === 'BYTES') {
    const decoder = new TextDecoder('utf-8', { fatal: true })
    const text = [...elementsOf(bytes, name)].map((element) => {
      try {
        return JSON.stringify(decoder.decode(element))
      } catch (cause) {
        throw new OipError(500, `tensor '${name}': BYTES that are not UTF-8 have no JSON form; ask for binary data`, {
          cause,
        })
      }
    })
    return `[${text.join(',')}]`
  }
  const { dtype } = datatypes[datatype]
  if (dtype === undefined) {
    const aligned = new Uint8Array(bytes).buffer
    const wide = datatype === 'INT64' ? new BigInt64Array(aligned) : new BigUint64Array(aligned)
    return `[${wide.join(',')}]`
  }
  const values: TypedArray = viewAs(dtype, bytes)
  if (datatype === 'BOOL') return `[${Array.from(values, (value) => value !== 0).join(',')}]`
  const plain =
    dtype === 'float16' || dtype === 'bfloat16' ? Array.from(values, (bits) => fromBits(bits, dtype)) : values
  for (const value of plain)
    if (!Number.isFinite(value))
      throw new OipError(500, `tensor '${name}': values that are not finite have no JSON form; ask for binary data`)
  return `[${plain.join(',')}]`
}

/** Elements of BYTES contents, checked. */
export function* elementsOf(bytes: Uint8Array, name: string): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at < bytes.length;) {
    if (at + 4 > bytes.length) throw new OipError(400, `tensor '${name}': BYTES length cut off at byte ${at}`)
    const length = view.getUint32(at, true)
    if (at + 4 + length > bytes.length)
      throw new OipError(
        400,
        `tensor '${name}': BYTES element at byte ${at} says ${length} bytes, ${bytes.length - at - 4} are left`,
      )
    yield bytes.subarray(at + 4, at + 4 + length)
    at += 4 + length
  }
}

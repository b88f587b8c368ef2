// Tensor contents as JSON: numbers, truth values or strings, flat or nested by the shape.
import { toBits, fromBits } from '@ft/core/formats'
import type { TypedArray } from '@ft/core'
import { bytesOf, datatypes, viewAs, type Datatype } from './datatypes.ts'
import { OipError } from './error.ts'

/** The bytes of a JSON `data` field, checked against its shape and type. */
export function bytesFromJson(
  data: unknown,
  tensor: { name: string; datatype: Datatype; shape: readonly number[]; size: number },
): Uint8Array {
  const flat: unknown[] = []
  flatten(data, { tensor, axis: 0, flat })
  if (flat.length !== tensor.size)
    throw new OipError(
      400,
      `tensor '${tensor.name}': shape [${tensor.shape.join(', ')}] needs ${tensor.size} elements, got ${flat.length}`,
    )
  return tensor.datatype === 'BYTES' ? strings(flat, tensor.name) : numbers(flat, tensor)
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

function numbers(flat: readonly unknown[], { name, datatype }: { name: string; datatype: Datatype }): Uint8Array {
  const { bytes, dtype, range } = datatypes[datatype]
  const wrong = (i: number, expected: string) =>
    new OipError(400, `tensor '${name}': element ${i} must be ${expected} for ${datatype}`)
  if (range) {
    const [low, high] = range
    const wide = new BigInt64Array(bytes === 8 ? flat.length : 0)
    const narrow = bytes === 8 || dtype === undefined ? undefined : viewAs(dtype, new Uint8Array(flat.length * bytes))
    flat.forEach((element, i) => {
      if (typeof element !== 'number' || !Number.isSafeInteger(element)) throw wrong(i, 'an integer below 2^53')
      if (BigInt(element) < low || BigInt(element) > high) throw wrong(i, `in [${low}, ${high}]`)
      if (narrow) narrow[i] = element
      else wide[i] = BigInt(element)
    })
    return narrow ? bytesOf(narrow) : new Uint8Array(wide.buffer)
  }
  const values = viewAs(dtype as NonNullable<typeof dtype>, new Uint8Array(flat.length * bytes))
  flat.forEach((element, i) => {
    if (datatype === 'BOOL') {
      if (typeof element !== 'boolean') throw wrong(i, 'true or false')
      values[i] = Number(element)
    } else {
      if (typeof element !== 'number') throw wrong(i, 'a number')
      values[i] = dtype === 'float16' || dtype === 'bfloat16' ? toBits(element, dtype) : element
    }
  })
  return bytesOf(values)
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

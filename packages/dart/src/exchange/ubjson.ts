// Universal Binary JSON (Draft 12): the binary form of the same documents. Numbers are big-endian; a list of one type has its
// type and length in front, and no markers inside.
import { FtError } from '@ft/core'
import { Numbers } from './numbers.ts'

/** Deeper than any model; a reader that calls itself must end. */
const DEEPEST = 64

type Read = (view: DataView, at: number) => unknown

/** Width and reader of each marker of a number. */
const scalars: Readonly<Record<string, readonly [number, Read]>> = {
  i: [1, (view, at) => view.getInt8(at)],
  U: [1, (view, at) => view.getUint8(at)],
  I: [2, (view, at) => view.getInt16(at)],
  l: [4, (view, at) => view.getInt32(at)],
  // Beyond 2^53 it is no longer whole, and refused where a whole number is wanted.
  L: [8, (view, at) => Number(view.getBigInt64(at))],
  d: [4, (view, at) => view.getFloat32(at)],
  D: [8, (view, at) => view.getFloat64(at)],
  C: [1, (view, at) => String.fromCharCode(view.getUint8(at))],
}
const literals: Readonly<Record<string, unknown>> = { Z: null, T: true, F: false }

/**
 * The document that the bytes hold, as `JSON.parse` would give it.
 *
 * @throws FtError `CORRUPT_DATA` naming the byte where reading ended
 */
export function parseUbjson(bytes: Uint8Array, where: string): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const decoder = new TextDecoder('utf-8')
  let at = 0

  const fail = (what: string): FtError => new FtError('CORRUPT_DATA', `${where}: byte ${at}: ${what}`, { byte: at })
  /** Takes `count` bytes and says where they begin. */
  const take = (count: number): number => {
    if (!(count <= bytes.length - at)) throw fail(`cut short: ${count} bytes wanted, ${bytes.length - at} left`)
    at += count
    return at - count
  }
  const marker = (): string => {
    let found: string
    do found = String.fromCharCode(view.getUint8(take(1)))
    while (found === 'N')
    return found
  }
  const next = (): string => String.fromCharCode(bytes[at] ?? 0)
  const length = (kind = marker()): number => {
    const scalar = 'iUIlL'.includes(kind) ? scalars[kind] : undefined
    if (!scalar) throw fail(`a length begins with '${kind}'`)
    const value = scalar[1](view, take(scalar[0])) as number
    if (value < 0) throw fail(`length ${value}`)
    return value
  }
  const text = (kind?: string): string => {
    const size = length(kind)
    const from = take(size)
    return decoder.decode(bytes.subarray(from, from + size))
  }
  const value = (kind: string, depth: number): unknown => {
    if (Object.hasOwn(literals, kind)) return literals[kind]
    const scalar = Object.hasOwn(scalars, kind) ? scalars[kind] : undefined
    if (scalar) return scalar[1](view, take(scalar[0]))
    if (kind === 'S') return text()
    if (kind === 'H') return Number(text())
    if (kind !== '[' && kind !== '{') throw fail(`no value begins with '${kind}'`)
    if (depth === DEEPEST) throw fail(`more than ${DEEPEST} levels`)
    return kind === '[' ? list(depth + 1) : object(depth + 1)
  }
  /** What stands in front of an optimised container: the type of all values, and how many they are. */
  const header = (): { type: string | undefined; count: number | undefined } => {
    let type: string | undefined
    if (next() === '$') {
      take(1)
      type = marker()
      if (next() !== '#') throw fail('a container with a type lacks its length')
    }
    if (next() !== '#') return { type, count: undefined }
    take(1)
    const count = length()
    // Every value of a list takes a byte at least, but for those that are all in the type.
    const width = type === undefined ? 1 : (scalars[type]?.[0] ?? 1)
    if (count * width > bytes.length - at) throw fail(`cut short: ${count} values in ${bytes.length - at} bytes`)
    return { type, count }
  }
  const list = (depth: number): unknown[] => {
    const { type, count } = header()
    const out: unknown[] = []
    if (count === undefined) {
      for (let kind = marker(); kind !== ']'; kind = marker()) out.push(value(kind, depth))
    } else {
      for (let i = 0; i < count; i++) out.push(value(type ?? marker(), depth))
    }
    return out
  }
  const object = (depth: number): object => {
    const { type, count } = header()
    const out: [string, unknown][] = []
    for (let i = 0; count === undefined || i < count; i++) {
      const kind = marker()
      if (count === undefined && kind === '}') break
      const name = text(kind)
      out.push([name, value(type ?? marker(), depth)])
    }
    return Object.fromEntries(out)
  }

  const document = value(marker(), 0)
  if (at !== bytes.length) throw fail(`${bytes.length - at} bytes follow the document`)
  return document
}

/** Bytes of a document: plain values, and `Numbers`, which become lists of one type. */
export function writeUbjson(document: unknown): Uint8Array {
  const encoder = new TextEncoder()
  let bytes = new Uint8Array(1024)
  let view = new DataView(bytes.buffer)
  let at = 0

  const room = (size: number): number => {
    if (at + size > bytes.length) {
      const larger = new Uint8Array(2 * (at + size))
      larger.set(bytes.subarray(0, at))
      bytes = larger
      view = new DataView(bytes.buffer)
    }
    at += size
    return at - size
  }
  // `room` may move the bytes: it comes before they are looked at.
  const mark = (marker: string): void => {
    const place = room(1)
    bytes[place] = marker.charCodeAt(0)
  }
  const length = (value: number): void => {
    mark('L')
    const place = room(8)
    view.setBigInt64(place, BigInt(value))
  }
  const text = (value: string): void => {
    const encoded = encoder.encode(value)
    length(encoded.length)
    const place = room(encoded.length)
    bytes.set(encoded, place)
  }
  const number = (type: string, value: number): void => {
    const place = room((scalars[type] as readonly [number, Read])[0])
    if (type === 'd') view.setFloat32(place, value)
    else if (type === 'D') view.setFloat64(place, value)
    else if (type === 'l') view.setInt32(place, value)
    else if (type === 'L') view.setBigInt64(place, BigInt(value))
    else view.setUint8(place, value)
  }
  const numbers = ({ type, values, each }: Numbers): void => {
    const all = [...values]
    mark('[')
    if (!each) {
      mark('$')
      mark(type)
    }
    mark('#')
    length(all.length)
    for (const value of all) {
      if (each) mark(type)
      number(type, value)
    }
  }
  const put = (value: unknown): void => {
    if (value instanceof Numbers) return numbers(value)
    if (typeof value === 'string') {
      mark('S')
      return text(value)
    }
    if (typeof value === 'number') {
      const type = !Number.isSafeInteger(value) ? 'D' : value >= 0 && value < 128 ? 'i' : 'L'
      mark(type)
      return number(type, value)
    }
    if (Array.isArray(value)) {
      mark('[')
      mark('#')
      length(value.length)
      return value.forEach(put)
    }
    mark('{')
    for (const [name, each] of Object.entries(value as object)) {
      text(name)
      put(each)
    }
    mark('}')
  }
  put(document)
  return bytes.slice(0, at)
}

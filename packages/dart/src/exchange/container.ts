// One binary form for what this package saves: a magic word, kind, version, JSON for what is small, arrays for what is large,
// and a checksum over everything.
import { FtError } from '@ft/core'

export type Arrays = Readonly<Record<string, Stored>>
export type Stored = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float32Array | Float64Array

const types = {
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  f64: Float64Array,
} as const
type TypeName = keyof typeof types

interface Header {
  readonly kind: string
  readonly version: number
  readonly meta: unknown
  readonly arrays: readonly { readonly name: string; readonly type: TypeName; readonly length: number }[]
}

const MAGIC = 'FTDART\r\n'
/** Magic, length of the header. */
const PREFIX = 12
const CHECKSUM = 4

/** Bytes of a saved thing. Numbers are little-endian, arrays start at multiples of eight. */
export function pack(content: { kind: string; version: number; meta: unknown; arrays: Arrays }): Uint8Array {
  const list = Object.entries(content.arrays)
  const header: Header = {
    kind: content.kind,
    version: content.version,
    meta: content.meta,
    arrays: list.map(([name, array]) => ({ name, type: typeOf(array), length: array.length })),
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  let size = aligned(PREFIX + text.length)
  const places = list.map(([, array]) => {
    const at = size
    size = aligned(size + array.byteLength)
    return at
  })
  const bytes = new Uint8Array(size + CHECKSUM)
  const view = new DataView(bytes.buffer)
  bytes.set(new TextEncoder().encode(MAGIC))
  view.setUint32(8, text.length, true)
  bytes.set(text, PREFIX)
  list.forEach(([, array], i) => {
    bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), places[i])
  })
  view.setUint32(size, crc32(bytes.subarray(0, size)), true)
  return bytes
}

/**
 * Reads what `pack` wrote; arrays are copies.
 *
 * @throws FtError `CORRUPT_DATA`, `CHECKSUM_MISMATCH`, `VERSION_UNSUPPORTED`
 */
export function unpack(
  bytes: Uint8Array,
  { where, kind, version }: { where: string; kind: string; version: number },
): { meta: unknown; version: number; arrays: Arrays } {
  const corrupt = (what: string): FtError => new FtError('CORRUPT_DATA', `${where}: ${what}`)
  if (bytes.length < PREFIX + CHECKSUM || new TextDecoder('latin1').decode(bytes.subarray(0, 8)) !== MAGIC) {
    throw corrupt(`not a file of this package (${bytes.length} bytes)`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  // Node's Buffer is a Uint8Array whose slice is no copy.
  const copyOf = (start: number, stop: number): ArrayBuffer =>
    new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice(start, stop).buffer
  const end = bytes.length - CHECKSUM
  const headerEnd = PREFIX + view.getUint32(8, true)
  if (headerEnd > end) throw corrupt('cut short in its header')
  if (view.getUint32(end, true) !== crc32(bytes.subarray(0, end))) {
    throw new FtError('CHECKSUM_MISMATCH', `${where}: the checksum does not fit: damaged or cut short`)
  }
  const header = parseHeader(bytes.subarray(PREFIX, headerEnd), corrupt)
  if (header.kind !== kind) throw corrupt(`holds a ${header.kind}, not a ${kind}`)
  if (header.version > version) {
    throw new FtError(
      'VERSION_UNSUPPORTED',
      `${where}: version ${header.version}; this package reads up to ${version}`,
      {
        version: header.version,
      },
    )
  }
  const arrays: Record<string, Stored> = {}
  let at = aligned(headerEnd)
  for (const { name, type, length } of header.arrays) {
    const width = types[type].BYTES_PER_ELEMENT
    if (at + length * width > end) throw corrupt(`cut short in ${name}`)
    arrays[name] = new types[type](copyOf(at, at + length * width))
    at = aligned(at + length * width)
  }
  if (at !== end) throw corrupt(`${end - at} bytes more than its arrays`)
  return { meta: header.meta, version: header.version, arrays }
}

function parseHeader(bytes: Uint8Array, corrupt: (what: string) => FtError): Header {
  let header: Header
  try {
    header = JSON.parse(new TextDecoder().decode(bytes)) as Header
  } catch {
    throw corrupt('its header is no JSON')
  }
  const isArray = (entry: Header['arrays'][number] | null): boolean =>
    typeof entry?.name === 'string' &&
    Object.hasOwn(types, entry.type) &&
    Number.isSafeInteger(entry.length) &&
    entry.length >= 0
  const isSound =
    typeof header === 'object' &&
    (header as Header | null) !== null &&
    typeof header.kind === 'string' &&
    Number.isInteger(header.version) &&
    Array.isArray(header.arrays) &&
    header.arrays.every(isArray)
  if (!isSound) throw corrupt('its header lacks fields')
  return header
}

function typeOf(array: Stored): TypeName {
  const found = Object.entries(types).find(([, type]) => array instanceof type)
  return (found as [TypeName, unknown])[0]
}

const aligned = (size: number): number => Math.ceil(size / 8) * 8

let table: Uint32Array | undefined

/** CRC-32 as of IEEE 802.3, reflected: that of zip and PNG. */
export function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
    return crc
  })
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] as number)
  return (crc ^ 0xffffffff) >>> 0
}

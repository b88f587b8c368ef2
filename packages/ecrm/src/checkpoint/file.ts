// One checkpoint file: a header that says what follows, sections of 32-bit words, a CRC of each. Written beside its place and
// moved there when it is whole, so that a crash or a full disk leaves the earlier file as it was.
import type { FileHandle } from 'node:fs/promises'
import { FtError, assertInteger, isFtError } from '@ft/core'

/** Rows and dense arrays at a step. */
export interface CheckpointContent {
  /** Steps that were done. */
  readonly step: number
  readonly width: number
  /** Rows of all tables. */
  readonly rows: number
  /** Ids of the rows that follow; every row in order when undefined. */
  readonly ids: Uint32Array | undefined
  readonly words: Uint32Array
  readonly versions: Uint32Array
  /** Parameters of the dense network, then their optimizer state. */
  readonly dense: readonly Float32Array[]
  /** Of changed rows: the checksums of the whole checkpoint that they changed since. */
  readonly base?: readonly number[] | undefined
}

/** A file as it was written or read. */
export interface CheckpointFile {
  readonly bytes: number
  /** Of every section; together they say which content it is. */
  readonly checksums: readonly number[]
}

interface Header {
  readonly step: number
  readonly width: number
  readonly rows: number
  readonly whole: boolean
  /** Words of each section: ids, versions, words, then the dense arrays. */
  readonly lengths: readonly number[]
  readonly checksums: readonly number[]
  readonly base?: readonly number[]
}

/** "FTEC", little-endian, and the version of the format. */
const magic = 0x43455446
const format = 1
const fixedBytes = 16
/** Neither a read nor a checksum takes several GiB in one piece. */
const bytesAtOnce = 2 ** 30

const bytesOf = (words: Uint32Array | Float32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength)

function checksum(crc32: (data: Uint8Array, before?: number) => number, bytes: Uint8Array): number {
  let sum = 0
  for (let from = 0; from < bytes.length; from += bytesAtOnce)
    sum = crc32(bytes.subarray(from, from + bytesAtOnce), sum)
  return sum
}

/**
 * Writes a checkpoint.
 *
 * @throws FtError `IO` when the disk is full or refuses; an earlier file at `path` is then unharmed
 */
export async function writeCheckpointFile(path: string, content: CheckpointContent): Promise<CheckpointFile> {
  const [{ open, rename, rm }, { crc32 }] = await Promise.all([import('node:fs/promises'), import('node:zlib')])
  const { step, width, rows, ids, words, versions, dense, base } = content
  const sections = [ids ?? new Uint32Array(0), versions, words, ...dense].map(bytesOf)
  const header: Header = {
    step,
    width,
    rows,
    whole: ids === undefined,
    lengths: sections.map(({ length }) => length / 4),
    checksums: sections.map((section) => checksum(crc32, section)),
    ...(base === undefined ? {} : { base }),
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const fixed = Uint32Array.of(magic, format, text.length, crc32(text))
  const unfinished = `${path}.unfinished`
  try {
    const file = await open(unfinished, 'w')
    try {
      for (const part of [bytesOf(fixed), text, ...sections]) await file.writeFile(part)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(unfinished, path)
  } catch (cause) {
    await rm(unfinished, { force: true }).catch(() => undefined)
    throw new FtError('IO', `saveCheckpoint: ${path} could not be written; look at the cause`, { path }, { cause })
  }
  const bytes = fixedBytes + text.length + sections.reduce((sum, { length }) => sum + length, 0)
  return { bytes, checksums: header.checksums }
}

/**
 * Reads a checkpoint back, section by section: of any size. Memory: the content once.
 *
 * @throws FtError `IO` when the file cannot be read, `VERSION_UNSUPPORTED`, `CHECKSUM_MISMATCH` or `CORRUPT_DATA` when it is
 * not a whole checkpoint
 */
export async function readCheckpointFile(path: string): Promise<CheckpointContent & CheckpointFile> {
  const { open } = await import('node:fs/promises')
  let file: FileHandle | undefined
  try {
    file = await open(path)
    const { size } = await file.stat()
    return await readContent(path, { size, read: (length) => readNext(file!, length) })
  } catch (cause) {
    if (isFtError(cause)) throw cause
    throw new FtError('IO', `readCheckpoint: ${path} could not be read; look at the cause`, { path }, { cause })
  } finally {
    await file?.close()
  }
}

/** The next bytes of a file, fewer at its end. */
async function readNext(file: FileHandle, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let have = 0
  while (have < length) {
    const { bytesRead } = await file.read(bytes, have, Math.min(bytesAtOnce, length - have))
    if (bytesRead === 0) break
    have += bytesRead
  }
  return bytes.subarray(0, have)
}

interface Source {
  /** Bytes in all. */
  readonly size: number
  /** The next bytes, in memory of their own that begins with them; fewer at the end. */
  read(length: number): Promise<Uint8Array>
}

async function readContent(path: string, { size, read }: Source): Promise<CheckpointContent & CheckpointFile> {
  const { crc32 } = await import('node:zlib')
  const bad = (what: string, code: 'CORRUPT_DATA' | 'CHECKSUM_MISMATCH' | 'VERSION_UNSUPPORTED' = 'CORRUPT_DATA') =>
    new FtError(code, `readCheckpoint: ${path} ${what}; take an earlier one`, { path })
  const fixed = await read(fixedBytes)
  const view = new DataView(fixed.buffer)
  if (fixed.length < fixedBytes || view.getUint32(0, true) !== magic) throw bad('is no checkpoint')
  if (view.getUint32(4, true) !== format) {
    throw bad(`has format ${view.getUint32(4, true)}, this version reads ${format}`, 'VERSION_UNSUPPORTED')
  }
  const textLength = view.getUint32(8, true)
  if (fixedBytes + textLength > size) throw bad('is cut off in its header')
  const text = await read(textLength)
  if (crc32(text) !== view.getUint32(12, true)) throw bad('has a damaged header', 'CHECKSUM_MISMATCH')
  const header = parseHeader(text, bad)
  let at = fixedBytes + textLength
  const sections: Uint32Array[] = []
  for (const [i, length] of header.lengths.entries()) {
    // Before there is memory for it: a length may say anything.
    if (at + 4 * length > size) throw bad(`is cut off in section ${i}`)
    const section = await read(4 * length)
    if (section.length < 4 * length) throw bad(`is cut off in section ${i}`)
    at += 4 * length
    if (checksum(crc32, section) !== header.checksums[i]) throw bad(`is damaged in section ${i}`, 'CHECKSUM_MISMATCH')
    sections.push(new Uint32Array(section.buffer))
  }
  if (at !== size) throw bad(`has ${size - at} bytes too many`)
  const [ids, versions, words, ...dense] = sections as [Uint32Array, Uint32Array, Uint32Array, ...Uint32Array[]]
  const count = header.whole ? header.rows : ids.length
  if (versions.length !== count || words.length !== count * header.width || ids.some((id) => id >= header.rows))
    throw bad('has sections that do not fit its header')
  return {
    step: header.step,
    width: header.width,
    rows: header.rows,
    ids: header.whole ? undefined : ids,
    words,
    versions,
    dense: dense.map((section) => new Float32Array(section.buffer)),
    base: header.base,
    bytes: size,
    checksums: header.checksums,
  }
}

function parseHeader(text: Uint8Array, bad: (what: string) => FtError): Header {
  try {
    const header = JSON.parse(new TextDecoder().decode(text)) as Header
    const { step, width, rows, lengths, checksums, base = [] } = header
    for (const value of [step, width, rows, ...lengths, ...checksums, ...base])
      assertInteger(value, { where: 'readCheckpoint', argument: 'header', min: 0, max: 2 ** 40 })
    if (lengths.length < 3 || checksums.length !== lengths.length) throw new Error('lengths')
    return header
  } catch {
    throw bad('has a header that says nothing of use')
  }
}

// One checkpoint file: a header that says what follows, sections of 32-bit words, a CRC of each. Written beside its place and
// moved there when it is whole, so that a crash or a full disk leaves the earlier file as it was.
import { FtError, assertInteger } from '@ft/core'

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
}

interface Header {
  readonly step: number
  readonly width: number
  readonly rows: number
  readonly whole: boolean
  /** Words of each section: ids, versions, words, then the dense arrays. */
  readonly lengths: readonly number[]
  readonly checksums: readonly number[]
}

/** "FTEC", little-endian, and the version of the format. */
const magic = 0x43455446
const format = 1
const fixedBytes = 16

const bytesOf = (words: Uint32Array | Float32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength)

/**
 * Writes a checkpoint; its bytes.
 *
 * @throws FtError `IO` when the disk is full or refuses; an earlier file at `path` is then unharmed
 */
export async function writeCheckpointFile(path: string, content: CheckpointContent): Promise<number> {
  const [{ open, rename, rm }, { crc32 }] = await Promise.all([import('node:fs/promises'), import('node:zlib')])
  const { step, width, rows, ids, words, versions, dense } = content
  const sections = [ids ?? new Uint32Array(0), versions, words, ...dense].map(bytesOf)
  const header: Header = {
    step,
    width,
    rows,
    whole: ids === undefined,
    lengths: sections.map(({ length }) => length / 4),
    checksums: sections.map((section) => crc32(section)),
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
  return fixedBytes + text.length + sections.reduce((sum, { length }) => sum + length, 0)
}

/**
 * Reads a checkpoint back.
 *
 * @throws FtError `IO` when the file cannot be read, `VERSION_UNSUPPORTED`, `CHECKSUM_MISMATCH` or `CORRUPT_DATA` when it is
 * not a whole checkpoint
 */
export async function readCheckpointFile(path: string): Promise<CheckpointContent> {
  const [{ readFile }, { crc32 }] = await Promise.all([import('node:fs/promises'), import('node:zlib')])
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new FtError('IO', `readCheckpoint: ${path} could not be read; look at the cause`, { path }, { cause })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const bad = (what: string, code: 'CORRUPT_DATA' | 'CHECKSUM_MISMATCH' | 'VERSION_UNSUPPORTED' = 'CORRUPT_DATA') =>
    new FtError(code, `readCheckpoint: ${path} ${what}; take an earlier one`, { path })
  if (bytes.length < fixedBytes || view.getUint32(0, true) !== magic) throw bad('is no checkpoint')
  if (view.getUint32(4, true) !== format) {
    throw bad(`has format ${view.getUint32(4, true)}, this version reads ${format}`, 'VERSION_UNSUPPORTED')
  }
  const textLength = view.getUint32(8, true)
  if (fixedBytes + textLength > bytes.length) throw bad('is cut off in its header')
  const text = bytes.subarray(fixedBytes, fixedBytes + textLength)
  if (crc32(text) !== view.getUint32(12, true)) throw bad('has a damaged header', 'CHECKSUM_MISMATCH')
  const header = parseHeader(text, bad)
  let at = fixedBytes + textLength
  const sections = header.lengths.map((length, i) => {
    if (at + 4 * length > bytes.length) throw bad(`is cut off in section ${i}`)
    const section = new Uint32Array(length)
    bytesOf(section).set(bytes.subarray(at, at + 4 * length))
    at += 4 * length
    if (crc32(bytesOf(section)) !== header.checksums[i]) throw bad(`is damaged in section ${i}`, 'CHECKSUM_MISMATCH')
    return section
  })
  if (at !== bytes.length) throw bad(`has ${bytes.length - at} bytes too many`)
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
  }
}

function parseHeader(text: Uint8Array, bad: (what: string) => FtError): Header {
  try {
    const header = JSON.parse(new TextDecoder().decode(text)) as Header
    for (const value of [header.step, header.width, header.rows, ...header.lengths, ...header.checksums])
      assertInteger(value, { where: 'readCheckpoint', argument: 'header', min: 0, max: 2 ** 40 })
    if (header.lengths.length < 3 || header.checksums.length !== header.lengths.length) throw new Error('lengths')
    return header
  } catch {
    throw bad('has a header that says nothing of use')
  }
}

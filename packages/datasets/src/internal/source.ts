// Where a reader's bytes come from: a path or bytes in memory, gzip-compressed or not.
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { FtError, isFtError } from '@ft/core'

/** A file whose content is known: whoever reads it to its end learns whether it is still that. */
export interface CheckedFile {
  readonly path: string
  /** SHA-256 of the decompressed content; one of them must hold. */
  readonly sha256: readonly string[]
}

/** A file's path, a checked file, or bytes. Gzip is recognised by its first two bytes, whatever the name. */
export type Source = string | CheckedFile | Uint8Array

/** How errors name a source. */
export function nameOf(source: Source): string {
  if (source instanceof Uint8Array) return `${source.length} bytes in memory`
  return typeof source === 'string' ? source : source.path
}

/**
 * The whole of a source, as stored (not decompressed).
 *
 * @throws FtError `IO` when the file cannot be read, `CHECKSUM_MISMATCH` when a checked file has changed
 */
export async function readWhole(source: Source, reader: string): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source
  const bytes = await readFile(nameOf(source)).catch((cause: unknown) => {
    throw cannotRead(nameOf(source), reader, cause)
  })
  checkSum(source, reader, createHash('sha256').update(bytes))
  return bytes
}

/**
 * The content of a source piece by piece, decompressed when it is gzip. Holds one piece at a time.
 *
 * @throws FtError `IO` when the file cannot be read, `CORRUPT_DATA` when the gzip stream is damaged or cut,
 * `CHECKSUM_MISMATCH` after the last piece of a checked file that has changed
 */
export async function* contentOf(source: Source, reader: string): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256')
  for await (const piece of decompressed(source, reader)) {
    if (isChecked(source)) hash.update(piece)
    yield piece
  }
  checkSum(source, reader, hash)
}

/** The whole decompressed content; refuses to grow past `limit` bytes. */
export async function readContent(source: Source, reader: string, limit: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of contentOf(source, reader)) {
    length += piece.length
    if (length > limit) {
      throw new FtError(
        'CORRUPT_DATA',
        `${reader}: ${nameOf(source)} must hold at most ${limit} bytes, got more; is it the right file?`,
        { source: nameOf(source), limit },
      )
    }
    pieces.push(piece)
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

async function* decompressed(source: Source, reader: string): AsyncGenerator<Uint8Array, void, undefined> {
  const stored: AsyncIterable<Uint8Array> =
    source instanceof Uint8Array ? piecesOf(source) : createReadStream(nameOf(source), { highWaterMark: 1 << 18 })
  const pieces = stored[Symbol.asyncIterator]()
  try {
    const head = await firstBytes(pieces)
    const isGzip = head[0] === 0x1f && head[1] === 0x8b
    yield* isGzip ? gunzip(rest(head, pieces)) : rest(head, pieces)
  } catch (cause) {
    if (isFtError(cause)) throw cause
    if (!isZlibError(cause)) throw cannotRead(nameOf(source), reader, cause)
    throw new FtError(
      'CORRUPT_DATA',
      `${reader}: ${nameOf(source)} is not a whole gzip stream (${cause.message}); get the file again`,
      { source: nameOf(source) },
      { cause },
    )
  } finally {
    await pieces.return?.()
  }
}

const isChecked = (source: Source): source is CheckedFile => typeof source === 'object' && 'sha256' in source

function checkSum(source: Source, reader: string, hash: Hash): void {
  if (!isChecked(source)) return
  const got = hash.digest('hex')
  if (source.sha256.includes(got)) return
  throw new FtError(
    'CHECKSUM_MISMATCH',
    `${reader}: the content of ${source.path} must have SHA-256 ${source.sha256.join(' or ')}, got ${got}; get the file again`,
    { path: source.path, expected: source.sha256, got },
  )
}

async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 1 << 18) yield bytes.subarray(at, at + (1 << 18))
}

/** At least two bytes, unless the source has fewer. */
async function firstBytes(pieces: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0)
  while (head.length < 2) {
    const next = await pieces.next()
    if (next.done === true) break
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value])
  }
  return head
}

async function* rest(head: Uint8Array, pieces: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  if (head.length > 0) yield head
  for (;;) {
    const next = await pieces.next()
    if (next.done === true) return
    yield next.value
  }
}

async function* gunzip(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const input = Readable.from(pieces, { objectMode: false })
  const output = createGunzip({ chunkSize: 1 << 18 })
  input.on('error', (cause) => output.destroy(cause))
  input.pipe(output)
  try {
    for await (const piece of output) yield piece as Uint8Array
  } finally {
    input.destroy()
    output.destroy()
  }
}

function isZlibError(cause: unknown): cause is Error {
  return cause instanceof Error && typeof (cause as { code?: unknown }).code === 'string' && /^Z_/.test(codeOf(cause))
}

function codeOf(cause: unknown): string {
  return String((cause as { code?: unknown }).code)
}

function cannotRead(name: string, reader: string, cause: unknown): FtError {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new FtError('IO', `${reader}: cannot read ${name} (${why})`, { source: name, code: codeOf(cause) }, { cause })
}

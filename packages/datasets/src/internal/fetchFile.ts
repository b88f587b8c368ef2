// One file over HTTP: into a `.part` file that a later call continues, renamed only when its checksum is right.
import { createHash } from 'node:crypto'
import { open, rename, rm, stat } from 'node:fs/promises'
import { FtError, isFtError, throwIfAborted } from '@ft/core'
import { contentOf } from './source.ts'

export interface FetchFile {
  readonly url: string
  /** Path of the finished file; the unfinished one is `${to}.part`. */
  readonly to: string
  /** SHA-256 of the content, decompressed when it is gzip. */
  readonly sha256: string
  /** Bytes after which the answer cannot be the right file. */
  readonly mostBytes: number
  readonly signal?: AbortSignal | undefined
  /** Called with the bytes that are there. */
  readonly onBytes?: (have: number) => void
}

/**
 * Fetches one file, continuing an earlier attempt with a Range request.
 *
 * @throws FtError `IO` when the server, the connection or the disk fails (what has come so far stays for the next call),
 * `CHECKSUM_MISMATCH` when the content is another one (nothing stays), `ABORTED`
 */
export async function fetchFile(file: FetchFile): Promise<void> {
  const part = `${file.to}.part`
  const resumed = await receive(file, part, await sizeOf(part))
  const got = await contentSum(part)
  if (got === file.sha256) return rename(part, file.to)

  await rm(part, { force: true })
  // The server's file may have changed between two attempts: the start and the end then belong to different files.
  if (resumed) return fetchFile(file)
  throw new FtError(
    'CHECKSUM_MISMATCH',
    `download: ${file.url} must have SHA-256 ${file.sha256}, got ${got}; nothing was kept, try again or use another mirror`,
    { url: file.url, expected: file.sha256, got },
  )
}

/** Brings the part file to its full length. Returns whether earlier bytes were kept. */
async function receive(file: FetchFile, part: string, had: number): Promise<boolean> {
  throwIfAborted(file.signal, 'download')
  const response = await request(file, had)
  if (response.status === 416 && had > 0) {
    // Nothing after the bytes that are there: the checksum tells whether they are the file.
    await response.body?.cancel()
    return true
  }
  const resumed = response.status === 206 && startOf(response) === had && had > 0
  if (!resumed && response.status !== 200) {
    await response.body?.cancel()
    throw new FtError('IO', `download: ${file.url} answered ${response.status}, expected 200 or a continuation (206)`, {
      url: file.url,
      status: response.status,
    })
  }
  await append(file, { body: response.body, part, from: resumed ? had : 0 })
  return resumed
}

async function request(file: FetchFile, had: number): Promise<Response> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  if (had > 0) headers['range'] = `bytes=${had}-`
  try {
    return await fetch(file.url, { headers, ...(file.signal === undefined ? {} : { signal: file.signal }) })
  } catch (cause) {
    throw interrupted(file, had, cause)
  }
}

function startOf(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? NaN)
}

interface Append {
  readonly body: ReadableStream<Uint8Array> | null
  readonly part: string
  readonly from: number
}

async function append(file: FetchFile, { body, part, from }: Append): Promise<void> {
  const handle = await open(part, from > 0 ? 'r+' : 'w').catch((cause: unknown) => {
    throw cannotWrite(part, cause)
  })
  let have = from
  const reader = body?.getReader()
  try {
    for (;;) {
      const next = await reader?.read().catch((cause: unknown) => {
        throw interrupted(file, have, cause)
      })
      if (next === undefined || next.done) break
      have += next.value.length
      if (have > file.mostBytes) {
        await rm(part, { force: true })
        throw new FtError(
          'IO',
          `download: ${file.url} must give at most ${file.mostBytes} bytes, it gives more; nothing was kept`,
          {
            url: file.url,
            mostBytes: file.mostBytes,
          },
        )
      }
      await writeAll(handle, next.value, have - next.value.length).catch((cause: unknown) => {
        throw cannotWrite(part, cause)
      })
      file.onBytes?.(have)
    }
    await handle.sync().catch((cause: unknown) => {
      throw cannotWrite(part, cause)
    })
  } finally {
    await reader?.cancel().catch(() => undefined)
    await handle.close()
  }
}

async function writeAll(handle: Awaited<ReturnType<typeof open>>, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done)
    done += bytesWritten
  }
}

/** SHA-256 of the content; of a gzip stream that does not decompress, a word that is no checksum. */
async function contentSum(path: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    for await (const piece of contentOf(path, 'download')) hash.update(piece)
  } catch (cause) {
    if (isFtError(cause, 'CORRUPT_DATA')) return 'a damaged gzip stream'
    throw cause
  }
  return hash.digest('hex')
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}

function interrupted(file: FetchFile, have: number, cause: unknown): FtError {
  if (file.signal?.aborted === true) return new FtError('ABORTED', 'download: aborted by its signal', {}, { cause })
  return new FtError(
    'IO',
    `download: the connection to ${file.url} failed after ${have} bytes (${reasonOf(cause)}); call again to continue`,
    { url: file.url, have },
    { cause },
  )
}

function cannotWrite(path: string, cause: unknown): FtError {
  return new FtError(
    'IO',
    `download: cannot write ${path} (${reasonOf(cause)}); make room and call again to continue`,
    { path, code: (cause as { code?: unknown }).code },
    { cause },
  )
}

/** fetch says 'fetch failed' and puts the reason into the cause. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  return cause.cause instanceof Error ? `${cause.message}: ${cause.cause.message}` : cause.message
}

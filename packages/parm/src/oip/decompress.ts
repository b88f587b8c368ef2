// Bodies that a client has compressed, as Triton's clients do when they are told to.
import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import { OipError } from './error.ts'

/** Bodies that are read at a time: each may take `maxBodyBytes` of memory, however few bytes came. The others wait their turn. */
const AT_ONCE = 4
let reading = 0
const waiting: (() => void)[] = []

const readers = { gzip: promisify(gunzip), deflate: promisify(inflate) }

/**
 * A body as it was before it was compressed.
 *
 * @param encoding - value of its `Content-Encoding` header
 * @throws OipError 413 when it would be longer than `maxBodyBytes`, 415 for another encoding, 400 for damaged bytes
 */
export async function decompress(
  bytes: Uint8Array,
  { encoding = 'identity', maxBodyBytes }: { encoding: string | undefined; maxBodyBytes: number },
): Promise<Uint8Array> {
  const said = encoding.trim().toLowerCase()
  // Its older name (RFC 9110, section 8.4.1.3)
  const name = said === 'x-gzip' ? 'gzip' : said
  if (name === 'identity' || name === '') return bytes
  if (name !== 'gzip' && name !== 'deflate')
    throw new OipError(415, `Content-Encoding must be gzip, deflate or identity, got '${encoding.slice(0, 60)}'`)
  if (reading >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
  else reading++
  try {
    return await readers[name](bytes, { maxOutputLength: maxBodyBytes })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new OipError(413, `the body must be at most ${maxBodyBytes} bytes`, { cause })
    throw new OipError(400, `the body must be ${name}, as its Content-Encoding says`, { cause })
  } finally {
    // The next one takes its place
    const next = waiting.shift()
    if (next) next()
    else reading--
  }
}

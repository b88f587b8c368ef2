// Bodies that a client has compressed, as Triton's clients do when they are told to.
import { promisify } from 'node:util'
import { gunzip, inflate } from 'node:zlib'
import { OipError } from './error.ts'

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
  const name = encoding.trim().toLowerCase()
  if (name === 'identity' || name === '') return bytes
  if (name !== 'gzip' && name !== 'deflate')
    throw new OipError(415, `Content-Encoding must be gzip, deflate or identity, got '${encoding.slice(0, 60)}'`)
  try {
    return await readers[name](bytes, { maxOutputLength: maxBodyBytes })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new OipError(413, `the body must be at most ${maxBodyBytes} bytes`, { cause })
    throw new OipError(400, `the body must be ${name}, as its Content-Encoding says`, { cause })
  }
}

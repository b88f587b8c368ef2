// Frames: length, type, checksum, body. Everything outside is checked before it is used; a damaged frame is an error, and
// whoever meets it drops the connection.
import { crc32 } from 'node:zlib'
import { FtError } from '@ft/core'
import { schema, type Message, type MessageType } from '../shard/messages.ts'
import { headerWords } from '../shard/room.ts'

const types = Object.keys(schema) as MessageType[]

/** Header: bytes of the body, index of the type, CRC-32 of both and of the body. Little-endian words. */
export const headerBytes = headerWords * 4
export const largestBody = 256 * 2 ** 20

type Fields = Readonly<Record<string, number | Uint32Array>>

/**
 * Packs a message: a frame of whole 32-bit words. Body: the numbers, the lengths of the arrays, the arrays.
 *
 * Cost: a copy of the arrays, unless they are in memory laid out for it (`roomFor`) and this is the first time they are sent.
 *
 * @throws FtError `UNSUPPORTED` for what no reader takes: said here, as its reader could only drop the connection
 */
export function encodeFrame(message: Message, { largest = largestBody }: { largest?: number } = {}): Uint8Array {
  const { numbers, arrays } = schema[message.type]
  const fields = message as unknown as Fields
  const contents = arrays.map((name) => fields[name] as Uint32Array)
  const first = headerWords + numbers.length + arrays.length
  let words = first
  for (const array of contents) words += array.length
  const body = (words - headerWords) * 4
  if (body > largest) {
    throw new FtError(
      'UNSUPPORTED',
      `frame: a ${message.type} of ${body} bytes is more than ${largest}; ask for fewer rows at once`,
      { type: message.type, bytes: body, largest },
    )
  }
  const ready = laidOut(contents, first, words)
  const frame = ready ?? new Uint32Array(words)
  frame[0] = body
  frame[1] = types.indexOf(message.type)
  let at = headerWords
  for (const name of numbers) frame[at++] = fields[name] as number
  for (const array of contents) frame[at++] = array.length
  if (ready === undefined) {
    for (const array of contents) {
      frame.set(array, at)
      at += array.length
    }
  }
  const bytes = new Uint8Array(frame.buffer)
  frame[2] = checksum(bytes)
  return bytes
}

/** The frame around these arrays when they lie in one and it has never been sent: a socket may still hold what has. */
function laidOut(contents: readonly Uint32Array[], first: number, words: number): Uint32Array | undefined {
  const buffer = contents[0]?.buffer
  if (buffer === undefined || buffer.byteLength !== words * 4) return undefined
  let at = first * 4
  for (const array of contents) {
    if (array.buffer !== buffer || array.byteOffset !== at) return undefined
    at += array.byteLength
  }
  const frame = new Uint32Array(buffer)
  return frame[0] === 0 ? frame : undefined
}

const checksum = (frame: Uint8Array): number => crc32(frame.subarray(headerBytes), crc32(frame.subarray(0, 8)))

/** Their receiver has done with them when it returns: see client.ts. */
const passing: ReadonlySet<number> = new Set([types.indexOf('rows')])

/** Reads frames from pieces of a stream. */
export interface FrameReader {
  /** Largest body that is taken, in bytes. */
  largest: number
  /**
   * Takes the next bytes: the messages that they complete. Each is read when it is asked for, so that one may change what is taken
   * after it; ask for all.
   *
   * @param bytes - `kept`: the messages may be views of them. Else they are the caller's again when all were asked for: messages have
   * memory of their own, all but those that are `passing`.
   * @throws FtError `CORRUPT_DATA` for a length, type, checksum or field that cannot be. The stream is then of no use.
   */
  read(bytes: Uint8Array, how?: { kept: boolean }): Iterable<Message>
}

export function createFrameReader(options: { largest?: number } = {}): FrameReader {
  /** A frame of which some has come, or its header: `have` bytes of it are there. */
  let frame = roomOf(headerBytes)
  let have = 0
  const reader: FrameReader = {
    largest: options.largest ?? largestBody,
    *read(bytes, { kept } = { kept: true }) {
      let at = 0
      while (at < bytes.length) {
        const left = bytes.length - at
        if (have === 0 && left >= headerBytes) {
          // Most often a piece begins with a frame and has all of it.
          const size = sizeOf(bytes, at)
          if (size <= left) {
            const whole = bytes.subarray(at, (at += size))
            yield decodeFrame(kept || passing.has(typeOf(bytes, at - size)) ? whole : copyOf(whole))
            continue
          }
          frame = roomOf(size)
        }
        const taken = Math.min(frame.length - have, left)
        frame.set(bytes.subarray(at, at + taken), have)
        at += taken
        have += taken
        if (have === headerBytes) {
          const size = sizeOf(frame, 0)
          if (size > frame.length) frame = copyOf(frame, size)
        }
        if (have < frame.length) continue
        const whole = frame
        frame = roomOf(headerBytes)
        have = 0
        yield decodeFrame(whole)
      }
    },
  }

  /** Of the frame whose header is there. */
  function sizeOf(bytes: Uint8Array, at: number): number {
    const body = new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0, true)
    const { largest } = reader
    if (body % 4 !== 0 || body > largest) throw corrupt(`a body of ${body} bytes`, `whole words up to ${largest}`)
    return headerBytes + body
  }
  return reader
}

/** Its number in the frame that begins there. */
const typeOf = (bytes: Uint8Array, at: number): number =>
  new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(4, true)

/** Memory of its own, at whole words and not yet written. */
const roomOf = (bytes: number): Uint8Array => Buffer.allocUnsafeSlow(bytes)

function copyOf(bytes: Uint8Array, size = bytes.length): Uint8Array {
  const copy = roomOf(size)
  copy.set(bytes)
  return copy
}

/** Reads one whole frame, whose bytes become the message's. */
function decodeFrame(bytes: Uint8Array): Message {
  // Words need aligned memory: a piece of a stream may end within one.
  const own = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes)
  const frame = new Uint32Array(own.buffer, own.byteOffset, own.byteLength / 4)
  if (checksum(own) !== frame[2]) throw corrupt('a frame', 'its checksum to fit')
  const type = types[frame[1]!]
  if (type === undefined) throw corrupt(`type ${frame[1]}`, `one below ${types.length}`)
  const { numbers, arrays } = schema[type]
  const first = headerBytes / 4
  let at = first + numbers.length + arrays.length
  if (frame.length < at) throw corrupt(`a ${type} of ${frame.length} words`, `at least ${at}`)
  const message: Record<string, unknown> = { type }
  numbers.forEach((name, i) => (message[name] = frame[first + i]))
  arrays.forEach((name, i) => {
    const length = frame[first + numbers.length + i]!
    if (at + length > frame.length)
      throw corrupt(`${name} of ${length} words in a ${type}`, `at most ${frame.length - at}`)
    message[name] = frame.subarray(at, at + length)
    at += length
  })
  if (at !== frame.length) throw corrupt(`a ${type} with ${frame.length - at} words more than it names`, 'none')
  return message as unknown as Message
}

function corrupt(got: string, expected: string): FtError {
  return new FtError('CORRUPT_DATA', `frame: got ${got}, expected ${expected}; the connection is dropped`, {
    got,
    expected,
  })
}

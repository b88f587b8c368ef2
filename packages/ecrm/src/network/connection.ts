// A TCP connection that carries messages.
import type { Socket } from 'node:net'
import { FtError, isFtError } from '@ft/core'
import type { Message } from '../shard/messages.ts'
import { landed } from './address.ts'
import { createFrameReader, encodeFrame, largestBody } from './codec.ts'

export interface Connection {
  send(message: Message): void
  /** Takes messages of every size from now on: who speaks is known. */
  trust(): void
  /** Hands what was said to the network now. */
  flush(): void
  /** Ends it at once. */
  drop(): void
  /** Ends it when what was said has left. */
  end(): void
}

export interface ConnectionEvents {
  message(message: Message): void
  /** The connection is gone; `error` when a damaged frame, a refused message or the network ended it. Told once. */
  closed(error?: Error): void
}

/** Of a stranger's first words, in bytes; a greeting has about 100 and an address. */
const strangersLargest = 4_096

/** @param options - `stranger`: small messages alone are taken before `trust` is called; default false */
export function carryMessages(
  socket: Socket,
  events: ConnectionEvents,
  { stranger = false }: { stranger?: boolean } = {},
): Connection {
  const reader = createFrameReader(stranger ? { largest: strangersLargest } : {})
  let error: Error | undefined
  let corked = false
  socket.setNoDelay(true)
  const take = (bytes: Uint8Array, how: { kept: boolean }): void => {
    if (socket.destroyed) return
    try {
      for (const message of reader.read(bytes, how)) events.message(message)
    } catch (cause) {
      error = isFtError(cause) ? cause : new FtError('CORRUPT_DATA', 'connection: a message was refused', {}, { cause })
      socket.destroy()
    }
  }
  socket.on('data', (bytes: Buffer) => take(bytes, { kept: true }))
  // From a socket that reads into memory which it uses again: see dial.
  socket.on(landed, (bytes: Uint8Array) => take(bytes, { kept: false }))
  // 'close' follows and tells.
  socket.on('error', (cause) => (error ??= cause))
  socket.on('close', () => events.closed(error))
  const flush = (): void => {
    if (!corked) return
    corked = false
    socket.uncork()
  }
  return {
    flush,
    trust: () => void (reader.largest = largestBody),
    send(message) {
      if (socket.destroyed) return
      if (!corked) {
        // What is said until every socket that has something was read leaves together.
        corked = true
        socket.cork()
        setImmediate(flush)
      }
      socket.write(encodeFrame(message))
    },
    drop: () => socket.destroy(),
    end: () => socket.end(),
  }
}

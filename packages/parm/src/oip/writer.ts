// A message leaves in one write. Head and body are put together in memory that all connections share: memory of their own for
// messages of a few kilobytes, several a query, costs more than the copy and keeps the garbage collector busy.
import type { Socket } from 'node:net'

/** Longer messages have memory of their own. */
const SHARED_BYTES = 64 << 10
let shared = Buffer.allocUnsafeSlow(SHARED_BYTES)

export interface Outgoing {
  /** Its characters are bytes. */
  readonly head: string
  /** Sent in order, `length` bytes together. */
  readonly parts: readonly Uint8Array[]
  readonly length: number
}

/**
 * Writes messages to a socket, each in one piece.
 *
 * Guarantees: parts may be changed as soon as the call returns.
 * Cost: a copy and a system call a message; memory only where the kernel does not take it at once.
 */
export function createWriter(socket: Socket): (message: Outgoing) => void {
  // Whether it hands what it is given to the kernel at once: encrypted and overfull connections do not
  let prompt = true
  return ({ head, parts, length }) => {
    const size = head.length + length
    const share = prompt && size <= SHARED_BYTES && !socket.connecting && socket.writableLength === 0
    const bytes = share ? shared : Buffer.allocUnsafe(size)
    let at = bytes.write(head, 0, 'latin1')
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    socket.write(share ? bytes.subarray(0, size) : bytes)
    if (!share || socket.writableLength === 0) return
    // Still in use
    shared = Buffer.allocUnsafeSlow(SHARED_BYTES)
    prompt = false
  }
}

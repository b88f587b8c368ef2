// Memory for contents that live about as long as a query: pieces of larger blocks, since blocks are what the garbage collector
// has to look after one by one. One that is kept keeps its block.
import { markAsUntransferable } from 'node:worker_threads'

const BLOCK_BYTES = 64 << 10
/** Longer contents have blocks of their own. */
const LONGEST = BLOCK_BYTES / 8
const ALIGNMENT = 8

let block = newBlock()
let used = 0

/** Whoever transferred a piece of it to another thread would take everybody's. */
function newBlock(): Buffer {
  const made = Buffer.allocUnsafeSlow(BLOCK_BYTES)
  markAsUntransferable(made.buffer)
  return made
}

/**
 * Memory with anything in it.
 *
 * @param aligned - the byte within it that any type's elements may start at; default the first
 */
export function room(length: number, aligned = 0): Buffer {
  const before = (ALIGNMENT - (aligned % ALIGNMENT)) % ALIGNMENT
  if (length > LONGEST) return Buffer.allocUnsafeSlow(before + length).subarray(before)
  if (used + before + length > BLOCK_BYTES) {
    block = newBlock()
    used = 0
  }
  const own = block.subarray(used + before, used + before + length)
  used = ALIGNMENT * Math.ceil((used + before + length) / ALIGNMENT)
  return own
}

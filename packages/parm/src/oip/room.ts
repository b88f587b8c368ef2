// Memory for contents that live about as long as a query: pieces of larger blocks, since blocks are what the garbage collector
// has to look after one by one.

const BLOCK_BYTES = 64 << 10
/** Longer contents have blocks of their own, so that none keeps much more memory than its own. */
const LONGEST = BLOCK_BYTES / 8
const ALIGNMENT = 8

let block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
let used = 0

/**
 * Memory with anything in it.
 *
 * @param aligned - the byte within it that any type's elements may start at; default the first
 */
export function room(length: number, aligned = 0): Buffer {
  const before = (ALIGNMENT - (aligned % ALIGNMENT)) % ALIGNMENT
  if (length > LONGEST) return Buffer.allocUnsafeSlow(before + length).subarray(before)
  if (used + before + length > BLOCK_BYTES) {
    block = Buffer.allocUnsafeSlow(BLOCK_BYTES)
    used = 0
  }
  const own = block.subarray(used + before, used + before + length)
  used = ALIGNMENT * Math.ceil((used + before + length) / ALIGNMENT)
  return own
}

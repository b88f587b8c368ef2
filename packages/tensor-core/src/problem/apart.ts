// Outputs that lie where operands lie.
import { sharesMemory } from '@ft/core'

/**
 * Whether an output, whose bytes a product will overwrite, has bytes in common with an operand. Shared WebAssembly memory that has
 * grown has another buffer object than before, over the same bytes: of two shared buffers only a write to one tells whether the
 * other is the same. The output's first common byte is changed for it, and put back.
 */
export function overlaps(out: ArrayBufferView, operand: ArrayBufferView): boolean {
  if (out.buffer === operand.buffer || !isShared(out.buffer) || !isShared(operand.buffer))
    return sharesMemory(out, operand)
  const first = Math.max(out.byteOffset, operand.byteOffset)
  const end = Math.min(out.byteOffset + out.byteLength, operand.byteOffset + operand.byteLength)
  if (first >= end) return false
  const [mine, theirs] = [new Uint8Array(out.buffer, first, 1), new Uint8Array(operand.buffer, first, 1)]
  const before = Atomics.load(theirs, 0)
  Atomics.xor(mine, 0, 255)
  const after = Atomics.load(theirs, 0)
  Atomics.xor(mine, 0, 255)
  return after !== before
}

function isShared(buffer: ArrayBufferLike): boolean {
  return typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer
}

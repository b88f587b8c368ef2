// A free list over WebAssembly memory. Its books are kept outside that memory, so that a kernel that writes where it
// should not cannot damage them.
import { FtError } from '@ft/core'

export const pageBytes = 65_536
const grain = 64

export interface Allocator {
  /** Returns the address of `bytes` bytes, at a multiple of 64 and of `align`. */
  alloc(bytes: number, align?: number): number
  free(pointer: number): void
  /** Bytes handed out and not freed, rounded up to multiples of 64. */
  readonly used: number
}

/**
 * Manages the memory from `base` on: first fit by address, neighbours joined when freed, memory grown when nothing fits.
 *
 * Cost: linear in the number of holes. Memory never shrinks.
 */
export function createAllocator(memory: WebAssembly.Memory, base: number, maximumBytes: number): Allocator {
  // Holes by address: starts[i] .. starts[i] + sizes[i].
  const starts: number[] = []
  const sizes: number[] = []
  const blocks = new Map<number, number>()
  let used = 0
  let end = memory.buffer.byteLength
  addHole(base, end - base)

  function addHole(start: number, size: number): void {
    if (size === 0) return
    let at = 0
    let high = starts.length
    while (at < high) {
      const middle = (at + high) >> 1
      if ((starts[middle] as number) < start) at = middle + 1
      else high = middle
    }
    starts.splice(at, 0, start)
    sizes.splice(at, 0, size)
    join(at)
    if (at > 0) join(at - 1)
  }

  /** Joins hole `at` with the next one when they touch. */
  function join(at: number): void {
    const size = sizes[at] as number
    if (at + 1 >= starts.length || (starts[at] as number) + size !== starts[at + 1]) return
    sizes.splice(at, 2, size + (sizes[at + 1] as number))
    starts.splice(at + 1, 1)
  }

  function take(bytes: number, align: number): number | undefined {
    for (let at = 0; at < starts.length; at++) {
      const start = starts[at] as number
      const size = sizes[at] as number
      const pointer = Math.ceil(start / align) * align
      if (pointer + bytes > start + size) continue
      starts.splice(at, 1)
      sizes.splice(at, 1)
      addHole(start, pointer - start)
      addHole(pointer + bytes, start + size - pointer - bytes)
      return pointer
    }
    return undefined
  }

  function grow(bytes: number): boolean {
    const last = starts.length - 1
    const tail = last >= 0 && (starts[last] as number) + (sizes[last] as number) === end ? (sizes[last] as number) : 0
    const wanted = Math.ceil((bytes - tail) / pageBytes)
    if (end + wanted * pageBytes > maximumBytes) return false
    // A little more than asked for, so that many small requests do not grow memory each time.
    const room = Math.floor((maximumBytes - end) / pageBytes)
    for (const pages of [Math.min(room, Math.max(wanted, Math.ceil(end / 8 / pageBytes))), wanted]) {
      try {
        memory.grow(pages)
      } catch {
        continue
      }
      addHole(end, pages * pageBytes)
      end += pages * pageBytes
      return true
    }
    return false
  }

  return {
    alloc(bytes, align = grain) {
      if (!Number.isSafeInteger(bytes) || bytes < 0)
        throw new FtError('INVALID_ARGUMENT', `alloc: \`bytes\` must be a whole number of at least 0, got ${bytes}`, {
          bytes,
        })
      if (!Number.isSafeInteger(align) || align < 1 || (align & (align - 1)) !== 0)
        throw new FtError('INVALID_ARGUMENT', `alloc: \`align\` must be a power of two, got ${align}`, { align })
      const size = Math.max(grain, Math.ceil(bytes / grain) * grain)
      const multiple = Math.max(grain, align)
      let pointer = take(size, multiple)
      if (pointer === undefined && grow(size + multiple - grain)) pointer = take(size, multiple)
      if (pointer === undefined)
        throw new FtError(
          'UNSUPPORTED',
          `alloc: no room for ${bytes} bytes: ${used} of ${maximumBytes} bytes of WebAssembly memory are in use; release prepared weights or raise \`maximumBytes\``,
          { bytes, used, maximumBytes },
        )
      blocks.set(pointer, size)
      used += size
      return pointer
    },
    free(pointer) {
      const size = blocks.get(pointer)
      if (size === undefined)
        throw new FtError(
          'INVALID_ARGUMENT',
          `free: ${pointer} is not the address of an allocated block; free each block once`,
          {
            pointer,
          },
        )
      blocks.delete(pointer)
      used -= size
      addHole(pointer, size)
    },
    get used() {
      return used
    },
  }
}

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createAllocator, pageBytes } from '../../src/runtime/allocator.ts'

const base = pageBytes

function code(f: () => unknown): string | undefined {
  try {
    f()
  } catch (error) {
    return isFtError(error) ? error.code : 'other'
  }
  return undefined
}

describe('allocator', () => {
  it('hands out blocks that are aligned, inside memory and never overlap, and gives everything back', () => {
    const step = fc.record({ bytes: fc.nat(200_000), align: fc.constantFrom(16, 64, 256, 65_536), drop: fc.nat(100) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const memory = new WebAssembly.Memory({ initial: 2, maximum: 400 })
        const allocator = createAllocator(memory, base, 400 * pageBytes)
        const live: { start: number; end: number }[] = []
        for (const { bytes, align, drop } of steps) {
          const start = allocator.alloc(bytes, align)
          expect(start % align).toBe(0)
          expect(start).toBeGreaterThanOrEqual(base)
          expect(start + bytes).toBeLessThanOrEqual(memory.buffer.byteLength)
          for (const other of live) expect(start + bytes <= other.start || start >= other.end).toBe(true)
          live.push({ start, end: start + Math.max(bytes, 1) })
          if (drop < 40) allocator.free((live.splice(drop % live.length, 1)[0] as { start: number }).start)
        }
        for (const { start } of live) allocator.free(start)
        expect(allocator.used).toBe(0)
        // Joined again: the whole of present memory is one hole, so a block of that size needs no growth.
        const all = memory.buffer.byteLength - base
        expect(allocator.alloc(all)).toBe(base)
        expect(memory.buffer.byteLength).toBe(base + all)
      }),
    )
  })

  it('refuses nonsense and double frees, and names what is in use when memory is full', () => {
    const allocator = createAllocator(new WebAssembly.Memory({ initial: 2, maximum: 4 }), base, 4 * pageBytes)
    for (const bytes of [-1, 0.5, Number.NaN, Infinity])
      expect(code(() => allocator.alloc(bytes))).toBe('INVALID_ARGUMENT')
    for (const align of [0, 3, -16, Number.NaN]) expect(code(() => allocator.alloc(8, align))).toBe('INVALID_ARGUMENT')
    const pointer = allocator.alloc(3 * pageBytes)
    expect(() => allocator.alloc(1)).toThrow(`${3 * pageBytes} of ${4 * pageBytes} bytes`)
    expect(code(() => allocator.alloc(1))).toBe('UNSUPPORTED')
    expect(code(() => allocator.free(pointer + 64))).toBe('INVALID_ARGUMENT')
    allocator.free(pointer)
    expect(code(() => allocator.free(pointer))).toBe('INVALID_ARGUMENT')
    expect(allocator.alloc(3 * pageBytes)).toBe(pointer)
  })

  it('does not grow over 10,000 blocks of changing size', () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: 64 })
    const allocator = createAllocator(memory, base, 64 * pageBytes)
    for (let i = 0; i < 10_000; i++) {
      const [a, b] = [allocator.alloc(1 + ((i * 7919) % 100_000)), allocator.alloc(1 + ((i * 104_729) % 100_000))]
      allocator.free(i % 2 === 0 ? a : b)
      allocator.free(i % 2 === 0 ? b : a)
    }
    // Two blocks of at most 100,032 bytes side by side, and an eighth of memory of growth reserve.
    expect(memory.buffer.byteLength).toBeLessThanOrEqual(base + 5 * pageBytes)
    expect(allocator.used).toBe(0)
  })
})

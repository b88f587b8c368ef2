// Typed arrays in a runtime's memory. Memory may grow under them, so a view is made when it is used.
import type { WasmModule, WasmRuntime } from '@ft/core'
import { loadKernels } from '@ft/tensor-core/wasm'
import { kernels } from './generated/kernels.ts'

export type Kernels = WasmModule['exports']

export interface Block<T> {
  readonly address: number
  readonly length: number
  view(): T
}

/** Allocates and remembers, so that one call frees everything. */
export interface Arena {
  readonly runtime: WasmRuntime
  readonly module: WasmModule
  readonly kernels: Kernels
  bytes(length: number): Block<Uint8Array>
  words(length: number): Block<Uint16Array>
  integers(length: number): Block<Uint32Array>
  floats(length: number): Block<Float32Array>
  doubles(length: number): Block<Float64Array>
  free(block: Block<unknown>): void
  release(): void
}

/** Bytes of a line of the cache: records that divide it lie in one each. */
const LINE = 64

type View<T> = new (buffer: ArrayBufferLike, address: number, length: number) => T

export function createArena(runtime: WasmRuntime): Arena {
  const module = loadKernels(runtime, '@ft/dart', kernels)
  const held = new Set<number>()
  const make =
    <T>(array: View<T>, width: number) =>
    (length: number): Block<T> => {
      // Some bytes more than asked for: kernels read four bins or two sums at a time.
      const address = runtime.alloc(Math.max(16, length * width + 16), LINE)
      held.add(address)
      return { address, length, view: () => new array(runtime.memory.buffer, address, length) }
    }
  return {
    runtime,
    module,
    kernels: module.exports,
    bytes: make(Uint8Array, 1),
    words: make(Uint16Array, 2),
    integers: make(Uint32Array, 4),
    floats: make(Float32Array, 4),
    doubles: make(Float64Array, 8),
    free(block) {
      if (held.delete(block.address)) runtime.free(block.address)
    },
    release() {
      for (const address of held) runtime.free(address)
      held.clear()
    },
  }
}

/** Cuts [0, count) into even ranges, one a thread; a single range when the work is too small to share. */
export function ranges(runtime: WasmRuntime, count: number, least: number): [number, number][] {
  return evenRanges(count, Math.max(1, Math.min(runtime.threads, Math.floor(count / least))))
}

function evenRanges(count: number, parts: number): [number, number][] {
  return Array.from({ length: parts }, (_, part) => [
    Math.floor((part * count) / parts),
    Math.floor(((part + 1) * count) / parts),
  ])
}

/**
 * Cuts several pieces of work, of so many rows each, into ranges of about equal length, `each` for every thread, so that no thread waits
 * long for the last. A piece is cut into ranges of at least `least` rows, and there are at most threads x each more ranges than pieces.
 */
export function shares(
  { threads }: WasmRuntime,
  sizes: readonly number[],
  { least, each }: { least: number; each: number },
): [number, number][][] {
  const total = Math.max(
    1,
    sizes.reduce((sum, size) => sum + size, 0),
  )
  return sizes.map((size) => {
    const wanted = threads === 1 ? 1 : Math.floor((size * threads * each) / total)
    return evenRanges(size, Math.max(1, Math.min(wanted, Math.floor(size / least))))
  })
}

/** Runs a kernel over [0, count) on all threads: `args` gives the arguments of one range. */
export function forRange(
  arena: Arena,
  name: string,
  { count, least = 16_384 }: { count: number; least?: number },
  args: (start: number, end: number) => readonly number[],
): void {
  arena.runtime.fork(
    arena.module,
    name,
    ranges(arena.runtime, count, least).map(([start, end]) => args(start, end)),
  )
}

// The kernels that predictions run on, compiled once and kept: a call would spend more on compiling than on a thousand rows.
import { createWasmRuntime } from '@ft/tensor-core/wasm'
import { createArena, type Arena } from './arena.ts'

/** A WebAssembly memory never shrinks: one that a huge model made grow beyond this many bytes is let go after its call. */
export const MOST_KEPT = 2 ** 25

let kept: Arena | undefined

/**
 * Lends an arena on one thread to `work`, which must be synchronous and write each block before it reads it: blocks hold what
 * others left. All that it allocates is freed. After a failure the arena is let go, for its memory may be damaged.
 */
export function withKeptArena<T>(work: (arena: Arena) => T): T {
  const arena = kept ?? createArena(createWasmRuntime({ threads: 1, relaxed: false }))
  // Whoever comes in between, from a getter of the caller's data, gets an arena of its own.
  kept = undefined
  const result = work(arena)
  arena.release()
  if (arena.runtime.memory.buffer.byteLength <= MOST_KEPT) kept = arena
  return result
}

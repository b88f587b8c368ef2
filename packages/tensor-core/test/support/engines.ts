// The engines that the suites run on, each beside a reference with the same tiles.
import type { SyncMatmulEngine } from '@ft/core'
import { createReferenceEngine, type ReferenceEngine } from '../../src/reference.ts'
import {
  createWasmEngine,
  relaxedSimdSupported,
  sharedMemorySupported,
  type WasmEngine,
  type WasmEngineOptions,
} from '../../src/wasm.ts'

export interface Bench {
  readonly name: string
  readonly options: WasmEngineOptions
}

const simd = [false, ...(relaxedSimdSupported() ? [true] : [])]
const threads = [
  { threads: 1, name: 'one thread' },
  // A page without COOP and COEP headers shares no memory.
  ...(sharedMemorySupported() ? [{ threads: 3, name: 'three threads' }] : []),
]

/** Every build of the kernels that runs here: unshared and shared memory, strict and relaxed SIMD. */
export const builds: readonly Bench[] = simd.flatMap((relaxed) =>
  threads.map(({ threads, name }) => ({
    name: `wasm, ${relaxed ? 'relaxed' : 'strict'}, ${name}`,
    options: { threads, relaxed },
  })),
)

export interface Pair {
  readonly engine: WasmEngine
  readonly reference: ReferenceEngine
}

export async function createPair(options: WasmEngineOptions): Promise<Pair> {
  const engine = createWasmEngine(options)
  await engine.ready()
  const instrumented = options.instrumented ?? false
  return { engine, reference: createReferenceEngine({ tile: [6, 16], instrumented }) }
}

export async function disposeAll(engines: readonly SyncMatmulEngine[]): Promise<void> {
  for (const engine of engines) await engine.dispose()
}

// The engines that the suites run on, each beside a reference with the same tiles.
import type { SyncMatmulEngine } from '@ft/core'
import { createReferenceEngine, type ReferenceEngine } from '../../src/reference.ts'
import { createWasmEngine, relaxedSimdSupported, type WasmEngine, type WasmEngineOptions } from '../../src/wasm.ts'

export interface Bench {
  readonly name: string
  readonly options: WasmEngineOptions
}

/** Every build of the kernels that this Node runs: unshared and shared memory, strict and relaxed SIMD. */
export const builds: readonly Bench[] = [
  { name: 'wasm, strict, one thread', options: { threads: 1, relaxed: false } },
  { name: 'wasm, strict, three threads', options: { threads: 3, relaxed: false } },
  ...(relaxedSimdSupported()
    ? [
        { name: 'wasm, relaxed, one thread', options: { threads: 1, relaxed: true } },
        { name: 'wasm, relaxed, three threads', options: { threads: 3, relaxed: true } },
      ]
    : []),
]

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

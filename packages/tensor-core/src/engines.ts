// Which engines there are, and the way to one of them. Each is loaded when it is asked for.
import { assertOneOf, type EngineName, type MatmulEngine } from '@ft/core'
import type { GpujsEngine, GpujsEngineOptions } from './gpujs/engine.ts'
import type { ReferenceEngine, ReferenceOptions } from './reference/engine.ts'
import { relaxedSimdSupported, sharedMemorySupported, simdSupported } from './runtime/features.ts'
import { processors } from './runtime/threads.ts'
import type { WasmEngine, WasmEngineOptions } from './wasm/engine.ts'
import type { WebgpuEngine, WebgpuEngineOptions } from './webgpu/engine.ts'

export interface EngineDescription {
  readonly name: EngineName
  readonly available: boolean
  /** What the engine would be here, or why it is not there. */
  readonly detail: string
}

const names = ['reference', 'wasm', 'webgpu', 'gpujs', 'auto'] as const

/**
 * Creates an engine.
 *
 * @param name - 'auto' takes wasm where there is SIMD, with the options of wasm, else reference. Never webgpu nor gpujs, which cannot
 *   do all that these two can: they are asked for by name
 * @throws `ENGINE_UNAVAILABLE` when it cannot run here; `describeEngines` says why
 * @example
 * ```ts
 * const engine = await createEngine('auto', { threads: 1 })
 * engine.name // => 'wasm'
 * await engine.dispose()
 * ```
 */
export function createEngine(name: 'reference', options?: ReferenceOptions): Promise<ReferenceEngine>
export function createEngine(name: 'wasm', options?: WasmEngineOptions): Promise<WasmEngine>
export function createEngine(name: 'webgpu', options?: WebgpuEngineOptions): Promise<WebgpuEngine>
export function createEngine(name: 'gpujs', options?: GpujsEngineOptions): Promise<GpujsEngine>
export function createEngine(name: EngineName | 'auto', options?: WasmEngineOptions): Promise<MatmulEngine>
export async function createEngine(
  name: EngineName | 'auto',
  options: ReferenceOptions | WasmEngineOptions | WebgpuEngineOptions | GpujsEngineOptions = {},
): Promise<MatmulEngine> {
  assertOneOf(name, { where: 'createEngine', argument: 'name', values: names })
  switch (name) {
    case 'auto':
      return createAuto(options as WasmEngineOptions)
    case 'reference': {
      const { createReferenceEngine } = await import('./reference/engine.ts')
      return createReferenceEngine(options as ReferenceOptions)
    }
    case 'wasm': {
      const { createWasmEngine } = await import('./wasm/engine.ts')
      const engine = createWasmEngine(options as WasmEngineOptions)
      await engine.ready()
      return engine
    }
    case 'webgpu': {
      const { createWebgpuEngine } = await import('./webgpu/engine.ts')
      return createWebgpuEngine(options as WebgpuEngineOptions)
    }
    case 'gpujs': {
      const { createGpujsEngine } = await import('./gpujs/engine.ts')
      return createGpujsEngine(options as GpujsEngineOptions)
    }
  }
}

/** The reference engine has neither threads nor memory of its own: of wasm's options it takes one. */
function createAuto(options: WasmEngineOptions): Promise<MatmulEngine> {
  if (simdSupported()) return createEngine('wasm', options)
  const { instrumented } = options
  return createEngine('reference', instrumented === undefined ? {} : { instrumented })
}

/** Lists every engine: what it would be on this machine, or why it is not there. Opens the process's WebGPU device. */
export async function describeEngines(): Promise<EngineDescription[]> {
  const { describeWebgpu } = await import('./webgpu/device.ts')
  return [
    { name: 'wasm', ...describeWasm() },
    { name: 'webgpu', ...(await describeWebgpu()) },
    { name: 'gpujs', ...(await describeGpujs()) },
    { name: 'reference', available: true, detail: 'plain TypeScript, float64 accumulation, one thread; for tests' },
  ]
}

async function describeGpujs(): Promise<{ available: boolean; detail: string }> {
  const { loadGpujs } = await import('./gpujs/peer.ts')
  try {
    await loadGpujs()
    return { available: true, detail: 'gpu.js, mode webasm; cpu, and webgpu where there is an adapter' }
  } catch (error) {
    return { available: false, detail: (error as Error).message.replace('createGpujsEngine: ', '') }
  }
}

function describeWasm(): { available: boolean; detail: string } {
  if (!simdSupported()) return { available: false, detail: 'WebAssembly without SIMD' }
  const simd = relaxedSimdSupported() ? 'relaxed SIMD' : 'SIMD'
  const threads = sharedMemorySupported()
    ? `${processors()} ${processors() === 1 ? 'thread' : 'threads'}`
    : '1 thread: memory cannot be shared (a page needs COOP and COEP headers)'
  return { available: true, detail: `${simd}, ${threads}` }
}

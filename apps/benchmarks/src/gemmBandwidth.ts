// The wasm SIMD sum that thin products are measured by: what one thread reads from memory.
import { createWasmRuntime, loadKernels } from '@ft/tensor-core/wasm'
import { bandwidth } from './generated/bandwidth.ts'

export interface ReadBandwidth {
  readonly bytes: number
  /** Reads in one stream. */
  one(): void
  /** Reads in four streams at once: what memory gives at best. */
  four(): void
  dispose(): Promise<void>
}

export function readBandwidth(bytes: number): ReadBandwidth {
  const runtime = createWasmRuntime({ threads: 1 })
  const kernels = loadKernels(runtime, 'bandwidth', bandwidth)
  const from = runtime.alloc(bytes)
  new Float32Array(runtime.memory.buffer, from, bytes / 4).fill(1)
  return {
    bytes,
    one: () => void kernels.exports.sum?.(from, bytes),
    four: () => void kernels.exports.sumStreams?.(from, bytes),
    dispose: () => runtime.dispose(),
  }
}

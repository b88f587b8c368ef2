// Kernels as packages carry them: base64 text, four builds of one source (made by scripts/assembly.mjs).
import { FtError, type WasmModule, type WasmRuntime, type WasmVariant } from '@ft/core'

export type KernelBuilds = Readonly<Record<WasmVariant, string>>

/** Decodes base64 text, as the generated kernel files hold it. */
export function decodeBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0))
  } catch (cause) {
    throw new FtError('CORRUPT_DATA', 'decodeBase64: not base64 text', {}, { cause })
  }
}

/** Loads the build that the runtime takes. Loading the same module again gives the first one. */
export function loadKernels(runtime: WasmRuntime, name: string, builds: KernelBuilds): WasmModule {
  return runtime.load(name, decodeBase64(builds[runtime.variant]))
}

// Subpath /wasm: the WebAssembly engine and the runtime that other packages' kernels share.
export { createWasmRuntime, type OwnedWasmRuntime, type WasmRuntimeOptions } from './runtime/runtime.ts'
export { decodeBase64, loadKernels, type KernelBuilds } from './runtime/kernels.ts'
export { relaxedSimdSupported, sharedMemorySupported, simdSupported } from './runtime/features.ts'
export { createWasmEngine, type WasmEngine, type WasmEngineOptions } from './wasm/engine.ts'

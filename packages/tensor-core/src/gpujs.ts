// Subpath /gpujs: the engine on gpu.js.
export { createGpujsEngine, type GpujsEngine, type GpujsEngineOptions } from './gpujs/engine.ts'
export { type GpujsMode } from './gpujs/peer.ts'

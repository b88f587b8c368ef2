// Subpath /webgpu: products on the GPU, in Node and in pages.
export { createWebgpuEngine, type WebgpuEngine, type WebgpuEngineOptions } from './webgpu/engine.ts'
export { tiles as webgpuTiles, type Tile as WebgpuTile } from './webgpu/tile.ts'
export { tunedTiles, type TunedTiles } from './webgpu/tuned.ts'
export { tuneWebgpu, type TuneOptions, type Tuning } from './webgpu/tune.ts'

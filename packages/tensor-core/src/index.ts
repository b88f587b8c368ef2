// @ft/tensor-core: matrix products on every engine, with the sums that checksum schemes need.
export { createEngine, describeEngines, type EngineDescription } from './engines.ts'
export { overlaps } from './problem/apart.ts'
export { columnRanges, rowBlocks, type ColumnRanges } from './problem/ranges.ts'
export type { JudgedProduct, Judging } from './problem/judging.ts'
export type { ReferenceEngine, ReferenceOptions } from './reference/engine.ts'
export type { WasmEngine, WasmEngineOptions } from './wasm/engine.ts'
export type { WebgpuEngine, WebgpuEngineOptions } from './webgpu/engine.ts'

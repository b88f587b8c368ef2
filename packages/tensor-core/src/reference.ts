// Subpath /reference: the engine that the others are compared with.
export { createReferenceEngine, type ReferenceEngine, type ReferenceOptions } from './reference/engine.ts'
export type { CountedPart, Counts, OperationCounts } from './reference/counts.ts'

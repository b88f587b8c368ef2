// Seeded random numbers with named independent streams: the only source of chance in these packages. The same seed
// gives the same bits on every machine; nothing here depends on an engine's Math functions.
export type { Random, RandomState, SampleOptions, Shufflable } from './random/types.ts'
export { createRandom, restoreRandom } from './random/generator.ts'

export { createCode, type ErasureCode, type Unit } from './codes/code.ts'
export { createLayout, type Layout, type LayoutOptions, type Place } from './layout.ts'
export {
  openShards,
  type EmbeddingTable,
  type ServerReport,
  type ShardOptions,
  type ShardStore,
  type Snapshot,
} from './store.ts'
export { type OptimizerName, type OptimizerOptions } from './shard/optimizers.ts'

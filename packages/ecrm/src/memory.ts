// The package without anything of Node: shards in the calling thread, the model, the codes. A page bundles it as it is.
import { assertOneOf } from '@ft/core'
import { checkMemoryNames } from './knownOptions.ts'
import { memoryKind } from './network/memory.ts'
import { resolveOptions } from './resolveOptions.ts'
import { openStore } from './tables/openStore.ts'
import type { ShardOptions, ShardStore } from './store.ts'

export { createCode, type ErasureCode, type Unit } from './codes/code.ts'
export { createLayout, type Layout, type LayoutOptions, type Place } from './layout.ts'
export type { EmbeddingTable, FlippedBit, ServerReport, ShardStore } from './store.ts'
export type { StoredTable } from './tables/places.ts'
export type { KeptVersion } from './keptVersion.ts'
export type { PushOptions } from './client.ts'
export type { CorruptStripe, ScrubOptions, ScrubReport } from './scrub.ts'
export type { RowSet, Snapshot } from './snapshot.ts'
export { storeMetrics } from './metrics.ts'
export type { OptimizerName, OptimizerOptions } from './shard/optimizers.ts'
export {
  evaluate,
  train,
  type EvaluateOptions,
  type Evaluation,
  type StepRecord,
  type TrainOptions,
  type Trained,
} from './train.ts'
export { trainStep, type Coming, type StepState } from './trainStep.ts'
export { createDenseModel, type DenseBatch, type DenseModel, type DenseModelOptions } from './dlrm/denseModel.ts'
export type { Batch, CategoricalFeature, Samples } from './dlrm/samples.ts'
export {
  wastedTime,
  type CheckpointCosts,
  type CodingCosts,
  type WastedTime,
  type WastedTimeOptions,
} from './advisor/wastedTime.ts'
export { createParityGroup, type GroupBuffer, type ParityGroup, type ParityGroupOptions } from './group/parityGroup.ts'

/** Options of `openShards` that mean something without processes. */
export type MemoryShardOptions = Pick<
  ShardOptions,
  'tables' | 'd' | 'k' | 'r' | 'servers' | 'optimizer' | 'seed' | 'acknowledgement' | 'logBytes' | 'sweep'
> & { readonly where?: 'memory' }

/**
 * Starts the shards of a run in the calling thread: `openShards` of `@ft/ecrm` with `where: 'memory'`, same defaults, same bits.
 *
 * Memory: (1 + r / k) x rows x (d + state) x 4 bytes, 4 bytes of version a row and 4 k a parity row.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export async function openShards(options: MemoryShardOptions): Promise<ShardStore> {
  checkMemoryNames(options)
  assertOneOf(options.where ?? 'memory', { where: 'openShards', argument: 'where', values: ['memory'] })
  const resolved = resolveOptions(options)
  return openStore(resolved, memoryKind(resolved.sweep))
}

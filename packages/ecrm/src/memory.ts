// The package without anything of Node: shards in the calling thread, the model, the codes. A page bundles it as it is.
import { assertInteger, assertNumber, assertOneOf, invalidArgument } from '@ft/core'
import type { ClusterKind } from './network/cluster.ts'
import { startInMemory } from './network/memory.ts'
import type { ShardSpec } from './shard/spec.ts'
import { createStore } from './shardStore.ts'
import type { ShardOptions, ShardStore } from './store.ts'

export { createCode, type ErasureCode, type Unit } from './codes/code.ts'
export { createLayout, type Layout, type LayoutOptions, type Place } from './layout.ts'
export type { EmbeddingTable, FlippedBit, ServerReport, ShardStore } from './store.ts'
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
export { trainStep, type StepState } from './trainStep.ts'
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
  const { k = 4, r = 1, seed = 0, acknowledgement = 'sync', logBytes = 64 * 2 ** 20, where = 'memory' } = options
  const { servers = k + r, optimizer = { name: 'adagrad', learningRate: 0.01 }, d } = options
  const { stripes = 512, pause = 5, share = 0.2 } = options.sweep ?? {}
  const at = (argument: string) => ({ where: 'openShards', argument })
  assertOneOf(where, { ...at('where'), values: ['memory'] })
  assertOneOf(acknowledgement, { ...at('acknowledgement'), values: ['sync', 'async'] })
  assertInteger(stripes, { ...at('sweep.stripes'), min: 1, max: 1_000_000 })
  assertInteger(pause, { ...at('sweep.pause'), min: 0, max: 60_000 })
  assertNumber(share, { ...at('sweep.share'), min: 0.001, max: 1 })
  if (!Array.isArray(options.tables)) throw invalidArgument(at('tables'), 'an array of tables', options.tables)
  const ranges = options.tables.map(({ rows, scale = 1 / Math.sqrt(rows) }) => ({ rows, scale }))
  const spec: ShardSpec = { k, r, servers, d, ranges, optimizer, seed, acknowledgement, logBytes }
  const sweep = { stripes, pause, share }
  const kind: ClusterKind = {
    start: (resolved, events) => Promise.resolve(startInMemory(resolved, events, sweep)),
    grown: () => kind,
    shrunk: () => kind,
  }
  return createStore({ spec, kind, sweep })
}

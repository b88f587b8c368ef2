export { createCode, type ErasureCode, type Unit } from './codes/code.ts'
export { createLayout, type Layout, type LayoutOptions, type Place } from './layout.ts'
export {
  openShards,
  type EmbeddingTable,
  type ServerReport,
  type ShardOptions,
  type ShardStore,
  type FlippedBit,
} from './store.ts'
export type { Protection, StoredTable } from './tables/places.ts'
export type { KeptVersion } from './keptVersion.ts'
export type { PushOptions } from './client.ts'
export { serveShards, type ServedShards, type ServeOptions } from './serveShards.ts'
export { type TlsAuthority, type TlsFiles } from './network/address.ts'
export { type RemoteShard } from './network/assignment.ts'
export { type CorruptStripe, type ScrubOptions, type ScrubReport } from './scrub.ts'
export { type RowSet, type Snapshot } from './snapshot.ts'
export { storeMetrics } from './metrics.ts'
export {
  wastedTime,
  type CheckpointCosts,
  type CodingCosts,
  type WastedTime,
  type WastedTimeOptions,
} from './advisor/wastedTime.ts'
export { simulateFailures, type SimulateOptions, type Simulated } from './advisor/simulateFailures.ts'
export { floatSumParity, type FloatSumOptions, type FloatSumResult } from './baselines/floatSumParity.ts'
export { naivePropagation, type NaiveOptions, type NaiveResult } from './baselines/naivePropagation.ts'
export { type OptimizerName, type OptimizerOptions } from './shard/optimizers.ts'
export { evaluate, type EvaluateOptions, type Evaluation, type StepRecord, type Trained } from './train.ts'
export { train, type TrainOptions } from './workers/train.ts'
export { createScoreWindow, type ScoreWindow, type WindowScore } from './dlrm/scoreWindow.ts'
export { trainStep, type Coming, type StepState } from './trainStep.ts'
export type { Scratch } from './dlrm/scratch.ts'
export { createDenseModel, type DenseBatch, type DenseModel, type DenseModelOptions } from './dlrm/denseModel.ts'
export { type Batch, type CategoricalFeature, type Samples } from './dlrm/samples.ts'
export {
  readCheckpoint,
  restoreModel,
  saveCheckpoint,
  type Checkpoint,
  type Saveable,
} from './checkpoint/checkpoint.ts'
export {
  createCheckpointer,
  type Checkpointer,
  type CheckpointerOptions,
  type SavedCheckpoint,
} from './checkpoint/checkpointer.ts'
export {
  trainPartiallyRecovered,
  type PartialRecoveryOptions,
  type PartiallyRecovered,
} from './baselines/partialRecovery.ts'
export {
  trainCheckpointed,
  type CheckpointedOptions,
  type CheckpointedTraining,
} from './baselines/checkpointedTraining.ts'
export { createParityGroup, type GroupBuffer, type ParityGroup, type ParityGroupOptions } from './group/parityGroup.ts'
export {
  chooseProtection,
  type ChooseOptions,
  type ProtectableTable,
  type ProtectedPart,
  type ProtectionChoice,
} from './advisor/chooseProtection.ts'
export { updatesAStep, type UpdatesOptions } from './advisor/updatesAStep.ts'
export { exportNpy } from './export/exportNpy.ts'

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
export { type Batch, type CategoricalFeature, type Samples } from './dlrm/samples.ts'

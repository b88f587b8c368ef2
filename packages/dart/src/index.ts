export type { Features, FeatureRecord, Matrix } from './data.ts'
export { chooseDropped, normalize, type Normalized } from './dropout.ts'
export { metricOf, type CustomMetric, type Metric, type MetricName, type Scored } from './metrics.ts'
export { roundsOf, type Model } from './model.ts'
export type { CustomObjective, ObjectiveName } from './objectives/objective.ts'
export {
  dropoutPresets,
  type DropoutOptions,
  type DropoutPreset,
  type Normalization,
  type RoundEvent,
  type TrainOptions,
} from './options.ts'
export { ndcg, type EmptyQuery } from './ndcg.ts'
export { predict, type PredictOptions } from './predict.ts'
export { train, type LabelledData, type RoundRecord, type Trained, type TrainInput } from './train.ts'
export { depthOf, type Tree } from './tree.ts'

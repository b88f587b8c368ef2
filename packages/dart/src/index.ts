export { fromArrow, type ArrowTable, type ArrowVector } from './data/arrow.ts'
export { readCsv, readLibSvm, type CsvOptions, type LibSvmRows } from './data/csv.ts'
export type { Features, Matrix } from './data/matrix.ts'
export { takeLabel, type LabelColumn, type TakeLabelOptions } from './data/split.ts'
export type { Cell, Column, ColumnTable, FeatureRecord } from './data/table.ts'
export { chooseDropped, normalize, type Normalized } from './dropout.ts'
export { loadModel, saveModel } from './exchange/modelBytes.ts'
export { metricOf, type CustomMetric, type Metric, type MetricName, type Scored } from './metrics.ts'
export { roundsOf, type Model } from './model.ts'
export type { CustomObjective, ObjectiveName } from './objectives/objective.ts'
export {
  dropoutPresets,
  type DropoutOptions,
  type DropoutPreset,
  type GossOptions,
  type Normalization,
  type RoundEvent,
  type TrainOptions,
} from './options.ts'
export { ndcg, type EmptyQuery } from './ndcg.ts'
export { predict, type PredictOptions } from './predict.ts'
export type { LabelledData } from './readData.ts'
export { train, type RoundRecord, type Trained, type TrainInput } from './train.ts'
export { depthOf, type Tree } from './tree.ts'
export { readLightgbm, writeLightgbm } from './exchange/lightgbmText.ts'
export { toOnnx } from './exchange/onnx.ts'
export { readXgboost } from './exchange/readXgboost.ts'
export { writeXgboost, writeXgboostUbjson, type WriteXgboostOptions } from './exchange/writeXgboost.ts'
export { crossValidate, type CrossValidated, type CrossValidateOptions } from './crossValidate.ts'
export { contributions, type ContributionsOptions } from './insight/contributions.ts'
export {
  importance,
  permutationImportance,
  type ImportanceKind,
  type PermutationImportance,
  type PermutationOptions,
} from './insight/importance.ts'
export { overSpecialization, overSpecializationSvg, type OverSpecialization } from './insight/overSpecialization.ts'
export { prune, type Pruned, type PruneOptions } from './insight/prune.ts'
export { dumpTree } from './insight/dumpTree.ts'
export { treeDot, treeSvg } from './insight/treePicture.ts'
export { compare, type Compared, type CompareOptions, type Comparison } from './compare.ts'

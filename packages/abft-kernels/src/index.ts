export {
  calibrate,
  parseCalibration,
  saveCalibration,
  type CalibrateOptions,
  type Calibration,
  type CalibrationPoint,
} from './calibrate.ts'
export type { Chain, ChainLayer, ChainOptions, ChainResult } from './chain.ts'
export { schemeCost, type CostOptions, type OperationCost, type SchemeCost } from './costs.ts'
export { embeddingBag, protectTable, type EmbeddingBagOptions, type ProtectedTable } from './embeddingBag.ts'
export { watchWeights, type WeightFinding, type WeightWatch } from './weightWatch.ts'
export type { AttentionOptions, AttentionResult } from './attention.ts'
export { engineOf, type OwnKernel } from './ownKernel.ts'
export { createKernels, type Kernels, type KernelsOptions } from './kernels.ts'
export type { Protected, ProtectionOptions } from './protectedMatmul.ts'
export type { Detection, Outcome, Region, Report, Threshold } from './report.ts'
export type { ChecksumWeights, RandomChecksums } from './randomWeights/checksums.ts'
export { roundingOf, type Rounding } from './rounding.ts'
export type { OnFault } from './settle.ts'
export { kappaFor, type ThresholdKind } from './thresholds/policy.ts'
export { protectWeights, type ProtectedWeights, type ProtectOptions, type WeightNorms } from './weights.ts'

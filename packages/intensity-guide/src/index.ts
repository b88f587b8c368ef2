export { analyseLayer, analyseNetwork, type LayerAnalysis, type NetworkAnalysis, type Work } from './analyse.ts'
export { planWithinBudget, tradeOffOf, type BudgetOptions, type BudgetPlan, type TradeOff } from './budget.ts'
export { choosePerLayer, type ChooseOptions, type Measurements } from './choosePerLayer.ts'
export { predict, type Prediction } from './cost.ts'
export { devices, findDevice, ridge, type Device, type DeviceName, type Latency, type SchemeCost } from './devices.ts'
export { parsePlan, planNetwork, planTotals, savePlan, type PlanTotals } from './plan.ts'
export {
  isLanguageModelConfig,
  readLanguageModel,
  type LanguageModel,
  type LanguageModelOptions,
} from './models/languageModel.ts'
export { readLayerList } from './models/layerList.ts'
export type { ReadNetwork } from './models/network.ts'
export { readOnnx, type OnnxReadOptions } from './models/onnx.ts'
export { isTfjsModel, readTfjs, type TfjsReadOptions } from './models/tfjs/index.ts'
export { residualOf, type Residual } from './residual.ts'
export { smallestDetectable } from './sensitivity.ts'
export { targetSchemes } from './targets.ts'
export { whatIf, type WhatIfCase, type WhatIfRow } from './whatIf.ts'
export {
  transformerLayers,
  zoo,
  zooNames,
  type Network,
  type TransformerShape,
  type ZooName,
  type ZooOptions,
} from './zoo/index.ts'
export {
  calibrationLayers,
  deviceFrom,
  measureDevice,
  type MeasuredDevice,
  type MeasureDeviceOptions,
} from './measureDevice.ts'
export {
  baseTimesOf,
  measurementsOf,
  overheadOf,
  overheadsOf,
  type ProfileView,
  type Rounds,
} from './profile/overheads.ts'
export { parseProfile, saveProfile, shapeKey, type Arm, type Profile, type ProfiledShape } from './profile/profile.ts'
export { profileLayers, type ProfileCache, type ProfileOptions } from './profile/profileLayers.ts'
export { profileNetwork, type NetworkProfileOptions } from './profile/profileNetwork.ts'
export { measuredTotals, type Choice, type MeasuredTotals, type MeasuredTotalsOptions } from './profile/totals.ts'

// Injected faults: what a fault does to a value, models to draw faults from, lists to save and replay.
export { applyEffect, strike, type Strike } from './faults/effect.ts'
export {
  assertFaultFits,
  drawSite,
  extentOf,
  siteDType,
  sitePopulation,
  type Extent,
  type SiteKind,
} from './faults/sites.ts'
export {
  bitFlips,
  carries,
  doubledTerms,
  droppedTerms,
  indexFlips,
  randomValues,
  stuckBits,
  weightFlips,
  type FaultModel,
} from './faults/models.ts'
export { cancellingPairs, wholeColumns, wholeRows, wholeTiles } from './faults/patterns.ts'
export { sampleFaults, type SampleFaultsOptions } from './faults/sampleFaults.ts'
export { stratifiedFlips, type StratifiedFlipsOptions, type Stratum } from './faults/stratified.ts'
export { parseFaultList, saveFaultList } from './faults/list.ts'
export { faultSampleSize } from './statistics/sampleSize.ts'

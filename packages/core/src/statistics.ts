// Honest statistics: every estimate comes with an interval, and an effect inside its noise is called so. Same bits on
// every machine: resampling is seeded and no engine's Math functions take part.
export { binomialMedianRank, ratioInterval, type RatioPair } from './statistics/ratio.ts'
export { bootstrap, bootstrapIndices, type BootstrapOptions } from './statistics/bootstrap.ts'
export { distinguishable, type Verdict } from './statistics/distinguishable.ts'
export { mean, meanInterval, standardDeviation, standardError, sum, variance } from './statistics/moments.ts'
export { erfc, normalCdf, normalQuantile, normalUpperTail } from './statistics/normal.ts'
export { stratifiedProportion, wilson, zeroEventsUpperBound, type StratumCount } from './statistics/proportion.ts'
export { median, quantile, quantiles } from './statistics/quantiles.ts'
export { faultSampleSize, proportionSampleSize, trialsForUpperBound } from './statistics/sampleSize.ts'
export { auc, aucDifference, aucInterval, logLoss, logLossInterval } from './statistics/scores.ts'
export { studentQuantile, studentUpperTail } from './statistics/student.ts'

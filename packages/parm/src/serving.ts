// Subpath /serving: codes, groups and policies over a clock, without processes and sockets: for pages, simulations and
// transports of one's own.
export { type NamedTensor, type Quality } from './named.ts'
export { unitId, type Code, type Decoded } from './codes/code.ts'
export { sum, weighted, type SumOptions, type WeightedOptions } from './codes/weighted.ts'
export { concat, type ConcatCode, type ConcatOptions, type ImageForm } from './codes/concat.ts'
export { berrut, type BerrutOptions } from './codes/berrut.ts'
export { replication } from './codes/replication.ts'
export {
  withPreprocessing,
  type ChannelPreprocessing,
  type Preprocessing,
  type Preprocessings,
  type ScalePreprocessing,
} from './codes/preprocessed.ts'
export { systemClock, virtualClock, type Clock, type VirtualClock } from './serving/clock.ts'
export { deadlineOnly, firstWins, hedge, hedgeThenDecode, hold, type Policy } from './serving/policy.ts'
export { type DelayOptions } from './serving/delay.ts'
export { utilisationGuard, type UtilisationGuard, type UtilisationGuardOptions } from './serving/guard.ts'
export { shadowCheck, type ShadowCheck, type ShadowCounts } from './serving/shadow.ts'
export { type Answer, type Dispatch, type Task } from './serving/group.ts'
export {
  type Coordinator,
  type CoordinatorEvent,
  type CoordinatorOptions,
  type Submission,
} from './serving/coordinator.ts'
export { createCoordinator } from './serving/serveGroup.ts'
export { residualCheck, type ResidualCheck, type ResidualOptions, type ResidualState } from './serving/residual.ts'

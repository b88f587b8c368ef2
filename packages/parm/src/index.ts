export { type NamedTensor, type Quality } from './named.ts'
export { unitId, type Code, type Decoded } from './codes/code.ts'
export { sum, weighted, type SumOptions, type WeightedOptions } from './codes/weighted.ts'
export { concat, type ConcatCode, type ConcatOptions, type ImageForm } from './codes/concat.ts'
export { replication } from './codes/replication.ts'

export { systemClock, virtualClock, type Clock, type VirtualClock } from './serving/clock.ts'
export { deadlineOnly, firstWins, hedge, hedgeThenDecode, hold, type Policy } from './serving/policy.ts'
export { type DelayOptions } from './serving/delay.ts'
export { utilisationGuard, type UtilisationGuard, type UtilisationGuardOptions } from './serving/guard.ts'
export { shadowCheck, type ShadowCheck, type ShadowCounts } from './serving/shadow.ts'
export { type Answer, type Dispatch, type Task } from './serving/group.ts'
export {
  createCoordinator,
  type Coordinator,
  type CoordinatorEvent,
  type CoordinatorOptions,
  type Submission,
} from './serving/serveGroup.ts'

export { OipError } from './oip/error.ts'
export { type Datatype } from './oip/datatypes.ts'
export { createOipClient, type OipClient, type OipClientOptions } from './oip/client.ts'
export {
  startOipServer,
  type InferContext,
  type ModelMetadata,
  type OipServer,
  type OipServerOptions,
  type OipService,
  type TensorMetadata,
} from './oip/server.ts'
export {
  toNamedTensor,
  toWireTensor,
  type InferRequest,
  type InferResponse,
  type Parameters,
  type WireTensor,
} from './oip/message.ts'

export { createGateway, type Gateway, type GatewayOptions, type GatewaySnapshot } from './gateway/gateway.ts'
export { type InstanceSpec, type ServerSpec, type WorkerSpec } from './gateway/instances.ts'
export { type ModelFactory, type ServedModel, type WorkerModel } from './workers/served.ts'
export { startWorker, type StartWorkerOptions, type WorkerProcess } from './workers/spawn.ts'
export { denseFromTorch, fingerprintOf, type DenseLayer } from './models/dense.ts'
export { readModelFolder, writeModelFolder, type ModelManifest, type ParityBinding } from './models/folder.ts'
export { createDenseRunner } from './workers/denseModel.ts'
export {
  trainParityModel,
  type ParityTask,
  type TrainParityOptions,
  type TrainedParity,
} from './training/trainParityModel.ts'
export { evaluateCode, type Accuracy, type EvaluateOptions } from './training/evaluate.ts'
export { preset, type TrainingSettings } from './training/presets.ts'

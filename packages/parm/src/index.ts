export * from './serving.ts'

export { OipError } from './oip/error.ts'
export { type Datatype } from './oip/datatypes.ts'
export { createOipClient, type OipClient, type OipClientOptions } from './oip/client.ts'
export { createGrpcClient } from './grpc/client.ts'
export { startGrpcServer, type GrpcServer, type GrpcServerOptions } from './grpc/server.ts'
export { startOipServer, type OipServer, type OipServerOptions, type TlsOptions } from './oip/server.ts'
export {
  type InferContext,
  type OtherReply,
  type OtherRequest,
  type ModelMetadata,
  type OipService,
  type Refusal,
  type TensorMetadata,
} from './oip/service.ts'
export {
  toNamedTensor,
  toWireTensor,
  type InferRequest,
  type InferResponse,
  type Parameters,
  type RequestedOutput,
  type WireTensor,
} from './oip/message.ts'

export { createGateway, type Gateway, type GatewayOptions, type GatewaySnapshot } from './gateway/gateway.ts'
export { type InstanceSpec, type ServerSpec, type WorkerSpec } from './gateway/instances.ts'
export { type ModelFactory, type ServedContext, type ServedModel, type WorkerModel } from './workers/served.ts'
export { type WorkerFaults } from './workers/faults.ts'
export { startWorker, type StartWorkerOptions, type WorkerProcess } from './workers/spawn.ts'
export { denseFromTorch } from './models/dense.ts'
export { fingerprintOf, type ConvLayer, type DenseLayer, type Layer } from './models/layers.ts'
export { createModelRunner } from './models/runner.ts'
export {
  readModelFolder,
  writeModelFolder,
  type ModelManifest,
  type ParityBinding,
  type SavedModel,
} from './models/folder.ts'
export {
  trainParityModel,
  type ParityTask,
  type TrainParityOptions,
  type TrainedParity,
} from './training/trainParityModel.ts'
export { evaluateCode, type Accuracy, type EvaluateOptions } from './training/evaluate.ts'
export { evaluateMixed, type EvaluateMixedOptions } from './training/evaluateMixed.ts'
export { learned, type LearnedOptions } from './codes/learned.ts'
export { readLearnedCode, writeLearnedCode, type LearnedCode } from './models/learnedFolder.ts'
export {
  trainLearnedCode,
  type LearnedTask,
  type TrainLearnedOptions,
  type TrainedLearned,
} from './training/trainLearnedCode.ts'
export { trainModel, type ModelTask, type TrainedModel, type TrainModelOptions } from './training/trainModel.ts'
export { loadTensorFlow } from './training/backend.ts'
export { preset, type Preset, type PresetName, type TrainingSettings } from './training/presets.ts'
export { cropAndFlip, type Augment } from './training/augment.ts'
export { type Answers } from './training/score.ts'
export { simulate, type SimulateOptions, type Simulated, type SlowMachines } from './simulation/simulate.ts'
export { advise, type Advice, type AdviseOptions, type Choice, type Trace } from './simulation/advise.ts'
export { parseTrace } from './simulation/trace.ts'

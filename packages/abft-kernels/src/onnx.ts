// Subpath /onnx: protection written into ONNX graphs, and the session that reads it.
export {
  createGuardedSession,
  type GuardCalibration,
  type GuardedResult,
  type GuardedSession,
  type GuardOptions,
  type GuardReport,
  type LayerCheck,
} from './onnx/guardedSession.ts'
export { injectOnnx } from './onnx/injectOnnx.ts'
export type { ProtectedLayer } from './onnx/metadata.ts'
export type { Ort, OrtSession, OrtTensor } from './onnx/ort.ts'
export { protectOnnx, type ProtectedModel, type UniformPlan } from './onnx/protectOnnx.ts'
export type { OnnxScheme } from './onnx/site.ts'

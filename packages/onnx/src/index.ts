export {
  attribute,
  floatAttribute,
  graphAttribute,
  intAttribute,
  intsAttribute,
  makeAttribute,
  stringAttribute,
  subgraphs,
  tensorAttribute,
  type AttributeValue,
} from './attributes.ts'
export { graphBuilder, makeNode, makeValueInfo, type GraphBuilder, type NodeOptions } from './builder.ts'
export { onnxTypes, toDType, type OnnxData, type OnnxType } from './dtypes.ts'
export { modelFingerprint } from './fingerprint.ts'
export { foldBatchNorm } from './foldBatchNorm.ts'
export { indexGraph, type GraphIndex } from './graph.ts'
export { inferShapes, type InferOptions, type ShapeInference } from './inferShapes.ts'
export { linearLayers, type LinearLayers } from './linearLayers.ts'
export {
  cloneModel,
  parseModel,
  serializeModel,
  serializeWithExternalData,
  setMetadata,
  tensorsOf,
  type OnnxModel,
  type ParseOptions,
} from './model.ts'
export type { AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './proto/onnx_pb.js'
export { rewriter, type Rewriter } from './rewriter.ts'
export type { Dimension, Value } from './shapes/values.ts'
export { fromTensor, makeTensor, readTensor, toTensor, type OnnxTensor } from './tensors.ts'

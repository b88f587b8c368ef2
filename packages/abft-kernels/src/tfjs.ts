// Subpath /tfjs: a TensorFlow.js model whose products check themselves on whatever backend is active.
export {
  protectTfjs,
  type ProtectedTfjsModel,
  type TfjsGuardOptions,
  type TfjsGuardReport,
  type TfjsGuarded,
} from './tfjs/protectTfjs.ts'
export type { TfEngine, TfModel, TfModule, TfTensor } from './tfjs/surface.ts'

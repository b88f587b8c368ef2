// Subpath /tfjs: TensorFlow.js' backends, and the kernels that training on its wasm backend lacks.
export {
  selectTfjsBackend,
  type SelectTfjsOptions,
  type TfjsBackendName,
  type TfjsSelection,
} from './tfjs/selectBackend.ts'
export { registerTrainingKernels, type TrainingKernels, type TrainingKernelsOptions } from './tfjs/trainingKernels.ts'
export type { Tfjs, TfjsRegistry } from './tfjs/surface.ts'

// TensorFlow.js, an optional peer, for trainings that are to run on a backend of its own.
import type * as TensorFlow from '@tensorflow/tfjs'
import { FtError } from '@ft/core'
import { registerTrainingKernels, selectTfjsBackend } from '@ft/tensor-core/tfjs'
import { createWasmEngine } from '@ft/tensor-core/wasm'

/**
 * Loads TensorFlow.js with a native backend where one is installed, else with its WebAssembly backend and the convolution
 * gradients that this lacks, else in plain JavaScript. For the option `tf` of trainings, which is worth it with a native
 * backend: the WebAssembly engine that they use otherwise is faster than TensorFlow.js' WebAssembly backend.
 *
 * @throws FtError `MISSING_PEER` with the names of the packages to install
 */
export async function loadTensorFlow(): Promise<typeof TensorFlow> {
  try {
    const { tf, backend } = await selectTfjsBackend({ prefer: ['tfjs-node-gpu', 'tfjs-node', 'wasm', 'cpu'] })
    // The engine lives as long as the kernels: until the process ends
    if (backend === 'wasm') registerTrainingKernels(tf, createWasmEngine({ threads: 1 }))
    return tf as unknown as typeof TensorFlow
  } catch (cause) {
    const packages = '@tensorflow/tfjs @tensorflow/tfjs-backend-wasm'
    throw new FtError('MISSING_PEER', `training needs TensorFlow.js: npm install ${packages}`, {}, { cause })
  }
}

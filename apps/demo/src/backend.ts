// The TensorFlow.js backend that is there: native where its package is installed, WebAssembly else, plain JavaScript last.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type * as TensorFlow from '@tensorflow/tfjs'
import { selectTfjsBackend, type TfjsSelection } from '@ft/tensor-core/tfjs'

export interface Backend extends Omit<TfjsSelection, 'tf'> {
  readonly tf: typeof TensorFlow
}

export async function pickBackend(): Promise<Backend> {
  const wasmFiles = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))
  const { tf, ...rest } = await selectTfjsBackend({
    // These networks are too small to be worth a device's round trips.
    prefer: ['tfjs-node-gpu', 'tfjs-node', 'wasm'],
    load: (name) => import(name),
    wasmPath: `${wasmFiles}/`,
  })
  return { ...rest, tf: tf as unknown as typeof TensorFlow }
}

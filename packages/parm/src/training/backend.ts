// TensorFlow.js, loaded when training starts: an optional peer.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type * as TensorFlow from '@tensorflow/tfjs'
import { FtError } from '@ft/core'

/**
 * Loads TensorFlow.js with its WebAssembly backend, or plain JavaScript where that is not installed.
 *
 * @throws FtError `MISSING_PEER` with the name of the package to install
 */
export async function loadTensorFlow(): Promise<typeof TensorFlow> {
  let tf: typeof TensorFlow
  try {
    tf = await import('@tensorflow/tfjs')
  } catch (cause) {
    throw new FtError(
      'MISSING_PEER',
      'trainParityModel: needs @tensorflow/tfjs; npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm',
      {},
      { cause },
    )
  }
  try {
    const wasm = await import('@tensorflow/tfjs-backend-wasm')
    const files = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))
    wasm.setWasmPaths(`${files}/`)
    await tf.setBackend('wasm')
  } catch {
    await tf.setBackend('cpu')
  }
  await tf.ready()
  return tf
}

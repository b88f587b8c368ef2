// The TensorFlow.js backend that is there: native where its package is installed, WebAssembly else, plain JavaScript last.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import type * as TensorFlow from '@tensorflow/tfjs'

export interface Backend {
  readonly tf: typeof TensorFlow
  readonly name: string
  readonly passedOver: readonly { readonly name: string; readonly reason: string }[]
}

export async function pickBackend(): Promise<Backend> {
  const tf = (await import('@tensorflow/tfjs')) as typeof TensorFlow
  const passedOver: { name: string; reason: string }[] = []
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    try {
      await import(name)
      await tf.setBackend('tensorflow')
      return { tf, name, passedOver }
    } catch {
      passedOver.push({ name, reason: 'not installed' })
    }
  }
  try {
    const wasm = await import('@tensorflow/tfjs-backend-wasm')
    const files = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))
    wasm.setWasmPaths(`${files}/`)
    if (await tf.setBackend('wasm')) return { tf, name: 'wasm', passedOver }
    passedOver.push({ name: 'wasm', reason: 'it did not start' })
  } catch (error) {
    passedOver.push({ name: 'wasm', reason: String(error) })
  }
  await tf.setBackend('cpu')
  return { tf, name: 'cpu', passedOver }
}

// TensorFlow.js with its wasm and cpu backends, and kernels run on one of them by name.
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'

setWasmPaths(`${dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm'))}/`)

export { tf }

export async function use(backend: 'wasm' | 'cpu'): Promise<void> {
  if (!(await tf.setBackend(backend))) throw new Error(`no backend ${backend}`)
  await tf.ready()
}

/** Values of a kernel's result on a backend; the operands stay the caller's. */
export async function kernel(
  backend: 'wasm' | 'cpu',
  name: string,
  o: { inputs: Record<string, tf.Tensor>; attrs: Record<string, unknown> },
): Promise<{ values: Float32Array; shape: number[]; dtype: string }> {
  await use(backend)
  const result = tf.engine().runKernel<tf.Tensor>(name, o.inputs, o.attrs as never)
  const values = (await result.data()) as Float32Array
  const { shape, dtype } = result
  result.dispose()
  return { values, shape, dtype }
}

// A dense layer's products: Z = X W + b, and back dW = X^T dZ, dX = dZ W^T.
import type { Tensor } from '@ft/core'
import type { WasmEngine } from '@ft/tensor-core/wasm'
import type { DenseLayer } from '../models/layers.ts'
import type { Step } from './passes.ts'

export function denseStep(
  engine: WasmEngine,
  o: { readonly layer: DenseLayer; readonly weights: Float32Array; readonly bias: Float32Array },
): Step {
  const [inputs, outputs] = o.layer.weights.shape as readonly [number, number]
  const weights = matrix(o.weights, inputs, outputs)
  const bias: Tensor = { data: o.bias, shape: [outputs], dtype: 'float32' }
  const options = { bias, ...(o.layer.relu ? { activation: 'relu' as const } : {}) }
  return {
    inputs,
    outputs,
    forward(x, { rows, to }) {
      engine.matmulSync(matrix(x, rows, inputs), weights, { ...options, out: matrix(to, rows, outputs) })
    },
    weightsGradient(x, { dz, rows, to }) {
      const out = matrix(to, inputs, outputs)
      engine.matmulSync(matrix(x, rows, inputs), matrix(dz, rows, outputs), { transposeA: true, out })
    },
    inputsGradient(dz, { rows, to }) {
      engine.matmulSync(matrix(dz, rows, outputs), weights, { transposeB: true, out: matrix(to, rows, inputs) })
    },
  }
}

export const matrix = (data: Float32Array, rows: number, columns: number): Tensor => ({
  data,
  shape: [rows, columns],
  dtype: 'float32',
})

// Forward and backward passes of dense layers on the WebAssembly engine, which TensorFlow.js would compute with more copies:
// H = relu(X W + b) row by row, and back dW = X^T dZ, db = columns of dZ added, dX = dZ W^T, where dZ = dH where H > 0.
import type { Tensor } from '@ft/core'
import type { WasmEngine } from '@ft/tensor-core/wasm'
import type { DenseLayer, Layer } from '../models/layers.ts'

export interface DenseGradients {
  /** Outputs `[rows, out]` of inputs `[rows, in]`, good until the next call. */
  forward(x: Float32Array, rows: number): Float32Array
  /**
   * Gradients with respect to the parameters, weights and biases in turn, of a loss whose gradient with respect to the last
   * outputs is `outputs` (which is changed); good until the next call.
   *
   * @param o.frozen - only the inputs' gradient is wanted
   * @param o.inputs - whether the gradient with respect to the last inputs is wanted
   */
  backward(
    outputs: Float32Array,
    o?: { readonly frozen?: boolean; readonly inputs?: boolean },
  ): { readonly gradients: readonly Float32Array[]; readonly inputs: Float32Array | undefined }
}

export function isDense(layers: readonly Layer[]): layers is readonly DenseLayer[] {
  return layers.every(({ kind }) => kind !== 'conv')
}

/**
 * Passes through layers with these parameters, which are read anew at every pass.
 *
 * Errors: float32 products as the engine sums them; biases' gradients in float64, rounded once.
 * Cost: forward two flops a weight and row, backward as many again for each of the weights and the inputs. Memory: the
 * activations of one batch and one gradient of every parameter.
 */
export function createDenseGradients(
  engine: WasmEngine,
  { layers, parameters }: { readonly layers: readonly DenseLayer[]; readonly parameters: readonly Float32Array[] },
): DenseGradients {
  const sizes = layers.map(({ weights }) => weights.shape as readonly [number, number])
  const gradients = parameters.map(({ length }) => new Float32Array(length))
  const weightsOf = (i: number) => matrix(parameters[2 * i] as Float32Array, ...(sizes[i] as [number, number]))
  let batch = 0
  let inputs: Float32Array = new Float32Array(0)
  /** Outputs of every layer, and room for gradients with respect to the inputs of every layer. */
  let outputs: Float32Array[] = []
  let backwards: Float32Array[] = []

  function resize(rows: number): void {
    if (rows === batch) return
    batch = rows
    outputs = sizes.map(([, out]) => new Float32Array(rows * out))
    backwards = sizes.map(([from]) => new Float32Array(rows * from))
  }

  return {
    forward(x, rows) {
      resize(rows)
      inputs = x
      layers.forEach(({ relu }, i) => {
        const [from, out] = sizes[i] as readonly [number, number]
        const before = i === 0 ? x : (outputs[i - 1] as Float32Array)
        engine.matmulSync(matrix(before, rows, from), weightsOf(i), {
          bias: { data: parameters[2 * i + 1] as Float32Array, shape: [out], dtype: 'float32' },
          ...(relu ? { activation: 'relu' } : {}),
          out: matrix(outputs[i] as Float32Array, rows, out),
        })
      })
      return outputs.at(-1) as Float32Array
    },
    backward(last, { frozen = false, inputs: wanted = false } = {}) {
      let dz = last
      for (let i = layers.length - 1; i >= 0; i--) {
        const [from, out] = sizes[i] as readonly [number, number]
        if (layers[i]?.relu) zeroWhereClosed(dz, outputs[i] as Float32Array)
        const upper = matrix(dz, batch, out)
        if (!frozen) {
          const before = i === 0 ? inputs : (outputs[i - 1] as Float32Array)
          const own = matrix(gradients[2 * i] as Float32Array, from, out)
          engine.matmulSync(matrix(before, batch, from), upper, { transposeA: true, out: own })
          addRows(dz, gradients[2 * i + 1] as Float32Array)
        }
        if (i === 0 && !wanted) return { gradients, inputs: undefined }
        const lower = backwards[i] as Float32Array
        engine.matmulSync(upper, weightsOf(i), { transposeB: true, out: matrix(lower, batch, from) })
        dz = lower
      }
      return { gradients, inputs: dz }
    },
  }
}

const matrix = (data: Float32Array, rows: number, columns: number): Tensor => ({
  data,
  shape: [rows, columns],
  dtype: 'float32',
})

function zeroWhereClosed(gradient: Float32Array, activation: Float32Array): void {
  for (let i = 0; i < gradient.length; i++) if (!((activation[i] as number) > 0)) gradient[i] = 0
}

function addRows(rows: Float32Array, sums: Float32Array): void {
  const width = sums.length
  const exact = new Float64Array(width)
  for (let i = 0; i < rows.length; i += width)
    for (let c = 0; c < width; c++) exact[c] = (exact[c] as number) + (rows[i + c] as number)
  sums.set(exact)
}

// A stack of dense layers with ReLU between, forward and backward on a matrix engine.
import type { SyncMatmulEngine, Tensor } from '@ft/core'
import type { Random } from '@ft/core/random'

export interface Layer {
  /** `[inputs, outputs]`. */
  readonly weights: Float32Array
  readonly bias: Float32Array
  readonly inputs: number
  readonly outputs: number
  readonly relu: boolean
}

/**
 * Layers of these widths, initialised as DLRM's: weights normal with variance 2 / (inputs + outputs), biases normal with
 * variance 1 / outputs.
 *
 * @param relu - whether the last layer ends in a ReLU; all before it do
 */
export function createLayers(widths: readonly number[], { relu, random }: { relu: boolean; random: Random }): Layer[] {
  return widths.slice(1).map((outputs, i) => {
    const inputs = widths[i]!
    return {
      weights: random.fillNormal(new Float32Array(inputs * outputs), {
        standardDeviation: Math.sqrt(2 / (inputs + outputs)),
      }),
      bias: random.fillNormal(new Float32Array(outputs), { standardDeviation: Math.sqrt(1 / outputs) }),
      inputs,
      outputs,
      relu: relu || i < widths.length - 2,
    }
  })
}

const matrix = (data: Float32Array, rows: number, columns: number): Tensor => {
  return { data, shape: [rows, columns], dtype: 'float32' }
}

/** Outputs of every layer, the input first. */
export function forward(engine: SyncMatmulEngine, layers: readonly Layer[], input: Float32Array): Float32Array[] {
  const batch = input.length / layers[0]!.inputs
  const outputs = [input]
  for (const { weights, bias, inputs, outputs: n, relu } of layers) {
    const { output } = engine.matmulSync(matrix(outputs.at(-1)!, batch, inputs), matrix(weights, inputs, n), {
      bias: { data: bias, shape: [n], dtype: 'float32' },
      ...(relu ? { activation: 'relu' } : {}),
    })
    outputs.push(output.data as Float32Array)
  }
  return outputs
}

/**
 * Gradients of weights and biases, layer by layer, and of the input when wanted.
 *
 * @param outputs - what `forward` gave
 * @param gradient - of the last output, `[batch, outputs]`; overwritten
 */
export function backward(
  engine: SyncMatmulEngine,
  layers: readonly Layer[],
  o: { outputs: readonly Float32Array[]; gradient: Float32Array; wantInput: boolean },
): { parameters: Float32Array[]; input: Float32Array | undefined } {
  const batch = o.outputs[0]!.length / layers[0]!.inputs
  const parameters: Float32Array[] = []
  let gradient = o.gradient
  for (let l = layers.length - 1; l >= 0; l--) {
    const { weights, inputs, outputs: n, relu } = layers[l]!
    if (relu) maskWhereZero(gradient, o.outputs[l + 1]!)
    const of = matrix(gradient, batch, n)
    const down = engine.matmulSync(matrix(o.outputs[l]!, batch, inputs), of, { transposeA: true })
    parameters.unshift(down.output.data as Float32Array, columnSums(gradient, n))
    if (l === 0 && !o.wantInput) break
    const back = engine.matmulSync(of, matrix(weights, inputs, n), { transposeB: true })
    gradient = back.output.data as Float32Array
  }
  return { parameters, input: o.wantInput ? gradient : undefined }
}

/** The gradient of a ReLU: none where its output is 0. */
function maskWhereZero(gradient: Float32Array, output: Float32Array): void {
  for (let i = 0; i < gradient.length; i++) if (output[i] === 0) gradient[i] = 0
}

function columnSums(matrix: Float32Array, columns: number): Float32Array {
  const sums = new Float64Array(columns)
  for (let at = 0; at < matrix.length; at += columns) for (let j = 0; j < columns; j++) sums[j]! += matrix[at + j]!
  return Float32Array.from(sums)
}

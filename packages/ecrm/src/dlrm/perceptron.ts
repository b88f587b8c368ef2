// A stack of dense layers with ReLU between, forward and backward on a matrix engine.
import type { SyncMatmulEngine, Tensor } from '@ft/core'
import type { Random } from '@ft/core/random'
import { throughMemory } from './kernelMemory.ts'
import type { Scratch } from './scratch.ts'

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

/** Outputs of every layer, the input first; they are good until the next call with the same scratch and name. */
export function forward(
  engine: SyncMatmulEngine,
  layers: readonly Layer[],
  { input, scratch, name }: { input: Float32Array; scratch: Scratch; name: string },
): Float32Array[] {
  const batch = input.length / layers[0]!.inputs
  const outputs = [input]
  layers.forEach(({ weights, bias, inputs, outputs: n, relu }, l) => {
    const out = matrix(scratch(`${name}.output.${l}`, batch * n), batch, n)
    engine.matmulSync(matrix(outputs.at(-1)!, batch, inputs), matrix(weights, inputs, n), {
      bias: { data: bias, shape: [n], dtype: 'float32' },
      ...(relu ? { activation: 'relu' } : {}),
      out,
    })
    outputs.push(out.data as Float32Array)
  })
  return outputs
}

/**
 * Gradients of weights and biases, layer by layer, and of the input when wanted.
 *
 * @param outputs - what `forward` gave
 * @param gradient - of the last output, `[batch, outputs]`
 * @returns the input's is good until the next call with the same scratch and name
 */
export function backward(
  engine: SyncMatmulEngine,
  layers: readonly Layer[],
  o: {
    outputs: readonly Float32Array[]
    gradient: Float32Array
    wantInput: boolean
    scratch: Scratch
    name: string
  },
): { parameters: Float32Array[]; input: Float32Array | undefined } {
  const batch = o.outputs[0]!.length / layers[0]!.inputs
  const parameters: Float32Array[] = []
  let gradient = o.gradient
  for (let l = layers.length - 1; l >= 0; l--) {
    const { weights, inputs, outputs: n, relu } = layers[l]!
    const through = { columns: n, scratch: o.scratch, name: `${o.name}.${l}` }
    const { masked, sums } = relu
      ? throughRelu(gradient, o.outputs[l + 1]!, through)
      : { masked: gradient, sums: columnSums(gradient, n) }
    const of = matrix(masked, batch, n)
    const down = engine.matmulSync(matrix(o.outputs[l]!, batch, inputs), of, { transposeA: true })
    parameters.unshift(down.output.data as Float32Array, sums)
    if (l === 0 && !o.wantInput) break
    const back = matrix(o.scratch(`${o.name}.gradient.${l}`, batch * inputs), batch, inputs)
    engine.matmulSync(of, matrix(weights, inputs, n), { transposeB: true, out: back })
    gradient = back.data as Float32Array
  }
  return { parameters, input: o.wantInput ? gradient : undefined }
}

/** The gradient of a ReLU, none where its output is 0, and its column sums; it is good until the next call with the same scratch and name. */
function throughRelu(
  gradient: Float32Array,
  output: Float32Array,
  { columns, scratch, name }: { columns: number; scratch: Scratch; name: string },
): { masked: Float32Array; sums: Float32Array } {
  const masked = scratch(`${name}.masked`, gradient.length)
  const sums = new Float32Array(2 * columns)
  const sizes = [gradient.length / columns, columns]
  throughMemory('reluBackward', sizes, { inputs: [gradient, output], outputs: [masked, sums] })
  return { masked, sums: sums.slice(0, columns) }
}

/** In float64, row after row. */
function columnSums(matrix: Float32Array, columns: number): Float32Array {
  const sums = new Float64Array(columns)
  for (let at = 0; at < matrix.length; at += columns) for (let j = 0; j < columns; j++) sums[j]! += matrix[at + j]!
  return new Float32Array(sums)
}

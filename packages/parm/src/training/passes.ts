// Forward and backward passes of a model on the WebAssembly engine, which TensorFlow.js would compute with more copies:
// H = relu(Z), Z from X by each layer, and back from dZ = dH where H > 0 to the gradients of its parameters and of X.
import type { WasmEngine } from '@ft/tensor-core/wasm'
import type { Layer } from '../models/layers.ts'
import { convStep } from './convStep.ts'
import { denseStep } from './denseStep.ts'

export interface Passes {
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

/** A layer's products; ReLU and what adds up to the bias's gradient are not its business. */
export interface Step {
  /** Elements of a row that it takes and gives. */
  readonly inputs: number
  readonly outputs: number
  /** relu(Z), or Z without ReLU. */
  forward(x: Float32Array, o: { readonly rows: number; readonly to: Float32Array }): void
  weightsGradient(
    x: Float32Array,
    o: { readonly dz: Float32Array; readonly rows: number; readonly to: Float32Array },
  ): void
  inputsGradient(dz: Float32Array, o: { readonly rows: number; readonly to: Float32Array }): void
}

/**
 * Passes through layers with these parameters, which are read anew at every pass.
 *
 * Errors: float32 products as the engine sums them; biases' gradients in float64, rounded once.
 * Cost: forward two flops a weight and row (and output pixel), backward as many again for each of the weights and the
 * inputs. Memory: the activations of one batch and one gradient of every parameter.
 */
export function createPasses(
  engine: WasmEngine,
  { layers, parameters }: { readonly layers: readonly Layer[]; readonly parameters: readonly Float32Array[] },
): Passes {
  const steps = layers.map((layer, i): Step => {
    const [weights, bias] = [parameters[2 * i] as Float32Array, parameters[2 * i + 1] as Float32Array]
    return layer.kind === 'conv'
      ? convStep(engine, { layer, weights, bias })
      : denseStep(engine, { layer, weights, bias })
  })
  const gradients = parameters.map(({ length }) => new Float32Array(length))
  let batch = 0
  let inputs: Float32Array = new Float32Array(0)
  /** Outputs of every layer, and room for gradients with respect to the inputs of every layer. */
  let outputs: Float32Array[] = []
  let backwards: Float32Array[] = []

  function resize(rows: number): void {
    if (rows === batch) return
    batch = rows
    outputs = steps.map((step) => new Float32Array(rows * step.outputs))
    backwards = steps.map((step) => new Float32Array(rows * step.inputs))
  }

  return {
    forward(x, rows) {
      resize(rows)
      inputs = x
      steps.forEach((step, i) =>
        step.forward(i === 0 ? x : (outputs[i - 1] as Float32Array), { rows, to: outputs[i] as Float32Array }),
      )
      return outputs.at(-1) as Float32Array
    },
    backward(last, { frozen = false, inputs: wanted = false } = {}) {
      const rows = batch
      let dz = last
      for (let i = steps.length - 1; i >= 0; i--) {
        const step = steps[i] as Step
        if (layers[i]?.relu) zeroWhereClosed(dz, outputs[i] as Float32Array)
        if (!frozen) {
          const before = i === 0 ? inputs : (outputs[i - 1] as Float32Array)
          step.weightsGradient(before, { dz, rows, to: gradients[2 * i] as Float32Array })
          addRows(dz, gradients[2 * i + 1] as Float32Array)
        }
        if (i === 0 && !wanted) return { gradients, inputs: undefined }
        const lower = backwards[i] as Float32Array
        step.inputsGradient(dz, { rows, to: lower })
        dz = lower
      }
      return { gradients, inputs: dz }
    },
  }
}

function zeroWhereClosed(gradient: Float32Array, activation: Float32Array): void {
  for (let i = 0; i < gradient.length; i++) if (!((activation[i] as number) > 0)) gradient[i] = 0
}

/** A bias is added to every row, or to every pixel of every row. */
function addRows(rows: Float32Array, sums: Float32Array): void {
  const width = sums.length
  const exact = new Float64Array(width)
  for (let i = 0; i < rows.length; i += width)
    for (let c = 0; c < width; c++) exact[c] = (exact[c] as number) + (rows[i + c] as number)
  sums.set(exact)
}

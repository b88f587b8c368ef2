// Optimizers of the dense network: the row optimizers on whole parameter arrays.
import { rowOptimizer, type OptimizerOptions } from '../shard/optimizers.ts'

export interface DenseOptimizer {
  /** Bytes of state, all parameters together; part of the model's saved state. */
  readonly state: readonly Float32Array[]
  step(gradients: readonly Float32Array[]): void
}

/** Each parameter array is one "row" of the row optimizer: the same arithmetic, the same bits everywhere. */
export function createDenseOptimizer(parameters: readonly Float32Array[], options: OptimizerOptions): DenseOptimizer {
  const row = rowOptimizer(options)
  // A parameter array with its state behind it, as row optimizers want it; the caller's array is a view of its head.
  const rows = parameters.map((values) => new Float32Array(values.length + row.stateWords(values.length)))
  return {
    state: rows.map((one, i) => one.subarray(parameters[i]!.length)),
    step(gradients) {
      rows.forEach((one, i) => {
        const values = parameters[i]!
        one.set(values)
        row.apply(one, 0, gradients[i]!, 0, values.length)
        values.set(one.subarray(0, values.length))
      })
    },
  }
}

// Adam on plain arrays: its state is a value, so that a checkpoint holds all of it.

export interface AdamState {
  readonly parameters: readonly Float32Array[]
  /** Running means of the gradients and of their squares. */
  readonly means: readonly Float32Array[]
  readonly squares: readonly Float32Array[]
  steps: number
}

export function createAdamState(parameters: readonly Float32Array[]): AdamState {
  const zeros = () => parameters.map(({ length }) => new Float32Array(length))
  return { parameters, means: zeros(), squares: zeros(), steps: 0 }
}

export interface AdamStep {
  readonly gradients: readonly ArrayLike<number>[]
  readonly learningRate: number
  /** L2: this times the parameter is added to its gradient. */
  readonly weightDecay: number
}

const BETA1 = 0.9
const BETA2 = 0.999
const EPSILON = 1e-8

/**
 * One step; parameters change in place.
 *
 * Cost: about ten flops a parameter.
 *
 * @see Kingma and Ba: Adam, 2015, algorithm 1; weight decay as the published training has it (not decoupled)
 */
export function adamStep(state: AdamState, { gradients, learningRate, weightDecay }: AdamStep): void {
  state.steps++
  const rate = (learningRate * Math.sqrt(1 - BETA2 ** state.steps)) / (1 - BETA1 ** state.steps)
  const epsilon = EPSILON * Math.sqrt(1 - BETA2 ** state.steps)
  state.parameters.forEach((parameter, p) => {
    const gradient = gradients[p] as Float32Array
    const mean = state.means[p] as Float32Array
    const square = state.squares[p] as Float32Array
    for (let i = 0; i < parameter.length; i++) {
      const w = parameter[i] as number
      const g = (gradient[i] as number) + weightDecay * w
      const m = BETA1 * (mean[i] as number) + (1 - BETA1) * g
      const v = BETA2 * (square[i] as number) + (1 - BETA2) * g * g
      mean[i] = m
      square[i] = v
      parameter[i] = w - (rate * m) / (Math.sqrt(v) + epsilon)
    }
  })
}

// Optimizers of embedding rows: they change a row and its state in place, in float32 with float64 intermediates, so that
// the same updates give the same bits on every machine.
import { FtError, assertNumber, assertOneOf, invalidArgument } from '@ft/core'
import { checkOptimizerNames } from '../knownOptions.ts'

/** In the order that assembly/rows.ts counts them in. */
export const optimizerNames = ['sgd', 'momentum', 'adagrad', 'rowwise-adagrad', 'adam'] as const
export type OptimizerName = (typeof optimizerNames)[number]

export interface OptimizerOptions {
  readonly name: OptimizerName
  readonly learningRate: number
  /** Of momentum; default 0.9. */
  readonly momentum?: number
  /** Of Adam; default 0.9. */
  readonly beta1?: number
  /** Of Adam; default 0.999. */
  readonly beta2?: number
  /** Of Adagrad (default 1e-10) and Adam (default 1e-8). */
  readonly epsilon?: number
}

export interface RowOptimizer {
  /** Its numbers, for the same arithmetic in assembly/rows.ts. */
  readonly parameters: readonly number[]
  /** Words of state that follow a row's d values. */
  stateWords(d: number): number
  /**
   * Applies one gradient to a row.
   *
   * @param rows - rows with their state; the row starts at `at`: d values, then its state
   * @param gradients - the gradient starts at `from`
   */
  apply(rows: Float32Array, at: number, gradients: Float32Array, from: number, d: number): void
}

/**
 * Makes a row optimizer.
 *
 * Sparse meaning: a row's state moves only when the row has a gradient (momentum and Adam are "lazy"); Adam counts its
 * steps a row, in one extra word.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export function rowOptimizer(options: OptimizerOptions): RowOptimizer {
  const where = 'rowOptimizer'
  if (options === undefined) throw invalidArgument({ where, argument: 'optimizer' }, 'an object', options)
  checkOptimizerNames(options)
  assertOneOf(options.name, { where, argument: 'optimizer.name', values: optimizerNames })
  const rate = options.learningRate
  assertNumber(rate, { where, argument: 'optimizer.learningRate', min: 0 })
  const number = (name: 'momentum' | 'beta1' | 'beta2' | 'epsilon', otherwise: number, max: number): number => {
    const value = options[name] ?? otherwise
    assertNumber(value, { where, argument: `optimizer.${name}`, min: 0, max })
    return value
  }
  switch (options.name) {
    case 'sgd':
      return sgd(rate)
    case 'momentum':
      return momentum(rate, number('momentum', 0.9, 1))
    case 'adagrad':
      return adagrad(rate, number('epsilon', 1e-10, 1))
    case 'rowwise-adagrad':
      return rowwiseAdagrad(rate, number('epsilon', 1e-10, 1))
    case 'adam':
      return adam(rate, {
        beta1: number('beta1', 0.9, 1),
        beta2: number('beta2', 0.999, 1),
        epsilon: number('epsilon', 1e-8, 1),
      })
    default:
      throw new FtError('INVALID_ARGUMENT', `rowOptimizer: unknown optimizer`, { options })
  }
}

const sgd = (rate: number): RowOptimizer => ({
  parameters: [rate],
  stateWords: () => 0,
  apply(rows, at, gradients, from, d) {
    for (let j = 0; j < d; j++) rows[at + j]! -= rate * gradients[from + j]!
  },
})

const momentum = (rate: number, keep: number): RowOptimizer => ({
  parameters: [rate, keep],
  stateWords: (d) => d,
  apply(rows, at, gradients, from, d) {
    for (let j = 0; j < d; j++) {
      rows[at + d + j] = keep * rows[at + d + j]! + gradients[from + j]!
      rows[at + j]! -= rate * rows[at + d + j]!
    }
  },
})

const adagrad = (rate: number, epsilon: number): RowOptimizer => ({
  parameters: [rate, epsilon],
  stateWords: (d) => d,
  apply(rows, at, gradients, from, d) {
    for (let j = 0; j < d; j++) {
      const g = gradients[from + j]!
      rows[at + d + j]! += g * g
      rows[at + j]! -= (rate * g) / (Math.sqrt(rows[at + d + j]!) + epsilon)
    }
  },
})

/** One float of state a row: m += mean(g^2); w -= rate g / (sqrt(m) + epsilon). */
const rowwiseAdagrad = (rate: number, epsilon: number): RowOptimizer => ({
  parameters: [rate, epsilon],
  stateWords: () => 1,
  apply(rows, at, gradients, from, d) {
    let squares = 0
    for (let j = 0; j < d; j++) squares += gradients[from + j]! * gradients[from + j]!
    rows[at + d]! += squares / d
    const step = rate / (Math.sqrt(rows[at + d]!) + epsilon)
    for (let j = 0; j < d; j++) rows[at + j]! -= step * gradients[from + j]!
  },
})

const adam = (rate: number, o: { beta1: number; beta2: number; epsilon: number }): RowOptimizer => ({
  parameters: [rate, o.beta1, o.beta2, o.epsilon],
  stateWords: (d) => 2 * d + 1,
  apply(rows, at, gradients, from, d) {
    const [first, second, count] = [at + d, at + 2 * d, at + 3 * d]
    const step = (rows[count]! += 1)
    // Powers by repeated squaring: Math.pow may round differently from one machine to the next.
    const correct1 = 1 - power(o.beta1, step)
    const correct2 = 1 - power(o.beta2, step)
    for (let j = 0; j < d; j++) {
      const g = gradients[from + j]!
      rows[first + j] = o.beta1 * rows[first + j]! + (1 - o.beta1) * g
      rows[second + j] = o.beta2 * rows[second + j]! + (1 - o.beta2) * g * g
      rows[at + j]! -= (rate * (rows[first + j]! / correct1)) / (Math.sqrt(rows[second + j]! / correct2) + o.epsilon)
    }
  },
})

function power(base: number, exponent: number): number {
  let out = 1
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) out *= base
    base *= base
  }
  return out
}

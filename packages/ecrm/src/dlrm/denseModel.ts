// The dense part of a DLRM: bottom network, interaction, top network, with their optimizer. The trainer keeps it.
import { FtError, assertInteger, type SyncMatmulEngine } from '@ft/core'
import { exp, log1p } from '@ft/core/math'
import { createRandom } from '@ft/core/random'
import { checkDenseNames } from '../knownOptions.ts'
import type { OptimizerOptions } from '../shard/optimizers.ts'
import { createDenseOptimizer } from './denseOptimizer.ts'
import { interact, interactBackward, pairCount } from './interaction.ts'
import { backward, createLayers, forward, type Layer } from './perceptron.ts'
import { createScratch, freshArray, type Scratch } from './scratch.ts'

export interface DenseModelOptions {
  readonly engine: SyncMatmulEngine
  /** Dense features a sample. */
  readonly features: number
  readonly tables: number
  /** Width of embeddings. */
  readonly d: number
  /** Hidden widths of the bottom network; its output has width d. Default [64]. */
  readonly bottom?: readonly number[]
  /** Hidden widths of the top network; its output has width 1. Default [64, 32]. */
  readonly top?: readonly number[]
  readonly optimizer: OptimizerOptions
  readonly seed: number
}

/** Samples as the dense part sees them; whoever keeps an array beyond the call copies it. */
export interface DenseBatch {
  /** `[batch, features]`. */
  readonly dense: Float32Array
  /** `[batch, tables, d]`. */
  readonly embeddings: Float32Array
}

export interface DenseModel {
  /** Parameters by layer: weights `[inputs, outputs]`, then bias; the bottom network first. */
  readonly parameters: readonly Float32Array[]
  /** Optimizer state of each parameter array. */
  readonly state: readonly Float32Array[]
  /** Probabilities. */
  predict(batch: DenseBatch): Float32Array
  /**
   * Loss and gradients without changing anything.
   *
   * @param labels - 0 or 1 a sample
   * @param room - for the gradients of embeddings, which are then good until the next call with it; left out: they are new arrays
   * @returns mean log loss, gradients of parameters and of embeddings `[batch, tables, d]`, and the probabilities `[batch]` that
   * the forward pass gave anyway: nothing is computed twice for them
   */
  gradients(
    batch: DenseBatch,
    labels: ArrayLike<number>,
    room?: Scratch,
  ): { loss: number; parameters: Float32Array[]; embeddings: Float32Array; probabilities: Float32Array }
  /** Applies the optimizer. */
  update(gradients: readonly Float32Array[]): void
}

/** The two networks of a DLRM as they start: a function of seed and sizes, whatever computes them. */
export function createDenseLayers(
  options: Omit<DenseModelOptions, 'engine'>,
  where: string,
): { below: Layer[]; above: Layer[] } {
  const { features, tables, d, bottom = [64], top = [64, 32], seed } = options
  for (const [argument, value] of Object.entries({ features, tables, d }))
    assertInteger(value, { where, argument, min: 1 })
  const random = createRandom(seed).stream('dense network')
  return {
    below: createLayers([features, ...bottom, d], { relu: true, random: random.stream('bottom') }),
    above: createLayers([d + pairCount(tables + 1), ...top, 1], { relu: false, random: random.stream('top') }),
  }
}

/**
 * Makes the dense part of a DLRM on a matrix engine, forward and backward written out.
 *
 * Cost: of a sample about 6 times the weights in floating-point operations, and 6 d pairs for the interaction.
 * Source: Naumov et al., "Deep Learning Recommendation Model" (2019).
 */
export function createDenseModel(options: DenseModelOptions): DenseModel {
  checkDenseNames(options)
  const { engine, features, tables, d } = options
  const { below, above } = createDenseLayers(options, 'createDenseModel')
  const vectors = tables + 1
  const parameters = [...below, ...above].flatMap(({ weights, bias }) => [weights, bias])
  const optimizer = createDenseOptimizer(parameters, options.optimizer)
  const scratch = createScratch()

  function run({ dense, embeddings }: DenseBatch) {
    const batch = dense.length / features
    if (!Number.isInteger(batch) || embeddings.length !== batch * tables * d) {
      throw new FtError(
        'SHAPE_MISMATCH',
        `createDenseModel: a batch must have ${features} features and ${tables} x ${d} embedding values a sample`,
        { features: dense.length, embeddings: embeddings.length },
      )
    }
    const sizes = { batch, vectors, d }
    const low = forward(engine, below, { input: dense, scratch, name: 'bottom' })
    const z0 = low.at(-1)!
    const joined = scratch('joined', batch * (d + pairCount(vectors)))
    interact(sizes, { z0, embeddings }, joined)
    const high = forward(engine, above, { input: joined, scratch, name: 'top' })
    return { sizes, low, z0, high, logits: high.at(-1)! }
  }

  return {
    parameters,
    state: optimizer.state,
    predict: (batch) => run(batch).logits.map(probability),
    gradients(batch, labels, room = freshArray) {
      const { sizes, low, z0, high, logits } = run(batch)
      const { loss, gradient, probabilities } = logLoss(logits, labels)
      const up = backward(engine, above, { outputs: high, gradient, wantInput: true, scratch, name: 'top' })
      const of = {
        z0: scratch('z0.gradient', z0.length),
        embeddings: room('embeddings.gradient', batch.embeddings.length),
      }
      interactBackward(sizes, { z0, embeddings: batch.embeddings, gradient: up.input! }, of)
      const down = backward(engine, below, {
        ...{ outputs: low, gradient: of.z0, wantInput: false, scratch, name: 'bottom' },
      })
      return { loss, parameters: [...down.parameters, ...up.parameters], embeddings: of.embeddings, probabilities }
    },
    update: (gradients) => optimizer.step(gradients),
  }
}

/** The logistic function, for whatever sign without overflow. */
export function probability(logit: number): number {
  return logit >= 0 ? 1 / (1 + exp(-logit)) : exp(logit) / (1 + exp(logit))
}

/** Mean log loss of logits, its gradient (p - y) / batch, and p. */
function logLoss(
  logits: Float32Array,
  labels: ArrayLike<number>,
): { loss: number; gradient: Float32Array; probabilities: Float32Array } {
  const n = logits.length
  const gradient = new Float32Array(n)
  const probabilities = new Float32Array(n)
  let loss = 0
  for (let i = 0; i < n; i++) {
    const [z, y] = [logits[i]!, labels[i]!]
    loss += Math.max(z, 0) - z * y + log1p(exp(-Math.abs(z)))
    const p = probability(z)
    probabilities[i] = p
    gradient[i] = (p - y) / n
  }
  return { loss: loss / n, gradient, probabilities }
}

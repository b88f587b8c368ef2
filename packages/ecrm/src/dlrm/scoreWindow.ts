// How well a model does while it trains: every sample is predicted before the model has learned from it, so training data are
// a fair test, and the last of them tell how good the model is now.
import { assertInteger } from '@ft/core'
import { auc, logLoss } from '@ft/core/statistics'

export interface WindowScore {
  /** Samples that are in the window: fewer than its size at first. */
  readonly samples: number
  /** Mean, in nats; undefined of no samples. */
  readonly logLoss: number | undefined
  /** Exact, ties counting half; undefined while the window has one class only. */
  readonly auc: number | undefined
}

export interface ScoreWindow {
  /**
   * Takes a batch's predictions of before its update, and forgets the oldest samples beyond the window's size.
   *
   * Cost: two copies of the batch.
   */
  add(probabilities: ArrayLike<number>, labels: ArrayLike<number>): void
  /** Of what the window has now. Cost: two sorts of it. */
  score(): WindowScore
}

/**
 * Progressive validation over the last samples trained on.
 *
 * Source: Blum, Kalai and Langford, "Beating the hold-out: bounds for k-fold and progressive cross-validation" (1999).
 * Differs: of the last `size` samples only, so that what the model was at first is forgotten.
 *
 * @param size - in samples
 * @throws FtError `INVALID_ARGUMENT`
 */
export function createScoreWindow(size: number): ScoreWindow {
  assertInteger(size, { where: 'train', argument: 'window', min: 1, max: 2 ** 24 })
  const probabilities = new Float32Array(size)
  const labels = new Float32Array(size)
  let taken = 0
  return {
    add(ofBatch, truth) {
      for (let i = 0; i < ofBatch.length; i++, taken++) {
        probabilities[taken % size] = ofBatch[i]!
        labels[taken % size] = truth[i]!
      }
    },
    score() {
      const samples = Math.min(taken, size)
      if (samples === 0) return { samples, logLoss: undefined, auc: undefined }
      const held = { probabilities: probabilities.subarray(0, samples), labels: labels.subarray(0, samples) }
      const bothClasses = held.labels.includes(0) && held.labels.includes(1)
      return {
        samples,
        logLoss: logLoss(held),
        auc: bothClasses ? auc({ scores: held.probabilities, labels: held.labels }) : undefined,
      }
    },
  }
}

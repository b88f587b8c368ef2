// How far outputs are from their targets, and the gradient of that, where TensorFlow.js is not asked.
import type { Answers } from './score.ts'
import { softmax } from './softmax.ts'

export interface OutputLoss {
  readonly loss: number
  /** With respect to the outputs. */
  readonly gradient: Float32Array
}

/**
 * Mean over all elements of d^2 ('squared') or of Huber's d^2 / 2 below 1 and |d| - 1/2 above ('huber'), d = outputs -
 * targets.
 */
export function outputLoss(
  kind: 'squared' | 'huber',
  { outputs, targets }: { readonly outputs: Float32Array; readonly targets: Float32Array },
): OutputLoss {
  const gradient = new Float32Array(outputs.length)
  let total = 0
  for (let i = 0; i < outputs.length; i++) {
    const d = (outputs[i] as number) - (targets[i] as number)
    const size = Math.abs(d)
    total += kind === 'squared' ? d * d : size <= 1 ? (d * d) / 2 : size - 0.5
    gradient[i] = (kind === 'squared' ? 2 * d : Math.max(-1, Math.min(1, d))) / outputs.length
  }
  return { loss: total / outputs.length, gradient }
}

/**
 * The loss of a task, of outputs `[n, width]`: the mean cross-entropy of their softmax for `labels`, mean squared error for
 * `values`, Huber's for `boxes`.
 */
export function taskLoss(answers: Answers, outputs: Float32Array): OutputLoss {
  if (answers.labels === undefined) {
    const targets = Float32Array.from((answers.values ?? answers.boxes).data as Float32Array)
    return outputLoss(answers.boxes ? 'huber' : 'squared', { outputs, targets })
  }
  const { labels } = answers
  const width = outputs.length / labels.length
  const gradient = new Float32Array(outputs.length)
  let loss = 0
  for (let i = 0; i < labels.length; i++) {
    const { shares, logs } = softmax(outputs.subarray(i * width, (i + 1) * width))
    loss -= (logs[labels[i] as number] as number) / labels.length
    for (let c = 0; c < width; c++)
      gradient[i * width + c] = ((shares[c] as number) - Number(c === labels[i])) / labels.length
  }
  return { loss, gradient }
}

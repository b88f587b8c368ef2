// Losses of classification.
import { exp, log } from '@ft/core/math'
import { kernelDerive } from './regression.ts'
import type { Objective } from './objective.ts'

/** 1 / (1 + e^-s), the same bits everywhere. */
export function sigmoid(score: number): number {
  return score >= 0 ? 1 / (1 + exp(-score)) : exp(score) / (1 + exp(score))
}

const CLIP = 1e-6

/** Labels 0 and 1; scores are log odds. */
export const logistic: Objective = {
  name: 'logistic',
  parameters: {},
  outputs: 1,
  metric: 'logloss',
  baseScores: (labels, weights) => {
    let positive = 0
    let total = 0
    labels.forEach((label, row) => {
      const weight = weights ? (weights[row] as number) : 1
      positive += weight * label
      total += weight
    })
    const share = Math.min(Math.max(total > 0 ? positive / total : 0.5, CLIP), 1 - CLIP)
    return Float64Array.of(log(share / (1 - share)))
  },
  derive: (state) => kernelDerive('logistic', state),
  answer: (scores) => {
    scores[0] = sigmoid(scores[0] as number)
  },
}

/** e^(s - max) over the classes, normalised, in place. */
export function softmaxInPlace(scores: Float64Array): void {
  const top = scores.reduce((best, score) => Math.max(best, score), -Infinity)
  let sum = 0
  for (let c = 0; c < scores.length; c++) sum += scores[c] = exp((scores[c] as number) - top)
  for (let c = 0; c < scores.length; c++) scores[c] = (scores[c] as number) / sum
}

/** Labels 0 .. classes - 1; one tree a class and round. */
export function softmax(classes: number): Objective {
  return {
    name: 'softmax',
    parameters: { classes },
    outputs: classes,
    metric: 'mlogloss',
    baseScores: (labels, weights) => {
      const share = new Float64Array(classes)
      labels.forEach((label, row) => {
        share[label] = (share[label] as number) + (weights ? (weights[row] as number) : 1)
      })
      const total = share.reduce((sum, value) => sum + value, 0)
      return share.map((value) => log(Math.max(total > 0 ? value / total : 1 / classes, CLIP)))
    },
    derive: ({ rows, scores, labels, weights, gradients, hessians }) => {
      const views = scores.map((block) => block.view())
      const [g, h] = [gradients.map((block) => block.view()), hessians.map((block) => block.view())]
      const [label, weight] = [labels.view(), weights?.view()]
      const p = new Float64Array(classes)
      // Friedman's factor: the classes' scores are one too many, and each moves the others.
      const factor = classes / (classes - 1)
      for (let row = 0; row < rows; row++) {
        for (let c = 0; c < classes; c++) p[c] = (views[c] as Float64Array)[row] as number
        softmaxInPlace(p)
        const w = weight ? (weight[row] as number) : 1
        for (let c = 0; c < classes; c++) {
          const q = p[c] as number
          ;(g[c] as Float64Array)[row] = w * (q - (label[row] === c ? 1 : 0))
          ;(h[c] as Float64Array)[row] = w * Math.max(factor * q * (1 - q), 1e-16)
        }
      }
    },
    answer: softmaxInPlace,
  }
}

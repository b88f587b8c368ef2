// How good reconstructions are: every group of consecutive samples, every single lost query.
import type { Tensor } from '@ft/core'
import { assertInteger } from '@ft/core'
import type { Code } from '../codes/code.ts'
import type { NamedTensor } from '../named.ts'
import { createScorer, type Answers } from './score.ts'

/**
 * Accuracies: shares of right classes, 0..1. For regressions read "share of the variance explained" and for boxes "mean
 * intersection over union" instead.
 */
export interface Accuracy {
  /** The deployed model's own answers (A_a). */
  readonly available: number
  /** Reconstructions of a lost query (A_d), mean over positions. */
  readonly degraded: number
  /** The same for each erased position in its group. */
  readonly degradedByPosition: readonly number[]
  /** Reconstructions that choose the class that the deployed model chooses (or explain, or cover, its own outputs). */
  readonly agreement: number
  /** Of reconstructed outputs, from the deployed model's own: mean over all their elements. */
  readonly meanSquaredError: number
  /**
   * A_o = (1 - f) A_a + f A_d at shares f of unavailable answers, beside the best constant answer's (the commonest class,
   * the mean values, the mean box).
   */
  readonly overall: readonly { readonly unavailable: number; readonly coded: number; readonly defaultAnswer: number }[]
  readonly groups: number
}

interface Models {
  readonly code: Code
  /** float32 `[n, features]`. */
  readonly inputs: Tensor
  /** Runs the deployed model on `[b, features]`, gives `[b, outputs]`. */
  readonly base: (x: Tensor) => Tensor
  /** Runs the parity model of the code's first parity unit. */
  readonly parity: (x: Tensor) => Tensor
  /** Shares of unavailable answers to report. Default 1, 5 and 10 %. */
  readonly unavailable?: readonly number[]
}

/** One of `labels`, `values` and `boxes` says what is right. */
export type EvaluateOptions = Models & Answers

/**
 * Decodes every single erasure of a data output, as the paper's evaluation does. Samples beyond a multiple of k are left
 * out.
 *
 * Cost: one run of both models, n (k - 1) output additions.
 *
 * @see Parity Models (SOSP'19), section 5.1
 */
export function evaluateCode(options: EvaluateOptions): Accuracy {
  const { code, inputs, base, parity, unavailable = [0.01, 0.05, 0.1] } = options
  const { k } = code
  const samples = inputs.shape[0] as number
  const groups = Math.floor(samples / k)
  assertInteger(groups, { where: 'evaluateCode', argument: 'inputs (groups)', min: 1 })
  const answers = base(inputs)
  const width = answers.data.length / samples
  const total = groups * k
  const scorer = createScorer(options, { samples: total, outputs: width, where: 'evaluateCode' })
  const outputs = rowsOf(answers, 'output')
  const sums = rowsOf(parity(parityInputs(code, { inputs, groups })), 'output')

  let available = 0
  let agreement = 0
  let squares = 0
  const right = Array<number>(k).fill(0)
  for (let g = 0; g < groups; g++) {
    for (let lost = 0; lost < k; lost++) {
      const sample = g * k + lost
      const own = outputs[sample]?.[0]?.data ?? []
      const got = new Map<number, NamedTensor[]>([[k, sums[g] as NamedTensor[]]])
      for (let slot = 0; slot < k; slot++) if (slot !== lost) got.set(slot, outputs[g * k + slot] as NamedTensor[])
      const rebuilt = code.decode(got).outputs[lost]?.[0]?.data ?? []
      for (let c = 0; c < own.length; c++) squares += ((rebuilt[c] as number) - (own[c] as number)) ** 2
      available += scorer.score(own, sample)
      right[lost] = (right[lost] as number) + scorer.score(rebuilt, sample)
      agreement += scorer.agreement(rebuilt, own)
    }
  }
  const degraded = right.reduce((sum, count) => sum + count, 0) / total
  const mix = (f: number, other: number) => (1 - f) * (available / total) + f * other
  return {
    available: available / total,
    degraded,
    degradedByPosition: right.map((count) => count / groups),
    agreement: agreement / total,
    meanSquaredError: squares / (total * width),
    overall: unavailable.map((share) => ({
      unavailable: share,
      coded: mix(share, degraded),
      defaultAnswer: mix(share, scorer.constant),
    })),
    groups,
  }
}

/** Parity inputs of all groups of consecutive samples: `[groups, features]`. */
function parityInputs(code: Code, { inputs, groups }: { inputs: Tensor; groups: number }): Tensor {
  const { k } = code
  const units = rowsOf(inputs, 'input')
  const width = inputs.data.length / units.length
  const data = new Float32Array(groups * width)
  for (let g = 0; g < groups; g++) data.set(code.encode(units.slice(g * k, g * k + k))[k]?.[0]?.data ?? [], g * width)
  return { data, shape: [groups, width], dtype: 'float32' }
}

/** Views of a batch's rows as members of groups. */
export function rowsOf({ data, shape }: Tensor, name: string): NamedTensor[][] {
  const [count = 0, ...rest] = shape
  const width = data.length / count
  return Array.from({ length: count }, (_, i) => [
    { name, data: data.subarray(i * width, (i + 1) * width), shape: [1, ...rest], dtype: 'float32' as const },
  ])
}

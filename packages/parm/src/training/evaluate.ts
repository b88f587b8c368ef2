// How good reconstructions are: every group of consecutive samples, every lost query, every pattern of lost units.
import type { Tensor } from '@ft/core'
import { assertInteger, invalidArgument } from '@ft/core'
import type { Code } from '../codes/code.ts'
import { subsets } from '../codes/subsets.ts'
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
  /**
   * Reconstructions by the units that have no output: every set of up to n - k units that lacks a query. Queries are units
   * 0 .. k - 1, parities follow.
   */
  readonly patterns: readonly { readonly missing: readonly number[]; readonly degraded: number }[]
  /** Means over the patterns of one missing unit (`degraded` again), of two, and so on. */
  readonly degradedByLosses: readonly number[]
}

/** Runs a model on `[b, features]`, gives `[b, outputs]`. */
type Run = (x: Tensor) => Tensor

interface Models {
  readonly code: Code
  /** float32 `[n, features]`. */
  readonly inputs: Tensor
  /** The deployed model. */
  readonly base: Run
  /** The parity model; of a code of several parities one for each. */
  readonly parity: Run | readonly Run[]
  /** Shares of unavailable answers to report. Default 1, 5 and 10 %. */
  readonly unavailable?: readonly number[]
}

/** One of `labels`, `values` and `boxes` says what is right. */
export type EvaluateOptions = Models & Answers

/**
 * Decodes every group with every set of missing units that its code bears, as the paper's evaluation does for one lost query.
 * All figures but `patterns` and `degradedByLosses` are of one lost query, all parities being there. Samples beyond a multiple
 * of k are left out.
 *
 * Cost: one run of all models; a decode for each of the C(n, 1) + ... + C(n, n - k) patterns of a group.
 *
 * @throws FtError `INVALID_ARGUMENT` unless there is a parity model for each parity
 * @see Parity Models (SOSP'19), section 5.1
 */
export function evaluateCode(options: EvaluateOptions): Accuracy {
  const { code, inputs, base, unavailable = [0.01, 0.05, 0.1] } = options
  const { k, n } = code
  const where = 'evaluateCode'
  const samples = inputs.shape[0] as number
  const groups = Math.floor(samples / k)
  assertInteger(groups, { where, argument: 'inputs (groups)', min: 1 })
  const models = typeof options.parity === 'function' ? [options.parity] : options.parity
  if (models.length !== n - k)
    throw invalidArgument({ where, argument: 'parity' }, `${n - k} models, one a parity`, models.length)
  const answers = base(inputs)
  const width = answers.data.length / samples
  const total = groups * k
  const scorer = createScorer(options, { samples: total, outputs: width, where })
  const outputs = rowsOf(answers, 'output')
  const parities = parityInputs(code, { inputs, groups }).map((x, j) => rowsOf((models[j] as Run)(x), 'output'))
  const outputOf = (unit: number, g: number) => (unit < k ? outputs[g * k + unit] : parities[unit - k]?.[g]) ?? []

  let available = 0
  let agreement = 0
  let squares = 0
  for (let sample = 0; sample < total; sample++) available += scorer.score(outputs[sample]?.[0]?.data ?? [], sample)
  const patterns = lossPatterns(code).map((missing) => {
    const there = range(n).filter((unit) => !missing.includes(unit))
    const lost = missing.filter((unit) => unit < k)
    let right = 0
    for (let g = 0; g < groups; g++) {
      const decoded = code.decode(new Map(there.map((unit) => [unit, outputOf(unit, g)])))
      for (const slot of lost) {
        const rebuilt = decoded.outputs[slot]?.[0]?.data ?? []
        right += scorer.score(rebuilt, g * k + slot)
        if (missing.length > 1) continue
        const own = outputs[g * k + slot]?.[0]?.data ?? []
        for (let c = 0; c < own.length; c++) squares += ((rebuilt[c] as number) - (own[c] as number)) ** 2
        agreement += scorer.agreement(rebuilt, own)
      }
    }
    return { missing, degraded: right / (groups * lost.length) }
  })
  const degradedByLosses = range(n - k).map((more) => {
    const own = patterns.filter(({ missing }) => missing.length === more + 1)
    return own.reduce((sum, { degraded }) => sum + degraded, 0) / own.length
  })
  const degraded = degradedByLosses[0] ?? 0
  const mix = (f: number, other: number) => (1 - f) * (available / total) + f * other
  return {
    available: available / total,
    degraded,
    degradedByPosition: patterns.filter(({ missing }) => missing.length === 1).map((pattern) => pattern.degraded),
    agreement: agreement / total,
    meanSquaredError: squares / (total * width),
    overall: unavailable.map((share) => ({
      unavailable: share,
      coded: mix(share, degraded),
      defaultAnswer: mix(share, scorer.constant),
    })),
    groups,
    patterns,
    degradedByLosses,
  }
}

/** Every set of up to n - k units that lacks a query, the smallest first. */
function lossPatterns({ k, n }: Code): number[][] {
  const sizes = range(n - k).map((more) => more + 1)
  return sizes.flatMap((size) => [...subsets(n, size)].filter((missing) => missing.some((unit) => unit < k)))
}

/** Inputs of every parity for all groups of consecutive samples: `[groups, features]`. */
function parityInputs(code: Code, { inputs, groups }: { inputs: Tensor; groups: number }): Tensor[] {
  const { k, n } = code
  const units = rowsOf(inputs, 'input')
  const width = inputs.data.length / units.length
  const all = range(n - k).map(() => new Float32Array(groups * width))
  for (let g = 0; g < groups; g++) {
    const encoded = code.encode(units.slice(g * k, g * k + k))
    all.forEach((data, j) => data.set(encoded[k + j]?.[0]?.data ?? [], g * width))
  }
  return all.map((data) => ({ data, shape: [groups, width], dtype: 'float32' }))
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** Views of a batch's rows as members of groups. */
export function rowsOf({ data, shape }: Tensor, name: string): NamedTensor[][] {
  const [count = 0, ...rest] = shape
  const width = data.length / count
  return Array.from({ length: count }, (_, i) => [
    { name, data: data.subarray(i * width, (i + 1) * width), shape: [1, ...rest], dtype: 'float32' as const },
  ])
}

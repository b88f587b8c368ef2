// How good reconstructions are: every group of consecutive samples, every single lost query.
import type { Tensor } from '@ft/core'
import { assertInteger } from '@ft/core'
import type { Code } from '../codes/code.ts'
import type { NamedTensor } from '../named.ts'

/** Accuracies as shares of 0..1. */
export interface Accuracy {
  /** The deployed model's own answers (A_a). */
  readonly available: number
  /** Reconstructions of a lost query (A_d), mean over positions. */
  readonly degraded: number
  /** The same for each erased position in its group. */
  readonly degradedByPosition: readonly number[]
  /** Reconstructions that choose the class that the deployed model chooses. */
  readonly agreement: number
  /** Of reconstructed outputs, from the deployed model's own: mean over all their elements. */
  readonly meanSquaredError: number
  /** (1 - f) A_a + f A_d at shares f of unavailable answers, beside the default answer's (the commonest class). */
  readonly overall: readonly { readonly unavailable: number; readonly coded: number; readonly defaultAnswer: number }[]
  readonly groups: number
}

export interface EvaluateOptions {
  readonly code: Code
  /** float32 `[n, features]`. */
  readonly inputs: Tensor
  /** Class of each sample. */
  readonly labels: ArrayLike<number>
  /** Runs the deployed model on `[b, features]`, gives `[b, classes]`. */
  readonly base: (x: Tensor) => Tensor
  /** Runs the parity model of the code's first parity unit. */
  readonly parity: (x: Tensor) => Tensor
}

/** Shares of unavailable answers that reports show. */
const SHARES = [0.01, 0.05, 0.1]

/**
 * Decodes every single erasure of a data output, as the paper's evaluation does. Samples beyond a multiple of k are left
 * out.
 *
 * Cost: one run of both models, n (k - 1) output additions.
 *
 * @see Parity Models (SOSP'19), section 5.1
 */
export function evaluateCode({ code, inputs, labels, base, parity }: EvaluateOptions): Accuracy {
  const { k } = code
  const groups = Math.floor((inputs.shape[0] as number) / k)
  assertInteger(groups, { where: 'evaluateCode', argument: 'inputs (groups)', min: 1 })
  const answers = base(inputs)
  const units = rowsOf(inputs, 'input')
  const outputs = rowsOf(answers, 'output')
  const parityInputs = new Float32Array((groups * inputs.data.length) / (inputs.shape[0] as number))
  const width = parityInputs.length / groups
  for (let g = 0; g < groups; g++)
    parityInputs.set(code.encode(units.slice(g * k, g * k + k))[k]?.[0]?.data ?? [], g * width)
  const sums = rowsOf(parity({ data: parityInputs, shape: [groups, width], dtype: 'float32' }), 'output')

  let available = 0
  let agreement = 0
  let squares = 0
  const counts: number[] = []
  const right = Array<number>(k).fill(0)
  for (let g = 0; g < groups; g++) {
    for (let lost = 0; lost < k; lost++) {
      const sample = g * k + lost
      const label = labels[sample] as number
      counts[label] = (counts[label] ?? 0) + 1
      const own = argMax(outputs[sample]?.[0]?.data ?? [])
      if (own === label) available++
      const got = new Map<number, NamedTensor[]>([[k, sums[g] as NamedTensor[]]])
      for (let slot = 0; slot < k; slot++) if (slot !== lost) got.set(slot, outputs[g * k + slot] as NamedTensor[])
      const values = code.decode(got).outputs[lost]?.[0]?.data ?? []
      const wanted = outputs[sample]?.[0]?.data ?? []
      for (let c = 0; c < wanted.length; c++) squares += ((values[c] as number) - (wanted[c] as number)) ** 2
      const rebuilt = argMax(values)
      if (rebuilt === label) right[lost] = (right[lost] as number) + 1
      if (rebuilt === own) agreement++
    }
  }
  const total = groups * k
  const degraded = right.reduce((sum, count) => sum + count, 0) / total
  const commonest = Math.max(...counts.filter((count) => count > 0)) / total
  const mix = (f: number, other: number) => (1 - f) * (available / total) + f * other
  return {
    available: available / total,
    degraded,
    degradedByPosition: right.map((count) => count / groups),
    agreement: agreement / total,
    meanSquaredError: squares / (total * (answers.data.length / (inputs.shape[0] as number))),
    overall: SHARES.map((unavailable) => ({
      unavailable,
      coded: mix(unavailable, degraded),
      defaultAnswer: mix(unavailable, commonest),
    })),
    groups,
  }
}

/** Views of a batch's rows as members of groups. */
export function rowsOf({ data, shape }: Tensor, name: string): NamedTensor[][] {
  const [count = 0, ...rest] = shape
  const width = data.length / count
  return Array.from({ length: count }, (_, i) => [
    { name, data: data.subarray(i * width, (i + 1) * width), shape: [1, ...rest], dtype: 'float32' as const },
  ])
}

function argMax(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i
  return best
}

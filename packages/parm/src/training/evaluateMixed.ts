// How good the answers of a code are that mixes all units: all k answers of every group, some of its units late.
import { assertInteger, type Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import type { Code } from '../codes/code.ts'
import { rowsOf } from './evaluate.ts'

export interface EvaluateMixedOptions {
  readonly code: Code
  /** float32 `[n, features]`. */
  readonly inputs: Tensor
  readonly labels: ArrayLike<number>
  /** Runs the deployed model on `[b, features]`, gives `[b, classes]`. */
  readonly base: (x: Tensor) => Tensor
  /** So many units of each group, chosen at random, have no output. */
  readonly late: number
  /** So many units of each group have noise of this standard deviation on their outputs. Default none. */
  readonly wrong?: { readonly units: number; readonly scale: number }
  readonly seed: number
}

/**
 * Share of right answers among all k of every group of consecutive samples.
 *
 * Cost: n (k + late) / k runs of the model.
 */
export function evaluateMixed({ code, inputs, labels, base, late, wrong, seed }: EvaluateMixedOptions): number {
  const { k, n } = code
  assertInteger(late, { where: 'evaluateMixed', argument: 'late', min: 0, max: n - 1 })
  const random = createRandom(seed).stream('late')
  const members = rowsOf(inputs, 'input')
  const groups = Math.floor(members.length / k)
  const width = inputs.data.length / members.length
  const units = new Float32Array(groups * n * width)
  for (let g = 0; g < groups; g++)
    code.encode(members.slice(g * k, g * k + k)).forEach((unit, slot) => {
      units.set(unit[0]?.data ?? [], (g * n + slot) * width)
    })
  const outputs = rowsOf(base({ data: units, shape: [groups * n, width], dtype: 'float32' }), 'output')
  let right = 0
  for (let g = 0; g < groups; g++) {
    const missing = new Set(random.sample(n, late))
    if (wrong) {
      // Of those that come
      const there = Array.from({ length: n }, (_, slot) => slot).filter((slot) => !missing.has(slot))
      for (const at of random.sample(there.length, wrong.units)) {
        const data = outputs[g * n + (there[at] as number)]?.[0]?.data as Float32Array
        for (let c = 0; c < data.length; c++) data[c] = (data[c] as number) + wrong.scale * random.normal()
      }
    }
    const got = new Map(
      Array.from({ length: n }, (_, slot) => [slot, outputs[g * n + slot] ?? []] as const).filter(
        ([slot]) => !missing.has(slot),
      ),
    )
    code.decode(got).outputs.forEach((answer, i) => {
      const values = answer[0]?.data ?? []
      let best = 0
      for (let c = 1; c < values.length; c++) if ((values[c] as number) > (values[best] as number)) best = c
      if (best === labels[g * k + i]) right++
    })
  }
  return right / (groups * k)
}

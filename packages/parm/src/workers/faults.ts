// Faults on purpose, inside a worker: what a gateway has to bear, at rates that one can set.
import { assertNumber } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { DropConnection } from '../oip/service.ts'
import type { ServedModel } from './served.ts'

/** Faults that a worker injects into itself. Draws are independent for each request. */
export interface WorkerFaults {
  readonly seed: number
  /** This share of responses leaves late by `ms[0]` to `ms[1]` milliseconds; the model is free meanwhile. */
  readonly late?: { readonly share: number; readonly ms: readonly [number, number] }
  /** Every request takes so many times as long. */
  readonly slow?: { readonly factor: number }
  /** This share of requests is answered by closing the connection. */
  readonly drop?: { readonly share: number }
}

/** The model, with faults. */
export function withFaults(model: ServedModel, { seed, late, slow, drop }: WorkerFaults): ServedModel {
  const random = createRandom(seed).stream('worker-faults')
  assertNumber(late?.share ?? 0, { where: 'faults', argument: 'late.share', min: 0, max: 1 })
  assertNumber(drop?.share ?? 0, { where: 'faults', argument: 'drop.share', min: 0, max: 1 })
  assertNumber(slow?.factor ?? 1, { where: 'faults', argument: 'slow.factor', min: 1 })
  return {
    ...model,
    async infer(inputs, context) {
      // All drawn before anything is awaited: the same requests in the same order meet the same faults
      const lateMs = late && random.bernoulli(late.share) ? random.uniform(...late.ms) : 0
      const dropped = drop !== undefined && random.bernoulli(drop.share)
      const started = performance.now()
      const outputs = await model.infer(inputs, context)
      if (dropped) throw new DropConnection()
      const extra = lateMs + ((slow?.factor ?? 1) - 1) * (performance.now() - started)
      if (extra > 0) await new Promise((resolve) => setTimeout(resolve, extra))
      return outputs
    },
  }
}

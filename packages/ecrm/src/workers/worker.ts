// A worker's part of a step of data-parallel training: rows, forward and backward, and its gradients to the shards.
import type { PushOptions, RowAccess } from '../client.ts'
import type { DenseModel } from '../dlrm/denseModel.ts'
import { distinct, pool, scatterSum } from '../dlrm/lookUp.ts'
import { createScratch } from '../dlrm/scratch.ts'
import { checkGradients } from '../dlrm/soundGradients.ts'
import type { Computed, Work } from './protocol.ts'

export interface Worker {
  /**
   * Gradients of a batch with the dense network given; those of rows are kept until `push`. Rejects when they are not finite.
   */
  compute(work: Work): Promise<Computed>
  /** Sends the gradients of the latest batch's rows, when all but the last before were answered; resolves when they are on their way. */
  push(options: PushOptions): Promise<void>
  /** Resolves when every push was answered. */
  settle(): Promise<void>
}

/** @param model - its parameters become the work's */
export function createWorker({ rows, model, d }: { rows: RowAccess; model: DenseModel; d: number }): Worker {
  let kept: { ids: Uint32Array; gradients: Float32Array } | undefined
  let pushing: Promise<void> = Promise.resolve()
  let before = pushing
  const scratch = createScratch()
  return {
    async compute({ batch, parameters, part }) {
      const found = distinct(batch.ids, scratch)
      const embeddings = pool(await rows.pull(found.ids), found, { d, bags: batch.bags }, scratch)
      model.parameters.forEach((one, i) => one.set(parameters[i]!))
      const gradients = model.gradients({ dense: batch.dense, embeddings }, batch.labels, scratch)
      const ofRows = scatterSum(gradients.embeddings, found, { d, bags: batch.bags }, scratch)
      checkGradients({ ...gradients, rows: ofRows })
      if (part !== 1) for (let i = 0; i < ofRows.length; i++) ofRows[i]! *= part
      kept = { ids: found.ids, gradients: ofRows }
      const { loss, parameters: ofDense, probabilities } = gradients
      return { loss, parameters: ofDense, probabilities }
    },
    async push(options) {
      await before
      if (kept === undefined) return
      const { ids, gradients } = kept
      kept = undefined
      before = pushing
      pushing = rows.push(ids, gradients, options)
      // A failure is told by whoever awaits it next.
      pushing.catch(() => undefined)
    },
    async settle() {
      await before
      await pushing
    },
  }
}

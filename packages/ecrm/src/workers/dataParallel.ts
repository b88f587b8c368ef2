// Data-parallel training: the trainer keeps the dense network and deals out batches, its workers read and update rows.
import { throwIfAborted } from '@ft/core'
import type { DenseModel } from '../dlrm/denseModel.ts'
import { takeBatch, type Samples } from '../dlrm/samples.ts'
import type { ScoreWindow } from '../dlrm/scoreWindow.ts'
import type { Computed } from './protocol.ts'
import type { Worker } from './worker.ts'

export interface DataParallel {
  readonly data: Samples
  readonly model: DenseModel
  readonly workers: readonly Worker[]
  /** First id of each table. */
  readonly offsets: readonly number[]
  /** Rows of the data, step by step. */
  readonly steps: Iterable<Uint32Array>
  /** Gets the predictions of all workers: of a step together in the order of its samples. */
  readonly window: ScoreWindow
  readonly signal: AbortSignal | undefined
  /** Called after every step, in order: never while it is still at the one before. */
  readonly onStep: (loss: number) => unknown
}

/**
 * Every step's batch is cut into one part a worker, and the next step begins when all gradients of this one are applied: rows'
 * one worker after the other, the dense network's as the weighted sum in that order. The same bits every time.
 *
 * Cost: of a step as many answered pushes in a row as there are workers.
 */
export async function trainSynchronously(o: DataParallel): Promise<void> {
  const { data, model, workers, offsets } = o
  for (const chosen of o.steps) {
    throwIfAborted(o.signal, 'train')
    const parts = cut(chosen, workers.length)
    const computed = await Promise.all(
      parts.map((rows, i) =>
        workers[i]!.compute({
          batch: takeBatch(data, rows, offsets),
          parameters: model.parameters,
          part: rows.length / chosen.length,
        }),
      ),
    )
    computed.forEach(({ probabilities }, i) => o.window.add(probabilities, labelsOf(data, parts[i]!)))
    for (let i = 0; i < parts.length; i++) {
      await workers[i]!.push({})
      await workers[i]!.settle()
    }
    const shares = parts.map((rows) => rows.length / chosen.length)
    model.update(weighted(computed, shares))
    await o.onStep(computed.reduce((sum, { loss }, i) => sum + loss * shares[i]!, 0))
  }
}

/**
 * Each worker takes the next batch when it has done one, with the dense network of that moment; its gradients are applied as
 * they come. Nobody waits for anybody, so bits differ from run to run.
 */
export async function trainAsynchronously(o: DataParallel): Promise<void> {
  const { data, model, offsets } = o
  const steps = o.steps[Symbol.iterator]()
  let failed = false
  /** Workers that have ended a step tell of it one after the other: whoever listens may take its time. */
  let told: Promise<unknown> = Promise.resolve()
  await Promise.all(
    o.workers.map(async (worker) => {
      try {
        for (let next = steps.next(); next.done !== true && !failed; next = steps.next()) {
          throwIfAborted(o.signal, 'train')
          const batch = takeBatch(data, next.value, offsets)
          const { loss, parameters, probabilities } = await worker.compute({
            batch,
            parameters: model.parameters,
            part: 1,
          })
          o.window.add(probabilities, batch.labels)
          model.update(parameters)
          await worker.push({ readsNext: true, pushesNext: true })
          await (told = told.then(() => o.onStep(loss)))
        }
        await worker.settle()
      } catch (error) {
        failed = true
        throw error
      }
    }),
  )
}

const labelsOf = ({ label }: Samples, rows: Uint32Array): number[] => Array.from(rows, (row) => label[row]!)

/** Parts that differ by one row at most; none is empty. */
function cut(rows: Uint32Array, count: number): Uint32Array[] {
  const parts: Uint32Array[] = []
  for (let i = 0; i < count; i++) {
    const [start, end] = [Math.floor((i * rows.length) / count), Math.floor(((i + 1) * rows.length) / count)]
    if (end > start) parts.push(rows.subarray(start, end))
  }
  return parts
}

/** Sums in float64, in the order of workers. */
function weighted(computed: readonly Computed[], shares: readonly number[]): Float32Array[] {
  return computed[0]!.parameters.map((first, p) =>
    first.map((_, j) => computed.reduce((sum, { parameters }, i) => sum + parameters[p]![j]! * shares[i]!, 0)),
  )
}

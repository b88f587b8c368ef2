// Training as it is done without coding: checkpoints, and after a death all of it again from the latest one.
import { FtError, assertInteger, isFtError } from '@ft/core'
import { restoreModel } from '../checkpoint/checkpoint.ts'
import { createCheckpointer, type CheckpointerOptions } from '../checkpoint/checkpointer.ts'
import type { DenseModel } from '../dlrm/denseModel.ts'
import type { Samples } from '../dlrm/samples.ts'
import type { ShardStore } from '../store.ts'
import { train, type StepRecord, type TrainOptions } from '../train.ts'

export interface CheckpointedOptions
  extends CheckpointerOptions, Omit<TrainOptions, 'store' | 'model' | 'from' | 'onStep'> {
  /** Opens the shards, with r = 0; again after every death. */
  readonly open: () => Promise<ShardStore>
  /** Steps between checkpoints. */
  readonly every: number
  /** Deaths after which it gives up; default 100. */
  readonly mostRollbacks?: number
  /** Called after every step, the ones done again too. */
  readonly onStep?: (record: StepRecord, store: ShardStore) => unknown
}

export interface CheckpointedTraining {
  readonly model: DenseModel
  /** The shards of the last life: the caller closes them. */
  readonly store: ShardStore
  /** Every step that was done, the ones done again too. */
  readonly history: readonly StepRecord[]
  readonly checkpoints: number
  readonly rollbacks: number
  /** Steps that were done and thrown away. */
  readonly redone: number
  /** Held up by checkpoints, all together. */
  readonly stallMs: number
  /** From each death, as the trainer sees it, to the first new step: shards opened, rows read and written. */
  readonly reloadMs: readonly number[]
}

/**
 * Trains with checkpoints: the baseline that coding is compared with.
 *
 * The model ends with the bits of a run without deaths, as the steps after the checkpoint are the same ones.
 *
 * @throws FtError as `train`; `UNRECOVERABLE` after `mostRollbacks` deaths; `IO` when a checkpoint cannot be written
 */
export async function trainCheckpointed(data: Samples, options: CheckpointedOptions): Promise<CheckpointedTraining> {
  const { open, every, mostRollbacks = 100, onStep, folder, kind, fullEvery, background, ...training } = options
  assertInteger(every, { where: 'trainCheckpointed', argument: 'every', min: 1 })
  const saver = createCheckpointer({
    folder,
    ...(kind ? { kind } : {}),
    ...(fullEvery ? { fullEvery } : {}),
    ...(background === undefined ? {} : { background }),
  })
  const history: StepRecord[] = []
  const reloadMs: number[] = []
  let [checkpoints, rollbacks, redone, stallMs] = [0, 0, 0, 0]
  let died: number | undefined
  /** Steps that the model has behind it. */
  let reached = 0
  for (;;) {
    const store = await open()
    try {
      const saved = await saver.latest()
      const from = saved?.step ?? 0
      redone += Math.max(0, reached - from)
      reached = from
      let model: DenseModel | undefined
      if (saved !== undefined) {
        await store.restore(saved.rows)
        // A network of the right shape; its weights are the checkpoint's.
        model = (await train(data, { ...training, store, until: 0 })).model
        restoreModel(model, saved)
      }
      const trained = await train(data, {
        ...training,
        store,
        ...(model ? { model } : {}),
        from,
        async onStep(record, current) {
          if (died !== undefined) reloadMs.push(performance.now() - died)
          died = undefined
          reached = record.step + 1
          history.push(record)
          await onStep?.(record, store)
          if ((record.step + 1) % every !== 0) return
          stallMs += (await saver.save({ store, model: current, step: record.step + 1 })).stallMs
          checkpoints++
        },
      })
      await saver.settle()
      return { model: trained.model, store, history, checkpoints, rollbacks, redone, stallMs, reloadMs }
    } catch (error) {
      await store.close()
      if (!isFtError(error, 'UNRECOVERABLE')) throw error
      if (++rollbacks > mostRollbacks) {
        const text = `trainCheckpointed: ${rollbacks} deaths; find out why shards die, or raise \`mostRollbacks\``
        throw new FtError('UNRECOVERABLE', text, { rollbacks }, { cause: error })
      }
      died ??= performance.now()
    }
  }
}

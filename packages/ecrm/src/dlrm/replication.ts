// The dense network beside the rows: a version of it at r + 1 shards every so many steps, so that the next trainer begins where
// this one ended.
import { FtError } from '@ft/core'
import type { KeptVersion } from '../keptVersion.ts'
import type { ShardStore } from '../store.ts'
import { arraysOf, setArrays } from './denseArrays.ts'
import type { DenseModel } from './denseModel.ts'

export interface Replication {
  /**
   * To be called when the dense network was updated, ahead of the push of the same step, which waits for it, and behind the answer to
   * the push before. Left out where nothing goes ahead.
   */
  readonly ahead: ((push: NonNullable<KeptVersion['push']>) => Promise<void>) | undefined
  /** To be called when a step's pushes are on their way, or were answered. */
  after(): Promise<void>
  /** Resolves when the latest version is where it belongs. */
  settle(): Promise<void>
}

export interface ReplicationOptions {
  readonly store: ShardStore
  readonly model: DenseModel
  /** Steps between versions; 0: none. */
  readonly every: number
  /** Steps done. */
  readonly from: number
  /** Of the training: the one that goes on must be alike. */
  readonly about: string
}

/**
 * With `every` = 1 and one worker (`ahead`) version and rows are of the same step, whenever the trainer dies; else a version follows
 * its step (`after`), behind the trainer's back.
 */
export function createReplication({ store, model, every, from, about }: ReplicationOptions): Replication {
  let step = from
  let wentAhead = false
  let keeping: Promise<void> = Promise.resolve()
  const version = (): KeptVersion => ({ step, arrays: arraysOf(model), about })
  return {
    ahead:
      every === 1
        ? async (push) => {
            wentAhead = true
            await store.keep({ ...version(), step: step + 1, push })
          }
        : undefined,
    async after() {
      step++
      if (every === 0 || wentAhead || step % every > 0) return
      await keeping
      keeping = store.keep(version())
      // A failure is told by the next version, or by whoever settles.
      keeping.catch(() => undefined)
    },
    settle: () => keeping,
  }
}

/**
 * Gives a model the newest version at the shards.
 *
 * @returns steps done; 0 when there is no version yet
 * @throws FtError `INVALID_ARGUMENT` when it is of a training with other data, batches or seed; `SHAPE_MISMATCH`
 */
export async function takeUp(store: ShardStore, model: DenseModel, about: string): Promise<number> {
  const version = await store.kept()
  if (version === undefined) return 0
  if (version.about !== about) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `train: what is resumed was a training with ${version.about}, this one has ${about}; give it the same data and options`,
      { kept: version.about, given: about },
    )
  }
  setArrays(model, version.arrays, 'train')
  return version.step
}

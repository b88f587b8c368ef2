// Training on after a death with what the latest snapshot has of the dead server's rows: nothing is done again, and nothing is
// exact. The baseline that coding's bits are compared with.
import { assertInteger } from '@ft/core'
import { createPlaces } from '../tables/places.ts'
import type { Snapshot } from '../snapshot.ts'
import type { ShardStore } from '../store.ts'
import { train, type Trained, type TrainOptions } from '../train.ts'

export interface PartialRecoveryOptions extends Omit<TrainOptions, 'from'> {
  /** Steps between snapshots; there is one before the first step. */
  readonly every: number
  /** After which step a server's rows are lost. */
  readonly deaths: readonly { readonly step: number; readonly server: number }[]
}

export interface PartiallyRecovered extends Trained {
  /** Rows that were set back to a snapshot, and updates of them that are gone. */
  readonly reloadedRows: number
  readonly lostUpdates: number
}

/**
 * Trains with stale reloads: a dead server's rows go back to the latest snapshot, all others and the dense network keep
 * their progress.
 *
 * The death is played: the store lives on, and its rows are overwritten.
 *
 * Source: Maeng et al. 2021, "Understanding and improving failure tolerant training for deep learning recommendation with
 * partial recovery" (CPR), without its choice of rows.
 *
 * @throws FtError as `train`; `INVALID_ARGUMENT` for a server that there is not
 */
export async function trainPartiallyRecovered(
  data: Parameters<typeof train>[0],
  options: PartialRecoveryOptions,
): Promise<PartiallyRecovered> {
  const { every, deaths, onStep, ...training } = options
  const { store } = training
  const where = 'trainPartiallyRecovered'
  assertInteger(every, { where, argument: 'every', min: 1 })
  for (const { server } of deaths)
    assertInteger(server, { where, argument: 'deaths[].server', min: 0, max: store.layout.servers - 1 })
  let saved = await store.snapshot()
  let [reloadedRows, lostUpdates] = [0, 0]
  const trained = await train(data, {
    ...training,
    async onStep(record, model, score) {
      for (const { step, server } of deaths) {
        if (step !== record.step) continue
        const reloaded = await reload(store, { saved, server })
        reloadedRows += reloaded.rows
        lostUpdates += reloaded.updates
      }
      if ((record.step + 1) % every === 0) saved = await store.snapshot()
      await onStep?.(record, model, score)
    },
  })
  return { ...trained, reloadedRows, lostUpdates }
}

/** Sets a server's rows back; how many had changed since, and how often. Versions only grow. */
async function reload(
  store: ShardStore,
  { saved, server }: { saved: Snapshot; server: number },
): Promise<{ rows: number; updates: number }> {
  const now = await store.snapshot()
  const { layout } = store
  const { sharded } = createPlaces(store.tables)
  const ids: number[] = []
  let updates = 0
  for (let row = 0; row < sharded.rows; row++) {
    const id = sharded.idOf(row)
    if (layout.serverOf(layout.placeOf(row)) !== server || now.versions[id] === saved.versions[id]) continue
    ids.push(id)
    updates += now.versions[id]! - saved.versions[id]!
  }
  await store.restore(saved, ids)
  return { rows: ids.length, updates }
}

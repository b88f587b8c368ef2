// Saving a run and taking it up again, whatever happened to the machine.
import { FtError } from '@ft/core'
import { arraysOf, setArrays } from '../dlrm/denseArrays.ts'
import type { DenseModel } from '../dlrm/denseModel.ts'
import type { Snapshot } from '../snapshot.ts'
import type { ShardStore } from '../store.ts'
import { readCheckpointFile, writeCheckpointFile, type CheckpointContent } from './file.ts'

/** A run at a step. */
export interface Checkpoint {
  readonly step: number
  readonly rows: Snapshot
  /** Parameters of the dense network and their optimizer state; empty when it was not saved. */
  readonly parameters: readonly Float32Array[]
  readonly state: readonly Float32Array[]
}

export interface Saveable {
  readonly store: ShardStore
  /** Left out: rows alone. */
  readonly model?: DenseModel | undefined
  /** Steps done; default 0. */
  readonly step?: number
}

/**
 * Saves rows with their optimizer state, and the dense network with its, in one file.
 *
 * Consistent when no push is under way: each row by itself is, in any case. Cost: every row travels to the caller and is
 * written once.
 *
 * @returns bytes written
 * @throws FtError `IO`; an earlier file at `path` stays as it was
 */
export async function saveCheckpoint(path: string, { store, model, step = 0 }: Saveable): Promise<number> {
  return (await writeCheckpointFile(path, fullContent(await store.snapshot(), model, step))).bytes
}

export function fullContent(rows: Snapshot, model: DenseModel | undefined, step: number): CheckpointContent {
  const { width, words, versions } = rows
  return { step, width, rows: versions.length, ids: undefined, words, versions, dense: denseArrays(model) }
}

/** The dense network's arrays as they are now. */
export function denseArrays(model: DenseModel | undefined): Float32Array[] {
  return model === undefined ? [] : arraysOf(model).map((array) => array.slice())
}

/**
 * Reads a checkpoint that `saveCheckpoint` wrote. `store.restore(checkpoint.rows)` and `restoreModel` put it back.
 *
 * @throws FtError `IO`, `VERSION_UNSUPPORTED`, `CHECKSUM_MISMATCH`, `CORRUPT_DATA`
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const content = await readCheckpointFile(path)
  if (content.ids !== undefined) {
    throw new FtError('CORRUPT_DATA', `readCheckpoint: ${path} holds changed rows only; read the whole one before`, {})
  }
  return checkpointOf(content)
}

export function checkpointOf({ step, width, words, versions, dense }: CheckpointContent): Checkpoint {
  const half = dense.length / 2
  return { step, rows: { words, width, versions }, parameters: dense.slice(0, half), state: dense.slice(half) }
}

/**
 * Gives a model the parameters and the optimizer state of a checkpoint.
 *
 * @throws FtError `SHAPE_MISMATCH` when it is of another shape
 */
export function restoreModel(model: DenseModel, { parameters, state }: Checkpoint): void {
  setArrays(model, [...parameters, ...state], 'restoreModel')
}

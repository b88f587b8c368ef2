// Checkpoints taken again and again during a run: whole, or whole now and then with what changed between; written while
// training stands still, or behind its back.
import { FtError, assertInteger, assertOneOf } from '@ft/core'
import { checkCheckpointerNames } from '../knownOptions.ts'
import { checkpointOf, denseArrays, fullContent, type Checkpoint, type Saveable } from './checkpoint.ts'
import { readCheckpointFile, writeCheckpointFile, type CheckpointContent, type CheckpointFile } from './file.ts'

export interface CheckpointerOptions {
  /** A folder of its own, made when it is not there. */
  readonly folder: string
  /** 'full': every row. 'differential': the rows changed since the latest full one, every `fullEvery`-th full. */
  readonly kind?: 'full' | 'differential'
  /** Default 10. */
  readonly fullEvery?: number
  /** Writes to disk while training goes on; only reading the rows holds it up. Default false. */
  readonly background?: boolean
}

export interface SavedCheckpoint {
  readonly step: number
  readonly full: boolean
  /** Rows read. */
  readonly rows: number
  /** How long the caller was held up. */
  readonly stallMs: number
  /** Bytes in the file; resolves when it is on disk. */
  readonly written: Promise<number>
}

export interface Checkpointer {
  /**
   * Saves; resolves when training may go on. When a whole one could not be written the next is whole.
   *
   * @throws FtError `IO` when this one cannot be written; in the background, when the one before could not be
   */
  save(what: Saveable): Promise<SavedCheckpoint>
  /** The latest one that is whole on disk; undefined when there is none. */
  latest(): Promise<Checkpoint | undefined>
  /** Waits for what is being written; throws when it failed and no save has said so. */
  settle(): Promise<void>
}

const fullName = 'full.ftec'
const changedName = 'changed.ftec'

/**
 * Makes a checkpointer on a folder.
 *
 * Source: background and differential checkpoints are those of CheckFreq (FAST 2021) and Check-N-Run (NSDI 2022), without
 * their quantization.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export function createCheckpointer(options: CheckpointerOptions): Checkpointer {
  checkCheckpointerNames(options)
  const { folder, kind = 'full', fullEvery = 10, background = false } = options
  const where = 'createCheckpointer'
  assertOneOf(kind, { where, argument: 'kind', values: ['full', 'differential'] })
  assertInteger(fullEvery, { where, argument: 'fullEvery', min: 1 })
  let writing: Promise<unknown> = Promise.resolve()
  let count = 0
  /** No whole checkpoint on disk is of the store's latest marks: one must come before the next that holds changes only. */
  let owed = true
  /** Which content the latest whole one on disk has. */
  let base: readonly number[] | undefined
  const at = (name: string): string => `${folder}/${name}`

  /** Waits for what is being written. Its failure is said once: the disk may be well again. */
  async function settle(): Promise<void> {
    const before = writing
    try {
      await before
    } finally {
      if (writing === before) writing = Promise.resolve()
    }
  }

  async function write(content: CheckpointContent): Promise<number> {
    const { mkdir, rm } = await import('node:fs/promises')
    await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
      throw new FtError('IO', `save: the folder ${folder} cannot be made; look at the cause`, { folder }, { cause })
    })
    const full = content.ids === undefined
    const { bytes, checksums } = await writeCheckpointFile(at(full ? fullName : changedName), content)
    // What changed since an earlier full one says nothing beside the new one.
    if (full) {
      await rm(at(changedName), { force: true })
      owed = false
      base = checksums
    }
    return bytes
  }

  return {
    async save({ store, model, step = 0 }) {
      const start = performance.now()
      // Two files at once would be in each other's way, and their rows in memory twice.
      await settle()
      const full = kind === 'full' || owed || count % fullEvery === 0
      let content: CheckpointContent
      if (full) {
        owed = true
        count = 0
        content = fullContent(await store.snapshot({ mark: kind === 'differential' }), model, step)
      } else {
        const changed = await store.changed()
        const { rows, width } = store
        content = { step, width, rows, ...changed, dense: denseArrays(model), base }
      }
      const written = write(content)
      // In the background a failure is said to whoever awaits it, and once more by the next save or settle.
      writing = background ? written : Promise.resolve()
      written.catch(() => undefined)
      if (!background) await written
      count++
      return { step, full, rows: content.versions.length, stallMs: performance.now() - start, written }
    },
    async latest() {
      await writing.catch(() => undefined)
      const whole = await readIfThere(at(fullName))
      if (whole === undefined) return undefined
      const changed = await readIfThere(at(changedName))
      // A crash before the earlier changes were removed leaves those of another whole one, of any step: they say nothing.
      if (changed === undefined) return checkpointOf(whole)
      // Of a version that did not name its whole one: by step alone.
      const own = changed.base ? changed.base.join() === whole.checksums.join() : changed.step >= whole.step
      if (!own || changed.width !== whole.width || changed.rows !== whole.rows) return checkpointOf(whole)
      changed.ids!.forEach((id, i) => {
        whole.versions[id] = changed.versions[i]!
        whole.words.set(changed.words.subarray(i * whole.width, (i + 1) * whole.width), id * whole.width)
      })
      return checkpointOf({ ...whole, step: changed.step, dense: changed.dense })
    },
    settle,
  }
}

async function readIfThere(path: string): Promise<(CheckpointContent & CheckpointFile) | undefined> {
  const { access } = await import('node:fs/promises')
  const there = await access(path).then(
    () => true,
    () => false,
  )
  return there ? readCheckpointFile(path) : undefined
}

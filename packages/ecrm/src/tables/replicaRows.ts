// Rows of replicated tables, whole at the trainer. Their updates have the bits that a shard's have.
import { writeInitialRow } from '../shard/initialRows.ts'
import type { ResolvedSpec, RowRange } from '../shard/spec.ts'
import { copyWords, wordsOf } from '../shard/words.ts'
import type { RowSet } from '../snapshot.ts'
import type { Part } from './places.ts'

export interface ReplicaRows {
  readonly count: number
  /** `[count, width]`: bits of values and state, as they are now. */
  readonly words: Uint32Array
  /** Updates of each row. */
  readonly versions: Uint32Array
  /** Writes values of rows to where they stand in a longer list, `[.., d]`. */
  pull(part: Part, into: Float32Array): void
  /** Applies the optimizer with gradients that stand there; a repeated row is updated once a mention. */
  push(part: Part, gradients: Float32Array): void
  /** Makes a row what it is in `from`; its version only grows. */
  write(row: number, from: { readonly words: Uint32Array; readonly versions: Uint32Array }, at: number): void
  /** Rows changed since the latest `mark`; all when there was none. */
  changed(): RowSet
  mark(): void
}

/** @param ranges - of these rows, each with the id of its first */
export function createReplicaRows(
  { d, width, row, seed }: Pick<ResolvedSpec, 'd' | 'width' | 'row' | 'seed'>,
  ranges: readonly RowRange[],
): ReplicaRows {
  const count = ranges.reduce((sum, { rows }) => sum + rows, 0)
  const words = new Uint32Array(count * width)
  const floats = new Float32Array(words.buffer)
  const versions = new Uint32Array(count)
  const touched = new Uint8Array(count).fill(1)
  for (let i = 0; i < count; i++) writeInitialRow({ d, seed, ranges }, i, floats.subarray(i * width, (i + 1) * width))
  return {
    count,
    words,
    versions,
    pull({ rows, at }, into) {
      const to = wordsOf(into)
      for (let i = 0; i < rows.length; i++) copyWords(to, at[i]! * d, words, rows[i]! * width, d)
    },
    push({ rows, at }, gradients) {
      for (let i = 0; i < rows.length; i++) {
        const to = rows[i]!
        row.apply(floats, to * width, gradients, at[i]! * d, d)
        versions[to]!++
        touched[to] = 1
      }
    },
    write(to, from, at) {
      const next = from.words.subarray(at * width, (at + 1) * width)
      const now = words.subarray(to * width, (to + 1) * width)
      const least = from.versions[at]!
      // As at a shard: what is the same already is no change.
      if (least <= versions[to]! && next.every((word, j) => word === now[j])) return
      now.set(next)
      versions[to] = Math.max(versions[to]! + 1, least)
      touched[to] = 1
    },
    changed() {
      const some = Array.from({ length: count }, (_, i) => i).filter((i) => touched[i] === 1)
      const out = new Uint32Array(some.length * width)
      some.forEach((from, to) => out.set(words.subarray(from * width, (from + 1) * width), to * width))
      return { ids: Uint32Array.from(some), words: out, versions: Uint32Array.from(some, (i) => versions[i]!) }
    },
    mark: () => void touched.fill(0),
  }
}

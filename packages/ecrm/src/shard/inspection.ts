// What a shard shows of its rows, and what scrubbing changes in them: apart from the protocol of updates.
import type { MessageOf } from './messages.ts'
import type { ParityRows } from './parityRows.ts'
import { live, type Storage } from './storage.ts'

/** A version that no row has: of rows not marked yet. */
const never = 0xffffffff
/** Words of a head of 'mend'. */
const mendWords = 3

export interface Inspection {
  snapshot(message: MessageOf<'snapshot'>): MessageOf<'rowBits'>
  /** Puts right what a scrub found wrong; for each row named, 1 when it was: 0 when it is no longer what was read. */
  mend(message: MessageOf<'mend'>): Uint32Array
  flip(message: MessageOf<'flip'>): void
}

export function createInspection(o: {
  storage: Storage
  server: number
  parityRows: ParityRows
  /** Ids of rows lost for good. */
  lost: readonly number[]
}): Inspection {
  const { storage, server, parityRows, lost } = o
  const { spec, words, versions, dataState } = storage
  const { layout, k, width } = spec
  /** Versions at the latest snapshot that asked for it. */
  let marked: Uint32Array | undefined
  return {
    snapshot({ id, first, count, changed, mark }) {
      const end = Math.min(layout.dataRows, first + count)
      const rows: number[] = []
      for (let row = first; row < end; row++)
        if (changed === 0 || marked === undefined || versions[row] !== marked[row]) rows.push(row)
      const bits = new Uint32Array(rows.length * width)
      rows.forEach((row, i) => {
        for (let j = 0; j < width; j++) bits[i * width + j] = words[row * width + j]!
      })
      if (mark === 1) {
        marked ??= new Uint32Array(layout.dataRows).fill(never)
        marked.set(versions.subarray(first, end), first)
      }
      return {
        type: 'rowBits',
        id,
        rows: Uint32Array.from(rows),
        words: bits,
        versions: Uint32Array.from(rows, (row) => versions[row]!),
        lost: Uint32Array.from(lost),
      }
    },

    mend({ heads, words: right }) {
      const mended = new Uint32Array(heads.length / mendWords)
      for (let i = 0; i < mended.length; i++) {
        const [stripe, position, version] = [heads[i * 3]!, heads[i * 3 + 1]!, heads[i * 3 + 2]!]
        if (layout.serverOf({ stripe, position }) !== server || stripe >= layout.stripes) continue
        const local = layout.localOf({ stripe, position })
        if (position >= k) parityRows.discard(local, stripe)
        else if (dataState[local] === live && versions[local] === version) {
          words.set(right.subarray(i * width, (i + 1) * width), local * width)
          // Other words at the same version: a checkpoint of what changed must have them all the same.
          if (marked) marked[local] = never
        } else continue
        mended[i] = 1
      }
      return mended
    },
    flip({ stripe, position, word, bit }) {
      if (layout.serverOf({ stripe, position }) !== server || stripe >= layout.stripes || word >= width) return
      const local = layout.localOf({ stripe, position })
      const rows = position < k ? words : storage.parity
      rows[local * width + word]! ^= 1 << bit
    },
  }
}

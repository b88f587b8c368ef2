// What a trainer must have again when it dies, as one of several shards keeps it for it: words that the shard does not read.
// Two places: the newest version that is whole, and the one that arrives. A version counts when its last word is there: one
// whose trainer died while it sent it is never the newest.
import { FtError } from '@ft/core'
import type { Message, MessageOf } from './messages.ts'

export interface Keeping {
  /** Takes a piece of a version; the answer names the newest that is whole. A piece that fits no version is left out. */
  keep(piece: MessageOf<'keep'>): Message
  recall(question: MessageOf<'recall'>): Message
}

interface Version {
  readonly version: number
  readonly words: Uint32Array<ArrayBuffer>
}

/** 1 GiB: far beyond what dense networks beside embedding tables have. */
const mostWords = 2 ** 28

export function createKeeping(): Keeping {
  let whole: Version = { version: 0, words: new Uint32Array(0) }
  /** Memory of the version before, for the next. */
  let spare = new Uint32Array(0)
  let arriving: (Version & { have: number }) | undefined
  return {
    keep({ id, version, at, total, words }) {
      if (total > mostWords || at + words.length > total)
        throw new FtError('CORRUPT_DATA', `shard: words ${at} to ${at + words.length} of a version of ${total}`, {})
      if (version > whole.version && at === 0) {
        const room = arriving?.words ?? spare
        arriving = { version, words: room.length === total ? room : new Uint32Array(total), have: 0 }
      }
      // Pieces come in order; those before may have been said to an earlier life of this server.
      if (arriving?.version === version && arriving.have === at && arriving.words.length === total) {
        arriving.words.set(words, at)
        arriving.have += words.length
        if (arriving.have === total) {
          spare = whole.words
          whole = arriving
          arriving = undefined
        }
      }
      return { type: 'kept', id, version: whole.version }
    },
    recall({ id, at, most }) {
      const { version, words } = whole
      // A copy: the next version may take this one's place before it is sent.
      return { type: 'recalled', id, version, total: words.length, words: words.slice(at, at + most) }
    },
  }
}

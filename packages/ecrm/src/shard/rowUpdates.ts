// The data side of a shard: an update changes rows, and what changed of them goes to parity: the bits before XOR the bits
// after, of values and optimizer state.
import { headWords, type MessageOf } from './messages.ts'
import type { Part } from './outbox.ts'
import type { Remedy } from './remedies.ts'
import { roomFor } from './room.ts'
import type { Storage } from './storage.ts'
import type { Tags } from './tags.ts'
import { addWords, copyWords } from './words.ts'
import { positionIn } from '../layout.ts'

/** A worker's update: gradients, or rows as they are to be. */
export interface Update {
  readonly worker: number
  readonly message: MessageOf<'push'> | MessageOf<'write'>
}

export interface RowUpdates {
  /** Rows changed so far. */
  readonly count: number
  /**
   * Applies an update to those of its rows that lack it.
   *
   * @param values - the update's numbers as floats
   * @returns the differences, by the peers that have the parity rows
   */
  apply(update: Update, values: Float32Array): Part[]
}

/** Differences for one peer, not all of them there yet. */
interface Filling extends Part {
  /** How many are. */
  rows: number
}

export function createRowUpdates(o: {
  storage: Storage
  server: number
  tags: Tags
  without: Remedy | undefined
}): RowUpdates {
  const { storage, server, tags, without } = o
  const { spec, words, floats, versions } = storage
  const { layout, k, r, d, width } = spec
  let total = 0

  /** Room for the differences of these rows, sorted by the servers of their parity rows. */
  function partsFor(rows: Uint32Array): Filling[] {
    const most = new Uint32Array(layout.servers)
    for (let i = 0; i < rows.length; i++) {
      const stripe = layout.dataStripe(server, rows[i]!)
      for (let parity = k; parity < k + r; parity++) most[(stripe + parity) % layout.servers]!++
    }
    return Array.from(most, (count, peer): Filling => {
      const [heads, content] = roomFor('deltas', [count * headWords, count * width]) as [Uint32Array, Uint32Array]
      return { peer, heads, words: content, rows: 0 }
    })
  }

  /** Whether the row was changed; its difference is then in the parts. A function of its own, as it is called often enough to stay compiled. */
  function applyRow(one: Update, values: Float32Array, parts: readonly Filling[], i: number, again: boolean): boolean {
    const { worker, message } = one
    const local = message.rows[i]!
    const at = local * width
    const stripe = layout.dataStripe(server, local)
    const position = positionIn(stripe, server, layout.servers)
    if (again && tags.has(server, { stripe, position, worker, push: message.id })) return false
    const base = versions[local]!
    let version = base + 1
    if (message.type === 'write') {
      if (message.versions[i]! <= base && same(message.words, i, at)) return false
      version = Math.max(version, message.versions[i]!)
    }
    versions[local] = version
    const first = r > 0 ? parts[(stripe + k) % layout.servers]! : undefined
    const to = first === undefined ? 0 : first.rows * width
    if (first !== undefined) copyWords(first.words, to, words, at, width)
    if (message.type === 'push') spec.row.apply(floats, at, values, i * d, d)
    else copyWords(words, at, message.words, i * width, width)
    if (first === undefined) return true
    addWords(first.words, to, words, at, width)
    const head = first.rows++ * headWords
    const { heads } = first
    heads[head] = stripe
    heads[head + 1] = position
    heads[head + 2] = base
    heads[head + 3] = version
    heads[head + 4] = worker
    heads[head + 5] = message.id
    for (let parity = 1; parity < r; parity++) {
      const other = parts[(stripe + k + parity) % layout.servers]!
      copyWords(other.heads, other.rows * headWords, heads, head, headWords)
      copyWords(other.words, other.rows++ * width, first.words, to, width)
    }
    return true
  }

  /** Without the room of rows that were not changed. */
  const trimmed = ({ peer, heads, words: content, rows }: Filling): Part => {
    if (rows * headWords === heads.length) return { peer, heads, words: content }
    return { peer, heads: heads.subarray(0, rows * headWords), words: content.subarray(0, rows * width) }
  }

  const same = (given: Uint32Array, i: number, at: number): boolean => {
    for (let j = 0; j < width; j++) if (given[i * width + j] !== words[at + j]) return false
    return true
  }

  return {
    get count() {
      return total
    },
    apply(update, values) {
      const { id, rows } = update.message
      const again = without !== 'tags' && tags.knows(server, { worker: update.worker, push: id })
      const parts = r > 0 ? partsFor(rows) : []
      for (let i = 0; i < rows.length; i++) if (applyRow(update, values, parts, i, again)) total++
      const filled = parts.filter(({ rows: some }) => some > 0).map(trimmed)
      // With r >= 2 the same facts several times: they are a set.
      for (const { heads } of filled) tags.addHeads(server, heads)
      return filled
    },
  }
}

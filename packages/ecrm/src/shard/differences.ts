// Differences of an update, sorted by the servers that have the parity rows.
import { headWords } from './messages.ts'
import type { Part } from './outbox.ts'
import { roomFor } from './room.ts'
import type { ResolvedSpec } from './spec.ts'
import { copyWords } from './words.ts'

/** Differences for one peer, not all of them there yet. */
export interface Filling extends Part {
  /** How many are. */
  rows: number
}

/** Where rows of a server are in the layout. */
export interface Homes {
  readonly stripes: Uint32Array
  /** Servers of the stripes' first parities; `nobody` of rows without parity. */
  readonly peers: Uint16Array
}

/** No server: there are fewer. */
export const nobody = 0xffff

export interface Differences {
  /** By server. */
  readonly parts: readonly Filling[]
  /** The difference at a place of a part, which is for a first parity, once more for the other parities. */
  repeat(part: Filling, place: number): void
  /** Those that there are. */
  filled(): Part[]
}

/** Room for the differences of a server's rows. */
export function createDifferences({ layout, r, width }: ResolvedSpec, { peers }: Homes): Differences {
  const { servers } = layout
  const most = new Uint32Array(servers)
  for (let i = 0; i < peers.length; i++) {
    if (peers[i] === nobody) continue
    for (let parity = 0; parity < r; parity++) most[wrapped(peers[i]! + parity, servers)]!++
  }
  const parts = Array.from(most, (count, peer): Filling => {
    const [heads, words] = roomFor('deltas', [count * headWords, count * width]) as [Uint32Array, Uint32Array]
    return { peer, heads, words, rows: 0 }
  })
  return {
    parts,
    repeat({ peer, heads, words }, place) {
      for (let parity = 1; parity < r; parity++) {
        const other = parts[wrapped(peer + parity, servers)]!
        copyWords(other.heads, other.rows * headWords, heads, place * headWords, headWords)
        copyWords(other.words, other.rows++ * width, words, place * width, width)
      }
    },
    filled: () => parts.filter(({ rows }) => rows > 0).map((part) => trimmed(part, width)),
  }
}

/** Of numbers below twice the number of servers. */
const wrapped = (server: number, servers: number): number => (server < servers ? server : server - servers)

/** Without the room of rows that were not changed. */
function trimmed({ peer, heads, words, rows }: Filling, width: number): Part {
  if (rows * headWords === heads.length) return { peer, heads, words }
  return { peer, heads: heads.subarray(0, rows * headWords), words: words.subarray(0, rows * width) }
}

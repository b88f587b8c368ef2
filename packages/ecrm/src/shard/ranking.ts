// Which lost rows are wanted most: parity rows know how often each data row of their stripe was updated, so the servers that
// hold them can tell a replacement where to begin.
import type { MessageOf, Send } from './messages.ts'
import type { Life } from './parityRows.ts'
import { live, type Storage } from './storage.ts'
import { positionIn } from '../layout.ts'

/** Parity rows looked at for one answer: a few milliseconds of a peer's time. */
const sliceRows = 65_536
/** The most stripes an answer names: the hottest of a slice. */
const named = sliceRows / 8

export interface Ranking {
  /** Asks every peer; again for those that have not told all. */
  ask(): void
  /** Answers a peer that has lost its rows. */
  answer(from: Life, message: MessageOf<'hot'>): void
  heard(from: number, message: MessageOf<'ranked'>): void
  /** Stripes told of so far and not yet taken, the hottest first. */
  take(count: number): number[]
}

export function createRanking({ server, storage, send }: { server: number; storage: Storage; send: Send }): Ranking {
  const { spec, parityState, seen } = storage
  const { layout, k } = spec
  /** The first parity row that each peer has not told of; Infinity when it has told of all. */
  const next = new Map<number, number>()
  const told: { stripe: number; version: number }[] = []
  let sorted = true

  return {
    ask() {
      for (let peer = 0; peer < layout.servers; peer++) {
        if (peer === server) continue
        const first = next.get(peer) ?? 0
        next.set(peer, first)
        if (first < Infinity) send(peer, { type: 'hot', first })
      }
    },
    answer(from, { first }) {
      const end = Math.min(layout.parityRows, first + sliceRows)
      const found: { stripe: number; version: number }[] = []
      for (let local = first; local < end; local++) {
        if (parityState[local] !== live) continue
        const { stripe } = layout.parityPlace(server, local)
        const position = positionIn(stripe, from.server, layout.servers)
        const version = position < k ? seen[local * k + position]! : 0
        if (version > 0) found.push({ stripe, version })
      }
      found.sort((a, b) => b.version - a.version)
      found.length = Math.min(found.length, named)
      send(from.server, {
        type: 'ranked',
        life: from.incarnation,
        first,
        next: end < layout.parityRows ? end : 0,
        stripes: Uint32Array.from(found, ({ stripe }) => stripe),
        versions: Uint32Array.from(found, ({ version }) => version),
      })
    },
    heard(from, message) {
      if (next.get(from) !== message.first) return
      message.stripes.forEach((stripe, i) => told.push({ stripe, version: message.versions[i]! }))
      sorted = false
      next.set(from, message.next === 0 ? Infinity : message.next)
      if (message.next > 0) send(from, { type: 'hot', first: message.next })
    },
    take(count) {
      if (!sorted) told.sort((a, b) => a.version - b.version)
      sorted = true
      return told.splice(Math.max(0, told.length - count)).map(({ stripe }) => stripe)
    },
  }
}

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

/** A stripe and its row's version in one number, which sorts by the version: exact, as both are below 2^53 together. */
const keyOf = (version: number, stripe: number): number => Math.min(version, mostCounted) * 2 ** 31 + stripe
const stripeOf = (key: number): number => key % 2 ** 31
/** Rows updated more often are all as hot as can be. */
const mostCounted = 2 ** 22 - 1

export function createRanking({ server, storage, send }: { server: number; storage: Storage; send: Send }): Ranking {
  const { spec, parityState, seen } = storage
  const { layout, k } = spec
  /** The first parity row that each peer has not told of; Infinity when it has told of all. */
  const next = new Map<number, number>()
  /** Keys of stripes told of, the coldest first, and how many of them are not yet taken. */
  let told = new Float64Array(0)
  let left = 0

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
      const keys = new Float64Array(Math.max(0, end - first))
      let found = 0
      for (let local = first; local < end; local++) {
        if (parityState[local] !== live) continue
        const stripe = layout.parityStripe(server, local)
        const position = positionIn(stripe, from.server, layout.servers)
        const version = position < k ? seen[local * k + position]! : 0
        if (version > 0) keys[found++] = keyOf(version, stripe)
      }
      const hottest = keys
        .subarray(0, found)
        .sort()
        .subarray(Math.max(0, found - named))
        .reverse()
      send(from.server, {
        type: 'ranked',
        life: from.incarnation,
        first,
        next: end < layout.parityRows ? end : 0,
        stripes: Uint32Array.from(hottest, stripeOf),
        versions: Uint32Array.from(hottest, (key) => Math.floor(key / 2 ** 31)),
      })
    },
    heard(from, message) {
      if (next.get(from) !== message.first) return
      const { stripes, versions } = message
      const all = new Float64Array(left + Math.min(stripes.length, versions.length))
      all.set(told.subarray(0, left))
      for (let i = 0; left + i < all.length; i++) all[left + i] = keyOf(versions[i]!, stripes[i]!)
      told = all.sort()
      left = all.length
      next.set(from, message.next === 0 ? Infinity : message.next)
      if (message.next > 0) send(from, { type: 'hot', first: message.next })
    },
    take(count) {
      const from = Math.max(0, left - count)
      const taken = Array.from(told.subarray(from, left), stripeOf)
      left = from
      return taken
    },
  }
}

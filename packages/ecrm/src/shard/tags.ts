// Which rows contain a worker's latest push: remembered beside the rows and beside their parity, so that a push repeated
// after a crash is applied to exactly those rows that lack it.
import { headWords } from './messages.ts'
import type { StripeSet } from './stripeSet.ts'

/** One fact: the row at a place contains this push of this worker. */
export interface Tag {
  readonly stripe: number
  readonly position: number
  readonly worker: number
  readonly push: number
}

export const tagWords = 4

export interface Tags {
  /** A later push of the worker to the same server replaces what is known of earlier ones: they were answered. */
  add(server: number, tag: Tag): void
  /** Facts as heads of differences, all of one worker's push; the array is kept. Cost: none a row. */
  addHeads(server: number, heads: Uint32Array): void
  has(server: number, tag: Tag): boolean
  /** Forgets what is known of a stripe: its row here is of no use any more. */
  drop(stripe: number): void
  /** Whether anything is known of this push. */
  knows(server: number, push: { readonly worker: number; readonly push: number }): boolean
  /** Facts about places in these stripes that `wanted` accepts, as words: stripe, position, worker, push. */
  collect(stripes: StripeSet, wanted: (stripe: number, position: number) => boolean): number[]
}

interface Known {
  push: number
  readonly at: Set<number>
  /** Heads not yet entered in `at`: only a crash makes anyone ask. */
  heads: Uint32Array[]
}

/** Positions are below 2^8 + 2 and stripes below 2^31: a place is an exact double. */
const places = 512

export function createTags(): Tags {
  const known = new Map<number, Known>()
  const keyOf = (server: number, worker: number): number => server * 2 ** 20 + worker
  const placeOf = (stripe: number, position: number): number => stripe * places + position

  /** What is known of this push or, when it is later than that, nothing; undefined when it is earlier. */
  function entryOf(key: number, push: number): Known | undefined {
    let entry = known.get(key)
    if (entry === undefined) known.set(key, (entry = { push, at: new Set(), heads: [] }))
    if (push < entry.push) return undefined
    if (push > entry.push) {
      entry.push = push
      entry.at.clear()
      entry.heads = []
    }
    return entry
  }

  function placesOf(entry: Known): Set<number> {
    for (const heads of entry.heads)
      for (let i = 0; i < heads.length; i += headWords) entry.at.add(placeOf(heads[i]!, heads[i + 1]!))
    entry.heads = []
    return entry.at
  }

  return {
    add(server, { stripe, position, worker, push }) {
      entryOf(keyOf(server, worker), push)?.at.add(placeOf(stripe, position))
    },
    addHeads(server, heads) {
      if (heads.length > 0) entryOf(keyOf(server, heads[4]!), heads[5]!)?.heads.push(heads)
    },
    has(server, { stripe, position, worker, push }) {
      const entry = known.get(keyOf(server, worker))
      return entry !== undefined && entry.push === push && placesOf(entry).has(placeOf(stripe, position))
    },
    drop(stripe) {
      for (const entry of known.values()) {
        const at = placesOf(entry)
        for (const place of at) if (Math.floor(place / places) === stripe) at.delete(place)
      }
    },
    knows: (server, { worker, push }) => known.get(keyOf(server, worker))?.push === push,
    collect(stripes, wanted) {
      const out: number[] = []
      for (const [key, { push, at, heads }] of known) {
        const take = (stripe: number, position: number): void => {
          if (stripes.has(stripe) && wanted(stripe, position)) out.push(stripe, position, key % 2 ** 20, push)
        }
        for (const place of at) take(Math.floor(place / places), place % places)
        for (const list of heads) for (let i = 0; i < list.length; i += headWords) take(list[i]!, list[i + 1]!)
      }
      return out
    },
  }
}

/** Tags from their words. */
export function unpackTags(words: Uint32Array): Tag[] {
  return Array.from({ length: words.length / tagWords }, (_, i) => {
    const [stripe, position, worker, push] = words.subarray(i * tagWords, (i + 1) * tagWords)
    return { stripe: stripe!, position: position!, worker: worker!, push: push! }
  })
}

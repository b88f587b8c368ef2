// Which rows contain a worker's latest pushes: remembered beside the rows and beside their parity, so that a push repeated
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
  /** A push of the worker to the same server replaces what is known of those that were answered before it was sent. */
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

/** A worker's pushes to a server that may be unanswered at once. */
export const mostUnderWay = 2

/** Positions are below 2^8 + 2 and stripes below 2^31: a place is an exact double. */
const places = 512

export function createTags(): Tags {
  /** Of a server and a worker: the latest pushes, in order. */
  const known = new Map<number, Known[]>()
  const keyOf = (server: number, worker: number): number => server * 2 ** 20 + worker
  const placeOf = (stripe: number, position: number): number => stripe * places + position

  const find = (server: number, { worker, push }: { worker: number; push: number }): Known | undefined =>
    known.get(keyOf(server, worker))?.find((entry) => entry.push === push)

  /** What is known of this push; undefined when it was answered, as one is known that was sent after its answer. */
  function entryOf(key: number, push: number): Known | undefined {
    const entries = known.get(key) ?? []
    const found = entries.find((entry) => entry.push === push)
    if (found !== undefined) return found
    const latest = Math.max(push, entries.at(-1)?.push ?? 0)
    if (push <= latest - mostUnderWay) return undefined
    const entry: Known = { push, at: new Set(), heads: [] }
    const unanswered = [...entries, entry].filter((one) => one.push > latest - mostUnderWay)
    known.set(
      key,
      unanswered.sort((a, b) => a.push - b.push),
    )
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
    has(server, tag) {
      const entry = find(server, tag)
      return entry !== undefined && placesOf(entry).has(placeOf(tag.stripe, tag.position))
    },
    drop(stripe) {
      for (const entry of [...known.values()].flat()) {
        const at = placesOf(entry)
        for (const place of at) if (Math.floor(place / places) === stripe) at.delete(place)
      }
    },
    knows: (server, push) => find(server, push) !== undefined,
    collect(stripes, wanted) {
      const out: number[] = []
      for (const [key, entries] of known)
        for (const { push, at, heads } of entries) {
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

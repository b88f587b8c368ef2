// Which rows contain a worker's latest push: remembered beside the rows and beside their parity, so that a push repeated
// after a crash is applied to exactly those rows that lack it.

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
  has(server: number, tag: Tag): boolean
  /** Whether anything is known of this push. */
  knows(server: number, push: { readonly worker: number; readonly push: number }): boolean
  /** Facts about places in these stripes that `wanted` accepts, as words: stripe, position, worker, push. */
  collect(stripes: ReadonlySet<number>, wanted: (stripe: number, position: number) => boolean): number[]
}

/** Positions are below 2^8 + 2 and stripes below 2^31: a place is an exact double. */
const places = 512

export function createTags(): Tags {
  const known = new Map<number, { push: number; readonly at: Set<number> }>()
  const keyOf = (server: number, worker: number): number => server * 2 ** 20 + worker
  const placeOf = ({ stripe, position }: Tag): number => stripe * places + position
  return {
    add(server, tag) {
      const entry = known.get(keyOf(server, tag.worker))
      if (entry === undefined) {
        known.set(keyOf(server, tag.worker), { push: tag.push, at: new Set([placeOf(tag)]) })
        return
      }
      if (tag.push < entry.push) return
      if (tag.push > entry.push) {
        entry.push = tag.push
        entry.at.clear()
      }
      entry.at.add(placeOf(tag))
    },
    has(server, tag) {
      const entry = known.get(keyOf(server, tag.worker))
      return entry !== undefined && entry.push === tag.push && entry.at.has(placeOf(tag))
    },
    knows: (server, { worker, push }) => known.get(keyOf(server, worker))?.push === push,
    collect(stripes, wanted) {
      const out: number[] = []
      for (const [key, { push, at }] of known) {
        for (const place of at) {
          const stripe = Math.floor(place / places)
          if (stripes.has(stripe) && wanted(stripe, place % places))
            out.push(stripe, place % places, key % 2 ** 20, push)
        }
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

// The parity side of a shard: differences are added once, in the order of each row's versions, or not at all.
import { addProduct } from '../codes/gf256.ts'
import { deltasOf } from './deltaLog.ts'
import { deltaAt, headWords, type Delta, type MessageOf } from './messages.ts'
import { decoding, live, lost, type Storage } from './storage.ts'
import type { Tags } from './tags.ts'

type Deltas = MessageOf<'deltas'>

export interface ParityRows {
  /** Takes a batch of a data server. Rows being rebuilt hold theirs back; lost rows need none: they are encoded anew. */
  apply(from: { server: number; incarnation: number }, batch: Deltas): void
  /** Makes a rebuilt row live and adds what was held back. */
  install(local: number, row: { stripe: number; words: Uint32Array; seen: ArrayLike<number> }): void
  /** The row is not rebuilt after all: what was held back for it is in the rows that it will be encoded from. */
  giveUp(local: number, stripe: number): void
  /** A server began a later life: what its earlier one said and no row contains yet must not be added any more. */
  renewed(server: number): void
  /** Differences that another parity of these stripes may not contain yet. */
  retained(stripes: ReadonlySet<number>): Delta[]
}

interface Kept {
  readonly server: number
  readonly incarnation: number
  readonly batch: Deltas
}

/**
 * @param checkVersions - false takes the remedy of hazards H3 and H7 out (every difference is added): for the test that
 * shows what it prevents
 */
export function createParityRows(
  storage: Storage,
  { server, tags, checkVersions }: { server: number; tags: Tags; checkVersions: boolean },
): ParityRows {
  const { spec, code, seen, parityState, parityRow } = storage
  const { k, r, layout, width } = spec
  const held = new Map<number, { readonly server: number; readonly delta: Delta }[]>()
  let kept: Kept[] = []

  /** Where this server has a parity row of the stripe: its position, or -1. */
  const positionHere = (stripe: number): number => {
    const position = (((server - stripe) % layout.servers) + layout.servers) % layout.servers
    return position >= k && position < k + r ? position : -1
  }

  /** Adds a difference to a living row when it is the next of its data row; whether the row contains it now. */
  function add(local: number, parity: number, delta: Delta, from = 0): boolean {
    const at = local * k + delta.position
    if (checkVersions) {
      if (delta.version <= seen[at]!) return true
      if (delta.base !== seen[at]!) {
        // Something is missing between. The row cannot be used until it is encoded anew.
        storage.mark(parityState, local, lost)
        return false
      }
    }
    const part = { to: local * width, from, length: width }
    addProduct(storage.parity, delta.words, code!.factor(parity, delta.position), part)
    seen[at] = delta.version
    return true
  }

  /** A tag says that a row here contains a push: one that was dropped or is held back must not be told of. */
  function tagContained(sender: number, heads: Uint32Array, contained: readonly number[]): void {
    if (contained.length * headWords === heads.length) return tags.addHeads(sender, heads)
    for (const at of contained) {
      const [stripe, position, worker, push] = [heads[at]!, heads[at + 1]!, heads[at + 4]!, heads[at + 5]!]
      tags.add(sender, { stripe, position, worker, push })
    }
  }

  return {
    apply(from, batch) {
      const { heads, words, complete } = batch
      const contained: number[] = []
      const delta = { stripe: 0, position: 0, base: 0, version: 0, worker: 0, push: 0, words }
      for (let i = 0, at = 0; at < heads.length; i++, at += headWords) {
        const stripe = heads[at]!
        const position = positionHere(stripe)
        if (position < 0) continue
        const local = layout.localOf({ stripe, position })
        if (parityState[local] === live) {
          delta.position = heads[at + 1]!
          delta.base = heads[at + 2]!
          delta.version = heads[at + 3]!
          if (add(local, position - k, delta, i * width)) contained.push(at)
        } else if (parityState[local] === decoding) {
          const list = held.get(stripe)
          const one = { server: from.server, delta: deltaAt(heads, words, i) }
          if (list === undefined) held.set(stripe, [one])
          else list.push(one)
        }
      }
      tagContained(from.server, heads, contained)
      if (r < 2) return
      // An earlier life of the sender is settled when the later one has nothing left to recover.
      kept = kept.filter((old) => {
        if (old.server !== from.server || complete === 0) return true
        return old.incarnation === from.incarnation && old.batch.batch >= complete
      })
      kept.push({ ...from, batch })
    },
    install(local, { stripe, words, seen: versions }) {
      parityRow(local).set(words)
      for (let i = 0; i < k; i++) seen[local * k + i] = versions[i]!
      storage.mark(parityState, local, live)
      const waiting = held.get(stripe) ?? []
      held.delete(stripe)
      const parity = positionHere(stripe) - k
      for (const { server: sender, delta } of waiting) {
        const { position, worker, push } = delta
        if (parityState[local] === live && add(local, parity, delta))
          tags.add(sender, { stripe, position, worker, push })
      }
    },
    giveUp(local, stripe) {
      storage.mark(parityState, local, lost)
      held.delete(stripe)
    },
    renewed(peer) {
      for (const [stripe, list] of held) {
        const left = list.filter((one) => one.server !== peer)
        if (left.length < list.length) held.set(stripe, left)
      }
    },
    retained: (stripes) => kept.flatMap(({ batch }) => deltasOf(batch.heads, batch.words, stripes)),
  }
}

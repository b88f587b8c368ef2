// The parity side of a shard: differences are added once, in the order of each row's versions, or not at all.
import { addProduct } from '../codes/gf256.ts'
import { deltasOf } from './deltaLog.ts'
import { deltaAt, headWords, packDeltas, type Delta, type MessageOf } from './messages.ts'
import type { Remedy } from './remedies.ts'
import { nowhere } from './rowKernels.ts'
import { decoding, live, lost, type Storage } from './storage.ts'
import type { StripeSet } from './stripeSet.ts'
import type { Tags } from './tags.ts'
import { addWords, copyWords } from './words.ts'
import { positionIn } from '../layout.ts'

type Deltas = MessageOf<'deltas'>

export interface ParityRows {
  /** Takes a batch of a data server. Rows being rebuilt hold theirs back; lost rows need none: they are encoded anew. */
  apply(from: Life, batch: Deltas): void
  /** Makes a rebuilt row live and adds what was held back. `sent`: what it contains and another parity may lack. */
  install(
    local: number,
    row: { stripe: number; words: Uint32Array; seen: ArrayLike<number>; sent: readonly Sent[] },
  ): void
  /** The row is not rebuilt after all: what was held back for it is in the rows that it will be encoded from. */
  giveUp(local: number, stripe: number): void
  /** A living row is of no use: it must be encoded anew, and nothing that was known of it counts. */
  discard(local: number, stripe: number): void
  /** A server began a later life: what its earlier one said and no row contains yet must not be added any more. */
  renewed(server: number): void
  /** Differences that living rows of these stripes contain and another parity may not contain yet. */
  retained(stripes: StripeSet): Delta[]
}

/** A life of a server. */
export interface Life {
  readonly server: number
  readonly incarnation: number
}

/** A difference with where it comes from: a life of a server and the number of its batch, or of a later one. */
export interface Sent extends Life {
  readonly batch: number
  readonly delta: Delta
}

/** Differences of a batch that rows here contain. */
interface Kept extends Life {
  readonly batch: number
  readonly heads: Uint32Array
  readonly words: Uint32Array
  /** Counts what is kept, to tell what came before a row was lost. */
  readonly order: number
}

/** A difference whose words begin at `from`; they are added at once, or with those of others for which `due[later]` names the row. */
type Adding = Delta & { readonly from: number; readonly later: number }

export function createParityRows(
  storage: Storage,
  { server, tags, without }: { server: number; tags: Tags; without: Remedy | undefined },
): ParityRows {
  const { spec, code, kernels, seen, parityState, parityRow } = storage
  const { k, r, layout, width } = spec
  const held = new Map<number, Sent[]>()
  let kept: Kept[] = []
  let order = 0
  /** For rows that were lost here while this server lived: what was kept before is of a row that is no more. */
  const keptSince = new Map<number, number>()
  /** Rows to which the kernel adds what has passed the checks; `nowhere` for what it does not. */
  const due = new Uint32Array(kernels?.most ?? 0)
  /** The difference that is being added: not made anew for each. */
  const present = {
    stripe: 0,
    position: 0,
    base: 0,
    version: 0,
    worker: 0,
    push: 0,
    words: new Uint32Array(0) as Uint32Array,
    from: 0,
    later: -1,
  }

  /** Where this server has a parity row of the stripe: its position, or -1. */
  const positionHere = (stripe: number): number => {
    const position = positionIn(stripe, server, layout.servers)
    return position >= k && position < k + r ? position : -1
  }

  function discard(local: number, stripe: number): void {
    if (parityState[local] !== live) return
    storage.mark(parityState, local, lost)
    keptSince.set(local, order)
    tags.drop(stripe)
  }

  /** Adds a difference to a living row when it is the next of its data row; whether the row contains it now. */
  function add(local: number, parity: number, delta: Adding): boolean {
    const { position, base, version, words, from, later } = delta
    const at = local * k + position
    if (without !== 'versions') {
      if (version <= seen[at]!) return true
      if (base !== seen[at]!) {
        // Something is missing between. The row cannot be used until it is encoded anew, and nothing that was known of it:
        // a data server that dies now may come back without what only this row contained.
        discard(local, delta.stripe)
        return false
      }
    }
    const factor = code!.factor(parity, position)
    if (factor === 1 && later >= 0) due[later] = local
    else if (factor === 1) addWords(storage.parity, local * width, words, from, width)
    else addProduct(storage.parity, words, factor, { to: local * width, from, length: width })
    seen[at] = version
    return true
  }

  /** Takes a difference of a batch; whether a living row contains it now, or none is here. A function of its own: it stays compiled. */
  function take(source: Life & { batch: number }, { heads, words }: Deltas, i: number, later: number): boolean {
    const at = i * headWords
    const stripe = heads[at]!
    const local = layout.parityLocal(server, stripe)
    if (local < 0) return false
    if (parityState[local] === live) {
      present.stripe = stripe
      present.position = heads[at + 1]!
      present.base = heads[at + 2]!
      present.version = heads[at + 3]!
      present.words = words
      present.from = i * width
      present.later = later
      // Of one parity all factors are 1: which it is need not be known.
      return add(local, r === 1 ? 0 : positionHere(stripe) - k, present)
    }
    if (parityState[local] === decoding && without !== 'holding') {
      const list = held.get(stripe)
      const one = { ...source, delta: deltaAt(heads, words, i) }
      if (list === undefined) held.set(stripe, [one])
      else list.push(one)
    }
    return false
  }

  /**
   * What rows here contain is remembered: the pushes, so that they count once (tags), and for r >= 2 the differences, so that
   * another parity can be brought to the same version. What was dropped or is held back must not be told of.
   */
  function remember(from: Life & { batch: number }, { heads, words }: Pick<Deltas, 'heads' | 'words'>): void {
    if (heads.length === 0) return
    tags.addHeads(from.server, heads)
    if (r < 2) return
    const { server: sender, incarnation, batch } = from
    kept.push({ server: sender, incarnation, batch, heads, words, order: ++order })
  }

  /** The server's earlier batches are at every parity; those of its earlier life when it has nothing left to recover. */
  function release({ server: sender, incarnation }: Life, complete: number): void {
    if (complete === 0) return
    kept = kept.filter((old) => {
      return old.server !== sender || (old.incarnation === incarnation && old.batch >= complete)
    })
  }

  /** A batch without some of its differences, which are named in their order. */
  function allBut(left: readonly number[], { heads, words }: Deltas): Pick<Deltas, 'heads' | 'words'> {
    const count = heads.length / headWords
    const kept = count - left.length
    const rest = { heads: new Uint32Array(kept * headWords), words: new Uint32Array(r < 2 ? 0 : kept * width) }
    let [to, next] = [0, 0]
    for (let i = 0; i < count; i++) {
      if (left[next] === i) {
        next++
        continue
      }
      copyWords(rest.heads, to * headWords, heads, i * headWords, headWords)
      // One parity alone has nobody to tell of its differences.
      if (r >= 2) copyWords(rest.words, to * width, words, i * width, width)
      to++
    }
    return rest
  }

  return {
    apply(from, batch) {
      const { heads, complete } = batch
      const source = { server: from.server, incarnation: from.incarnation, batch: batch.batch }
      // What is contained is most often the whole batch: only its exceptions are listed.
      const left: number[] = []
      const count = heads.length / headWords
      const most = kernels?.most ?? count
      for (let first = 0; first < count; first += most) {
        const end = Math.min(first + most, count)
        due.fill(nowhere)
        for (let i = first; i < end; i++) {
          if (!take(source, batch, i, kernels === undefined ? -1 : i - first)) left.push(i)
        }
        kernels?.add(due.subarray(0, end - first), batch.words.subarray(first * width, end * width))
      }
      release(from, complete)
      remember(source, left.length === 0 ? batch : allBut(left, batch))
    },
    install(local, { stripe, words, seen: versions, sent }) {
      parityRow(local).set(words)
      for (let i = 0; i < k; i++) seen[local * k + i] = versions[i]!
      storage.mark(parityState, local, live)
      const waiting = held.get(stripe) ?? []
      held.delete(stripe)
      const parity = positionHere(stripe) - k
      if (r > 1) for (const one of sent) remember(one, packDeltas([one.delta], width))
      for (const one of waiting)
        if (parityState[local] === live && add(local, parity, { ...one.delta, from: 0, later: -1 }))
          remember(one, packDeltas([one.delta], width))
    },
    giveUp(local, stripe) {
      storage.mark(parityState, local, lost)
      held.delete(stripe)
    },
    discard,
    renewed(peer) {
      for (const [stripe, list] of held) {
        const left = list.filter((one) => one.server !== peer)
        if (left.length < list.length) held.set(stripe, left)
      }
    },
    retained: (stripes) =>
      kept.flatMap((one) =>
        deltasOf(one.heads, one.words, stripes).filter(({ stripe }) => {
          const local = layout.localOf({ stripe, position: positionHere(stripe) })
          return parityState[local] === live && one.order > (keptSince.get(local) ?? 0)
        }),
      ),
  }
}

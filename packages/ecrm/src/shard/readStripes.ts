// What a server tells another that rebuilds rows: its rows of the stripes asked for, and what some parity may not contain yet.
import { packDeltas, type Delta, type MessageOf } from './messages.ts'
import type { Life, ParityRows } from './parityRows.ts'
import { roomFor } from './room.ts'
import { live, type Storage } from './storage.ts'
import { createStripeSet, type StripeSet } from './stripeSet.ts'
import type { Tags } from './tags.ts'
import { copyWords } from './words.ts'
import { positionIn } from '../layout.ts'

export interface ReaderOptions {
  readonly server: number
  readonly storage: Storage
  readonly parityRows: ParityRows
  readonly tags: Tags
  /** Differences of own rows not yet answered. */
  unanswered(stripes: StripeSet): Delta[]
  /** The number of the next batch of differences. */
  nextBatch(): number
}

/** Answers a question. Cost: two passes over the rows asked for, one over the pushes that tags know. */
export type ReadStripes = (from: Life, question: MessageOf<'read'>) => MessageOf<'stripes'>

export function createReader({ server, storage, parityRows, tags, unanswered, nextBatch }: ReaderOptions): ReadStripes {
  const { spec, words, parity, versions, seen, dataState, parityState } = storage
  const { layout, k, r, width } = spec
  const { servers } = layout
  const stride = 4 + k
  /** Of the question at hand; made with the first, as most servers are never asked. */
  let asked: ReturnType<typeof createStripeSet> | undefined

  const usable = (stripe: number): boolean => {
    const local = layout.localIn(server, stripe)
    return (positionIn(stripe, server, servers) < k ? dataState : parityState)[local] === live
  }

  return (from, { id, urgent, stripes }) => {
    const wanted = (asked ??= createStripeSet(layout.stripes))
    let [count, living] = [0, 0]
    for (let i = 0; i < stripes.length; i++) {
      const stripe = stripes[i]!
      if (positionIn(stripe, server, servers) >= k + r) continue
      wanted.add(stripe)
      count++
      if (storage.missing === 0 || usable(stripe)) living++
    }
    const deltas = packDeltas([...unanswered(wanted), ...parityRows.retained(wanted)], width)
    const facts = Uint32Array.from(tags.collect(wanted, usable))
    wanted.remove(stripes)
    const lengths = [count * stride, living * width, deltas.heads.length, deltas.words.length, facts.length]
    const room = roomFor('stripes', lengths)
    const [members, content, deltaHeads, deltaWords, known] = room as [
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
      Uint32Array,
    ]
    let [at, to] = [0, 0]
    for (let i = 0; i < stripes.length; i++) {
      const stripe = stripes[i]!
      const position = positionIn(stripe, server, servers)
      if (position >= k + r) continue
      const local = layout.localIn(server, stripe)
      members[at] = stripe
      members[at + 1] = position
      const data = position < k
      if (data) members[at + 3] = versions[local]!
      else copyWords(members, at + 4, seen, local * k, k)
      if ((data ? dataState : parityState)[local] === live) {
        members[at + 2] = 1
        copyWords(content, to, data ? words : parity, local * width, width)
        to += width
      }
      at += stride
    }
    copyWords(deltaHeads, 0, deltas.heads, 0, deltas.heads.length)
    copyWords(deltaWords, 0, deltas.words, 0, deltas.words.length)
    copyWords(known, 0, facts, 0, facts.length)
    return {
      type: 'stripes',
      id,
      life: from.incarnation,
      batch: nextBatch(),
      urgent,
      members,
      words: content,
      deltaHeads,
      deltaWords,
      tags: known,
    }
  }
}

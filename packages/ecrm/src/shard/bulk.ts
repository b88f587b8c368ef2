// Many lost rows at once: the plain case of a rebuild, without anything made for each row. What is not plain is left.
import { addProduct } from '../codes/gf256.ts'
import { headWords, type MessageOf, type Send } from './messages.ts'
import type { Life, ParityRows } from './parityRows.ts'
import { live, type Storage } from './storage.ts'
import { unpackTags, type Tag, type Tags } from './tags.ts'
import { addWords, copyWords } from './words.ts'
import { positionIn } from '../layout.ts'

type Stripes = MessageOf<'stripes'>

export interface Bulk {
  /** Whether rows of the sweep are under way. */
  readonly busy: boolean
  /**
   * Takes up stripes whose rows here were marked as decoding, and asks their other servers for them.
   *
   * @param urgent - 1: a worker stands still until they are back; it need not wait for others that are under way
   */
  begin(stripes: readonly number[], urgent: 0 | 1): void
  /** Takes a peer's answer; whether it was one to this. */
  heard(from: Life, message: Stripes): boolean
  /** Asks again: peers have changed. */
  restart(): void
}

export interface BulkOptions {
  readonly server: number
  readonly storage: Storage
  readonly parityRows: ParityRows
  readonly tags: Tags
  readonly send: Send
  /** A number that no question had. */
  nextRead(): number
  /** All answers were there. These stripes' rows are not back: what was read of them must be looked at more closely. */
  ended(left: readonly number[], urgent: 0 | 1): void
}

/** A peer's answer, read from its beginning to its end. */
interface Cursor {
  readonly message: Stripes
  /** Where the next member's head begins, and the next words. */
  head: number
  words: number
  /** Of the member at hand, where its words begin; -1: the peer has lost it. */
  at: number
  /** Where its head begins. */
  of: number
}

/** A fact, and which server told it. */
interface Told {
  readonly from: number
  readonly tag: Tag
}

/** What was heard of one stripe: its members by position, and facts about them. */
interface View {
  readonly members: readonly Cursor[]
  readonly told: readonly Told[]
}

/** Rows that were asked for together. */
interface Round {
  readonly stripes: readonly number[]
  readonly urgent: 0 | 1
  readonly awaited: Set<number>
  readonly answers: Map<number, Stripes>
}

const nothing: readonly Told[] = []

export function createBulk(o: BulkOptions): Bulk {
  const { server, storage, parityRows, tags, send } = o
  const { spec, code, words, versions, dataState } = storage
  const { layout, k, r, width } = spec
  const { servers } = layout
  const stride = 4 + k
  /** Those under way, by the number of their question. */
  const rounds = new Map<number, Round>()
  const sum = new Uint32Array(width)
  const seen = new Uint32Array(k)

  const positionHere = (stripe: number): number => positionIn(stripe, server, servers)

  function ask(stripes: readonly number[], urgent: 0 | 1): void {
    const read = o.nextRead()
    const awaited = new Set<number>()
    const questions: (Uint32Array | undefined)[] = []
    const counts = new Uint32Array(servers)
    for (let i = 0; i < stripes.length; i++) {
      const stripe = stripes[i]!
      for (let position = 0; position < k + r; position++) {
        const peer = (stripe + position) % servers
        if (peer === server) continue
        const list = (questions[peer] ??= new Uint32Array(stripes.length))
        list[counts[peer]!++] = stripe
      }
    }
    rounds.set(read, { stripes, urgent, awaited, answers: new Map() })
    for (let peer = 0; peer < servers; peer++) if (counts[peer]! > 0) awaited.add(peer)
    for (const peer of awaited) {
      const asked = questions[peer]!.subarray(0, counts[peer])
      send(peer, { type: 'read', id: read, urgent, stripes: asked })
    }
  }

  /** Goes through all answers side by side: each names the stripes that it was asked for, in that order. */
  function settle({ stripes, urgent, answers }: Round): void {
    const cursors = new Array<Cursor | undefined>(servers).fill(undefined)
    const unsettled = new Set<number>()
    const tagged = new Map<number, Told[]>()
    for (const [peer, message] of answers) {
      cursors[peer] = { message, head: 0, words: 0, at: -1, of: 0 }
      const { deltaHeads } = message
      for (let i = 0; i < deltaHeads.length; i += headWords) unsettled.add(deltaHeads[i]!)
      for (const tag of unpackTags(message.tags)) {
        const list = tagged.get(tag.stripe)
        if (list === undefined) tagged.set(tag.stripe, [{ from: peer, tag }])
        else list.push({ from: peer, tag })
      }
    }
    const left: number[] = []
    const members = new Array<Cursor>(k + r)
    for (const stripe of stripes) {
      const here = positionHere(stripe)
      const plain = gather(stripe, { here, cursors, members }) && !unsettled.has(stripe)
      const told = tagged.get(stripe) ?? nothing
      const back =
        plain && (here < k ? decode(stripe, here, { members, told }) : encode(stripe, here, { members, told }))
      if (!back) left.push(stripe)
    }
    o.ended(left, urgent)
  }

  /** Brings every peer's cursor to its member of the stripe; whether each answer had it. */
  function gather(
    stripe: number,
    of: { readonly here: number; readonly cursors: readonly (Cursor | undefined)[]; readonly members: Cursor[] },
  ): boolean {
    const { here, cursors, members } = of
    let all = true
    for (let position = 0; position < k + r; position++) {
      if (position === here) continue
      const cursor = cursors[(stripe + position) % servers]
      if (cursor === undefined || cursor.message.members[cursor.head] !== stripe) {
        all = false
        continue
      }
      cursor.of = cursor.head
      cursor.head += stride
      cursor.at = cursor.message.members[cursor.of + 2] === 1 ? cursor.words : -1
      if (cursor.at >= 0) cursor.words += width
      members[position] = cursor
    }
    return all
  }

  /** A data row, when all others of the stripe live and agree on versions. Otherwise nothing is written. */
  function decode(stripe: number, here: number, { members, told }: View): boolean {
    let first: Cursor | undefined
    let by = 0
    for (let position = k; position < k + r && first === undefined; position++) {
      if (members[position]!.at < 0) continue
      first = members[position]!
      by = position - k
    }
    if (first === undefined) return false
    const contained = first.message.members
    for (let position = 0; position < k + r; position++) {
      if (position === here) continue
      const member = members[position]!
      const heads = member.message.members
      if (position < k) {
        if (member.at < 0 || heads[member.of + 3] !== contained[first.of + 4 + position]) return false
      } else if (member.at >= 0)
        for (let i = 0; i < k; i++) if (heads[member.of + 4 + i] !== contained[first.of + 4 + i]) return false
    }
    const local = layout.localIn(server, stripe)
    const to = local * width
    copyWords(words, to, first.message.words, first.at, width)
    for (let position = 0; position < k; position++)
      if (position !== here) add(words, to, { member: members[position]!, factor: code!.factor(by, position) })
    if (code!.factor(by, here) !== 1) code!.divide(storage.dataRow(local), { parity: by, position: here })
    versions[local] = contained[first.of + 4 + here]!
    storage.mark(dataState, local, live)
    for (const { tag } of told) if (tag.position === here) tags.add(server, tag)
    return true
  }

  /** A parity row, when all data rows of the stripe live. */
  function encode(stripe: number, here: number, { members, told }: View): boolean {
    for (let position = 0; position < k; position++) if (members[position]!.at < 0) return false
    sum.fill(0)
    for (let position = 0; position < k; position++) {
      const member = members[position]!
      add(sum, 0, { member, factor: code!.factor(here - k, position) })
      seen[position] = member.message.members[member.of + 3]!
    }
    // Only its own server says what was read of a data row.
    for (const { from, tag } of told) if (layout.serverOf(tag) === from) tags.add(from, tag)
    const local = layout.localIn(server, stripe)
    parityRows.install(local, { stripe, words: sum, seen, sent: [] })
    return true
  }

  function add(target: Uint32Array, to: number, { member, factor }: { member: Cursor; factor: number }): void {
    if (factor === 1) addWords(target, to, member.message.words, member.at, width)
    else addProduct(target, member.message.words, factor, { to, from: member.at, length: width })
  }

  return {
    get busy() {
      for (const { urgent } of rounds.values()) if (urgent === 0) return true
      return false
    },
    begin: ask,
    heard(from, message) {
      const round = rounds.get(message.id)
      if (round === undefined) return false
      if (!round.awaited.delete(from.server)) return true
      round.answers.set(from.server, message)
      if (round.awaited.size > 0) return true
      rounds.delete(message.id)
      settle(round)
      return true
    },
    restart() {
      const under = [...rounds.values()]
      rounds.clear()
      for (const { stripes, urgent } of under) ask(stripes, urgent)
    },
  }
}

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
  readonly heads: Uint32Array
  readonly content: Uint32Array
  /** Where the next member's head begins, and the next words. */
  head: number
  words: number
}

/** The members of one stripe by position, where each lies in its answer: overwritten with every stripe. */
interface Members {
  /** The answer's heads, and where the member's begins. */
  readonly heads: Uint32Array[]
  readonly of: Int32Array
  /** The answer's words, and where the member's begin; -1: the peer has lost it. */
  readonly content: Uint32Array[]
  readonly at: Int32Array
}

/** A fact, and which server told it. */
interface Told {
  readonly from: number
  readonly tag: Tag
}

/** Rows that were asked for together. */
interface Round {
  readonly stripes: readonly number[]
  readonly urgent: 0 | 1
  readonly awaited: Set<number>
  readonly answers: Map<number, Stripes>
}

const nothing: readonly Told[] = []
const none = new Uint32Array(0)

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
  const members: Members = {
    heads: new Array<Uint32Array>(k + r).fill(none),
    of: new Int32Array(k + r),
    content: new Array<Uint32Array>(k + r).fill(none),
    at: new Int32Array(k + r),
  }

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
      cursors[peer] = { heads: message.members, content: message.words, head: 0, words: 0 }
      const { deltaHeads } = message
      for (let i = 0; i < deltaHeads.length; i += headWords) unsettled.add(deltaHeads[i]!)
      for (const tag of unpackTags(message.tags)) {
        const list = tagged.get(tag.stripe)
        if (list === undefined) tagged.set(tag.stripe, [{ from: peer, tag }])
        else list.push({ from: peer, tag })
      }
    }
    const left: number[] = []
    for (let i = 0; i < stripes.length; i++) {
      const stripe = stripes[i]!
      const here = positionHere(stripe)
      if (!gather(stripe, here, cursors) || unsettled.has(stripe)) left.push(stripe)
      else {
        const told = tagged.size === 0 ? nothing : (tagged.get(stripe) ?? nothing)
        if (!(here < k ? decode(stripe, here, told) : encode(stripe, here, told))) left.push(stripe)
      }
    }
    // What was heard is not kept.
    members.heads.fill(none)
    members.content.fill(none)
    o.ended(left, urgent)
  }

  /** Brings every peer's cursor to its member of the stripe; whether each answer had it. */
  function gather(stripe: number, here: number, cursors: readonly (Cursor | undefined)[]): boolean {
    let all = true
    for (let position = 0; position < k + r; position++) {
      if (position === here) continue
      const cursor = cursors[(stripe + position) % servers]
      if (cursor === undefined || cursor.heads[cursor.head] !== stripe) {
        all = false
        continue
      }
      members.heads[position] = cursor.heads
      members.of[position] = cursor.head
      members.content[position] = cursor.content
      members.at[position] = -1
      if (cursor.heads[cursor.head + 2] === 1) {
        members.at[position] = cursor.words
        cursor.words += width
      }
      cursor.head += stride
    }
    return all
  }

  /** A data row, when all others of the stripe live and agree on versions. Otherwise nothing is written. */
  function decode(stripe: number, here: number, told: readonly Told[]): boolean {
    const { heads, of, at } = members
    let first = k
    while (first < k + r && at[first]! < 0) first++
    if (first === k + r) return false
    const contained = heads[first]!
    const from = of[first]! + 4
    for (let position = 0; position < k; position++) {
      if (position === here) continue
      if (at[position]! < 0 || heads[position]![of[position]! + 3] !== contained[from + position]) return false
    }
    for (let position = first + 1; position < k + r; position++) {
      if (at[position]! < 0) continue
      for (let i = 0; i < k; i++) if (heads[position]![of[position]! + 4 + i] !== contained[from + i]) return false
    }
    const local = layout.localIn(server, stripe)
    const to = local * width
    copyWords(words, to, members.content[first]!, at[first]!, width)
    for (let position = 0; position < k; position++) if (position !== here) add(words, to, position, first - k)
    if (code!.factor(first - k, here) !== 1) code!.divide(storage.dataRow(local), { parity: first - k, position: here })
    versions[local] = contained[from + here]!
    storage.mark(dataState, local, live)
    for (const { tag } of told) if (tag.position === here) tags.add(server, tag)
    return true
  }

  /** A parity row, when all data rows of the stripe live. */
  function encode(stripe: number, here: number, told: readonly Told[]): boolean {
    for (let position = 0; position < k; position++) if (members.at[position]! < 0) return false
    sum.fill(0)
    for (let position = 0; position < k; position++) {
      add(sum, 0, position, here - k)
      seen[position] = members.heads[position]![members.of[position]! + 3]!
    }
    // Only its own server says what was read of a data row.
    for (const { from, tag } of told) if (layout.serverOf(tag) === from) tags.add(from, tag)
    const local = layout.localIn(server, stripe)
    parityRows.install(local, { stripe, words: sum, seen, sent: [] })
    return true
  }

  /** Adds a data row of the stripe as a parity has it. */
  function add(target: Uint32Array, to: number, position: number, parity: number): void {
    const [content, from] = [members.content[position]!, members.at[position]!]
    const factor = code!.factor(parity, position)
    if (factor === 1) addWords(target, to, content, from, width)
    else addProduct(target, content, factor, { to, from, length: width })
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

// Rows that a replaced server must get back: on the first touch of a row, and in the background stripe by stripe.
import { headWords, noWorker, packDeltas, deltaAt, type Delta, type MessageOf, type Send } from './messages.ts'
import type { Life, ParityRows, Sent } from './parityRows.ts'
import { createRanking, type Ranking } from './ranking.ts'
import { decodeInto, rebuild, type Member, type Rebuilt } from './rebuild.ts'
import { decoding, initialWords, live, lost, type Storage } from './storage.ts'
import { unpackTags, type Tag, type Tags } from './tags.ts'

export interface RecoveryHost {
  readonly server: number
  readonly storage: Storage
  readonly parityRows: ParityRows
  readonly tags: Tags
  readonly send: Send
  readonly checkVersions: boolean
  /** Logs and sends differences that a parity server lacks. */
  repair(parityServer: number, deltas: readonly Delta[]): void
  /** Differences of own rows not yet answered. */
  unanswered(stripes: ReadonlySet<number>): Delta[]
  /** The number of the next batch of differences. */
  nextBatch(): number
  /** Some row became live. */
  installed(): void
  /** A step of the sweep has ended. */
  swept(): void
}

export interface Recovery {
  /** Ids of rows that could not be rebuilt and started over. */
  readonly unrecoverable: readonly number[]
  /** Starts decoding these data rows, unless it runs already. */
  touch(locals: readonly number[]): void
  /** Starts decoding up to `stripes` more rows when no earlier step is still running; whether rows are missing. */
  step(stripes: number): boolean
  /** Answers a peer's question for members of stripes. */
  answer(from: Life, message: MessageOf<'read'>): void
  /** Takes a peer's answer. */
  heard(from: Life, message: MessageOf<'stripes'>): void
  /** Asks again: peers have changed. */
  restart(): void
  /** What is known of which rows are wanted most. */
  readonly ranking: Ranking
}

const none = new Uint32Array(0)

interface Job {
  readonly stripe: number
  readonly position: number
  readonly background: boolean
  read: number
  readonly awaited: Set<number>
  members: Member[]
  deltas: Delta[]
  /** Those of the data servers' own, for a parity row that is encoded. */
  sent: Sent[]
  tags: Tag[]
}

export function createRecovery(host: RecoveryHost): Recovery {
  const { storage, server, parityRows, tags, send } = host
  const { spec, code, dataState, parityState } = storage
  const { layout, k, r, width } = spec
  const jobs = new Map<number, Job>()
  const ranking = createRanking(host)
  let ranked = false
  let sweeping = 0
  const unrecoverable: number[] = []
  let reads = 0
  let cursor = 0

  const stateOf = (position: number): Uint8Array => (position < k ? dataState : parityState)
  const positionHere = (stripe: number): number =>
    (((server - stripe) % layout.servers) + layout.servers) % layout.servers

  function begin(stripe: number, background: boolean): Job | undefined {
    const position = positionHere(stripe)
    const local = layout.localOf({ stripe, position })
    if (jobs.has(stripe) || stateOf(position)[local] !== lost) return undefined
    storage.mark(stateOf(position), local, decoding)
    const heard = { members: [], deltas: [], sent: [], tags: [] }
    const job = { stripe, position, background, read: 0, awaited: new Set<number>(), ...heard }
    jobs.set(stripe, job)
    if (background) sweeping++
    return job
  }

  /** Asks every peer once for all the jobs' stripes that it has a row of. */
  function ask(some: readonly Job[]): void {
    if (some.length === 0) return
    const id = ++reads
    const questions = new Map<number, number[]>()
    for (const job of some) {
      Object.assign(job, { read: id, members: [], deltas: [], sent: [], tags: [] })
      job.awaited.clear()
      for (let position = 0; position < k + r; position++) {
        if (position === job.position) continue
        const peer = layout.serverOf({ stripe: job.stripe, position })
        job.awaited.add(peer)
        const list = questions.get(peer)
        if (list === undefined) questions.set(peer, [job.stripe])
        else list.push(job.stripe)
      }
    }
    for (const [peer, stripes] of questions) send(peer, { type: 'read', id, stripes: Uint32Array.from(stripes) })
  }

  /** A job is done with, one way or another. */
  function end({ stripe, background }: Job): void {
    jobs.delete(stripe)
    if (background && --sweeping === 0) host.swept()
  }

  /** Settles a job whose answers are all there. */
  function finish(job: Job): Rebuilt['kind'] {
    const { position, stripe } = job
    const local = layout.localOf({ stripe, position })
    if (position < k && host.checkVersions && job.deltas.length === 0) {
      const version = decodeInto(code!, job, { position, row: storage.dataRow(local) })
      if (version >= 0) {
        end(job)
        storage.mark(dataState, local, live)
        storage.versions[local] = version
        for (const tag of job.tags) tags.add(server, tag)
        return 'row'
      }
    }
    const out = rebuild(code!, job, { position, checkVersions: host.checkVersions })
    if (out.kind === 'again') return 'again'
    end(job)
    if (position >= k) {
      if (out.kind === 'row') {
        for (const tag of job.tags) tags.add(layout.serverOf(tag), tag)
        parityRows.install(local, { stripe, words: out.words, seen: out.seen, sent: job.sent })
      } else parityRows.giveUp(local, stripe)
      return out.kind
    }
    if (out.kind === 'wait') return 'wait'
    storage.mark(dataState, local, live)
    storage.versions[local] = out.version
    if (out.kind === 'row') {
      storage.dataRow(local).set(out.words)
      for (const tag of job.tags) tags.add(server, tag)
      for (const { parity, delta } of out.lacking) host.repair(layout.serverOf({ stripe, position: parity }), [delta])
      demand({ stripe, position, version: out.version }, out.stale)
    } else {
      storage.dataRow(local).set(initialWords(spec, { stripe, position }))
      const id = layout.idOf({ stripe, position })
      if (id >= 0) unrecoverable.push(id)
      const all = Array.from({ length: r }, (_, parity) => k + parity)
      demand({ stripe, position, version: out.version }, all)
    }
    return out.kind
  }

  /**
   * Has parity rows encoded anew that do not contain this version of a row. It is said as a difference, so that it is
   * repeated until it is answered, and no push that came with the version is answered before.
   */
  function demand(row: { stripe: number; position: number; version: number }, parities: readonly number[]): void {
    if (parities.length === 0) return
    const { stripe, position, version } = row
    const words = new Uint32Array(width)
    for (const parity of parities) {
      const delta = { stripe, position, base: version, version, worker: noWorker, push: 0, words }
      host.repair(layout.serverOf({ stripe, position: parity }), [delta])
    }
  }

  return {
    unrecoverable,
    touch(locals) {
      const begun = locals.flatMap((local) => begin(layout.dataPlace(server, local).stripe, false) ?? [])
      ask(begun)
    },
    step(stripes) {
      if (storage.missing === 0) return false
      if (sweeping > 0) return true
      if (!ranked) ranking.ask()
      ranked = true
      const begun: Job[] = []
      while (begun.length < stripes) {
        const hottest = ranking.take(stripes - begun.length)
        if (hottest.length === 0) break
        for (const stripe of hottest) {
          const job = begin(stripe, true)
          if (job !== undefined) begun.push(job)
        }
      }
      const all = dataState.length + parityState.length
      for (let looked = 0; looked < all && begun.length < stripes; looked++) {
        const at = cursor
        cursor = (cursor + 1) % all
        const data = at < dataState.length
        const local = data ? at : at - dataState.length
        if ((data ? dataState : parityState)[local] !== lost) continue
        const place = data ? layout.dataPlace(server, local) : layout.parityPlace(server, local)
        const job = begin(place.stripe, true)
        if (job !== undefined) begun.push(job)
      }
      ask(begun)
      return true
    },
    answer(from, { id, stripes }) {
      const stride = 4 + k
      const members = new Uint32Array(stripes.length * stride)
      const words = new Uint32Array(stripes.length * width)
      const wanted = new Set<number>()
      let [at, to] = [0, 0]
      for (let i = 0; i < stripes.length; i++) {
        const stripe = stripes[i]!
        const position = positionHere(stripe)
        if (position >= k + r) continue
        wanted.add(stripe)
        const local = layout.localOf({ stripe, position })
        const usable = stateOf(position)[local] === live
        members[at] = stripe
        members[at + 1] = position
        members[at + 2] = usable ? 1 : 0
        if (position < k) members[at + 3] = storage.versions[local]!
        else for (let j = 0; j < k; j++) members[at + 4 + j] = storage.seen[local * k + j]!
        at += stride
        if (!usable) continue
        const from = position < k ? storage.words : storage.parity
        for (let j = 0; j < width; j++) words[to + j] = from[local * width + j]!
        to += width
      }
      const usable = (stripe: number): boolean => {
        const position = positionHere(stripe)
        return stateOf(position)[layout.localOf({ stripe, position })] === live
      }
      const packed = packDeltas([...host.unanswered(wanted), ...parityRows.retained(wanted)], width)
      send(from.server, {
        type: 'stripes',
        id,
        life: from.incarnation,
        batch: host.nextBatch(),
        members: members.subarray(0, at),
        words: words.subarray(0, to),
        deltaHeads: packed.heads,
        deltaWords: packed.words,
        tags: Uint32Array.from(tags.collect(wanted, usable)),
      })
    },
    heard(from, message) {
      const stride = 4 + k
      let row = 0
      const ready: Job[] = []
      for (let at = 0; at < message.members.length; at += stride) {
        const [position, usable] = [message.members[at + 1]!, message.members[at + 2]!]
        const words = usable === 1 ? message.words.subarray(row * width, ++row * width) : undefined
        const job = jobs.get(message.members[at]!)
        if (job === undefined || job.read !== message.id || !job.awaited.delete(from.server)) continue
        job.members.push({
          position,
          words,
          version: message.members[at + 3]!,
          seen: position < k ? none : message.members.subarray(at + 4, at + stride),
        })
        if (job.awaited.size === 0) ready.push(job)
      }
      for (let i = 0; i * headWords < message.deltaHeads.length; i++) {
        const delta = deltaAt(message.deltaHeads, message.deltaWords, i)
        const job = jobs.get(delta.stripe)
        if (job?.read !== message.id) continue
        job.deltas.push(delta)
        // What a row is encoded from may not be at the other parity yet: a death of both that sent it and that lack it
        // leaves nobody else who knows.
        if (job.position >= k && layout.serverOf(delta) === from.server)
          job.sent.push({ ...from, batch: message.batch - 1, delta })
      }
      for (const tag of unpackTags(message.tags)) {
        const job = jobs.get(tag.stripe)
        if (job?.read !== message.id) continue
        // Of a data row that is encoded only its own server says what was read of it; of one that is decoded the parities.
        if (job.position >= k ? layout.serverOf(tag) === from.server : tag.position === job.position) job.tags.push(tag)
      }
      const again = ready.filter((job) => finish(job) === 'again')
      ask(again)
      if (again.length < ready.length) host.installed()
    },
    restart() {
      ask([...jobs.values()])
      if (ranked && storage.missing > 0) ranking.ask()
    },
    ranking,
  }
}

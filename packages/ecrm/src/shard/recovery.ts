// Rows that a replaced server must get back: on the first touch of a row, and in the background stripe by stripe.
import { createBulk } from './bulk.ts'
import { headWords, noWorker, deltaAt, type Delta, type MessageOf, type Send } from './messages.ts'
import type { Life, ParityRows, Sent } from './parityRows.ts'
import { createRanking, type Ranking } from './ranking.ts'
import { createReader } from './readStripes.ts'
import { decodeInto, rebuild, type Member, type Rebuilt } from './rebuild.ts'
import { decoding, initialWords, live, lost, type Storage } from './storage.ts'
import type { StripeSet } from './stripeSet.ts'
import { unpackTags, type Tag, type Tags } from './tags.ts'
import { positionIn } from '../layout.ts'

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
  unanswered(stripes: StripeSet): Delta[]
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
  /** Has a lost row start over when it has no parity to come back from; whether it can be used now. */
  startOver(local: number): boolean
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
  /** Rows that are wanted at once, and those of the sweep that are no plain case. */
  const jobs = new Map<number, Job>()
  const ranking = createRanking(host)
  const read = createReader(host)
  let ranked = false
  /** Jobs of the sweep. */
  let sweeping = 0
  const unrecoverable: number[] = []
  let reads = 0
  let cursor = 0

  const stateOf = (position: number): Uint8Array => (position < k ? dataState : parityState)
  const positionHere = (stripe: number): number => positionIn(stripe, server, layout.servers)

  /** Marks a lost row as being decoded; false when it is not lost, or is decoded already. */
  function begin(stripe: number): boolean {
    const states = stateOf(positionHere(stripe))
    const local = layout.localIn(server, stripe)
    if (states[local] !== lost) return false
    storage.mark(states, local, decoding)
    return true
  }

  /** Makes a data row what it was before its first update. */
  function reset(local: number, place: { stripe: number; position: number }): void {
    storage.dataRow(local).set(initialWords(spec, place))
    const id = layout.idOf(place)
    if (id >= 0) unrecoverable.push(id)
  }

  function startOver(local: number): boolean {
    if (local < layout.firstBare) return false
    if (dataState[local] !== lost) return true
    reset(local, layout.dataPlace(server, local))
    storage.mark(dataState, local, live)
    return true
  }

  /** Has rows looked at one by one. */
  function look(stripes: readonly number[], background: boolean): void {
    const begun = stripes.map((stripe): Job => {
      const heard = { members: [], deltas: [], sent: [], tags: [] }
      return { stripe, position: positionHere(stripe), background, read: 0, awaited: new Set<number>(), ...heard }
    })
    for (const job of begun) jobs.set(job.stripe, job)
    if (background) sweeping += begun.length
    ask(begun)
  }

  const bulk = createBulk({
    ...host,
    nextRead: () => ++reads,
    ended(left, urgent) {
      host.installed()
      look(left, urgent === 0)
      if (urgent === 0 && sweeping === 0) host.swept()
    },
  })

  /** A job that is not of the sweep is a data row that a worker stands still for. */
  function ask(some: readonly Job[]): void {
    askPeers(
      some.filter(({ background }) => !background),
      1,
    )
    askPeers(
      some.filter(({ background }) => background),
      0,
    )
  }

  /** Asks every peer once for all the jobs' stripes that it has a row of. */
  function askPeers(some: readonly Job[], urgent: 0 | 1): void {
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
    for (const [peer, stripes] of questions)
      send(peer, { type: 'read', id, urgent, stripes: Uint32Array.from(stripes) })
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
      reset(local, { stripe, position })
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
      const begun = locals
        .filter((local) => !startOver(local))
        .map((local) => layout.dataStripe(server, local))
        .filter((stripe) => begin(stripe))
      if (begun.length === 0) return
      if (host.checkVersions) bulk.begin(begun, 1)
      else look(begun, false)
    },
    step(stripes) {
      if (storage.missing === 0) return false
      if (sweeping > 0 || bulk.busy) return true
      if (!ranked) ranking.ask()
      ranked = true
      const begun: number[] = []
      while (begun.length < stripes) {
        const hottest = ranking.take(stripes - begun.length)
        if (hottest.length === 0) break
        for (const stripe of hottest) if (begin(stripe)) begun.push(stripe)
      }
      const all = dataState.length + parityState.length
      let startedOver = 0
      for (let looked = 0; looked < all && begun.length + startedOver < stripes; looked++) {
        const at = cursor
        cursor = (cursor + 1) % all
        const data = at < dataState.length
        const local = data ? at : at - dataState.length
        if ((data ? dataState : parityState)[local] !== lost) continue
        if (data && startOver(local)) {
          startedOver++
          continue
        }
        const stripe = data ? layout.dataStripe(server, local) : layout.parityStripe(server, local)
        if (begin(stripe)) begun.push(stripe)
      }
      if (begun.length === 0) {
        if (startedOver > 0) host.swept()
        return true
      }
      if (host.checkVersions) bulk.begin(begun, 0)
      else look(begun, true)
      return true
    },
    startOver,
    answer: (from, message) => send(from.server, read(from, message)),
    heard(from, message) {
      if (bulk.heard(from, message)) return
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
      bulk.restart()
      if (ranked && storage.missing > 0) ranking.ask()
    },
    ranking,
  }
}

// Short random interleavings without promises or clocks, some ten thousand a second: pushes, differences, answers, crashes
// and decodes of production shards, one message at a time, and the check of what they leave.
import type { Random } from '@ft/core/random'
import { mayOvertake, type Message, type MessageOf, type Send } from '../../src/shard/messages.ts'
import type { Remedy } from '../../src/shard/remedies.ts'
import { createShard, type Shard } from '../../src/shard/shard.ts'
import type { ResolvedSpec } from '../../src/shard/spec.ts'
import { initialWords } from '../../src/shard/storage.ts'
import { mostUnderWay } from '../../src/shard/tags.ts'

export interface Interleaving {
  readonly workers?: number
  readonly pushes?: number
  readonly crashes?: number
  /** Servers that may be down or recovering at once. */
  readonly atOnce?: number
  /** Connections between servers break and are made again: what is unanswered is said twice. */
  readonly reconnects?: boolean
  readonly without?: Remedy
  /** Rows in WebAssembly memory, as in processes of their own. */
  readonly fast?: boolean
}

export interface Left {
  /**
   * Rows whose bits are not those after all their updates, each once. Of a row without parity, those since its server's latest start and
   * those that were unanswered then.
   */
  readonly wrong: number
  /** Parity rows that are not their stripe's. */
  readonly broken: number
  readonly unrecoverable: number
  readonly crashes: number
  /** The schedule did not come to rest. */
  readonly stuck: boolean
}

interface Channel {
  readonly from: number
  readonly to: number
  /** Of the receiver when the messages were said. */
  readonly life: number
  /** Of the sender. */
  readonly fromLife: number
  readonly messages: Message[]
}

const mostEvents = 20_000

/** Takes the next message of a channel; now and then one that may overtake others does. */
export function overtaking(messages: Message[], random: Random): Message {
  const at = messages.findIndex(mayOvertake)
  return at > 0 && random.bernoulli(0.5) ? messages.splice(at, 1)[0]! : messages.shift()!
}

/** Gradients are ones: after v updates a row's values are its first ones less v, in exact float32 (SGD, rate 1). */
export function interleave(spec: ResolvedSpec, random: Random, o: Interleaving = {}): Left {
  const { workers = 1, pushes = 6, crashes = 1, atOnce = 1, reconnects = false, without, fast = false } = o
  const { layout, d, width } = spec
  const { servers } = layout
  const lives = new Array<number>(servers + workers).fill(1)
  let channels: Channel[] = []
  let left = pushes
  let crashesLeft = crashes
  const pending = Array.from({ length: workers }, () =>
    Array.from({ length: servers }, () => [] as MessageOf<'push'>[]),
  )
  const pushIds = Array.from({ length: workers }, () => new Array<number>(servers).fill(0))
  const updates = Array.from({ length: servers }, () => new Uint32Array(layout.dataRows))

  function say(from: number, fromLife: number, to: number, message: Message): void {
    if (lives[from] !== fromLife) return
    const life = lives[to]!
    const same = (one: Channel): boolean =>
      one.from === from && one.to === to && one.life === life && one.fromLife === fromLife
    const channel = channels.find(same)
    if (channel === undefined) channels.push({ from, to, life, fromLife, messages: [message] })
    else channel.messages.push(message)
  }

  /** Answers that nobody waits for: they leave with the next differences, or when nothing else is left to do. */
  let owed: { from: number; fromLife: number; to: number; life: number; answer: MessageOf<'acked'> }[] = []
  function sendOf(server: number, incarnation: number): Send {
    return (to, message, how) => {
      if (message.type === 'acked' && how?.late === true) {
        owed.push({ from: server, fromLife: incarnation, to, life: lives[to]!, answer: message })
        return
      }
      const waiting = owed.filter((one) => one.from === server && one.to === to && one.life === lives[to])
      owed = owed.filter((one) => !waiting.includes(one))
      const latest = waiting.at(-1)?.answer
      if (latest !== undefined && message.type === 'deltas')
        return say(server, incarnation, to, { ...message, acked: latest.batch, life: latest.life })
      if (latest !== undefined) say(server, incarnation, to, latest)
      say(server, incarnation, to, message)
    }
  }
  function settle(): boolean {
    const all = owed
    owed = []
    for (const { from, fromLife, to, life, answer } of all) if (lives[to] === life) say(from, fromLife, to, answer)
    return all.length > 0
  }

  function start(server: number, lost: boolean): Shard {
    const incarnation = lives[server]!
    const send = sendOf(server, incarnation)
    return createShard({ spec, server, incarnation, lost, fast, send, ...(without ? { without } : {}) })
  }
  const shards = Array.from({ length: servers }, (_, server) => start(server, false))

  function push(worker: number): void {
    const server = random.integer(0, servers - 1)
    if (pending[worker]![server]!.length >= mostUnderWay) return
    const rows = random.sample(layout.dataRows, random.integer(1, 2))
    const message: MessageOf<'push'> = {
      type: 'push',
      id: ++pushIds[worker]![server]!,
      readsNext: 0,
      pushesNext: random.integer(0, 1),
      rows,
      gradients: new Uint32Array(new Float32Array(rows.length * d).fill(1).buffer),
    }
    left--
    for (const row of rows) updates[server]![row]!++
    pending[worker]![server]!.push(message)
    say(servers + worker, 1, server, message)
  }

  function crash(server: number): void {
    // What it had sent may still arrive, or only the first part of it.
    for (const channel of channels)
      if (channel.from === server && random.bernoulli(0.5))
        channel.messages.length = random.integer(0, channel.messages.length)
    lives[server]!++
    shards[server] = start(server, true)
    updates[server]!.fill(0, layout.firstBare)
    for (const { rows } of pending.flatMap((ofWorker) => ofWorker[server]!))
      for (const row of rows) if (row >= layout.firstBare) updates[server]![row]!++
    const incarnations = Uint32Array.from(lives.slice(0, servers))
    for (let peer = 0; peer < servers; peer++)
      say(servers, 1, peer, { type: 'members', incarnations, addresses: new Uint32Array(0) })
    for (let worker = 0; worker < workers; worker++) {
      for (const again of pending[worker]![server]!) say(servers + worker, 1, server, again)
    }
  }

  function deliver(): boolean {
    channels = channels.filter(({ messages }) => messages.length > 0)
    if (channels.length === 0) return false
    const { from, to, life, fromLife, messages } = channels[random.integer(0, channels.length - 1)]!
    const message = overtaking(messages, random)
    if (lives[to] !== life) return true
    if (to < servers) shards[to]!.receive({ node: from, incarnation: fromLife }, message)
    else if (message.type === 'pushed') {
      const unanswered = pending[to - servers]![from]!
      pending[to - servers]![from] = unanswered.filter(({ id }) => id !== message.id)
    }
    return true
  }

  const missing = (): number => shards.reduce((count, { storage }) => count + Number(storage.missing > 0), 0)
  let event = 0
  for (; event < mostEvents; event++) {
    const choice = random.integer(0, 19)
    if (choice < 3 && left > 0) push(random.integer(0, workers - 1))
    else if (choice === 3 && crashesLeft > 0 && missing() < atOnce) {
      crashesLeft--
      crash(random.integer(0, servers - 1))
    } else if (choice === 4) for (const shard of shards) shard.step(2)
    else if (choice === 5 && reconnects && left > 0) {
      const [server, peer] = random.sample(servers, 2)
      shards[server!]!.reconnected(peer!)
    } else if (choice === 6 && missing() > 0) {
      // A hint, right or wrong, changes nothing but when rows come back.
      const rows = random.sample(layout.dataRows, 2)
      say(servers, 1, random.integer(0, servers - 1), { type: 'expect', rows })
    } else if (!deliver() && !settle()) {
      for (const shard of shards) shard.step(2)
      if (left === 0 && crashesLeft === 0 && missing() === 0 && channels.length === 0) break
    }
  }

  let [wrong, broken] = [0, 0]
  const expected = new Float32Array(width)
  const check = (server: number, local: number, place: { stripe: number; position: number }): void => {
    new Uint32Array(expected.buffer).set(initialWords(spec, place))
    for (let step = 0; step < updates[server]![local]!; step++) for (let i = 0; i < d; i++) expected[i]! -= 1
    const row = shards[server]!.storage.dataRow(local)
    if (new Uint32Array(expected.buffer).some((word, i) => word !== row[i])) wrong++
  }
  for (let server = 0; server < servers; server++)
    for (let local = layout.firstBare; local < layout.dataRows; local++)
      check(server, local, layout.dataPlace(server, local))
  for (let stripe = 0; stripe < layout.stripes; stripe++) {
    const sums = Array.from({ length: spec.r }, () => new Uint32Array(width))
    for (let position = 0; position < spec.k + spec.r; position++) {
      const server = layout.serverOf({ stripe, position })
      const local = layout.localOf({ stripe, position })
      const { storage } = shards[server]!
      if (position >= spec.k) {
        const row = storage.parityRow(local)
        if (sums[position - spec.k]!.some((word, i) => word !== row[i])) broken++
        continue
      }
      check(server, local, { stripe, position })
      const row = storage.dataRow(local)
      sums.forEach((sum, parity) => storage.code!.accumulate(sum, row, { parity, position }))
    }
  }
  const coded = layout.rows - layout.bare
  const unrecoverable = shards.flatMap((shard) => shard.unrecoverable.filter((id) => id < coded)).length
  return { wrong, broken, unrecoverable, crashes: crashes - crashesLeft, stuck: event === mostEvents }
}

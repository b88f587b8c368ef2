// One shard's part in one run: its shard, its peers, its clock.
import type { Socket } from 'node:net'
import { mayOvertake, nobody, type Message, type MessageOf, type Send } from '../shard/messages.ts'
import { createShard, type Shard } from '../shard/shard.ts'
import { unpackSpec } from '../shard/spec.ts'
import { unpackText } from '../shard/text.ts'
import { carryMessages, type Connection } from './connection.ts'
import { createPace } from './pace.ts'
import { passer, protocol, reasonOf, type Refusal } from './refusals.ts'
import { createTurns } from './turns.ts'

export interface Node {
  readonly node: number
  readonly incarnation: number
}

export interface RunOptions {
  /** The secret, and the run, as words: for the greetings to peers. */
  readonly token: Uint32Array
  readonly run: Uint32Array
  dial(address: string): Socket
  /** The part has ended: it was told to, or has lost its place, or nobody took it up in the time that it stays without its control. */
  over(): void
}

/** Who greets. */
export interface Greeting extends Node {
  /** The trainer that it speaks for. */
  readonly epoch: number
  /** Where a peer listens; empty for those answered on this connection. */
  readonly address: string
}

export interface ShardRun {
  /** Somebody of this run has connected. */
  greet(from: Greeting, connection: Connection): Refusal | undefined
  /** Takes a message; those before the start wait for it. A refusal ends the connection. */
  take(from: Node, message: Message, connection: Connection): Refusal | undefined
  /** A connection is gone; whether the run is over with it. */
  gone(from: Node, connection: Connection): boolean
  /** Whether the control has given it a part. */
  readonly started: boolean
  end(): void
}

/** How a peer is reached. */
interface Peer {
  readonly address: string
  readonly incarnation: number
  connection: Connection | undefined
  /** Messages to it that wait for their turn. */
  queued: number
  /** The latest answer to its differences, which leaves with what is said to it next, and since when one waits. */
  owed: MessageOf<'acked'> | undefined
  since: number
}

const retryMs = 50
const stalledMs = 1_000
/** What nobody waits for leaves alone after so long. */
const lateMs = 50
/** Until the step after one that brought no row back. */
const fruitlessMs = 20
/** Messages that wait for the start: peers say little before they are answered. */
const mostEarly = 10_000

export function createShardRun({ token, run, dial, over }: RunOptions): ShardRun {
  const peers = new Map<number, Peer>()
  /** Workers and the control: they connect here and are answered on their own connection. */
  const workers = new Map<number, Connection>()
  /** The life in which each peer has greeted last, and where it did. */
  const greeted = new Map<number, { readonly incarnation: number; readonly connection: Connection }>()
  const everyone = new Set<Connection>()
  const unmet: { from: Node; address: string }[] = []
  let shard: Shard | undefined
  let self: Node = { node: -1, incarnation: 0 }
  let control: Connection | undefined
  /** The latest trainer that has led the run here. */
  let epoch = 1
  /** The trainer that each connection spoke for. */
  const epochs = new WeakMap<Connection, number>()
  let linger = 0
  let lingering: NodeJS.Timeout | undefined
  let spec = new Uint32Array(0)
  /** The highest number of a node that spoke here. */
  let highest = 0
  let ownAddress = new Uint32Array(0)
  let servers = 0
  let pace = createPace({ stripes: 1, pause: 5, share: 1 })
  /** Until the next look whether a step of the sweep may begin, or until one that never ends is taken up again. */
  let timer: NodeJS.Timeout | undefined
  let stepping = false
  let soon = false
  /** Until a look whether an answer to a peer has waited long enough. */
  let owing: NodeJS.Timeout | undefined
  /** Rows that had come back when the step began. */
  let recovered = 0
  let early: { from: Node; message: Message; connection: Connection }[] = []
  let ended = false
  const turns = createTurns(() => {
    for (const worker of workers.values()) worker.flush()
  })

  function start(message: Message & { type: 'start' }, connection: Connection): void {
    const resolved = unpackSpec(message.spec)
    const { server, incarnation } = message
    spec = message.spec.slice()
    linger = message.linger
    epoch = epochs.get(connection) ?? 1
    self = { node: server, incarnation }
    servers = resolved.layout.servers
    ownAddress = message.address.slice()
    shard = createShard({ spec: resolved, server, incarnation, lost: message.lost === 1, fast: true, send, swept, cpu })
    for (const one of unmet.splice(0)) meet(one.from, one.address)
    const held = early
    early = []
    for (const one of held) take(one.from, one.message, one.connection)
  }

  /** Says what is here; with an epoch the part follows that trainer from now on, and those before it are cut off. */
  function attach(message: Message & { type: 'attach' }, connection: Connection): Refusal | undefined {
    if (message.epoch > 0 && shard !== undefined) {
      if (message.epoch <= epoch) return 'fenced'
      epoch = message.epoch
      for (const earlier of new Set([control, ...workers.values()])) {
        if (earlier !== undefined && epochs.get(earlier)! < epoch) refuse(earlier, 'fenced')
      }
      for (const [node, worker] of workers) if (epochs.get(worker)! < epoch) workers.delete(node)
      control = connection
      clearTimeout(lingering)
    }
    const lives = new Uint32Array(servers)
    for (const [node, { incarnation }] of peers) lives[node] = incarnation
    if (shard !== undefined) lives[self.node] = self.incarnation
    const part = { server: shard === undefined ? nobody : self.node, incarnation: self.incarnation }
    const numbers = { epoch, ...part, highest, push: shard?.latestPush(servers) ?? 0 }
    connection.send({ type: 'attached', ...numbers, spec, lives })
    return undefined
  }

  function take(from: Node, message: Message, connection: Connection): Refusal | undefined {
    if (message.type === 'attach') return attach(message, connection)
    // What an earlier trainer or its workers said before they were cut off.
    if (from.node >= servers && shard !== undefined && epochs.get(connection)! < epoch) return 'fenced'
    if (shard === undefined || from.node >= servers || mayOvertake(message)) return takeNow(from, message, connection)
    turns.add(() => {
      if (ended) return
      try {
        if (takeNow(from, message, connection) !== undefined) connection.drop()
      } catch {
        // As if the connection had met it: see carryMessages.
        connection.drop()
      }
    })
    return undefined
  }

  function takeNow(from: Node, message: Message, connection: Connection): Refusal | undefined {
    if (message.type === 'start') {
      if (shard !== undefined) return message.incarnation > self.incarnation || linger > 0 ? 'run' : 'epoch'
      control = connection
      start(message, connection)
    } else if (message.type === 'leave') {
      if (connection === control) over()
    } else if (shard === undefined) {
      if (early.length >= mostEarly) return 'run'
      early.push({ from, message, connection })
      return undefined
    } else if (message.type === 'members') {
      const addresses = JSON.parse(unpackText(message.addresses)) as string[]
      message.incarnations.forEach((incarnation, node) => meet({ node, incarnation }, addresses[node] ?? ''))
      shard.receive(from, message)
    } else if (message.type === 'sweep') pace = createPace({ ...message, share: message.share / 1000 })
    else {
      if (message.type === 'pull' || message.type === 'push' || message.type === 'write') pace.asked(performance.now())
      shard.receive(from, message)
      // A worker that reads next is answered before servers say anything to each other.
      if (message.type === 'push' && message.readsNext === 1) turns.hold(from.node)
      if (message.type === 'pull') turns.release(from.node)
    }
    if (timer === undefined && shard !== undefined && shard.storage.missing > 0)
      timer = setTimeout(recover, pace.wait(performance.now()))
    return undefined
  }

  /** Begins a step of the sweep, or looks again later. */
  function recover(): void {
    if (stepping || ended || shard === undefined) return
    clearTimeout(timer)
    timer = undefined
    if (shard.storage.missing === 0) return
    const now = performance.now()
    const rows = pace.rows(now)
    if (rows === 0) {
      timer = setTimeout(recover, pace.wait(now))
      return
    }
    stepping = true
    recovered = shard.storage.recovered
    // A step that never ends, as a peer died, is taken up again when the peer's replacement is told of.
    timer = setTimeout(() => {
      stepping = false
      recover()
    }, stalledMs)
    pace.begun(now, rows)
    shard.step(rows)
  }

  /** In its turn: what was said before comes first. */
  function recoverSoon(): void {
    if (soon) return
    soon = true
    turns.add(() => {
      soon = false
      recover()
    })
  }

  function cpu(): number {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }

  /** A step has ended: the next one follows if there is time. One that brought nothing waits for what others recover. */
  function swept(): void {
    pace.ended(performance.now())
    stepping = false
    clearTimeout(timer)
    if (shard !== undefined && shard.storage.recovered > recovered) recoverSoon()
    else timer = setTimeout(recover, fruitlessMs)
  }

  function answered(): void {
    pace.answered(performance.now())
    if (timer !== undefined && !stepping) recoverSoon()
  }

  function refuse(connection: Connection, refusal: Refusal): void {
    connection.send({ type: 'refused', reason: reasonOf(refusal) })
    connection.end()
  }

  /** Learns where a peer is; one in a new life is reached anew. */
  function meet({ node, incarnation }: Node, address: string): void {
    if (node === self.node || address === '' || (peers.get(node)?.incarnation ?? 0) >= incarnation) return
    peers.get(node)?.connection?.drop()
    const peer: Peer = { address, incarnation, connection: undefined, queued: 0, owed: undefined, since: 0 }
    peers.set(node, peer)
    const earlier = greeted.get(node)
    if (earlier !== undefined && earlier.incarnation < incarnation) refuse(earlier.connection, 'epoch')
    reach(node, peer, false)
  }

  function reach(node: number, peer: Peer, again: boolean): void {
    const connection = carryMessages(dial(peer.address), {
      message(message) {
        connection.drop()
        // Another has this server's place: a trainer put it there that this one has not heard of.
        if (message.type === 'refused' && message.reason === reasonOf('epoch')) over()
      },
      closed() {
        if (ended || peers.get(node) !== peer) return
        peer.connection = undefined
        setTimeout(() => !ended && peers.get(node) === peer && reach(node, peer, true), retryMs)
      },
    })
    peer.connection = connection
    connection.send({ type: 'hello', protocol, ...self, epoch, token, run, address: ownAddress })
    // What was said into the broken connection may be lost.
    if (again) shard?.reconnected(node)
  }

  const send: Send = (to, message, how) => {
    if (to >= servers) {
      workers.get(to)?.send(message)
      if (message.type === 'rows') answered()
      return
    }
    // Said to this life of the peer or to none.
    const peer = peers.get(to)
    if (peer === undefined) return
    if (how?.late === true && message.type === 'acked') owe(peer, message)
    else if (mayOvertake(message) || (turns.running && peer.queued === 0)) say(peer, message)
    else {
      peer.queued++
      turns.add(() => {
        peer.queued--
        say(peer, message)
      })
    }
  }

  /** An answer says that of every batch before, too: the latest takes the place of those that wait. */
  function owe(peer: Peer, answer: MessageOf<'acked'>): void {
    if (peer.owed === undefined) peer.since = performance.now()
    peer.owed = answer
    owing ??= setTimeout(settle, lateMs)
  }

  function say(peer: Peer, message?: Message): void {
    const { owed, connection } = peer
    peer.owed = undefined
    if (owed !== undefined && message?.type === 'deltas')
      return connection?.send({ ...message, acked: owed.batch, life: owed.life })
    if (owed !== undefined) connection?.send(owed)
    if (message !== undefined) connection?.send(message)
  }

  /** Has answers leave that have waited long enough. */
  function settle(): void {
    owing = undefined
    const now = performance.now()
    let left = Infinity
    for (const peer of peers.values()) {
      if (peer.owed === undefined) continue
      const wait = peer.since + lateMs - now
      if (wait <= 1) say(peer)
      else left = Math.min(left, wait)
    }
    if (left < Infinity) owing = setTimeout(settle, left)
  }

  return {
    get started() {
      return shard !== undefined
    },
    greet({ epoch: spokenFor, address, ...from }, connection) {
      if (address !== '' && from.incarnation < (peers.get(from.node)?.incarnation ?? 0)) return 'epoch'
      if (spokenFor < epoch) return 'fenced'
      epochs.set(connection, spokenFor)
      everyone.add(connection)
      if (address === '') {
        if (from.node < passer) highest = Math.max(highest, from.node)
        // A stranger that begins the same run once more must not get the answers of the trainer that leads it.
        if (control === undefined || workers.get(from.node) !== control || spokenFor > epoch)
          workers.set(from.node, connection)
        return undefined
      }
      // A peer in a new life may speak before the control has told of it; its questions need an answer.
      if (shard !== undefined) meet(from, address)
      else unmet.push({ from, address })
      if (greeted.get(from.node)?.incarnation === from.incarnation) shard?.reconnected(from.node)
      greeted.set(from.node, { incarnation: from.incarnation, connection })
      return undefined
    },
    take,
    gone(from, connection) {
      everyone.delete(connection)
      if (workers.get(from.node) === connection) workers.delete(from.node)
      if (connection !== control) return false
      if (linger === 0) return true
      // The trainer is gone, and its rows wait for the next one.
      control = undefined
      lingering = setTimeout(over, linger)
      return false
    },
    end() {
      ended = true
      clearTimeout(lingering)
      turns.clear()
      clearTimeout(timer)
      clearTimeout(owing)
      for (const { connection } of peers.values()) connection?.drop()
      for (const connection of everyone) connection.drop()
      peers.clear()
      early = []
      shard = undefined
    },
  }
}

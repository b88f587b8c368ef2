// One shard's part in one run: its shard, its peers, its clock.
import type { Socket } from 'node:net'
import type { Message } from '../shard/messages.ts'
import { createShard, type Shard } from '../shard/shard.ts'
import { unpackSpec } from '../shard/spec.ts'
import { unpackText } from '../shard/text.ts'
import { carryMessages, type Connection } from './connection.ts'
import { protocol, type Refusal } from './refusals.ts'

export interface Node {
  readonly node: number
  readonly incarnation: number
}

export interface RunOptions {
  /** The secret, and the run, as words: for the greetings to peers. */
  readonly token: Uint32Array
  readonly run: Uint32Array
  dial(address: string): Socket
}

export interface ShardRun {
  /** Somebody of this run has connected. `address`: where a peer listens; empty for those answered on this connection. */
  greet(from: Node, address: string, connection: Connection): void
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
}

const retryMs = 50
const stalledMs = 1_000
/** A worker that has not asked for rows for so long is not awaited. */
const quietMs = 100
/** Messages that wait for the start: peers say little before they are answered. */
const mostEarly = 10_000

export function createShardRun({ token, run, dial }: RunOptions): ShardRun {
  const peers = new Map<number, Peer>()
  /** Workers and the control: they connect here and are answered on their own connection. */
  const workers = new Map<number, Connection>()
  /** Peers that have greeted in their present life. */
  const greeted = new Map<number, number>()
  const everyone = new Set<Connection>()
  const unmet: { from: Node; address: string }[] = []
  let shard: Shard | undefined
  let self: Node = { node: -1, incarnation: 0 }
  let control: Connection | undefined
  let ownAddress = new Uint32Array(0)
  let servers = 0
  let sweep = { stripes: 1, pause: 5, share: 1000 }
  let timer: NodeJS.Timeout | undefined
  let stepStart = 0
  /** When a worker last got rows, and whether a step of the sweep waits for the next time. */
  let answeredAt = -Infinity
  let untilAnswer = false
  let early: { from: Node; message: Message; connection: Connection }[] = []
  let ended = false
  /** What peers said and what is to be said to them, in order. */
  const between: (() => void)[] = []
  let turning = false

  function start(message: Message & { type: 'start' }): void {
    const spec = unpackSpec(message.spec)
    const { server, incarnation } = message
    self = { node: server, incarnation }
    servers = spec.layout.servers
    ownAddress = message.address.slice()
    shard = createShard({ spec, server, incarnation, lost: message.lost === 1, send, swept, cpu })
    for (const one of unmet.splice(0)) meet(one.from, one.address)
    const held = early
    early = []
    for (const one of held) take(one.from, one.message, one.connection)
  }

  /**
   * Servers can wait for each other, a worker stands still until it is answered: what is between servers has its turn when
   * every socket was read and workers have their answers, and then a part of it at a time. In the order in which it came.
   */
  function later(what: () => void): void {
    between.push(what)
    if (turning) return
    turning = true
    setImmediate(turn)
  }

  function turn(): void {
    for (const worker of workers.values()) worker.flush()
    // A part of what waits, not a number: it cannot grow without bound.
    for (const what of between.splice(0, Math.ceil(between.length / 4))) what()
    turning = between.length > 0
    if (turning) setImmediate(turn)
  }

  function take(from: Node, message: Message, connection: Connection): Refusal | undefined {
    if (shard === undefined || from.node >= servers) return takeNow(from, message, connection)
    later(() => {
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
      if (shard !== undefined) return message.incarnation > self.incarnation ? 'run' : 'epoch'
      control = connection
      start(message)
    } else if (shard === undefined) {
      if (early.length >= mostEarly) return 'run'
      early.push({ from, message, connection })
      return undefined
    } else if (message.type === 'members') {
      const addresses = JSON.parse(unpackText(message.addresses)) as string[]
      message.incarnations.forEach((incarnation, node) => meet({ node, incarnation }, addresses[node] ?? ''))
      shard.receive(from, message)
    } else if (message.type === 'sweep') sweep = message
    else shard.receive(from, message)
    if (timer === undefined && shard !== undefined && shard.storage.missing > 0)
      timer = setTimeout(recover, sweep.pause)
    return undefined
  }

  function recover(): void {
    untilAnswer = false
    stepStart = performance.now()
    // A step that never ends, as a peer died, is taken up again when the peer's replacement is told of.
    timer = shard!.step(sweep.stripes) ? setTimeout(recover, stalledMs) : undefined
  }

  function cpu(): number {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }

  /**
   * The next step waits so long that steps take their share of the time. A step lasts longer when servers are busy: the
   * sweep gives way to training by itself.
   */
  function swept(): void {
    const lasted = performance.now() - stepStart
    clearTimeout(timer)
    timer = setTimeout(due, Math.max(sweep.pause, lasted * (1000 / sweep.share - 1)))
  }

  /** A worker that has its rows is busy with them for a while: a step begins then, and not while one waits for rows. */
  function due(): void {
    if (performance.now() - answeredAt > quietMs) return recover()
    untilAnswer = true
    timer = setTimeout(recover, quietMs)
  }

  function answered(): void {
    answeredAt = performance.now()
    if (!untilAnswer) return
    untilAnswer = false
    clearTimeout(timer)
    later(recover)
  }

  /** Learns where a peer is; one in a new life is reached anew. */
  function meet({ node, incarnation }: Node, address: string): void {
    if (node === self.node || address === '' || (peers.get(node)?.incarnation ?? 0) >= incarnation) return
    peers.get(node)?.connection?.drop()
    const peer: Peer = { address, incarnation, connection: undefined }
    peers.set(node, peer)
    reach(node, peer, false)
  }

  function reach(node: number, peer: Peer, again: boolean): void {
    const connection = carryMessages(dial(peer.address), {
      message: () => connection.drop(),
      closed() {
        if (ended || peers.get(node) !== peer) return
        peer.connection = undefined
        setTimeout(() => !ended && peers.get(node) === peer && reach(node, peer, true), retryMs)
      },
    })
    peer.connection = connection
    connection.send({ type: 'hello', protocol, ...self, token, run, address: ownAddress })
    // What was said into the broken connection may be lost.
    if (again) shard?.reconnected(node)
  }

  function send(to: number, message: Message): void {
    if (to >= servers) {
      workers.get(to)?.send(message)
      if (message.type === 'rows') answered()
      return
    }
    const peer = peers.get(to)
    // Said to this life of the peer or to none.
    later(() => peer?.connection?.send(message))
  }

  return {
    get started() {
      return shard !== undefined
    },
    greet(from, address, connection) {
      everyone.add(connection)
      if (address === '') {
        workers.set(from.node, connection)
        return
      }
      // A peer in a new life may speak before the control has told of it; its questions need an answer.
      if (shard !== undefined) meet(from, address)
      else unmet.push({ from, address })
      if (greeted.get(from.node) === from.incarnation) shard?.reconnected(from.node)
      greeted.set(from.node, from.incarnation)
    },
    take,
    gone(from, connection) {
      everyone.delete(connection)
      if (workers.get(from.node) === connection) workers.delete(from.node)
      return connection === control
    },
    end() {
      ended = true
      between.length = 0
      clearTimeout(timer)
      for (const { connection } of peers.values()) connection?.drop()
      for (const connection of everyone) connection.drop()
      peers.clear()
      early = []
      shard = undefined
    },
  }
}

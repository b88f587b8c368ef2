// The program of a shard process: one shard, its connections, its clock. Bundled into src/generated/shardProcess.ts.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Message } from '../shard/messages.ts'
import { createShard, type Shard } from '../shard/shard.ts'
import { unpackSpec } from '../shard/spec.ts'
import { carryMessages, type Connection } from './connection.ts'

/** What the parent says first, over the channel that only it and this process share. */
interface Secret {
  readonly token: readonly number[]
}

interface Node {
  readonly node: number
  readonly incarnation: number
}

/** How this process reaches a peer. */
interface Peer {
  readonly port: number
  readonly incarnation: number
  connection: Connection | undefined
}

const retryMs = 50
const stalledMs = 1_000

process.title = 'ft-ecrm-shard'
process.on('disconnect', () => process.exit(0))
process.once('message', (secret: Secret) => serve(Uint32Array.from(secret.token)))

function serve(token: Uint32Array): void {
  const peers = new Map<number, Peer>()
  /** Workers and the control: they connect here and are answered on their own connection. */
  const workers = new Map<number, Connection>()
  /** Peers that have greeted in their present life. */
  const greeted = new Map<number, number>()
  let shard: Shard | undefined
  let self: Node = { node: -1, incarnation: 0 }
  let servers = 0
  let sweep = { stripes: 1, pause: 5, share: 1000 }
  let timer: NodeJS.Timeout | undefined
  let stepStart = 0
  let early: { from: Node; message: Message }[] = []

  const unmet: { from: Node; port: number }[] = []
  const listener = createServer(accept)
  const ownPort = (): number => (listener.address() as AddressInfo).port
  listener.listen(0, '127.0.0.1', () => process.send?.({ port: ownPort() }))

  function accept(socket: Socket): void {
    let from: Node | undefined
    const connection = carryMessages(socket, {
      message(message) {
        if (from === undefined) {
          if (message.type !== 'hello' || !sameWords(message.token, token)) return connection.drop()
          from = { node: message.node, incarnation: message.incarnation }
          greet(from, message.port, connection)
        } else if (shard === undefined && message.type !== 'start') early.push({ from, message })
        else take(from, message)
      },
      closed: () => {
        if (from !== undefined && workers.get(from.node) === connection) workers.delete(from.node)
      },
    })
  }

  function greet(from: Node, port: number, connection: Connection): void {
    if (port === 0) {
      workers.set(from.node, connection)
      return
    }
    // A peer in a new life may speak before the control has told of it; its questions need an answer.
    if (shard !== undefined) meet(from, port)
    else unmet.push({ from, port })
    if (greeted.get(from.node) === from.incarnation) shard?.reconnected(from.node)
    greeted.set(from.node, from.incarnation)
  }

  function take(from: Node, message: Message): void {
    switch (message.type) {
      case 'start': {
        const spec = unpackSpec(message.spec)
        self = { node: message.server, incarnation: message.incarnation }
        servers = spec.layout.servers
        const { node: server, incarnation } = self
        shard = createShard({ spec, server, incarnation, lost: message.lost === 1, send, swept, cpu })
        for (const one of unmet.splice(0)) meet(one.from, one.port)
        const held = early
        early = []
        for (const one of held) take(one.from, one.message)
        break
      }
      case 'members':
        message.incarnations.forEach((incarnation, node) => meet({ node, incarnation }, message.ports[node]!))
        shard!.receive(from, message)
        break
      case 'sweep':
        sweep = message
        break
      default:
        shard!.receive(from, message)
    }
    if (timer === undefined && shard !== undefined && shard.storage.missing > 0)
      timer = setTimeout(recover, sweep.pause)
  }

  function recover(): void {
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
    timer = setTimeout(recover, Math.max(sweep.pause, lasted * (1000 / sweep.share - 1)))
  }

  /** Learns where a peer is; one in a new life is reached anew. */
  function meet({ node, incarnation }: Node, port: number): void {
    if (node === self.node || port === 0 || (peers.get(node)?.incarnation ?? 0) >= incarnation) return
    peers.get(node)?.connection?.drop()
    const peer: Peer = { port, incarnation, connection: undefined }
    peers.set(node, peer)
    reach(node, peer, false)
  }

  function reach(node: number, peer: Peer, again: boolean): void {
    const socket = connect(peer.port, '127.0.0.1')
    const connection = carryMessages(socket, {
      message: () => connection.drop(),
      closed() {
        if (peers.get(node) !== peer) return
        peer.connection = undefined
        setTimeout(() => peers.get(node) === peer && reach(node, peer, true), retryMs)
      },
    })
    peer.connection = connection
    connection.send({ type: 'hello', ...self, port: ownPort(), token })
    // What was said into the broken connection may be lost.
    if (again) shard?.reconnected(node)
  }

  function send(to: number, message: Message): void {
    if (to < servers) peers.get(to)?.connection?.send(message)
    else workers.get(to)?.send(message)
  }
}

function sameWords(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((word, i) => word === b[i])
}

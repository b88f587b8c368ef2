// A further worker's own way to the servers of a run: connections of its own, wherever its thread is.
import { createClient, type RowAccess } from '../client.ts'
import { unpackSpec } from '../shard/spec.ts'
import { dial, type TlsFiles } from './address.ts'
import { carryMessages, type Connection } from './connection.ts'
import { protocol } from './refusals.ts'

/** What a worker needs to reach the servers: plain data. */
export interface Seat {
  /** The worker's number among the run's nodes; nobody else ever had it. */
  readonly node: number
  /** The trainer that it works for. */
  readonly epoch: number
  readonly spec: Uint32Array
  readonly token: Uint32Array
  readonly run: Uint32Array
  readonly tls: TlsFiles | undefined
  /** Of every server at present. */
  readonly addresses: readonly string[]
}

/** Gives seats at the servers of one store. */
export interface Seats {
  take(worker: SeatEvents): { readonly seat: Seat; leave(): void }
}

export interface SeatEvents {
  /** The replacement of a server is there. */
  renewed(server: number, address: string): void
  /** The servers cannot go on, or the store was closed. */
  failed(error: Error): void
}

export interface Seated extends RowAccess {
  /** A server was replaced: its replacement is elsewhere, and hears again what is unanswered. */
  renewed(server: number, address: string): void
}

const retryMs = 50

/** Connects to every server. Connections end with the thread. */
export function takeSeat({ node, epoch, spec: words, token, run, tls, addresses }: Seat): Seated {
  const spec = unpackSpec(words)
  const links: { address: string; connection: Connection }[] = []
  const client = createClient({ spec, send: (server, message) => links[server]?.connection.send(message) })

  function reach(server: number, address: string): void {
    const connection = carryMessages(dial(address, tls), {
      message(message) {
        // One that another run has taken, or that is gone: the control sees it too, and says who comes next.
        if (message.type !== 'refused') client.receive(server, message)
      },
      closed() {
        if (links[server] === link) setTimeout(() => links[server] === link && again(server, address), retryMs)
      },
    })
    const link = { address, connection }
    links[server] = link
    const nowhere = new Uint32Array(0)
    connection.send({ type: 'hello', protocol, node, incarnation: 1, epoch, token, run, address: nowhere })
  }

  function again(server: number, address: string): void {
    links[server]?.connection.drop()
    reach(server, address)
    client.renewed(server)
  }

  addresses.forEach((address, server) => reach(server, address))
  return {
    pull: (ids, into) => client.pull(ids, into),
    push: (ids, gradients, options) => client.push(ids, gradients, options),
    renewed: again,
  }
}

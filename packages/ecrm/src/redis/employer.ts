// The trainer's side of an owner of Redis nodes: it is found, told which node is which server, watched, and followed by another
// when it dies, which begins where it ended.
import type { Socket } from 'node:net'
import { FtError, type FtErrorCode } from '@ft/core'
import { carryMessages, type Connection } from '../network/connection.ts'
import type { Place } from '../network/members.ts'
import { protocol, refusalError } from '../network/refusals.ts'
import type { Message } from '../shard/messages.ts'
import { packSpec, type ResolvedSpec } from '../shard/spec.ts'
import { packText, unpackText } from '../shard/text.ts'
import { seatKinds, type Posting } from './ownerRun.ts'

/** Where owners can be. */
export interface OwnerPlaces {
  readonly token: Uint32Array
  /** A place for the next owner. */
  take(): Place
  dial(address: string): Socket
  close(): Promise<void>
}

/** A node as a server, and which life of that server it is. */
export interface Seat {
  readonly address: string
  readonly epoch: number
}

export interface EmployerOptions {
  readonly spec: ResolvedSpec
  readonly posting: Omit<Posting, 'address'>
  /** The node of each server, as it is at any moment. */
  readonly seats: readonly (Seat | undefined)[]
  readonly places: OwnerPlaces
  /** Milliseconds between heartbeats, and how many an owner may miss. */
  readonly heartbeat: number
  readonly missed: number
  /** How often the next owner is looked for, and milliseconds between. */
  readonly attempts: number
  readonly retry: number
  message(server: number, message: Message): void
  /** Another owner answers for a server: what was asked must be asked again. */
  resumed(server: number): void
  /** A server's node is lost. */
  lost(server: number, cause: unknown): void
  failed(error: FtError): void
}

export interface Employer {
  /** Finds the first owner. */
  begin(): Promise<void>
  /** Makes a node a server; rejects with what the owner says of it. */
  seat(server: number, seat: Seat): Promise<void>
  send(server: number, message: Message): void
  /** @param how - `last`: the nodes are free then; `within`: milliseconds for it */
  close(how: { readonly last: boolean; readonly within: number }): Promise<void>
}

interface Link {
  readonly place: Place
  readonly address: string
  readonly life: number
  readonly connections: Connection[]
  /** Servers that it answers for. */
  readonly ready: boolean[]
  readonly waiting: Map<number, { readonly epoch: number; resolve(): void; reject(cause: unknown): void }>
  /** Heartbeats since its last word. */
  silent: number
  dead: boolean
  refusal: FtError | undefined
  /** Resolves when every connection is gone. */
  readonly gone: Promise<unknown>
}

/** A process that is only busy is not taken for dead so soon as a node: what it does meanwhile is not lost. */
const patience = 4

export function createEmployer(o: EmployerOptions): Employer {
  const { spec, places, seats } = o
  const { servers } = spec.layout
  const control = servers
  const words = packSpec({ ...spec })
  const lostIds = seats.map(() => [] as number[])
  let lives = 0
  let link: Link | undefined
  /** The next owner is looked for. */
  let searching: Promise<void> | undefined
  let closed = false

  async function connect(): Promise<Link> {
    const place = places.take()
    const address = await place.address
    const run = crypto.getRandomValues(new Uint32Array(4))
    const ends: Promise<void>[] = []
    const connections: Connection[] = []
    for (let server = 0; server < servers; server++)
      ends.push(
        new Promise((resolve) => {
          const connection = carryMessages(places.dial(address), {
            message: (message) => heard(next, server, message),
            closed(cause) {
              resolve()
              ended(next, cause)
            },
          })
          connections.push(connection)
          const who = { protocol, node: control, incarnation: 1, epoch: 1, token: places.token, run }
          connection.send({ type: 'hello', ...who, address: new Uint32Array(0) })
        }),
      )
    const ready = new Array<boolean>(servers).fill(false)
    const fresh = { ready, waiting: new Map(), silent: 0, dead: false, refusal: undefined, gone: Promise.all(ends) }
    const next: Link = { place, address, life: ++lives, connections, ...fresh }
    void place.ended.then((cause) => ended(next, cause))
    return (link = next)
  }

  function heard(from: Link, server: number, message: Message): void {
    if (from.dead) return
    from.silent = 0
    switch (message.type) {
      case 'refused':
        from.refusal = refusalError(message.reason, from.address)
        ended(from, undefined)
        return
      case 'owned':
      case 'disowned': {
        const waiting = from.waiting.get(server)
        if (waiting?.epoch === message.epoch) {
          from.waiting.delete(server)
          from.ready[server] = message.type === 'owned'
          if (message.type === 'owned') waiting.resolve()
          else waiting.reject(errorOf(message.error))
        } else if (message.type === 'disowned') {
          // Perhaps in the same breath as 'owned', when nobody knows of the seat yet: see `seat`.
          from.ready[server] = false
          if (seats[server]?.epoch === message.epoch) o.lost(server, errorOf(message.error))
        }
        return
      }
      case 'gaveUp':
        for (const id of message.rows) lostIds[server]!.push(id)
        return
      case 'pong':
        return
      default:
        o.message(server, message)
    }
  }

  /** One way for an owner to end, whoever noticed: its process's end, a connection's, or silence. */
  function ended(one: Link, cause: unknown): void {
    if (one.dead) return
    one.dead = true
    for (const connection of one.connections) connection.drop()
    one.place.kill()
    const text = `openShards: the owner of the Redis nodes at ${one.address} ended; see that it runs and can be reached`
    const error = one.refusal ?? new FtError('IO', text, {}, { cause })
    for (const { reject } of one.waiting.values()) reject(error)
    // Before any node was given out there is nothing to take over, and whoever waits for it hears why.
    if (!closed && one === link && searching === undefined && seats.some((seat) => seat !== undefined))
      searching = follow().finally(() => (searching = undefined))
  }

  function ask(of: Link, server: number, { address, epoch }: Seat, kind: keyof typeof seatKinds): Promise<void> {
    return new Promise((resolve, reject) => {
      if (of.dead) return reject(new FtError('IO', 'openShards: the owner of the Redis nodes ended', {}))
      if (kind === 'vacant') resolve()
      else of.waiting.set(server, { epoch, resolve, reject })
      of.connections[server]!.send({
        type: 'own',
        server,
        epoch,
        life: of.life,
        kind: seatKinds[kind],
        spec: words,
        posting: packText(JSON.stringify({ ...o.posting, address } satisfies Posting)),
        lost: Uint32Array.from(lostIds[server]!),
      })
    })
  }

  /** Finds an owner that takes all nodes over. */
  async function follow(): Promise<void> {
    for (let attempt = 1; !closed; attempt++) {
      let cause: unknown
      try {
        const next = await connect()
        const held = seats.slice()
        const outcomes = await Promise.allSettled(
          held.map((seat, server) =>
            seat === undefined
              ? ask(next, server, { address: '', epoch: 0 }, 'vacant')
              : ask(next, server, seat, 'adopted'),
          ),
        )
        if (!next.dead) return takeStock(held, outcomes)
        cause = next.refusal
      } catch (error) {
        cause = error
      }
      if (attempt >= o.attempts) {
        const text = 'openShards: nobody owns the Redis nodes any more; look at the cause and start the run again'
        if (!closed) o.failed(new FtError('UNRECOVERABLE', text, {}, { cause }))
        return
      }
      await new Promise((resolve) => setTimeout(resolve, o.retry))
    }
  }

  function takeStock(held: readonly (Seat | undefined)[], outcomes: readonly PromiseSettledResult<void>[]): void {
    outcomes.forEach((outcome, server) => {
      // One that was lost meanwhile gets another node.
      if (held[server] === undefined || seats[server] !== held[server]) return
      if (outcome.status === 'fulfilled') o.resumed(server)
      else o.lost(server, outcome.reason)
    })
  }

  const heart = setInterval(() => {
    if (link === undefined || link.dead) return
    if (link.silent++ >= o.missed * patience) ended(link, undefined)
    else for (const connection of link.connections) connection.send({ type: 'ping' })
  }, o.heartbeat)

  return {
    async begin() {
      await connect()
    },
    async seat(server, seat) {
      await searching
      const owner = link!
      await ask(owner, server, seat, 'fresh')
      if (!owner.ready[server])
        throw new FtError('IO', 'openShards: a node was lost as soon as it was taken; see that it stays up', { server })
    },
    send(server, message) {
      if (link?.dead === false && link.ready[server]) link.connections[server]!.send(message)
    },
    async close({ last, within }) {
      closed = true
      clearInterval(heart)
      if (link?.dead === false) {
        link.connections[0]!.send({ type: 'leave', last: Number(last) })
        const late = new Promise((resolve) => setTimeout(resolve, within).unref())
        await Promise.race([late, link.gone])
        for (const connection of link.connections) connection.drop()
      }
      await places.close()
    },
  }
}

function errorOf(text: Uint32Array): FtError {
  const { code, message, details } = JSON.parse(unpackText(text)) as {
    code: FtErrorCode
    message: string
    details: Readonly<Record<string, unknown>>
  }
  return new FtError(code, message, details)
}

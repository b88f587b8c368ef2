// The servers of a run in processes, wherever those are: greeted, watched, replaced when they die.
import type { Socket } from 'node:net'
import { FtError } from '@ft/core'
import type { Message } from '../shard/messages.ts'
import { packSpec, type ResolvedSpec } from '../shard/spec.ts'
import { packText } from '../shard/text.ts'
import type { TlsFiles } from './address.ts'
import type { Cluster, ClusterEvents } from './cluster.ts'
import { carryMessages, type Connection } from './connection.ts'
import { heartbeatsFor } from './patience.ts'
import { protocol, refusalError } from './refusals.ts'

export interface SweepOptions {
  /** Rows that a replaced server recovers in one step. */
  readonly stripes: number
  /** Least milliseconds between steps. */
  readonly pause: number
  /** The part of the time that steps may take beside training, in (0, 1]. */
  readonly share: number
}

export interface MemberOptions {
  readonly sweep: SweepOptions
  /** Milliseconds between heartbeats. */
  readonly heartbeat: number
  /** Heartbeats without any sign of life after which a server is dead. */
  readonly missed: number
}

/** A process that can be a server. */
export interface Place {
  /** Where it listens; rejects when it never will. */
  readonly address: Promise<string>
  /** Resolves when the process has ended, where that can be known. */
  readonly ended: Promise<unknown>
  /** A process that only hangs must not come back to life. */
  kill(): void
  pause?(): void
}

/** Where servers can be. */
export interface Places {
  readonly token: Uint32Array
  readonly tls: TlsFiles | undefined
  /** A place for a server, by its number; asked again when that one died. */
  take(server: number): Place
  dial(address: string): Socket
  /** Gets places ready for the next deaths. */
  refill(): void
  /** How often a server that dies while it starts is replaced in its turn, and how long to wait between, in ms. */
  readonly attempts: number
  readonly retry: number
  /** Milliseconds in which a place must answer; 0: it may take its time, its end is noticed. */
  readonly patience: number
  close(): Promise<void>
}

interface Member {
  readonly place: Place
  readonly connection: Connection
  readonly address: string
  readonly incarnation: number
  /** Heartbeats since its last word. */
  silent: number
  /** Rows that it had not yet recovered when it last said so. */
  missing: number
  dead: boolean
  isolated: boolean
}

/** In ms: a recovery is not given longer to end before a process is started that stands by. */
const longestWithoutSpare = 30_000

export async function startMembers(
  spec: ResolvedSpec,
  events: ClusterEvents,
  { places, ...o }: MemberOptions & { readonly places: Places },
): Promise<Cluster> {
  const { servers, r } = spec.layout
  const control = servers
  const run = crypto.getRandomValues(new Uint32Array(4))
  const words = packSpec({ ...spec })
  const members = new Array<Member | undefined>(servers).fill(undefined)
  const lives = new Array<number>(servers).fill(0)
  /** Where each server is, or was before it died. */
  const addresses = new Array<string>(servers).fill('')
  /** When places are got ready for the next deaths, recovered or not. */
  let refillBy = Infinity
  let closed = false

  /** Makes a process the server; resolves when it has its memory and answers. */
  async function enlist(server: number, lost: boolean): Promise<void> {
    const place = places.take(server)
    const address = await place.address
    const incarnation = ++lives[server]!
    await new Promise<void>((resolve, reject) => {
      let refusal: FtError | undefined
      const gone = (cause?: unknown): void => {
        clearTimeout(impatience)
        const text = `openShards: no shard answers at ${address} for server ${server}; see that it runs and can be reached`
        reject(refusal ?? new FtError('IO', text, { server, address }, { cause }))
        if (members[server] === member) died(server, member)
      }
      const connection = carryMessages(places.dial(address), {
        message(message) {
          if (message.type === 'refused') refusal = refusalError(message.reason, address)
          if (member.dead || member.isolated || refusal !== undefined) return
          clearTimeout(impatience)
          members[server] = member
          addresses[server] = address
          resolve()
          member.silent = 0
          if (message.type === 'pong') member.missing = message.missing
          else events.message(server, message)
        },
        closed: gone,
      })
      const impatience = places.patience > 0 ? setTimeout(() => connection.drop(), places.patience) : undefined
      const fresh = { silent: 0, missing: Infinity, dead: false, isolated: false }
      const member: Member = { place, connection, address, incarnation, ...fresh }
      void place.ended.then(gone)
      const { token } = places
      const nowhere = new Uint32Array(0)
      connection.send({ type: 'hello', protocol, node: control, incarnation: 1, token, run, address: nowhere })
      const start = { server, incarnation, lost: lost ? 1 : 0, spec: words, address: packText(address) }
      connection.send({ type: 'start', ...start })
      const stripes = Math.min(o.sweep.stripes, spec.rowsAMessage)
      connection.send({ type: 'sweep', ...o.sweep, stripes, share: Math.max(1, Math.round(o.sweep.share * 1000)) })
      connection.send({ type: 'ping' })
    })
  }

  function announce(): void {
    const news: Message = {
      type: 'members',
      incarnations: Uint32Array.from(members, (member) => member?.incarnation ?? 0),
      addresses: packText(JSON.stringify(members.map((member) => member?.address ?? ''))),
    }
    for (const member of members) member?.connection.send(news)
  }

  /** One way to die, whoever noticed: the process's end, its connection's, or silence. */
  function died(server: number, member: Member): void {
    if (member.dead || closed) return
    member.dead = true
    member.connection.drop()
    member.place.kill()
    if (r === 0) {
      const text = `openShards: server ${server} died and r is 0; open with r = 1 or restore a checkpoint`
      events.failed(new FtError('UNRECOVERABLE', text, { server }))
      return
    }
    replace(server).catch((cause: unknown) => {
      const text = `openShards: server ${server} could not be replaced; look at the cause and start the run again`
      if (!closed) events.failed(new FtError('UNRECOVERABLE', text, { server }, { cause }))
    })
  }

  async function replace(server: number): Promise<void> {
    members[server] = undefined
    for (let attempt = 1; ; attempt++) {
      try {
        await enlist(server, true)
        break
      } catch (error) {
        if (attempt >= places.attempts || closed) throw error
        await new Promise((resolve) => setTimeout(resolve, places.retry))
      }
    }
    if (closed) return
    announce()
    events.renewed(server)
    refillBy = performance.now() + longestWithoutSpare
  }

  const whole = (): boolean => members.every((member) => member?.dead === false && member.missing === 0)

  const heart = setInterval(() => {
    // To start a process takes what a recovery needs more.
    if (refillBy < Infinity && (whole() || performance.now() >= refillBy)) {
      refillBy = Infinity
      places.refill()
    }
    members.forEach((member, server) => {
      if (member === undefined || member.dead) return
      // Counted anew for each: of two that fall silent together, the first may just have been given up.
      const others = members.filter(
        (other, index) => index !== server && (other === undefined || other.dead || other.missing > 0),
      ).length
      if (member.silent++ >= heartbeatsFor({ missed: o.missed, others, r })) died(server, member)
      else member.connection.send({ type: 'ping' })
    })
  }, o.heartbeat)

  async function close(): Promise<void> {
    if (closed) return
    closed = true
    clearInterval(heart)
    for (const member of members) member?.connection.drop()
    await places.close()
  }

  try {
    places.refill()
    await Promise.all(Array.from({ length: servers }, (_, server) => enlist(server, false)))
    announce()
  } catch (error) {
    await close()
    throw error
  }
  const pause = (server: number): void => members[server]?.place.pause?.()
  return {
    send(server, message) {
      const member = members[server]
      if (member?.dead === false && !member.isolated) member.connection.send(message)
    },
    // Whoever is elsewhere loses its part in the run with its connection.
    kill(server) {
      const member = members[server]
      member?.place.kill()
      if (member !== undefined && member.place.pause === undefined) member.connection.drop()
    },
    ...(members.every((member) => member?.place.pause !== undefined) ? { pause } : {}),
    isolate(server) {
      const member = members[server]
      if (member !== undefined) member.isolated = true
    },
    seat: (node) => ({
      node,
      spec: words,
      token: places.token,
      run,
      tls: places.tls,
      // A server that is being replaced: its old address leads nowhere until the new one is told.
      addresses: addresses.slice(),
    }),
    close,
  }
}

// The servers of a run in processes, wherever those are: greeted, watched, replaced when they die.
import type { Socket } from 'node:net'
import { FtError } from '@ft/core'
import type { Message } from '../shard/messages.ts'
import { packSpec, type ResolvedSpec } from '../shard/spec.ts'
import type { FoundRun } from './attach.ts'
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

/** A run that outlives its trainer. */
export interface LastingRun {
  /** Its number among all runs, as words. */
  readonly run: Uint32Array
  /** Milliseconds that its servers wait for the next trainer. */
  readonly linger: number
  /** As the trainer before left it; undefined: it begins. */
  readonly found: FoundRun | undefined
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
  /** Resolves when its connection has ended. */
  readonly gone: Promise<void>
}

/** In ms: servers are not waited for longer when the run ends. */
const leaveMs = 2_000

/** Lives of one server under one trainer, at most: those under a later trainer are later, whoever of the two is heard first. */
const livesATrainer = 2 ** 16

/** In ms: a recovery is not given longer to end before a process is started that stands by. */
const longestWithoutSpare = 30_000

export async function startMembers(
  spec: ResolvedSpec,
  events: ClusterEvents,
  { places, lasting, ...o }: MemberOptions & { readonly places: Places; readonly lasting: LastingRun | undefined },
): Promise<Cluster> {
  const { servers, r } = spec.layout
  const control = servers
  const { run = crypto.getRandomValues(new Uint32Array(4)), linger = 0, found } = lasting ?? {}
  const epoch = found?.epoch ?? 1
  const words = packSpec({ ...spec })
  const members = new Array<Member | undefined>(servers).fill(undefined)
  const lives: number[] =
    found?.lives.map((life) => Math.max(life, epoch * livesATrainer)) ?? new Array<number>(servers).fill(0)
  /** Where each server is, or was before it died. */
  const addresses = new Array<string>(servers).fill('')
  /** When places are got ready for the next deaths, recovered or not. */
  let refillBy = Infinity
  let closed = false

  /** Makes a process the server, or takes one over that is it already; resolves when it has its memory and answers. */
  async function enlist(server: number, how: 'first' | 'lost' | 'found'): Promise<void> {
    const place = places.take(server)
    const address = await place.address
    const incarnation = how === 'found' ? found!.servers[server]!.incarnation : ++lives[server]!
    await new Promise<void>((resolve, reject) => {
      let refusal: FtError | undefined
      let hasGone: () => void
      const going = new Promise<void>((done) => (hasGone = done))
      const gone = (cause?: unknown): void => {
        hasGone()
        clearTimeout(impatience)
        const text = `openShards: no shard answers at ${address} for server ${server}; see that it runs and can be reached`
        reject(refusal ?? new FtError('IO', text, { server, address }, { cause }))
        if (members[server] !== member) return
        if (refusal?.details['refusal'] === 'fenced') fence(refusal)
        else died(server, member)
      }
      const connection = carryMessages(places.dial(address), {
        message(message) {
          if (message.type === 'refused') refusal = refusalError(message.reason, address)
          if (member.dead || member.isolated || refusal !== undefined) return
          clearTimeout(impatience)
          if (closed) {
            // The run has ended, or is another trainer's, since it was asked: nobody would end it.
            dismiss(member)
            return
          }
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
      const member: Member = { place, connection, address, incarnation, gone: going, ...fresh }
      void place.ended.then(gone)
      const { token } = places
      const nowhere = new Uint32Array(0)
      connection.send({ type: 'hello', protocol, node: control, incarnation: 1, epoch, token, run, address: nowhere })
      const start = {
        server,
        incarnation,
        lost: how === 'lost' ? 1 : 0,
        linger,
        spec: words,
        address: packText(address),
      }
      connection.send(how === 'found' ? { type: 'attach', epoch } : { type: 'start', ...start })
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

  /** A later trainer leads the run: this one must not put anything in the place of what it has lost. */
  function fence(refusal: FtError): void {
    if (closed) return
    stop()
    events.failed(refusal)
  }

  /** Ends a server's part: one that outlives its trainer does not end with the connection. */
  function dismiss({ connection, isolated }: Member): void {
    if (linger === 0 || isolated) {
      connection.drop()
      return
    }
    connection.send({ type: 'leave', last: 1 })
    connection.end()
    setTimeout(() => connection.drop(), leaveMs).unref()
  }

  /** One way to die, whoever noticed: the process's end, its connection's, or silence. */
  function died(server: number, member: Member): void {
    if (member.dead || closed) return
    member.dead = true
    dismiss(member)
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

  /** Finds a place for a lost server, at another when one does not answer. */
  async function enlistLost(server: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await enlist(server, 'lost')
        break
      } catch (error) {
        if (attempt >= places.attempts || closed) throw error
        await new Promise((resolve) => setTimeout(resolve, places.retry))
        if (closed) throw error
      }
    }
  }

  async function replace(server: number): Promise<void> {
    members[server] = undefined
    await enlistLost(server)
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

  function stop(): void {
    closed = true
    clearInterval(heart)
    for (const member of members) member?.connection.drop()
  }

  async function close(): Promise<void> {
    if (closed) return places.close()
    // Servers that would wait for the next trainer.
    if (linger > 0) await leave()
    stop()
    await places.close()
  }

  function leave(): Promise<unknown> {
    closed = true
    const late = new Promise((resolve) => setTimeout(resolve, leaveMs).unref())
    const there = members.filter((member) => member !== undefined)
    const left = there.map(({ connection, gone }) => {
      connection.send({ type: 'leave', last: 1 })
      return gone
    })
    return Promise.race([Promise.all(left), late])
  }

  try {
    const there = Array.from({ length: servers }, (_, server) => server)
    const missing = there.filter((server) => found !== undefined && found.servers[server] === undefined)
    // Those that are there first: of a trainer that lives the others must not be replaced.
    await Promise.all(
      there.filter((server) => !missing.includes(server)).map((server) => enlist(server, found ? 'found' : 'first')),
    )
    await Promise.all(missing.map(enlistLost))
    announce()
    // Not before, as what is there first becomes a server; and for r = 0 nobody could take a place.
    if (r > 0) places.refill()
  } catch (error) {
    // A run that could not be taken up goes on without this trainer.
    if (found !== undefined) stop()
    await close()
    throw error
  }
  const pause = (server: number): void => members[server]?.place.pause?.()
  return {
    send(server, message) {
      const member = members[server]
      if (member?.dead === false && !member.isolated) member.connection.send(message)
    },
    // Whoever is elsewhere loses its part in the run.
    kill(server) {
      const member = members[server]
      member?.place.kill()
      if (member !== undefined && member.place.pause === undefined) died(server, member)
    },
    ...(members.every((member) => member?.place.pause !== undefined) ? { pause } : {}),
    isolate(server) {
      const member = members[server]
      if (member !== undefined) member.isolated = true
    },
    recovering: (server) => members[server]?.dead === false && members[server].missing > 0,
    ...(found === undefined ? {} : { takenUp: { highest: found.highest, push: found.push } }),
    seat: (node) => ({
      node,
      epoch,
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

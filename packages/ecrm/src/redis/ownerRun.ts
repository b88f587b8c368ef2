// The owners of one run's Redis nodes, in a process of their own: `ecrm shard`, or one that the trainer starts. The trainer has
// a connection to it for each server and says which node that is; the rows, and all that must outlive this process, are on the nodes.
import { FtError, isFtError } from '@ft/core'
import { createCode } from '../codes/code.ts'
import type { TlsAuthority, TlsFiles } from '../network/address.ts'
import type { Connection } from '../network/connection.ts'
import type { SweepOptions } from '../network/members.ts'
import { heartbeatsFor } from '../network/patience.ts'
import type { Refusal } from '../network/refusals.ts'
import type { Node, ShardRun } from '../network/shardRun.ts'
import type { Message, MessageOf } from '../shard/messages.ts'
import { unpackSpec } from '../shard/spec.ts'
import { packText, unpackText } from '../shard/text.ts'
import { adoptRows } from './adopt.ts'
import type { Fleet } from './fleet.ts'
import { createLock } from './lock.ts'
import type { RedisClass } from './node.ts'
import { createOwner, type Owner } from './owner.ts'
import { openPart, type Part, type Run } from './part.ts'
import { shapesOf } from './records.ts'
import { createServerRows } from './rows.ts'
import { createSweep, type Sweep } from './sweep.ts'

/** What the trainer says of a node, as text of an `own`. */
export interface Posting {
  readonly address: string
  readonly keyspace: string
  readonly run: Run
  readonly generation: number
  readonly tls: TlsAuthority | TlsFiles | undefined
  readonly sweep: SweepOptions
  /** Milliseconds between heartbeats, and how many of them a node may miss. */
  readonly heartbeat: number
  readonly missed: number
}

/** Kinds of `own`: rows that are not there yet, rows as an earlier owner left them, and a server whose node is lost. */
export const seatKinds = { fresh: 0, adopted: 1, vacant: 2 } as const

/** @param load - the client of Redis nodes */
export function createOwnerRun(load: () => Promise<RedisClass>): ShardRun {
  const servers = new Map<Connection, number>()
  const connections: (Connection | undefined)[] = []
  const epochs: number[] = []
  let fleet: Fleet | undefined
  let owners: Owner[] = []
  let sweep: Sweep | undefined
  let heart: NodeJS.Timeout | undefined
  let ended = false
  /** Servers whose first `own` is not settled: until all are, nobody is answered. */
  let unsettled = new Set<number>()
  const opened: { server: number; epoch: number }[] = []

  const say = (server: number, message: Message): void => connections[server]?.send(message)

  function begin(message: MessageOf<'own'>, { sweep: pace, heartbeat, missed }: Posting): Fleet {
    const spec = unpackSpec(message.spec)
    const { layout, r } = spec
    const made: Fleet = {
      spec,
      shapes: shapesOf(spec),
      code: r === 0 ? undefined : createCode(spec),
      parts: new Array<Part | undefined>(layout.servers).fill(undefined),
      rows: Array.from({ length: layout.servers }, () => createServerRows(layout)),
      lock: createLock(),
      gaveUp(server, ids) {
        for (const id of ids) made.rows[server]!.unrecoverable.push(id)
        if (ids.length > 0) say(server, { type: 'gaveUp', rows: Uint32Array.from(ids) })
      },
    }
    unsettled = new Set(made.rows.keys())
    const recovery = (sweep = createSweep(made, pace))
    owners = made.rows.map((_, server) =>
      createOwner({
        fleet: made,
        server,
        recover: (locals) => recovery.recover(server, locals),
        degraded: () => recovery.wake(),
        send: (answer) => ended || say(server, answer),
      }),
    )
    heart = setInterval(() => {
      made.parts.forEach((part, server) => {
        if (part === undefined) return
        const others = made.rows.filter(({ missing }, other) => other !== server && missing > 0).length
        if (part.silent++ < heartbeatsFor({ missed, others, r })) part.ping().catch(() => undefined)
        else
          lose(
            server,
            new FtError('DEADLINE_EXCEEDED', `openShards: the node of server ${server} is silent`, { server }),
          )
      })
    }, heartbeat)
    return made
  }

  /** A node is of no use any more: the trainer finds another. */
  function lose(server: number, cause: unknown): void {
    const part = fleet!.parts[server]
    if (part === undefined) return
    fleet!.parts[server] = undefined
    fleet!.rows[server]!.loseAll()
    part.drop()
    if (unsettled.size === 0) disown(server, epochs[server]!, cause)
  }

  function disown(server: number, epoch: number, cause: unknown): void {
    const { message, details = {} } = cause as Error & { details?: Readonly<Record<string, unknown>> }
    const code = isFtError(cause) ? cause.code : 'IO'
    say(server, { type: 'disowned', epoch, error: packText(JSON.stringify({ code, message, details })) })
  }

  async function own(message: MessageOf<'own'>, connection: Connection): Promise<void> {
    const { server, epoch, life, kind } = message
    const posting = JSON.parse(unpackText(message.posting)) as Posting
    servers.set(connection, server)
    connections[server] = connection
    epochs[server] = epoch
    fleet ??= begin(message, posting)
    const { shapes, parts, rows } = fleet
    const before = parts[server]
    parts[server] = undefined
    before?.drop()
    // The rows of the first life are right as zeros; those of a later one come back from the others.
    if (kind === seatKinds.vacant || (kind === seatKinds.fresh && epoch > 1)) rows[server]!.loseAll()
    const { unrecoverable } = rows[server]!
    // One by one: there can be more than a call takes arguments.
    if (unrecoverable.length === 0) for (const id of message.lost) unrecoverable.push(id)
    if (kind !== seatKinds.vacant) {
      let mine: Part | undefined
      try {
        const timeout = posting.heartbeat * posting.missed
        let lostEarly: unknown
        const lost = (cause: unknown): void => {
          lostEarly = cause ?? true
          if (mine !== undefined && parts[server] === mine) lose(server, cause)
        }
        const adopt = kind === seatKinds.adopted
        const part = await openPart({
          ...posting,
          Client: await load(),
          timeout,
          shapes,
          server,
          epoch,
          life,
          adopt,
          lost,
        })
        mine = part
        if (lostEarly !== undefined) throw lostEarly as Error
        if (ended || epochs[server] !== epoch) return part.drop()
        parts[server] = part
        opened.push({ server, epoch })
      } catch (cause) {
        if (ended || epochs[server] !== epoch) return
        if (kind === seatKinds.adopted) rows[server]!.loseAll()
        disown(server, epoch, cause)
      }
    }
    await settle(server, life)
  }

  /** Whether rows are taken over is the same for all servers of an owner's first round. */
  async function settle(server: number, life: number): Promise<void> {
    if (unsettled.size > 0) {
      unsettled.delete(server)
      if (unsettled.size > 0) return
      if (life > 1) {
        unsettled.add(-1)
        await adoptRows(fleet!, owners)
        unsettled.delete(-1)
      }
    }
    if (ended || unsettled.size > 0) return
    for (const one of opened.splice(0)) {
      if (epochs[one.server] !== one.epoch) continue
      if (fleet!.parts[one.server] !== undefined) say(one.server, { type: 'owned', epoch: one.epoch })
      else disown(one.server, one.epoch, new Error('it was lost while its rows were taken over'))
    }
    if (fleet!.rows.some(({ missing }) => missing > 0)) sweep!.wake()
  }

  async function leave(last: boolean): Promise<void> {
    sweep?.stop()
    const erase = async (part: Part | undefined): Promise<void> => part?.erase({ owner: last })
    // A node that is lost has nothing that counts.
    await Promise.allSettled((fleet?.parts ?? []).map(erase))
    end()
  }

  function end(): void {
    if (ended) return
    ended = true
    clearInterval(heart)
    sweep?.stop()
    for (const part of fleet?.parts ?? []) part?.drop()
    for (const connection of servers.keys()) connection.end()
  }

  return {
    get started() {
      return fleet !== undefined
    },
    greet: () => undefined,
    take(_from: Node, message: Message, connection: Connection): Refusal | undefined {
      if (message.type === 'own') {
        own(message, connection).catch(() => connection.drop())
        return undefined
      }
      const server = servers.get(connection)
      if (server === undefined || fleet === undefined) return 'run'
      if (message.type === 'leave') void leave(message.last === 1)
      else if (message.type === 'ping') {
        const { missing, unrecoverable } = fleet.rows[server]!
        connection.send({ type: 'pong', missing, unrecoverable: unrecoverable.length })
      } else owners[server]!.receive(message)
      return undefined
    },
    // A trainer that loses one of its connections begins again with all of them.
    gone: (_from, connection) => servers.has(connection),
    end,
  }
}

// Shards in processes of their own on this machine: started, watched, replaced when they die.
import { connect } from 'node:net'
import { FtError } from '@ft/core'
import type { Message } from '../shard/messages.ts'
import { packSpec, type ResolvedSpec } from '../shard/spec.ts'
import type { Cluster, ClusterEvents } from './cluster.ts'
import { carryMessages, type Connection } from './connection.ts'
import { startShardChild, type ShardChild } from './shardChild.ts'

export interface SweepOptions {
  /** Rows that a replaced server recovers in one step. */
  readonly stripes: number
  /** Least milliseconds between steps. */
  readonly pause: number
  /** The part of the time that steps may take, in (0, 1]: what is left is between them. */
  readonly share: number
}

export interface ProcessOptions {
  readonly sweep: SweepOptions
  /** Milliseconds between heartbeats. */
  readonly heartbeat: number
  /** Heartbeats without any sign of life after which a server is dead. */
  readonly missed: number
  /** Processes that stand by, so that a replacement need not be started. */
  readonly spares: number
}

interface Member {
  readonly child: ShardChild
  readonly connection: Connection
  readonly port: number
  readonly incarnation: number
  /** Heartbeats since its last word. */
  silent: number
  /** Rows that it had not yet recovered when it last said so. */
  missing: number
  dead: boolean
  isolated: boolean
}

/** A server that is only silent gets this many times longer while its loss would be one too many. */
const patience = 10

/** A replacement that dies while it starts is replaced in its turn, this often. */
const attempts = 5

export async function startProcesses(spec: ResolvedSpec, events: ClusterEvents, o: ProcessOptions): Promise<Cluster> {
  const { servers, r } = spec.layout
  const control = servers
  const token = crypto.getRandomValues(new Uint32Array(4))
  const words = packSpec({ ...spec })
  const children = new Set<ShardChild>()
  const spares: ShardChild[] = []
  const members = new Array<Member | undefined>(servers).fill(undefined)
  const lives = new Array<number>(servers).fill(0)
  let closed = false

  function startChild(): ShardChild {
    const child = startShardChild(token)
    children.add(child)
    void child.ended.then(() => children.delete(child))
    return child
  }

  /** Makes a process the server; resolves when it has its memory and answers. */
  async function enlist(server: number, lost: boolean): Promise<void> {
    const child = spares.shift() ?? startChild()
    const port = await child.port
    const incarnation = ++lives[server]!
    await new Promise<void>((resolve, reject) => {
      const gone = (): void => {
        reject(new FtError('IO', `openShards: the process of server ${server} ended while it started`, { server }))
        if (members[server] === member) died(server, member)
      }
      const connection = carryMessages(connect(port, '127.0.0.1'), {
        message(message) {
          if (member.dead || member.isolated) return
          members[server] = member
          resolve()
          member.silent = 0
          if (message.type === 'pong') member.missing = message.missing
          else events.message(server, message)
        },
        closed: gone,
      })
      const fresh = { silent: 0, missing: Infinity, dead: false, isolated: false }
      const member: Member = { child, connection, port, incarnation, ...fresh }
      void child.ended.then(gone)
      connection.send({ type: 'hello', node: control, incarnation: 1, port: 0, token })
      connection.send({ type: 'start', server, incarnation, lost: lost ? 1 : 0, spec: words })
      connection.send({ type: 'sweep', ...o.sweep, share: Math.max(1, Math.round(o.sweep.share * 1000)) })
      connection.send({ type: 'ping' })
    })
  }

  function announce(): void {
    const news: Message = {
      type: 'members',
      incarnations: Uint32Array.from(members, (member) => member?.incarnation ?? 0),
      ports: Uint32Array.from(members, (member) => member?.port ?? 0),
    }
    for (const member of members) member?.connection.send(news)
  }

  /** One way to die, whoever noticed: the process's end, its connection's, or silence. */
  function died(server: number, member: Member): void {
    if (member.dead || closed) return
    member.dead = true
    member.connection.drop()
    // A process that only hangs must not come back to life.
    member.child.kill('SIGKILL')
    if (r === 0) {
      events.failed(
        new FtError(
          'UNRECOVERABLE',
          `openShards: server ${server} died and r is 0; open with r = 1 or restore a checkpoint`,
          {
            server,
          },
        ),
      )
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
        if (attempt === attempts || closed) throw error
      }
    }
    if (closed) return
    announce()
    events.renewed(server)
    while (spares.length < o.spares) spares.push(startChild())
  }

  const heart = setInterval(() => {
    // A slow server is not a dead one. Taking it for dead costs nothing while the code can bear it, and rows when not.
    const degraded = members.filter((member) => member === undefined || member.dead || member.missing > 0).length
    members.forEach((member, server) => {
      if (member === undefined || member.dead) return
      const others = degraded - (member.missing > 0 ? 1 : 0)
      if (member.silent++ >= o.missed * (others >= r ? patience : 1)) died(server, member)
      else member.connection.send({ type: 'ping' })
    })
  }, o.heartbeat)

  async function close(): Promise<void> {
    if (closed) return
    closed = true
    clearInterval(heart)
    for (const member of members) member?.connection.drop()
    const ending = [...children]
    for (const child of ending) child.kill('SIGKILL')
    await Promise.all(ending.map(({ ended }) => ended))
  }

  try {
    for (let i = 0; i < servers + o.spares; i++) spares.push(startChild())
    await Promise.all(Array.from({ length: servers }, (_, server) => enlist(server, false)))
    announce()
  } catch (error) {
    await close()
    throw error
  }
  return {
    send(server, message) {
      const member = members[server]
      if (member?.dead === false && !member.isolated) member.connection.send(message)
    },
    kill: (server) => members[server]?.child.kill('SIGKILL'),
    pause: (server) => members[server]?.child.kill('SIGSTOP'),
    isolate(server) {
      const member = members[server]
      if (member !== undefined) member.isolated = true
    },
    close,
  }
}

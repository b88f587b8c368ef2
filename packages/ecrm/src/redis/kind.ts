// Rows on Redis or Valkey nodes as a kind of servers. The owners of the nodes are here, in the trainer.
import { FtError } from '@ft/core'
import { createCode } from '../codes/code.ts'
import type { TlsAuthority, TlsFiles } from '../network/address.ts'
import { assignShards, checkDistinct, parseShard, type Assignment, type RemoteShard } from '../network/assignment.ts'
import type { Cluster, ClusterEvents, ClusterKind } from '../network/cluster.ts'
import type { MemberOptions } from '../network/members.ts'
import type { ResolvedSpec } from '../shard/spec.ts'
import type { Fleet } from './fleet.ts'
import { createLock } from './lock.ts'
import { checkNode, nameOf } from './node.ts'
import { claimNodes } from './nodes.ts'
import { createOwner } from './owner.ts'
import { openPart, type Part, type Run } from './part.ts'
import { shapesOf } from './records.ts'
import { createServerRows } from './rows.ts'
import { createSweep } from './sweep.ts'

export interface RedisOptions extends MemberOptions {
  readonly nodes: readonly RemoteShard[]
  /** Of the keys. */
  readonly name: string
  readonly tls: TlsAuthority | TlsFiles | undefined
  /** Milliseconds in which a lost node must come back, or one that stands by take its place. */
  readonly patience: number
}

/** What all sets of servers of a run share. */
interface Shared {
  run: Run | undefined
  readonly claimed: Set<string>
  generations: number
  open: number
}

const retryMs = 200
const longSuffering = 10

/** The first `servers` nodes of the list hold rows, the others stand by. */
export function redisKind(
  options: RedisOptions,
  shared: Shared = { run: undefined, claimed: new Set(), generations: 0, open: 0 },
): ClusterKind {
  const { nodes } = options
  for (const { address } of nodes) checkNode(address)
  checkDistinct(nodes, 'redis')
  let assignment: Assignment | undefined
  const others = (server = -1): RemoteShard[] => (assignment?.assigned ?? []).filter((_, i) => i !== server)
  return {
    start(spec, events) {
      const { servers, k, r } = spec.layout
      if (nodes.length < servers)
        throw new FtError(
          'INVALID_ARGUMENT',
          `openShards: \`redis\` must name ${servers} nodes, got ${nodes.length}; start more, or lower k or \`servers\``,
          { servers, nodes: nodes.length },
        )
      assignment = assignShards(nodes, { servers, window: k + r })
      return startRedis(spec, events, { ...options, assignment, shared })
    },
    grown(address) {
      const added = address === undefined ? [] : [parseShard(address)]
      return redisKind({ ...options, nodes: [...others(), ...added, ...(assignment?.spares ?? [])] }, shared)
    },
    shrunk: (server) => redisKind({ ...options, nodes: [...others(server), ...(assignment?.spares ?? [])] }, shared),
  }
}

async function startRedis(
  spec: ResolvedSpec,
  events: ClusterEvents,
  o: RedisOptions & { readonly assignment: Assignment; readonly shared: Shared },
): Promise<Cluster> {
  const { shared, assignment } = o
  const { servers, r } = spec.layout
  const how = { tls: o.tls, timeout: o.heartbeat * o.missed }
  const keyspace = `ftecrm:${o.name}`
  const unclaimed = o.nodes.filter(({ address }) => !shared.claimed.has(address))
  shared.run = await claimNodes(
    unclaimed.map(({ address }) => ({ address, ...how })),
    { keyspace, run: shared.run },
  )
  const { run } = shared
  for (const { address } of unclaimed) shared.claimed.add(address)
  shared.open++
  const generation = ++shared.generations
  const fleet: Fleet = {
    spec,
    shapes: shapesOf(spec),
    code: r === 0 ? undefined : createCode(spec),
    parts: new Array<Part | undefined>(servers).fill(undefined),
    rows: Array.from({ length: servers }, () => createServerRows(spec.layout)),
    lock: createLock(),
  }
  const lives = new Array<number>(servers).fill(0)
  let closed = false
  const sweep = createSweep(fleet, o.sweep)
  const owners = fleet.rows.map((_, server) =>
    createOwner({
      fleet,
      server,
      recover: (locals) => sweep.recover(server, locals),
      degraded: () => sweep.wake(),
      send: (message) => closed || events.message(server, message),
    }),
  )

  async function enlist(server: number): Promise<void> {
    const { address } = assignment.take(server)
    const epoch = ++lives[server]!
    let lostEarly: unknown
    const lost = (cause: unknown): void => {
      lostEarly = cause ?? true
      if (fleet.parts[server] === part) died(server, cause)
    }
    const { shapes } = fleet
    let part: Part | undefined
    try {
      part = await openPart({ address, ...how, shapes, keyspace, run, generation, server, epoch, lost })
    } catch (cause) {
      throw refusal(cause, { server, address })
    }
    if (lostEarly !== undefined) throw refusal(lostEarly, { server, address })
    if (closed) part.drop()
    else fleet.parts[server] = part
  }

  function died(server: number, cause: unknown): void {
    const part = fleet.parts[server]
    if (closed || part === undefined) return
    fleet.parts[server] = undefined
    fleet.rows[server]!.loseAll()
    part.drop()
    if (r === 0) {
      const text = `openShards: the node of server ${server} is lost and r is 0; open with r = 1 or restore a checkpoint`
      events.failed(new FtError('UNRECOVERABLE', text, { server }, { cause }))
      return
    }
    replace(server).catch((error: unknown) => !closed && events.failed(error as FtError))
  }

  async function replace(server: number): Promise<void> {
    const attempts = Math.max(1, Math.ceil(o.patience / retryMs))
    for (let attempt = 1; !closed; attempt++) {
      try {
        await enlist(server)
        break
      } catch (cause) {
        if ((cause as FtError).code === 'ABORTED') throw cause
        if (attempt >= attempts) {
          const text = `openShards: no node takes the place of server ${server}; ${(cause as Error).message}`
          throw new FtError('UNRECOVERABLE', text, { server }, { cause })
        }
        await new Promise((resolve) => setTimeout(resolve, retryMs))
      }
    }
    if (closed) return
    events.renewed(server)
    sweep.wake()
  }

  const heart = setInterval(() => {
    // A slow node is not a dead one: see members.ts.
    fleet.parts.forEach((part, server) => {
      if (part === undefined) return
      const others = fleet.rows.filter(({ missing }, other) => other !== server && missing > 0).length
      if (part.silent++ < o.missed * (others >= r ? longSuffering : 1)) part.ping().catch(() => undefined)
      else
        died(server, new FtError('DEADLINE_EXCEEDED', `openShards: the node of server ${server} is silent`, { server }))
    })
  }, o.heartbeat)

  async function close(): Promise<void> {
    if (closed) return
    closed = true
    clearInterval(heart)
    sweep.stop()
    const owner = --shared.open === 0
    const late = new Promise((resolve) => setTimeout(resolve, how.timeout).unref())
    const erased = fleet.parts.map((part) => part?.erase({ owner }).catch(() => undefined) ?? Promise.resolve())
    await Promise.race([late, Promise.all(erased)])
    for (const part of fleet.parts) part?.drop()
    fleet.parts.fill(undefined)
  }

  try {
    await Promise.all(Array.from({ length: servers }, (_, server) => enlist(server)))
  } catch (error) {
    await close()
    throw error
  }
  return {
    send(server, message) {
      if (!closed) owners[server]!.receive(message)
    },
    // The node itself is not this trainer's to end: it loses its part in the run.
    kill: (server) => died(server, undefined),
    close,
  }
}

/** Why a node is not what it should be, in words. */
function refusal(cause: unknown, at: { server: number; address: string }): FtError {
  const { message, code } = cause as Error & { code?: string }
  const name = nameOf(at.address)
  const details = { server: at.server, address: name }
  if (message?.startsWith('FTOWNED'))
    return new FtError(
      'ABORTED',
      `openShards: a later run of the same \`name\` has taken ${name} over; nothing more is written`,
      details,
      { cause },
    )
  if (code === 'MISSING_PEER' || code === 'UNSUPPORTED') return cause as FtError
  return new FtError('IO', `openShards: ${name} cannot hold rows of server ${at.server}: ${message}`, details, {
    cause,
  })
}

// Rows on Redis or Valkey nodes as a kind of servers: the trainer says which node is which server, and an owner in a process of
// its own reads and writes them. When that dies, another takes the nodes over as they are.
import { FtError } from '@ft/core'
import { secrets, type TlsAuthority, type TlsFiles } from '../network/address.ts'
import { assignShards, checkDistinct, parseShard, type Assignment, type RemoteShard } from '../network/assignment.ts'
import type { Cluster, ClusterEvents, ClusterKind } from '../network/cluster.ts'
import type { MemberOptions } from '../network/members.ts'
import type { ResolvedSpec } from '../shard/spec.ts'
import { createEmployer, type OwnerPlaces, type Seat } from './employer.ts'
import { loadRedis } from './load.ts'
import { checkNode, nameOf } from './node.ts'
import { claimNodes } from './nodes.ts'
import type { Run } from './part.ts'

export interface RedisOptions extends MemberOptions {
  readonly nodes: readonly RemoteShard[]
  /** Of the keys. */
  readonly name: string
  readonly tls: TlsAuthority | TlsFiles | undefined
  /** Milliseconds in which a lost node must come back, or one that stands by take its place. */
  readonly patience: number
  /** Where owners are. */
  owners(): OwnerPlaces
}

/** What all sets of servers of a run share. */
interface Shared {
  run: Run | undefined
  readonly claimed: Set<string>
  generations: number
  open: number
}

const retryMs = 200
/** In ms: what takes away the keys of a run that is over is not given less, whatever the heartbeat. */
const leaveMs = 2_000

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
    // Rows end with the run: there is nothing that a next trainer could take up.
    keeps: false,
    // A push's notes take the place of the one's before.
    underWay: 1,
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
  const how = { Client: await loadRedis(), tls: o.tls, timeout: o.heartbeat * o.missed }
  const keyspace = `ftecrm:${o.name}`
  const unclaimed = o.nodes.filter(({ address }) => !shared.claimed.has(address))
  shared.run = await claimNodes(
    unclaimed.map(({ address }) => ({ address, ...how })),
    { keyspace, run: shared.run },
  )
  for (const { address } of unclaimed) shared.claimed.add(address)
  shared.open++
  const { sweep, heartbeat, missed } = o
  const tls = o.tls === undefined ? undefined : asText(o.tls)
  const posting = { keyspace, run: shared.run, generation: ++shared.generations, sweep, heartbeat, missed, tls }
  /** The node of each server; undefined while a lost one is replaced. */
  const seats = new Array<Seat | undefined>(servers).fill(undefined)
  const epochs = new Array<number>(servers).fill(0)
  let closed = false
  const employer = createEmployer({
    spec,
    posting,
    seats,
    places: o.owners(),
    heartbeat,
    missed,
    retry: retryMs,
    attempts: Math.max(1, Math.ceil(o.patience / retryMs)),
    message: (server, message) => closed || events.message(server, message),
    resumed: (server) => closed || events.resumed(server),
    lost: died,
    failed: (error) => closed || events.failed(error),
  })

  async function enlist(server: number): Promise<void> {
    const { address } = assignment.take(server)
    const seat = { address, epoch: ++epochs[server]! }
    try {
      await employer.seat(server, seat)
    } catch (cause) {
      throw refusal(cause, { server, address })
    }
    seats[server] = seat
  }

  /** One way for a node to be lost, whoever noticed. */
  function died(server: number, cause: unknown): void {
    if (closed || seats[server] === undefined) return
    seats[server] = undefined
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
    if (!closed) events.renewed(server)
  }

  async function close(): Promise<void> {
    if (closed) return
    closed = true
    await employer.close({ last: --shared.open === 0, within: Math.max(leaveMs, how.timeout) })
  }

  try {
    await employer.begin()
    await Promise.all(Array.from({ length: servers }, (_, server) => enlist(server)))
  } catch (error) {
    await close()
    throw error
  }
  return {
    send(server, message) {
      if (seats[server] !== undefined) employer.send(server, message)
    },
    // The node itself is not this trainer's to end: it loses its part in the run.
    kill: (server) => died(server, undefined),
    close,
  }
}

/** Certificates as they travel to the owner. */
function asText(tls: TlsAuthority | TlsFiles): TlsAuthority | TlsFiles {
  return { ...secrets(tls), ...(tls.servername === undefined ? {} : { servername: tls.servername }) }
}

const ownersOwn: ReadonlySet<string> = new Set([
  'MISSING_PEER',
  'UNSUPPORTED',
  'INVALID_ARGUMENT',
  'VERSION_UNSUPPORTED',
])

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
  // What is said of the owner is not about a node.
  if (ownersOwn.has(code ?? '')) return cause as FtError
  return new FtError('IO', `openShards: ${name} cannot hold rows of server ${at.server}: ${message}`, details, {
    cause,
  })
}

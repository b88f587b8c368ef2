// The store of embedding rows: what a trainer sees of the shards.
import { FtError, assertInteger, assertNumber, assertOneOf, invalidArgument } from '@ft/core'
import type { PushOptions } from './client.ts'
import { checkShardNames } from './knownOptions.ts'
import type { Layout } from './layout.ts'
import type { ClusterKind, StartCluster } from './network/cluster.ts'
import { memoryKind } from './network/memory.ts'
import type { TlsAuthority, TlsFiles } from './network/address.ts'
import type { MemberOptions } from './network/members.ts'
import type { RemoteShard } from './network/assignment.ts'
import type { Lasting } from './network/remote.ts'
import type { OwnerPlaces } from './redis/employer.ts'
import type { OptimizerOptions } from './shard/optimizers.ts'
import { resolveOptions } from './resolveOptions.ts'
import { openStore } from './tables/openStore.ts'
import type { Protection, StoredTable } from './tables/places.ts'
import type { ScrubOptions, ScrubReport } from './scrub.ts'
import type { RowSet, Snapshot } from './snapshot.ts'
import type { KeptVersion } from './keptVersion.ts'

export interface EmbeddingTable {
  readonly rows: number
  /** Rows start uniform in [-scale, scale); default 1 / sqrt(rows), the DLRM's. */
  readonly scale?: number
  /**
   * 'encode' (default): rows are spread over the servers, with parity. 'replicate', for small hot tables: the trainer has them whole, as it
   * has the dense network, and no server can lose them; r + 1 servers have them in the versions that the trainer keeps (`keep`,
   * `replicateEvery` of `train`). The bits are the same either way. 'leave', for what can be computed again: rows are at the servers without
   * parity rows and differences; those of a server that dies start over, as they were before
   * their first update and at version 0, and `recovered` names them. `chooseProtection` tells which to take.
   */
  readonly protection?: Protection
}

export interface ShardOptions {
  /** Tables of one width, laid end to end: ids of the second begin where the first's end. */
  readonly tables: readonly EmbeddingTable[]
  /** Values a row. */
  readonly d: number
  /** Data rows a stripe; default 4. */
  readonly k?: number
  /** Servers that may be lost at once: 0 (unprotected), 1 (XOR), 2 (P + Q) or more (Cauchy factors; k + r up to 256); default 1. */
  readonly r?: number
  /** Default k + r. */
  readonly servers?: number
  /** Default Adagrad with learning rate 0.01. */
  readonly optimizer?: OptimizerOptions
  /** Of initial values and of the order of rows; default 0. */
  readonly seed?: number
  /** 'process': each shard in a process of its own on this machine. 'memory': in this thread. Default 'process'. */
  readonly where?: 'process' | 'memory'
  /**
   * 'sync' (default): a push resolves when its differences are at every parity; nothing acknowledged is lost with up to r
   * servers. 'async': at once; a server's death can lose what its peers had not yet applied, at most `logBytes` a peer.
   */
  readonly acknowledgement?: 'sync' | 'async'
  /** Most bytes of unacknowledged differences to a peer before pushes wait; default 64 MiB. */
  readonly logBytes?: number
  /**
   * Recovery in the background, rows that were updated most first, as many as fit between a trainer's rows and its next
   * request. Most rows a step (default 1,024); the part of the time that steps take at most beside training (0.08; on Redis nodes 512 and 0.12), a quarter of
   * which they take where trainers leave none, so that recovery ends; and least milliseconds between those (5). More of the time
   * makes recovery shorter and training slower meanwhile. Rows that are asked for never wait for it.
   */
  readonly sweep?: { readonly stripes?: number; readonly pause?: number; readonly share?: number }
  /** Failure detection; default a heartbeat every 100 ms, dead after 5 without an answer. */
  readonly heartbeat?: { readonly interval?: number; readonly missed?: number }
  /** Processes that stand by; default 1. With `shards` those beyond `servers` do. */
  readonly spares?: number
  /**
   * Where shards run elsewhere, started with `npx @ft/ecrm shard --listen host:port --token-file file`: `'host:port'`, or with
   * what a shard dies with, `{ address, domain }`. No two rows of a stripe are then in one domain. `servers` is by default
   * their number.
   */
  readonly shards?: readonly (string | RemoteShard)[]
  /** The secret of those shards, or of `owners`. */
  readonly token?: string
  /**
   * Rows on Redis or Valkey nodes: `'host:port'` or `redis://` URLs, or with what a node dies with, `{ address, domain }`. The first
   * `servers` of them hold rows (by default all), the others stand by. Needs the package ioredis. A process that is started here
   * reads and writes them; its death loses nothing.
   */
  readonly redis?: readonly (string | RemoteShard)[]
  /**
   * Where that process runs instead: `'host:port'` of `npx @ft/ecrm shard --listen host:port --token-file file`. The first of the
   * list owns the nodes, the next takes them over when it dies or falls silent. What it must know, passwords in URLs included,
   * is sent to it: encrypted only where `tls` has `cert` and `key`.
   */
  readonly owners?: readonly string[]
  /**
   * Of the run. On Redis nodes it is in their keys, default 'default', and whoever opens it later takes the nodes over. With `shards` the
   * run then outlives this process: when it dies, its shards keep rows and the versions that it kept, and wait for who resumes it.
   */
  readonly name?: string
  /** Takes up the run of this `name` at `shards`, with the same options; an earlier trainer that still lives is cut off. Default false. */
  readonly resume?: boolean
  /** Milliseconds that shards of a run with a `name` wait for the next trainer; default 600,000. */
  readonly linger?: number
  /**
   * Certificates: connections to shards elsewhere and between them, or to Redis nodes, are then encrypted. Redis nodes that ask
   * for none need the authority alone; those named `rediss://` without this option must be known to the system's authorities.
   */
  readonly tls?: TlsAuthority | TlsFiles
  /** Milliseconds that a dead shard or node elsewhere has to come back, or one that stands by to take its place; default 30,000. */
  readonly patience?: number
}

/** What one server counts since its process began. */
export interface ServerReport {
  /** Data and parity rows still to be recovered. */
  readonly missingRows: number
  /** Bytes of data rows, state and versions. */
  readonly dataBytes: number
  /** Bytes of parity rows and the versions they contain. */
  readonly parityBytes: number
  readonly pulledRows: number
  readonly pushedRows: number
  /** Differences sent to parity, and their bytes with heads. */
  readonly deltaRows: number
  readonly deltaBytes: number
  readonly unacknowledgedBytes: number
  readonly mostUnacknowledgedBytes: number
  /** Updates applied here, a push each, whose differences are not yet at every parity. */
  readonly unacknowledgedBatches: number
  /** Data and parity rows that were decoded or encoded anew. */
  readonly recoveredRows: number
  /** Of its process, user and system; 0 in memory. */
  readonly cpuSeconds: number
}

export interface ShardStore {
  /** Where rows at the servers are: its ids count these alone, table after table, those of tables without parity last. */
  readonly layout: Layout
  /** Rows of all tables. */
  readonly rows: number
  readonly tables: readonly StoredTable[]
  readonly d: number
  /** Words of a row with its optimizer state. */
  readonly width: number
  /** First id of each table. */
  readonly offsets: readonly number[]
  /** Servers replaced so far. */
  readonly replacements: number
  /** Whether the servers outlive this process, for a trainer that resumes the run. */
  readonly lasting: boolean
  /**
   * Reads rows.
   *
   * @param into - where they go, `[ids.length, d]`, of no use when it rejects; left out: a new array
   * @returns `[ids.length, d]`
   * @throws FtError `INVALID_ARGUMENT` for ids out of range, `SHAPE_MISMATCH`, `UNRECOVERABLE` when the cluster cannot go on
   */
  pull(ids: Uint32Array, into?: Float32Array): Promise<Float32Array>
  /**
   * Says which rows are read next, so that servers that lost some decode them while the caller is busy: otherwise a pull of lost rows
   * waits until they are decoded. A hint, which changes no bit; `ids` is called only while rows are missing, and may repeat itself.
   *
   * @throws FtError `INVALID_ARGUMENT` for ids out of range
   */
  expect(ids: () => Uint32Array): void
  /**
   * Applies the optimizer to rows. Ids should be distinct; a repeated id is updated once a mention.
   *
   * @param gradients - `[ids.length, d]`
   * @throws FtError `INVALID_ARGUMENT` when an id is out of range or a gradient is not finite: then nothing is applied;
   * `SHAPE_MISMATCH`, `UNRECOVERABLE`
   */
  push(ids: Uint32Array, gradients: Float32Array, options?: PushOptions): Promise<void>
  /** Reads every row, after the pushes under way. Recovers rows that are missing. `mark`: for `changed`. */
  snapshot(options?: { readonly mark?: boolean }): Promise<Snapshot>
  /** Reads the rows that changed since the latest `snapshot({ mark: true })`; all when there was none. */
  changed(): Promise<RowSet>
  /**
   * Makes rows those of a snapshot, optimizer state included: all, or the ids given, as after a loss that was too large.
   * Versions only grow: a restored row's is at least the snapshot's.
   *
   * @throws FtError `SHAPE_MISMATCH` when the snapshot is of other tables, `INVALID_ARGUMENT` for ids out of range
   */
  restore(snapshot: Snapshot, ids?: Iterable<number>): Promise<void>
  /**
   * Computes every stripe's parity again and compares: bits that changed in memory are found. While training goes on.
   *
   * @throws FtError `UNSUPPORTED` when r = 0: nothing is there to compare with; `ABORTED`
   */
  scrub(options?: ScrubOptions): Promise<ScrubReport>
  /** Flips one bit of a row (position below k) or of a parity row, to see that a scrub finds it. */
  flipBit(at: FlippedBit): Promise<void>
  report(): Promise<ServerReport[]>
  /**
   * Resolves when every row of every server is recovered, and what is kept is where it belongs; to the ids that could not be and started
   * over: of more than r servers lost at once, of tables without parity, and of replicated tables when a run is taken up that kept no version.
   */
  recovered(): Promise<number[]>
  /**
   * Adds a server while training goes on: opens as many servers and one more, moves the rows there piece by piece, and ends
   * those they came from. Bit for bit, versions included. Memory while it lasts: that of both. Snapshots wait for it.
   *
   * @param address - where the new server is, for stores that do not start their servers; the others need none
   * @throws FtError `UNSUPPORTED`, `IO` when the servers cannot be opened: then nothing has changed; `UNRECOVERABLE`
   */
  addServer(address?: string): Promise<void>
  /**
   * Takes a server away while training goes on, in the same way; those behind it move up by one.
   *
   * @throws FtError `INVALID_ARGUMENT` when fewer than k + r servers would be left, else as `addServer`
   */
  drain(server: number): Promise<void>
  /**
   * Keeps what a trainer must have again when it dies, at r + 1 servers: the dense network of a step, and the push that follows on it.
   * Whole versions; a later one takes the place of the one before when it is whole itself. One that is replaced gets the latest.
   *
   * Cost: (r + 1) x (arrays + push) bytes, and the answer of the slowest of them.
   *
   * @throws FtError `UNSUPPORTED` for a push of too many rows to be kept, `UNRECOVERABLE`
   */
  keep(version: KeptVersion): Promise<void>
  /**
   * The newest version that any server has whole: at least the latest that `keep` resolved for, if no more than r servers were lost
   * since. Its push has been applied when this resolves, once, whoever sent it before. Undefined when there is none. Replicated tables of
   * a run that is taken up are those of the version and its push from the start.
   */
  kept(): Promise<KeptVersion | undefined>
  /** Ends a server at once (SIGKILL), to see that it does not matter. */
  kill(server: number): void
  /** Stops a server's process (SIGSTOP), as a hung machine would be. `UNSUPPORTED` in memory. */
  pause(server: number): void
  /** Loses everything between the trainer and a server, as a broken network would. `UNSUPPORTED` in memory. */
  isolate(server: number): void
  close(): Promise<void>
}

/** A bit of a stripe's row: `word` below the row's width, `bit` below 32. */
export interface FlippedBit {
  readonly stripe: number
  readonly position: number
  readonly word: number
  readonly bit: number
}

/**
 * Starts the shards of a run.
 *
 * Memory: (1 + r / k) x rows x (d + state) x 4 bytes, 4 bytes of version a row and 4 k a parity row.
 * Shards of one machine share its fate: this protects against processes that die.
 *
 * @throws FtError `INVALID_ARGUMENT`, `IO` when a process cannot be started
 */
export async function openShards(options: ShardOptions): Promise<ShardStore> {
  checkShardNames(options)
  const { where = 'process', spares = 1 } = options
  assertOneOf(where, { where: 'openShards', argument: 'where', values: ['process', 'memory'] })
  assertInteger(spares, { where: 'openShards', argument: 'spares', min: 0, max: 64 })
  const resolved = resolveOptions(options)
  const { sweep } = resolved
  if (options.shards === undefined && (options.resume === true || options.linger !== undefined)) {
    const text = 'openShards: only a run at `shards` elsewhere outlives its trainer; the others end with it'
    throw new FtError('UNSUPPORTED', text, {})
  }
  const timing: MemberOptions = { sweep, ...heartbeatOf(options) }
  if (options.redis !== undefined) return openStore(resolved, await redisNodes(options, timing))
  if (options.shards !== undefined) return openStore(resolved, await remoteKind(options, timing))
  return openStore(resolved, where === 'memory' ? memoryKind(sweep) : processKind(spares, timing))
}

/** Shards in processes that are started here. */
function processKind(spares: number, timing: MemberOptions): ClusterKind {
  const start: StartCluster = async (spec, events) => {
    // Processes need Node: loaded when asked for.
    const { startProcesses } = await import('./network/processes.ts')
    return startProcesses(spec, events, { ...timing, spares })
  }
  const kind: ClusterKind = { start, grown: () => kind, shrunk: () => kind }
  return kind
}

async function remoteKind(options: ShardOptions, timing: MemberOptions): Promise<ClusterKind> {
  const { token, tls } = options
  const at = { where: 'openShards' }
  const { named, patience } = placesOf(options, 'shards')
  if (typeof token !== 'string' || token === '')
    throw invalidArgument({ ...at, argument: 'token' }, 'the secret that the shards were started with', typeof token)
  if (tls !== undefined && !('cert' in tls && 'key' in tls))
    throw invalidArgument({ ...at, argument: 'tls' }, 'given with `cert` and `key`, which shards ask for', 'ca alone')
  const remote = await import('./network/remote.ts')
  return remote.remoteKind({ ...timing, shards: named, token, tls, patience, lasting: lastingOf(options) })
}

/** Of a run at shards elsewhere: whether it outlives its trainer. */
function lastingOf({ name, resume = false, linger = 600_000 }: ShardOptions): Lasting | undefined {
  const at = { where: 'openShards' }
  if (name === undefined && !resume) return undefined
  checkName(name)
  assertInteger(linger, { ...at, argument: 'linger', min: 1, max: 2 ** 31 - 1 })
  return { name: name!, linger, resume }
}

function checkName(name: unknown): void {
  if (typeof name === 'string' && /^[\w.-]{1,64}$/.test(name)) return
  const argument = { where: 'openShards', argument: 'name' }
  throw invalidArgument(argument, 'up to 64 letters, digits, dots, dashes and underscores', name)
}

async function redisNodes(options: ShardOptions, timing: MemberOptions): Promise<ClusterKind> {
  const { name = 'default', tls, shards } = options
  const at = { where: 'openShards' }
  const { named, patience } = placesOf(options, 'redis')
  if (shards !== undefined) throw invalidArgument({ ...at, argument: 'redis' }, 'given without `shards`', shards)
  checkName(name)
  const [{ redisKind }, owners] = await Promise.all([import('./redis/kind.ts'), ownersOf(options)])
  return redisKind({ ...timing, nodes: named, name, patience, tls, owners })
}

async function ownersOf({ owners, token, tls }: ShardOptions): Promise<() => OwnerPlaces> {
  const { ownersElsewhere, ownersHere } = await import('./redis/places.ts')
  if (owners === undefined) return ownersHere
  const at = { where: 'openShards' }
  if (!Array.isArray(owners) || owners.length === 0)
    throw invalidArgument({ ...at, argument: 'owners' }, 'a list of addresses', owners)
  if (typeof token !== 'string' || token === '')
    throw invalidArgument({ ...at, argument: 'token' }, 'the secret that the owners were started with', typeof token)
  const files = tls !== undefined && 'cert' in tls && 'key' in tls ? tls : undefined
  ownersElsewhere(owners, token, files)
  return () => ownersElsewhere(owners, token, files)
}

/** The option that names places elsewhere, and how long to wait for one. */
function placesOf(
  options: ShardOptions,
  argument: 'shards' | 'redis',
): { readonly named: RemoteShard[]; readonly patience: number } {
  const { where, patience = 30_000 } = options
  const list = options[argument]
  const at = { where: 'openShards' }
  if (where !== undefined || !Array.isArray(list))
    throw invalidArgument({ ...at, argument }, 'a list of addresses, without `where`', list)
  assertInteger(patience, { ...at, argument: 'patience', min: 0, max: 86_400_000 })
  return { named: list.map((one) => (typeof one === 'string' ? { address: one } : one)), patience }
}

function heartbeatOf({ heartbeat = {} }: ShardOptions): { heartbeat: number; missed: number } {
  const { interval = 100, missed = 5 } = heartbeat
  assertNumber(interval, { where: 'openShards', argument: 'heartbeat.interval', min: 1 })
  assertInteger(missed, { where: 'openShards', argument: 'heartbeat.missed', min: 1 })
  return { heartbeat: interval, missed }
}

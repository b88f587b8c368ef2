// The store of embedding rows: what a trainer sees of the shards.
import { FtError, assertInteger, assertNumber, assertOneOf, invalidArgument, throwIfAborted } from '@ft/core'
import { createClient } from './client.ts'
import type { Layout } from './layout.ts'
import type { Cluster, ClusterEvents } from './network/cluster.ts'
import { startInMemory } from './network/memory.ts'
import type { ProcessOptions, startProcesses } from './network/processes.ts'
import type { Message, MessageOf } from './shard/messages.ts'
import type { OptimizerOptions } from './shard/optimizers.ts'
import { resolveSpec } from './shard/spec.ts'
import { scrubStripes, type CorruptStripe, type ScrubOptions, type ScrubReport } from './scrub.ts'
import { layRows, readRows, type RowSet, type Snapshot } from './snapshot.ts'

export interface EmbeddingTable {
  readonly rows: number
  /** Rows start uniform in [-scale, scale); default 1 / sqrt(rows), the DLRM's. */
  readonly scale?: number
}

export interface ShardOptions {
  /** Tables of one width, laid end to end: ids of the second begin where the first's end. */
  readonly tables: readonly EmbeddingTable[]
  /** Values a row. */
  readonly d: number
  /** Data rows a stripe; default 4. */
  readonly k?: number
  /** Servers that may be lost at once: 0 (unprotected), 1 (XOR) or 2 (P + Q); default 1. */
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
   * servers. 'async': at once; a server's death can lose what its peers had not yet received, at most `logBytes` a peer.
   */
  readonly acknowledgement?: 'sync' | 'async'
  /** Most bytes of unacknowledged differences to a peer before pushes wait; default 64 MiB. */
  readonly logBytes?: number
  /**
   * Recovery in the background, rows that were updated most first: rows a step (default 512), least milliseconds between
   * steps (5), and the part of the time that steps may take (0.2). A step lasts longer while the servers are busy, so the
   * sweep gives way to training. Rows that are asked for never wait for it.
   */
  readonly sweep?: { readonly stripes?: number; readonly pause?: number; readonly share?: number }
  /** Failure detection; default a heartbeat every 100 ms, dead after 5 without an answer. */
  readonly heartbeat?: { readonly interval?: number; readonly missed?: number }
  /** Processes that stand by; default 1. */
  readonly spares?: number
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
  /** Of its process, user and system; 0 in memory. */
  readonly cpuSeconds: number
}

export interface ShardStore {
  readonly layout: Layout
  readonly d: number
  /** Words of a row with its optimizer state. */
  readonly width: number
  /** First id of each table. */
  readonly offsets: readonly number[]
  /** Servers replaced so far. */
  readonly replacements: number
  /**
   * Reads rows.
   *
   * @returns `[ids.length, d]`
   * @throws FtError `INVALID_ARGUMENT` for ids out of range, `UNRECOVERABLE` when the cluster cannot go on
   */
  pull(ids: Uint32Array): Promise<Float32Array>
  /**
   * Applies the optimizer to rows. Ids should be distinct; a repeated id is updated once a mention.
   *
   * @param gradients - `[ids.length, d]`
   * @throws FtError `INVALID_ARGUMENT` when an id is out of range or a gradient is not finite: then nothing is applied;
   * `SHAPE_MISMATCH`, `UNRECOVERABLE`
   */
  push(ids: Uint32Array, gradients: Float32Array): Promise<void>
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
  /** Resolves when every row of every server is recovered; to the ids that could not be and started over. */
  recovered(): Promise<number[]>
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

const rowsAWrite = 8_192

/**
 * Starts the shards of a run.
 *
 * Memory: (1 + r / k) x rows x (d + state) x 4 bytes, 4 bytes of version a row and 4 k a parity row.
 * Shards of one machine share its fate: this protects against processes that die.
 *
 * @throws FtError `INVALID_ARGUMENT`, `IO` when a process cannot be started
 */
export async function openShards(options: ShardOptions): Promise<ShardStore> {
  const { k = 4, r = 1, seed = 0, where = 'process', acknowledgement = 'sync', logBytes = 64 * 2 ** 20 } = options
  const { servers = k + r, optimizer = { name: 'adagrad', learningRate: 0.01 } } = options
  assertOneOf(where, { where: 'openShards', argument: 'where', values: ['process', 'memory'] })
  assertOneOf(acknowledgement, { where: 'openShards', argument: 'acknowledgement', values: ['sync', 'async'] })
  if (!Array.isArray(options.tables)) {
    throw invalidArgument({ where: 'openShards', argument: 'tables' }, 'an array of tables', options.tables)
  }
  const ranges = options.tables.map(({ rows, scale = 1 / Math.sqrt(rows) }) => ({ rows, scale }))
  const spec = resolveSpec({ k, r, servers, d: options.d, ranges, optimizer, seed, acknowledgement, logBytes })
  const timing = processOptions(options)

  let replacements = 0
  const client = createClient({ spec, send: (server, message) => cluster.send(server, message) })
  const events: ClusterEvents = {
    message: (server, message) => client.receive(server, message),
    renewed(server) {
      replacements++
      client.renewed(server)
    },
    failed: (error) => client.fail(error),
  }
  const cluster: Cluster =
    where === 'memory' ? startInMemory(spec, events, timing.sweep) : await openProcesses(spec, events, timing)

  const report = async (): Promise<ServerReport[]> => {
    const question = { type: 'status', id: 0 } as const
    const all = Array.from({ length: servers }, (_, server) => client.ask(server, question))
    return (await Promise.all(all)).map(reportOf)
  }
  /** Pushes under way. */
  const under = new Set<Promise<void>>()
  const allThere = async (): Promise<void> => {
    await Promise.allSettled(under)
    while ((await report()).some(({ missingRows }) => missingRows > 0)) await delay(5)
  }
  const checkServer = (server: number, what: string): void =>
    assertInteger(server, { where: what, argument: 'server', min: 0, max: servers - 1 })
  const disturb = (what: 'pause' | 'isolate', server: number): void => {
    checkServer(server, what)
    const act = cluster[what]
    if (act === undefined) {
      throw new FtError('UNSUPPORTED', `${what}: shards in memory have no process; open with \`where: 'process'\``, {})
    }
    act(server)
  }
  let offset = 0
  return {
    layout: spec.layout,
    d: spec.d,
    width: spec.width,
    offsets: ranges.map(({ rows }) => (offset += rows) - rows),
    get replacements() {
      return replacements
    },
    pull: (ids) => client.pull(ids),
    push(ids, gradients) {
      const push = client.push(ids, gradients).finally(() => under.delete(push))
      under.add(push)
      return push
    },
    report,
    async recovered() {
      await allThere()
      const question = { type: 'snapshot', id: 0, first: 0, count: 0, changed: 0, mark: 0 } as const
      const all = Array.from({ length: servers }, (_, server) => client.ask(server, question))
      return (await Promise.all(all)).flatMap((message) => Array.from((message as MessageOf<'rowBits'>).lost))
    },
    async snapshot({ mark = false } = {}) {
      await allThere()
      const { rows } = spec.layout
      const whole = { words: new Uint32Array(rows * spec.width), width: spec.width, versions: new Uint32Array(rows) }
      layRows(whole, await readRows(spec, client, { changed: false, mark }))
      return whole
    },
    async changed() {
      await allThere()
      const sets = await readRows(spec, client, { changed: true, mark: false })
      return {
        ids: join(sets.map(({ ids }) => ids)),
        words: join(sets.map(({ words }) => words)),
        versions: join(sets.map(({ versions }) => versions)),
      }
    },
    async restore(from, ids = from.versions.keys()) {
      const { rows } = spec.layout
      if (from.width !== spec.width || from.versions.length !== rows || from.words.length !== rows * spec.width) {
        throw new FtError(
          'SHAPE_MISMATCH',
          `restore: the snapshot must have ${rows} rows of ${spec.width} words, got ${from.versions.length} of ${from.width}; open the store with the same tables, d and optimizer`,
          { rows, width: spec.width },
        )
      }
      const wanted = Uint32Array.from(ids)
      for (let start = 0; start < wanted.length; start += rowsAWrite) {
        const some = wanted.subarray(start, start + rowsAWrite)
        const words = new Uint32Array(some.length * spec.width)
        some.forEach((id, i) => words.set(from.words.subarray(id * spec.width, (id + 1) * spec.width), i * spec.width))
        await client.write(
          some,
          words,
          Uint32Array.from(some, (id) => from.versions[id]!),
        )
      }
    },
    async scrub({ stripes = 1024, repair = false, signal, onProgress } = {}) {
      if (r === 0) {
        throw new FtError('UNSUPPORTED', 'scrub: r = 0 has no parity to compare with; open with r = 1 or 2', {})
      }
      assertInteger(stripes, { where: 'scrub', argument: 'stripes', min: 1, max: 65_536 })
      const total = spec.layout.stripes
      const corrupt: CorruptStripe[] = []
      const skipped: number[] = []
      for (let first = 0; first < total; first += stripes) {
        throwIfAborted(signal, 'scrub')
        const end = Math.min(total, first + stripes)
        const some = Array.from({ length: end - first }, (_, i) => first + i)
        const found = await scrubStripes(spec, client, { stripes: some, repair })
        corrupt.push(...found.corrupt)
        skipped.push(...found.skipped)
        onProgress?.({ phase: 'scrub', done: end, total })
      }
      return { stripes: total, corrupt, skipped }
    },
    async flipBit({ stripe, position, word, bit }) {
      const where = 'flipBit'
      assertInteger(stripe, { where, argument: 'stripe', min: 0, max: spec.layout.stripes - 1 })
      assertInteger(position, { where, argument: 'position', min: 0, max: k + r - 1 })
      assertInteger(word, { where, argument: 'word', min: 0, max: spec.width - 1 })
      assertInteger(bit, { where, argument: 'bit', min: 0, max: 31 })
      await client.ask(spec.layout.serverOf({ stripe, position }), { type: 'flip', id: 0, stripe, position, word, bit })
    },
    kill(server) {
      checkServer(server, 'kill')
      cluster.kill(server)
    },
    pause: (server) => disturb('pause', server),
    isolate: (server) => disturb('isolate', server),
    async close() {
      client.fail(new FtError('ABORTED', 'openShards: the store was closed; open another', {}))
      await cluster.close()
    },
  }
}

/** Processes need Node: loaded when asked for, so that a page can use shards in memory. */
async function openProcesses(...args: Parameters<typeof startProcesses>): Promise<Cluster> {
  const processes = await import('./network/processes.ts')
  return processes.startProcesses(...args)
}

function processOptions({ sweep = {}, heartbeat = {}, spares = 1 }: ShardOptions): ProcessOptions {
  const { stripes = 512, pause = 5, share = 0.2 } = sweep
  const { interval = 100, missed = 5 } = heartbeat
  const where = 'openShards'
  assertInteger(stripes, { where, argument: 'sweep.stripes', min: 1, max: 1_000_000 })
  assertInteger(pause, { where, argument: 'sweep.pause', min: 0, max: 60_000 })
  assertNumber(share, { where, argument: 'sweep.share', min: 0.001, max: 1 })
  assertNumber(interval, { where, argument: 'heartbeat.interval', min: 1 })
  assertInteger(missed, { where, argument: 'heartbeat.missed', min: 1 })
  assertInteger(spares, { where, argument: 'spares', min: 0, max: 64 })
  return { sweep: { stripes, pause, share }, heartbeat: interval, missed, spares }
}

function reportOf(message: Message): ServerReport {
  const { values } = message as MessageOf<'counts'>
  const numbers = new Float64Array(values.slice().buffer)
  const at = (i: number): number => numbers[i]!
  return {
    missingRows: at(0),
    dataBytes: at(1),
    parityBytes: at(2),
    pulledRows: at(3),
    pushedRows: at(4),
    deltaRows: at(5),
    deltaBytes: at(6),
    unacknowledgedBytes: at(7),
    mostUnacknowledgedBytes: at(8),
    cpuSeconds: at(9),
  }
}

function join(parts: readonly Uint32Array[]): Uint32Array {
  const out = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

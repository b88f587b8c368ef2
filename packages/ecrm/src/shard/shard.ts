// A shard: one server's rows and everything it answers. A state machine without clock, sockets or promises: whoever runs it
// delivers messages and sends what it says, so that any order of events can be replayed.
import { FtError } from '@ft/core'
import { allFinite } from './finite.ts'
import { createDeltaLog, type Batch, type DeltaLog } from './deltaLog.ts'
import { createInspection } from './inspection.ts'
import { headWords, packDeltas, type Message, type MessageOf, type Send } from './messages.ts'
import { createParityRows } from './parityRows.ts'
import { createRecovery } from './recovery.ts'
import type { Remedy } from './remedies.ts'
import { roomFor } from './room.ts'
import type { ResolvedSpec } from './spec.ts'
import { createStorage, live, type Storage } from './storage.ts'
import { createTags } from './tags.ts'
import { addWords, allBelow, copyWords } from './words.ts'

export interface ShardOptions {
  readonly spec: ResolvedSpec
  readonly server: number
  /** Counts the lives of this server; peers refuse what an earlier life says. */
  readonly incarnation: number
  /** A replacement: every row is lost and comes back from the others. */
  readonly lost: boolean
  readonly send: Send
  /** CPU seconds of whoever runs the shard; default 0. */
  readonly cpu?: () => number
  /** Called when a step of the sweep has ended. */
  readonly swept?: () => void
  /** Takes a remedy out: only for the tests that show what it prevents. */
  readonly without?: Remedy
}

export interface Shard {
  readonly storage: Storage
  /** Ids of rows that could not be rebuilt and started over. */
  readonly unrecoverable: readonly number[]
  /** Bytes of differences that peers have not answered. */
  readonly unanswered: number
  /** Takes a message of a node: server 0 .. N - 1, else a worker or the control. */
  receive(from: { node: number; incarnation: number }, message: Message): void
  /** The connection to a peer was made again: what it may have missed is sent again. */
  reconnected(peer: number): void
  /** One step of recovery in the background; whether rows are still missing. */
  step(stripes: number): boolean
}

interface Push {
  readonly worker: number
  readonly message: MessageOf<'push'> | MessageOf<'write'>
}

/** Differences for one peer. */
interface Part {
  readonly peer: number
  readonly heads: Uint32Array
  readonly words: Uint32Array
  /** How many there are. */
  rows: number
}

/** An answer that waits until every batch up to `batch` is at its parities. */
interface Answer {
  readonly batch: number
  readonly worker: number
  readonly id: number
}

export function createShard(options: ShardOptions): Shard {
  const { spec, server, send, without } = options
  const { layout, k, r, d, width } = spec
  const storage = createStorage(spec, server, options.lost)
  const { words, floats, versions, dataState } = storage
  const tags = createTags()
  const parityRows = createParityRows(storage, { server, tags, without })
  const logs = new Map<number, DeltaLog>()
  const incarnations = new Uint32Array(layout.servers)
  incarnations[server] = options.incarnation
  /** The latest push of each worker that was applied here. */
  const latest = new Map<number, number>()
  /** Batches not yet at their parities: number and how many peers are to answer. In order of number. */
  const outstanding = new Map<number, number>()
  const counts = { pulledRows: 0, pushedRows: 0, deltaRows: 0, deltaBytes: 0 }
  let answers: Answer[] = []
  let pulls: { worker: number; message: MessageOf<'pull'> }[] = []
  let pushes: Push[] = []
  let nextBatch = 1
  let lastRepair = 0
  let full = 0

  const recovery = createRecovery({
    server,
    storage,
    parityRows,
    tags,
    send,
    checkVersions: without !== 'versions',
    repair(peer, deltas) {
      lastRepair = nextBatch
      transmit([{ peer, ...packDeltas(deltas, width) }])
    },
    nextBatch: () => nextBatch,
    unanswered: (stripes) => [...logs.values()].flatMap((log) => log.find(stripes)),
    installed: resume,
    swept: () => options.swept?.(),
  })

  const inspection = createInspection({ storage, server, parityRows, lost: recovery.unrecoverable })

  const logOf = (peer: number): DeltaLog => {
    let log = logs.get(peer)
    if (log === undefined) logs.set(peer, (log = createDeltaLog()))
    return log
  }

  /** The number below which every batch is settled; 0 while this server recovers. */
  function complete(): number {
    const oldest = outstanding.keys().next().value ?? nextBatch
    return storage.missing > 0 || oldest <= lastRepair ? 0 : oldest
  }

  /** Logs one batch a peer under one number and sends them. */
  function transmit(parts: readonly Omit<Part, 'rows'>[]): void {
    const number = nextBatch++
    if (parts.length === 0) return
    outstanding.set(number, parts.length)
    const done = (): void => settle(number)
    const settled = complete()
    for (const { peer, heads, words: content } of parts) {
      const batch: Batch = { number, heads, words: content, done }
      counts.deltaRows += heads.length / headWords
      counts.deltaBytes += heads.byteLength + content.byteLength
      const log = logOf(peer)
      send(peer, log.append(batch, settled))
      full = Math.max(full, log.bytes)
    }
  }

  function settle(number: number): void {
    const left = outstanding.get(number)! - 1
    if (left > 0) outstanding.set(number, left)
    else outstanding.delete(number)
  }

  /** Answers the pushes whose differences have arrived. */
  function answer(): void {
    const oldest = outstanding.keys().next().value ?? nextBatch
    const ready = answers.filter(({ batch }) => batch < oldest)
    if (ready.length === 0) return
    answers = answers.filter(({ batch }) => batch >= oldest)
    for (const { worker, id } of ready) send(worker, { type: 'pushed', id, rejected: 0 })
  }

  const usable = (rows: Uint32Array): boolean => {
    for (let i = 0; i < rows.length; i++) if (dataState[rows[i]!] !== live) return false
    return true
  }
  const room = (): boolean => [...logs.values()].every((log) => log.bytes < spec.logBytes)

  /** Tries what waited for a row or for room in a log. */
  function resume(): void {
    const waiting = pushes
    pushes = []
    for (const one of waiting) push(one)
    const waitingPulls = pulls
    pulls = []
    for (const { worker, message } of waitingPulls) pull(worker, message)
    answer()
  }

  function pull(worker: number, message: MessageOf<'pull'>): void {
    const { rows, id } = message
    // A worker reads what it wrote: its pull does not overtake its push.
    if (!usable(rows) || pushes.some((waiting) => waiting.worker === worker)) {
      pulls.push({ worker, message })
      recovery.touch(Array.from(rows))
      return
    }
    counts.pulledRows += rows.length
    const [values] = roomFor('rows', [rows.length * d]) as [Uint32Array]
    for (let i = 0; i < rows.length; i++) copyWords(values, i * d, words, rows[i]! * width, d)
    send(worker, { type: 'rows', id, values })
  }

  function push(one: Push): void {
    const { worker, message } = one
    const { id, rows } = message
    const known = latest.get(worker) ?? -1
    if (id <= known) {
      // Sent again although it was applied: answered already, or its answer still waits.
      if (!answers.some((waiting) => waiting.worker === worker && waiting.id === id))
        send(worker, { type: 'pushed', id, rejected: 0 })
      return
    }
    const content = message.type === 'push' ? message.gradients : message.words
    const values = new Float32Array(content.buffer, content.byteOffset, content.length)
    // A write is bits, whatever they say: a state that overflowed comes back as it was.
    if (message.type === 'push' && !allFinite(values)) {
      send(worker, { type: 'pushed', id, rejected: 1 })
      return
    }
    if (!usable(rows) || !room()) {
      pushes.push(one)
      recovery.touch(Array.from(rows))
      return
    }
    latest.set(worker, id)
    apply(one, values)
    const batch = nextBatch - 1
    if (spec.acknowledgement === 'sync' && r > 0) answers.push({ batch, worker, id })
    else send(worker, { type: 'pushed', id, rejected: 0 })
    answer()
  }

  /** Updates rows and sends what changed: the old bits XOR the new ones, of values and optimizer state. */
  function apply(one: Push, values: Float32Array): void {
    const { id, rows } = one.message
    const again = without !== 'tags' && tags.knows(server, { worker: one.worker, push: id })
    const parts = r > 0 ? partsFor(rows) : []
    let count = 0
    for (let i = 0; i < rows.length; i++) if (applyRow(one, values, parts, i, again)) count++
    counts.pushedRows += count
    if (r === 0) return
    const filled = parts.filter(({ rows: some }) => some > 0).map(trimmed)
    // With r = 2 the same facts twice: they are a set.
    for (const { heads } of filled) tags.addHeads(server, heads)
    transmit(filled)
  }

  /** Room for the differences of these rows, sorted by the servers of their parity rows. */
  function partsFor(rows: Uint32Array): Part[] {
    const most = new Uint32Array(layout.servers)
    for (let i = 0; i < rows.length; i++) {
      const stripe = layout.dataStripe(server, rows[i]!)
      for (let parity = k; parity < k + r; parity++) most[(stripe + parity) % layout.servers]!++
    }
    return Array.from(most, (count, peer): Part => {
      const [heads, content] = roomFor('deltas', [count * headWords, count * width]) as [Uint32Array, Uint32Array]
      return { peer, heads, words: content, rows: 0 }
    })
  }

  /** Whether the row was changed; its difference is then in the parts. A function of its own, as it is called often enough to stay compiled. */
  function applyRow(one: Push, values: Float32Array, parts: readonly Part[], i: number, again: boolean): boolean {
    const { worker, message } = one
    const local = message.rows[i]!
    const at = local * width
    const stripe = layout.dataStripe(server, local)
    const position = (server - (stripe % layout.servers) + layout.servers) % layout.servers
    if (again && tags.has(server, { stripe, position, worker, push: message.id })) return false
    const base = versions[local]!
    let version = base + 1
    if (message.type === 'write') {
      if (message.versions[i]! <= base && same(message.words, i, at)) return false
      version = Math.max(version, message.versions[i]!)
    }
    versions[local] = version
    const first = r > 0 ? parts[(stripe + k) % layout.servers]! : undefined
    const to = first === undefined ? 0 : first.rows * width
    if (first !== undefined) copyWords(first.words, to, words, at, width)
    if (message.type === 'push') spec.row.apply(floats, at, values, i * d, d)
    else copyWords(words, at, message.words, i * width, width)
    if (first === undefined) return true
    addWords(first.words, to, words, at, width)
    const head = first.rows++ * headWords
    const { heads } = first
    heads[head] = stripe
    heads[head + 1] = position
    heads[head + 2] = base
    heads[head + 3] = version
    heads[head + 4] = worker
    heads[head + 5] = message.id
    for (let parity = 1; parity < r; parity++) {
      const other = parts[(stripe + k + parity) % layout.servers]!
      copyWords(other.heads, other.rows * headWords, heads, head, headWords)
      copyWords(other.words, other.rows++ * width, first.words, to, width)
    }
    return true
  }

  /** Without the room of rows that were not changed. */
  const trimmed = ({ peer, heads, words: content, rows }: Part): Part => {
    if (rows * headWords === heads.length) return { peer, heads, words: content, rows }
    return { peer, heads: heads.subarray(0, rows * headWords), words: content.subarray(0, rows * width), rows }
  }

  const same = (given: Uint32Array, i: number, at: number): boolean => {
    for (let j = 0; j < width; j++) if (given[i * width + j] !== words[at + j]) return false
    return true
  }

  /** A later life of a peer is heard of: what it missed is sent again, what was asked of the earlier one is asked again. */
  function renewed(peer: number, incarnation: number): void {
    incarnations[peer] = incarnation
    parityRows.renewed(peer)
    reconnected(peer)
  }

  function reconnected(peer: number): void {
    for (const message of logs.get(peer)?.resend(complete()) ?? []) send(peer, message)
    recovery.restart()
  }

  function receive(from: { node: number; incarnation: number }, message: Message): void {
    const { node, incarnation } = from
    if (node < layout.servers) {
      if (incarnation < incarnations[node]!) return
      if (incarnation > incarnations[node]!) renewed(node, incarnation)
    }
    switch (message.type) {
      case 'pull':
      case 'push':
      case 'write':
        checkRows(message)
        if (message.type === 'pull') pull(node, message)
        else push({ worker: node, message })
        return
      case 'mend':
        send(node, { type: 'counts', id: message.id, values: inspection.mend(message) })
        return
      case 'flip':
        inspection.flip(message)
        send(node, { type: 'counts', id: message.id, values: new Uint32Array(0) })
        return
      case 'deltas':
        parityRows.apply({ server: node, incarnation }, message)
        send(node, { type: 'acked', batch: message.batch, life: incarnation })
        return
      case 'acked':
        // Numbers begin anew with every life: what was said to an earlier one must not settle what this one sent.
        if (message.life !== options.incarnation) return
        logs.get(node)?.acknowledge(message.batch)
        if (pushes.length > 0) resume()
        else answer()
        return
      case 'read':
        recovery.answer({ server: node, incarnation }, message)
        return
      case 'stripes':
        if (message.life === options.incarnation) recovery.heard({ server: node, incarnation }, message)
        return
      case 'hot':
        recovery.ranking.answer({ server: node, incarnation }, message)
        return
      case 'ranked':
        if (message.life === options.incarnation) recovery.ranking.heard(node, message)
        return
      case 'members':
        message.incarnations.forEach((one, peer) => {
          if (one > incarnations[peer]!) renewed(peer, one)
        })
        return
      case 'ping':
        send(node, { type: 'pong', missing: storage.missing, unrecoverable: recovery.unrecoverable.length })
        return
      case 'snapshot':
        send(node, inspection.snapshot(message))
        return
      case 'status':
        status(node, message.id)
        return
      default:
        throw new FtError('CORRUPT_DATA', `shard ${server}: a ${message.type} message is not for a shard`, { from })
    }
  }

  function checkRows(message: MessageOf<'pull'> | MessageOf<'push'> | MessageOf<'write'>): void {
    const { rows } = message
    let fits = true
    if (message.type === 'push') fits = message.gradients.length === rows.length * d
    if (message.type === 'write')
      fits = message.words.length === rows.length * width && message.versions.length === rows.length
    if (fits && allBelow(rows, layout.dataRows)) return
    throw new FtError(
      'CORRUPT_DATA',
      `shard ${server}: a ${message.type} message must name rows below ${layout.dataRows} with all their values; ` +
        'worker and shards must agree on the layout',
      { rows: rows.length },
    )
  }

  function status(to: number, id: number): void {
    const bytes = words.byteLength + versions.byteLength
    const parityBytes = storage.parity.byteLength + storage.seen.byteLength
    const { pulledRows, pushedRows, deltaRows, deltaBytes } = counts
    const values = [
      storage.missing,
      bytes,
      parityBytes,
      pulledRows,
      pushedRows,
      deltaRows,
      deltaBytes,
      unanswered(),
      full,
      options.cpu?.() ?? 0,
      storage.recovered,
      outstanding.size,
    ]
    const packed = new Uint32Array(new Float64Array(values).buffer)
    send(to, { type: 'counts', id, values: packed })
  }

  const unanswered = (): number => [...logs.values()].reduce((sum, log) => sum + log.bytes, 0)

  return {
    storage,
    unrecoverable: recovery.unrecoverable,
    get unanswered() {
      return unanswered()
    },
    receive,
    reconnected,
    step: (stripes) => recovery.step(stripes),
  }
}

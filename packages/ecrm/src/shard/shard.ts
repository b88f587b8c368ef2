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
import type { ResolvedSpec } from './spec.ts'
import { createStorage, live, type Storage } from './storage.ts'
import { createTags } from './tags.ts'

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
  function transmit(parts: readonly Part[]): void {
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

  const usable = (rows: Uint32Array): boolean => rows.every((row) => dataState[row] === live)
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
    const values = new Uint32Array(rows.length * d)
    for (let i = 0; i < rows.length; i++) {
      const from = rows[i]! * width
      for (let j = 0; j < d; j++) values[i * d + j] = words[from + j]!
    }
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
  function apply({ worker, message }: Push, values: Float32Array): void {
    const { id, rows } = message
    const again = without !== 'tags' && tags.knows(server, { worker, push: id })
    const { servers } = layout
    const heads = new Uint32Array(rows.length * headWords)
    const deltas = new Uint32Array(r > 0 ? rows.length * width : 0)
    /** Differences for each server's parity rows. */
    const shares = new Uint32Array(servers)
    let count = 0
    for (let i = 0; i < rows.length; i++) {
      const local = rows[i]!
      const stripe = layout.dataStripe(server, local)
      const position = (((server - stripe) % servers) + servers) % servers
      if (again && tags.has(server, { stripe, position, worker, push: id })) continue
      const at = local * width
      const to = count * width
      if (message.type === 'write' && message.versions[i]! <= versions[local]! && same(message.words, i, at)) continue
      if (r > 0) for (let j = 0; j < width; j++) deltas[to + j] = words[at + j]!
      if (message.type === 'push') spec.row.apply(floats, at, values, i * d, d)
      else for (let j = 0; j < width; j++) words[at + j] = message.words[i * width + j]!
      if (r > 0) for (let j = 0; j < width; j++) deltas[to + j]! ^= words[at + j]!
      const base = versions[local]!
      const version = message.type === 'push' ? base + 1 : Math.max(base + 1, message.versions[i]!)
      versions[local] = version
      const head = count++ * headWords
      heads[head] = stripe
      heads[head + 1] = position
      heads[head + 2] = base
      heads[head + 3] = version
      heads[head + 4] = worker
      heads[head + 5] = id
      for (let parity = k; parity < k + r; parity++) shares[(stripe + parity) % servers]!++
    }
    counts.pushedRows += count
    const applied = heads.subarray(0, count * headWords)
    tags.addHeads(server, applied)
    if (r > 0) transmit(share(applied, deltas, shares))
  }

  const same = (given: Uint32Array, i: number, at: number): boolean => {
    for (let j = 0; j < width; j++) if (given[i * width + j] !== words[at + j]) return false
    return true
  }

  /** Sorts differences by the servers of their parity rows. */
  function share(heads: Uint32Array, deltas: Uint32Array, shares: Uint32Array): Part[] {
    const parts = Array.from(shares, (count, peer) => {
      return { peer, heads: new Uint32Array(count * headWords), words: new Uint32Array(count * width), at: 0 }
    })
    for (let i = 0; i * headWords < heads.length; i++) {
      const stripe = heads[i * headWords]!
      for (let parity = k; parity < k + r; parity++) {
        const part = parts[(stripe + parity) % layout.servers]!
        const [head, word] = [part.at * headWords, part.at++ * width]
        for (let j = 0; j < headWords; j++) part.heads[head + j] = heads[i * headWords + j]!
        for (let j = 0; j < width; j++) part.words[word + j] = deltas[i * width + j]!
      }
    }
    return parts.filter(({ at }) => at > 0)
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
    if (fits && rows.every((row) => row < layout.dataRows)) return
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

// A shard: one server's rows and everything it answers. A state machine without clock, sockets or promises: whoever runs it
// delivers messages and sends what it says, so that any order of events can be replayed.
import { FtError } from '@ft/core'
import { allFinite } from './finite.ts'
import { createInspection } from './inspection.ts'
import { createKeeping } from './keeping.ts'
import { packDeltas, type Message, type MessageOf, type Send } from './messages.ts'
import { createOutbox } from './outbox.ts'
import { createParityRows } from './parityRows.ts'
import { createRecovery } from './recovery.ts'
import type { Remedy } from './remedies.ts'
import { roomFor } from './room.ts'
import { createRowUpdates, type Update } from './rowUpdates.ts'
import type { ResolvedSpec } from './spec.ts'
import { createStorage, live, type Storage } from './storage.ts'
import { createTags } from './tags.ts'
import { allBelow, copyWords } from './words.ts'

export interface ShardOptions {
  readonly spec: ResolvedSpec
  readonly server: number
  /** Counts the lives of this server; peers refuse what an earlier life says. */
  readonly incarnation: number
  /** A replacement: every row is lost and comes back from the others. */
  readonly lost: boolean
  readonly send: Send
  /** Rows in WebAssembly memory; default false. */
  readonly fast?: boolean
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
  /** The latest push of a worker that was applied here; 0 when there was none. */
  latestPush(worker: number): number
  /** One step of recovery in the background; whether rows are still missing. */
  step(stripes: number): boolean
}

/** An answer that waits until every batch up to `batch` is at its parities. */
interface Answer {
  readonly batch: number
  readonly worker: number
  readonly id: number
}

export function createShard(options: ShardOptions): Shard {
  const { spec, server, send, without } = options
  const { layout, r, d, width } = spec
  const storage = createStorage(spec, server, { empty: options.lost, fast: options.fast ?? false })
  const { words, versions, dataState } = storage
  const tags = createTags()
  const parityRows = createParityRows(storage, { server, tags, without })
  const updates = createRowUpdates({ storage, server, tags, without })
  const outbox = createOutbox({ send, logBytes: spec.logBytes, recovering: () => storage.missing > 0 })
  const incarnations = new Uint32Array(layout.servers)
  incarnations[server] = options.incarnation
  /** The latest push of each worker that was applied here. */
  const latest = new Map<number, number>()
  let pulled = 0
  let answers: Answer[] = []
  let pulls: { worker: number; message: MessageOf<'pull'> }[] = []
  let pushes: Update[] = []

  const recovery = createRecovery({
    server,
    storage,
    parityRows,
    tags,
    send,
    checkVersions: without !== 'versions',
    repair: (peer, deltas) => outbox.repair({ peer, ...packDeltas(deltas, width) }),
    nextBatch: () => outbox.next,
    unanswered: (stripes) => outbox.find(stripes),
    installed: resume,
    swept: () => options.swept?.(),
  })

  const keeping = createKeeping()
  const inspection = createInspection({ storage, server, parityRows, lost: recovery.unrecoverable })

  /** Answers the pushes whose differences have arrived. */
  function answer(): void {
    const { oldest } = outbox
    const ready = answers.filter(({ batch }) => batch < oldest)
    if (ready.length === 0) return
    answers = answers.filter(({ batch }) => batch >= oldest)
    for (const { worker, id } of ready) send(worker, { type: 'pushed', id, rejected: 0 })
  }

  /** Whether rows can be used. Lost ones without parity can from here on. */
  const usable = (rows: Uint32Array): boolean => {
    for (let i = 0; i < rows.length; i++)
      if (dataState[rows[i]!] !== live && !recovery.startOver(rows[i]!)) return false
    return true
  }

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
    pulled += rows.length
    const [values] = roomFor('rows', [rows.length * d]) as [Uint32Array]
    if (storage.kernels !== undefined) storage.kernels.gather(rows, values)
    else for (let i = 0; i < rows.length; i++) copyWords(values, i * d, words, rows[i]! * width, d)
    send(worker, { type: 'rows', id, values })
  }

  /** Nobody stands still for these rows yet: when somebody does, they are there or on their way. */
  function expect(rows: Uint32Array): void {
    if (storage.missing > 0) recovery.touch(Array.from(rows))
  }

  function push(one: Update): void {
    const { worker, message } = one
    const { id, rows } = message
    const content = message.type === 'push' ? message.gradients : message.words
    const values = new Float32Array(content.buffer, content.byteOffset, content.length)
    // A write is bits, whatever they say: a state that overflowed comes back as it was.
    if (message.type === 'push' && !allFinite(values)) {
      send(worker, { type: 'pushed', id, rejected: 1 })
      return
    }
    const known = latest.get(worker) ?? -1
    if (id <= known) {
      // Sent again although it was applied: answered already, or its answer still waits.
      if (!answers.some((waiting) => waiting.worker === worker && waiting.id === id))
        send(worker, { type: 'pushed', id, rejected: 0 })
      return
    }
    // An update does not pass one of its worker's that waits: whoever says both again relies on their order.
    if (!usable(rows) || !outbox.room || pushes.some((waiting) => waiting.worker === worker)) {
      pushes.push(one)
      recovery.touch(Array.from(rows))
      return
    }
    latest.set(worker, id)
    const parts = updates.apply(one, values)
    const batch = outbox.next
    if (r > 0) outbox.transmit(parts, { soon: message.type === 'write' || message.pushesNext === 0 })
    if (spec.acknowledgement === 'sync' && r > 0) answers.push({ batch, worker, id })
    else send(worker, { type: 'pushed', id, rejected: 0 })
    answer()
  }

  /** Later lives of peers are heard of: what they missed is sent again, what was asked of the earlier ones is asked again. */
  function renewed(lives: readonly { peer: number; incarnation: number }[]): void {
    for (const { peer, incarnation } of lives) {
      incarnations[peer] = incarnation
      parityRows.renewed(peer)
    }
    reconnected(lives.map(({ peer }) => peer))
  }

  function reconnected(peers: readonly number[]): void {
    if (peers.length === 0) return
    for (const peer of peers) outbox.resend(peer)
    // Once for all of them: every peer is asked again.
    recovery.restart()
  }

  function acknowledged(peer: number, batch: number, life: number): void {
    // Numbers begin anew with every life: what was said to an earlier one must not settle what this one sent.
    if (life !== options.incarnation) return
    outbox.acknowledge(peer, batch)
    if (pushes.length > 0) resume()
    else answer()
  }

  function receive(from: { node: number; incarnation: number }, message: Message): void {
    const { node, incarnation } = from
    if (node < layout.servers) {
      if (incarnation < incarnations[node]!) return
      if (incarnation > incarnations[node]!) renewed([{ peer: node, incarnation }])
    }
    switch (message.type) {
      case 'pull':
      case 'push':
      case 'write':
      case 'expect':
        checkRows(message)
        if (message.type === 'pull') pull(node, message)
        else if (message.type === 'expect') expect(message.rows)
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
        if (message.acked > 0) acknowledged(node, message.acked, message.life)
        parityRows.apply({ server: node, incarnation }, message)
        send(node, { type: 'acked', batch: message.batch, life: incarnation }, { late: message.soon === 0 })
        return
      case 'acked':
        acknowledged(node, message.batch, message.life)
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
        renewed(
          Array.from(message.incarnations, (one, peer) => ({ peer, incarnation: one })).filter(
            ({ peer, incarnation: one }) => one > incarnations[peer]!,
          ),
        )
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
      case 'keep':
        send(node, keeping.keep(message))
        return
      case 'recall':
        send(node, keeping.recall(message))
        return
      default:
        throw new FtError('CORRUPT_DATA', `shard ${server}: a ${message.type} message is not for a shard`, { from })
    }
  }

  function checkRows(message: MessageOf<'pull' | 'push' | 'write' | 'expect'>): void {
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
    const values = [
      storage.missing,
      bytes,
      parityBytes,
      pulled,
      updates.count,
      outbox.sent.rows,
      outbox.sent.bytes,
      outbox.bytes,
      outbox.most,
      options.cpu?.() ?? 0,
      storage.recovered,
      outbox.updates,
    ]
    const packed = new Uint32Array(new Float64Array(values).buffer)
    send(to, { type: 'counts', id, values: packed })
  }

  return {
    storage,
    unrecoverable: recovery.unrecoverable,
    get unanswered() {
      return outbox.bytes
    },
    receive,
    reconnected: (peer) => reconnected([peer]),
    latestPush: (worker) => latest.get(worker) ?? 0,
    step: (stripes) => recovery.step(stripes),
  }
}

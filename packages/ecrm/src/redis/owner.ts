// The owner of one node's rows: the only one who writes them. It holds none itself: a push reads its rows, applies the
// optimizer, writes them back with a note of it, and has the differences added to parity on other nodes. All that it knows can be
// read from the nodes again: its death loses nothing (see adopt.ts).
import { FtError } from '@ft/core'
import { addProduct } from '../codes/gf256.ts'
import { allFinite } from '../shard/finite.ts'
import type { Message, MessageOf } from '../shard/messages.ts'
import type { Fleet } from './fleet.ts'
import type { PushNote } from './notes.ts'
import { createInspector } from './inspect.ts'
import { completeData } from './records.ts'
import { positionIn } from '../layout.ts'

export interface OwnerOptions {
  readonly fleet: Fleet
  readonly server: number
  /** Gets back the data rows that are asked for; resolves early when the node is lost. */
  recover(locals: readonly number[]): Promise<void>
  /** Rows were found to be of no use. */
  degraded(): void
  send(message: Message): void
}

export interface Owner {
  /**
   * Answers a message. What a lost node leaves unanswered is said again to its replacement.
   *
   * @throws FtError `CORRUPT_DATA` for what no worker of the run would say
   */
  receive(message: Message): void
  /** An earlier owner did this much of its latest push, whose differences are sent to parity once more. */
  resume(done: {
    readonly push: number
    readonly notes: readonly PushNote[]
    readonly locals: Iterable<number>
  }): Promise<void>
}

type Update = MessageOf<'push'> | MessageOf<'write'>

export function createOwner({ fleet, server, recover, degraded, send }: OwnerOptions): Owner {
  const { spec, shapes, code, lock } = fleet
  const { layout, k, r, d, width } = spec
  const rows = fleet.rows[server]!
  const counts = {
    pulledRows: 0,
    pushedRows: 0,
    deltaRows: 0,
    deltaBytes: 0,
    waitingBytes: 0,
    mostBytes: 0,
    batches: 0,
  }
  const inspector = createInspector({ fleet, server, degraded, send, counts })
  let latest = 0
  /** The push that an earlier owner began, and the rows that contain it. */
  let begun: { readonly push: number; readonly locals: ReadonlySet<number> } = { push: 0, locals: new Set() }
  /** Notes of earlier owners may be on the nodes. */
  let inherited = false
  /** The latest update: the next one, and pulls, follow it. */
  let tail: Promise<void> = Promise.resolve()

  const usable = (locals: ArrayLike<number>): boolean => {
    for (let i = 0; i < locals.length; i++) if (rows.lost.data[locals[i]!] === 1) return false
    return true
  }
  /** Waits until rows are there; false when the node is not. */
  async function ready(locals: Uint32Array): Promise<boolean> {
    while (fleet.parts[server] !== undefined && !usable(locals))
      await recover(Array.from(locals).filter((local) => rows.lost.data[local] === 1))
    return fleet.parts[server] !== undefined
  }

  async function pull({ id, rows: locals }: MessageOf<'pull'>): Promise<void> {
    if (!(await ready(locals))) return
    const records = await fleet.parts[server]!.read(shapes.data, locals)
    completeData(spec, server, locals, records)
    const values = new Uint32Array(locals.length * d)
    for (let i = 0; i < locals.length; i++)
      for (let j = 0; j < d; j++) values[i * d + j] = records[i * (width + 1) + j]!
    counts.pulledRows += locals.length
    send({ type: 'rows', id, values })
  }

  async function update(message: Update): Promise<void> {
    const { id, rows: mentioned } = message
    if (id <= latest) return send({ type: 'pushed', id, rejected: 0 })
    // A write is bits, whatever they say.
    if (message.type === 'push' && !allFinite(floatsOf(message.gradients)))
      return send({ type: 'pushed', id, rejected: 1 })
    for (;;) {
      if (!(await ready(mentioned))) return
      const release = await lock.shared()
      try {
        if (fleet.parts[server] === undefined || !usable(mentioned)) continue
        await applyAndSend(message)
        return
      } finally {
        release()
      }
    }
  }

  /** From here on nobody rebuilds: rows and parity are what this and other owners make of them. */
  async function applyAndSend(message: Update): Promise<void> {
    const part = fleet.parts[server]!
    if (inherited && message.id !== begun.push) {
      await forget()
      inherited = false
    }
    // A write that is repeated changes nothing more; of a push those rows are left out that contain it.
    const done = message.type === 'push' && message.id === begun.push ? begun.locals : new Set<number>()
    const locals = Uint32Array.from(new Set(message.rows)).filter((local) => !done.has(local))
    const records = await part.read(shapes.data, locals)
    completeData(spec, server, locals, records)
    const before = records.slice()
    const mentions = message.type === 'push' ? step(message, locals, records) : overwrite(message, locals, records)
    const changes = { push: message.id, ...changesOf(locals, before, records) }
    if (changes.locals.length > 0) {
      const content = changes.locals.length === locals.length ? records : pick(records, locals, changes.locals)
      await part.update(r > 0 ? changes : { ...changes, deltas: new Uint32Array(0) }, content)
      if (fleet.parts[server] === part)
        changes.locals.forEach((local, i) => (rows.versions[local] = changes.versions[i]!))
    }
    // The update counts from here on: a death of this node finds it in the parities.
    latest = message.id
    counts.pushedRows += mentions
    if (spec.acknowledgement === 'async') send({ type: 'pushed', id: message.id, rejected: 0 })
    if (r > 0) await addToParity(changes)
    if (spec.acknowledgement === 'sync') send({ type: 'pushed', id: message.id, rejected: 0 })
  }

  /** The trainer begins a later push: the one that earlier owners noted was answered, and nobody asks for it again. */
  async function forget(): Promise<void> {
    await fleet.parts[server]?.forgetPushNotes()
    // Of a node that is lost, its notes are, too.
    await Promise.allSettled(fleet.parts.map(async (part) => part?.forgetParityNotes(server)))
    begun = { push: 0, locals: new Set() }
  }

  /** Applies the optimizer to records, once a mention; how many mentions. */
  function step({ rows: mentioned, gradients }: MessageOf<'push'>, locals: Uint32Array, records: Uint32Array): number {
    const at = new Map(Array.from(locals, (local, i) => [local, i * (width + 1)]))
    const [floats, steps] = [floatsOf(records), floatsOf(gradients)]
    let mentions = 0
    for (let i = 0; i < mentioned.length; i++) {
      const to = at.get(mentioned[i]!)
      if (to === undefined) continue
      spec.row.apply(floats, to, steps, i * d, d)
      records[to + width]!++
      mentions++
    }
    return mentions
  }

  /** Makes records what a write says, unless they are that already; how many changed. */
  function overwrite(
    { rows: given, words, versions }: MessageOf<'write'>,
    locals: Uint32Array,
    records: Uint32Array,
  ): number {
    const at = new Map(Array.from(locals, (local, i) => [local, i * (width + 1)]))
    let changed = 0
    for (let i = 0; i < given.length; i++) {
      const to = at.get(given[i]!)!
      const [row, wanted] = [records.subarray(to, to + width), words.subarray(i * width, (i + 1) * width)]
      const base = records[to + width]!
      if (versions[i]! <= base && row.every((word, j) => word === wanted[j])) continue
      row.set(wanted)
      records[to + width] = Math.max(base + 1, versions[i]!)
      changed++
    }
    return changed
  }

  function changesOf(locals: Uint32Array, before: Uint32Array, after: Uint32Array): Omit<PushNote, 'push'> {
    const changes = { locals: [] as number[], bases: [] as number[], versions: [] as number[] }
    const deltas = new Uint32Array(locals.length * width)
    for (let i = 0; i < locals.length; i++) {
      const at = i * (width + 1)
      if (before[at + width] === after[at + width]) continue
      const to = changes.locals.length * width
      for (let j = 0; j < width; j++) deltas[to + j] = before[at + j]! ^ after[at + j]!
      changes.locals.push(locals[i]!)
      changes.bases.push(before[at + width]!)
      changes.versions.push(after[at + width]!)
    }
    return { ...changes, deltas: deltas.subarray(0, changes.locals.length * width) }
  }

  function pick(records: Uint32Array, locals: Uint32Array, some: readonly number[]): Uint32Array {
    const at = new Map(Array.from(locals, (local, i) => [local, i * (width + 1)]))
    const out = new Uint32Array(some.length * (width + 1))
    some.forEach((local, i) => {
      const from = at.get(local)!
      out.set(records.subarray(from, from + width + 1), i * (width + 1))
    })
    return out
  }

  /** Has differences added to every parity that is there; a lost parity row is encoded anew from the rows as they are now. */
  async function addToParity({ push, locals, bases, versions, deltas }: PushNote, piece = 0): Promise<void> {
    const shares = new Map<number, { local: number; stripe: number; parity: number; i: number }[]>()
    for (let i = 0; i < locals.length; i++) {
      if (locals[i]! >= layout.firstBare) continue
      const stripe = layout.dataStripe(server, locals[i]!)
      for (let parity = 0; parity < r; parity++) {
        const place = { stripe, position: k + parity }
        const peer = layout.serverOf(place)
        const local = layout.localOf(place)
        if (fleet.rows[peer]!.lost.parity[local] === 1) continue
        const list = shares.get(peer)
        const one = { local, stripe, parity, i }
        if (list === undefined) shares.set(peer, [one])
        else list.push(one)
      }
    }
    const { words } = shapes.parity
    counts.batches++
    await Promise.all(
      Array.from(shares, async ([peer, list]) => {
        const heads = new Uint32Array(list.length * 3)
        const sums = new Uint32Array(list.length * words)
        list.forEach(({ stripe, parity, i }, at) => {
          const position = positionIn(stripe, server, layout.servers)
          heads[at * 3] = width + position
          heads[at * 3 + 1] = bases[i]!
          heads[at * 3 + 2] = versions[i]!
          const slice = { to: at * words, from: i * width, length: width }
          addProduct(sums, deltas, code!.factor(parity, position), slice)
          sums[at * words + width + position] = bases[i]! ^ versions[i]!
        })
        // As it travels, without the note: two words of a place more.
        const bytes = sums.byteLength + list.length * 20
        counts.deltaRows += list.length
        counts.deltaBytes += bytes
        counts.waitingBytes += bytes
        counts.mostBytes = Math.max(counts.mostBytes, counts.waitingBytes)
        try {
          const of = { server, push, locals: list.map(({ i }) => locals[i]!) }
          const stale = await fleet.parts[peer]!.add({
            of,
            piece,
            locals: list.map(({ local }) => local),
            heads,
            words: sums,
          })
          for (const at of stale) fleet.rows[peer]!.lose('parity', list[at]!.local)
          if (stale.length > 0) degraded()
        } catch {
          // That node is lost, and its parity with it.
        } finally {
          counts.waitingBytes -= bytes
        }
      }),
    )
    counts.batches--
  }

  /** What a lost node interrupts is said again to its replacement. */
  const unlessLost = (work: Promise<void>): Promise<void> => work.catch(() => undefined)

  return {
    async resume({ push, notes, locals }) {
      latest = push - 1
      inherited = true
      begun = { push, locals: new Set(locals) }
      // Under names of their own: the rest of the push, which the trainer repeats, must not take their place.
      if (r > 0) for (const [i, note] of notes.entries()) await addToParity(note, i + 1)
    },
    receive(message) {
      switch (message.type) {
        case 'pull':
          checkRows(message)
          void unlessLost(tail.then(() => pull(message)))
          return
        case 'push':
        case 'write':
          checkRows(message)
          tail = unlessLost(tail.then(() => update(message)))
          return
        default:
          void unlessLost(inspector.receive(message))
      }
    },
  }

  function checkRows(message: MessageOf<'pull'> | Update): void {
    if (message.rows.every((row) => row < layout.dataRows)) return
    throw new FtError('CORRUPT_DATA', `redis: a ${message.type} names rows that server ${server} has not`, { server })
  }
}

const floatsOf = (words: Uint32Array): Float32Array => new Float32Array(words.buffer, words.byteOffset, words.length)

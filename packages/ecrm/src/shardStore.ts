// The store over any kind of servers: what a trainer sees, whichever way rows are held.
import { FtError, assertInteger, throwIfAborted } from '@ft/core'
import { checkPull, checkPush, type PushOptions } from './client.ts'
import { openGeneration, type Generation } from './generation.ts'
import { createKeeper } from './keeper.ts'
import { checkScrubNames } from './knownOptions.ts'
import { moveRows } from './moveRows.ts'
import type { ClusterKind } from './network/cluster.ts'
import type { SweepOptions } from './network/members.ts'
import { allFinite } from './shard/finite.ts'
import { layRowsAt, rowsAt } from './shard/words.ts'
import { resolveSpec, type ShardSpec } from './shard/spec.ts'
import { createSeating, giveSeats } from './seating.ts'
import { scrubStripes, type CorruptStripe } from './scrub.ts'
import { checkSnapshot, joinSets, layRows, readRows } from './snapshot.ts'
import type { ShardStore } from './store.ts'
import { listIds } from './typedArrays.ts'

export interface StoreOptions {
  readonly spec: ShardSpec
  readonly kind: ClusterKind
  /** How moved rows share the time with training: as a recovery does. */
  readonly sweep: SweepOptions
}

/** Opens servers of a kind and makes a store of them. */
export async function createStore({ spec: wanted, kind: first, sweep }: StoreOptions): Promise<ShardStore> {
  const resolved = resolveSpec(wanted)
  const { d, width, k, r, rowsAMessage } = resolved
  const { rows } = resolved.layout
  let kind = first
  let failure: FtError | undefined
  const fail = (error: FtError): void => {
    failure ??= error
    current?.client.fail(error)
    next?.client.fail(error)
    seating.fail(error)
  }
  const seating = createSeating(() => current!, resolved.servers)
  let current = undefined as Generation | undefined
  /** Where rows move, and which have: by id. */
  let next = undefined as Generation | undefined
  let moved: Uint8Array | undefined
  /** The latest move, whether it went well or not. */
  let moving: Promise<unknown> = Promise.resolve()
  let closed = false
  current = await openGeneration(resolved, first, fail)
  let now: Generation = current
  const keeper = createKeeper(current)
  const { takenUp } = current.cluster
  if (takenUp !== undefined) {
    seating.begin(takenUp.highest)
    await keeper.takeUp(takenUp.push)
  }
  /** Of servers that rows have moved away from. */
  const past = { replacements: 0, lost: [] as number[] }

  /** Pulls and pushes under way. */
  const under = new Set<Promise<unknown>>()
  const pushes = new Set<Promise<unknown>>()
  /** What waits for a piece of a move, in the order of its call: a pull never overtakes a push. */
  let line: (() => void)[] | undefined
  function enter<T>(run: () => Promise<T>, push: boolean): Promise<T> {
    const begun =
      line === undefined
        ? run()
        : new Promise<T>((resolve, reject) => line!.push(() => void run().then(resolve, reject)))
    const one = begun.finally(() => {
      under.delete(one)
      if (push) pushes.delete(one)
    })
    under.add(one)
    if (push) pushes.add(one)
    return one
  }
  /** An array as it is now: what waits in line is read when the caller may have written over it. */
  const held = <T extends Uint32Array | Float32Array>(array: T): T =>
    line === undefined ? array : (array.slice() as T)
  async function exclusive<T>(work: () => Promise<T>): Promise<T> {
    const before = [...under]
    const waiting: (() => void)[] = (line = [])
    try {
      await Promise.allSettled(before)
      return await work()
    } finally {
      line = undefined
      for (const run of waiting) run()
    }
  }

  /** Places in the caller's list that are on the new side, and those that are not. */
  function sides(ids: Uint32Array): { old: Uint32Array; fresh: Uint32Array } {
    const [old, fresh]: [number[], number[]] = [[], []]
    ids.forEach((id, i) => (moved![id] === 1 ? fresh : old).push(i))
    return { old: Uint32Array.from(old), fresh: Uint32Array.from(fresh) }
  }
  const idsAt = (ids: Uint32Array, at: Uint32Array): Uint32Array => at.map((i) => ids[i]!)

  async function pull(ids: Uint32Array, into?: Float32Array): Promise<Float32Array> {
    if (moved === undefined || ids.some((id) => id >= rows)) return now.client.pull(ids, into)
    const { old, fresh } = sides(ids)
    const halves = await Promise.all([now.client.pull(idsAt(ids, old)), next!.client.pull(idsAt(ids, fresh))])
    const out = into ?? new Float32Array(ids.length * d)
    layRowsAt(out, old, halves[0], d)
    layRowsAt(out, fresh, halves[1], d)
    return out
  }
  async function push(ids: Uint32Array, gradients: Float32Array, options: PushOptions = {}): Promise<void> {
    // What one side would refuse must not be applied by the other.
    const right = gradients.length === ids.length * d && ids.every((id) => id < rows) && allFinite(gradients)
    if (moved === undefined || !right) return now.client.push(ids, gradients, options)
    const { old, fresh } = sides(ids)
    await Promise.all([
      now.client.push(idsAt(ids, old), rowsAt(gradients, old, d), options),
      next!.client.push(idsAt(ids, fresh), rowsAt(gradients, fresh, d), options),
    ])
  }

  /**
   * Moves all rows to servers of another kind, one more or one less, and ends those they came from.
   *
   * @param change - asked when the moves before have ended: only then is it known what is there
   */
  function moveTo(change: () => { readonly changed: ClusterKind; readonly servers: number }): Promise<void> {
    const move = moving.then(async () => {
      if (failure !== undefined) throw failure
      seating.refuseMove()
      const { changed, servers } = change()
      const target = await openGeneration(resolveSpec({ ...wanted, servers }), changed, fail)
      try {
        next = target
        moved = new Uint8Array(rows)
        const how = {
          rows: Math.min(sweep.stripes, largestPiece, rowsAMessage),
          pause: sweep.pause,
          share: sweep.share,
        }
        await moveRows(now, target, moved, { ...how, exclusive, stopped: () => closed })
        if (closed) throw new FtError('ABORTED', 'openShards: the store was closed while rows moved; open another', {})
      } catch (error) {
        if (failure === undefined) fail(error as FtError)
        await target.close()
        throw error
      }
      const old = now
      past.lost.push(...(await old.lost()))
      past.replacements += old.replacements
      await exclusive(async () => {
        await keeper.moved(target)
        now = current = target
        next = moved = undefined
        kind = changed
      })
      await old.close()
    })
    moving = move.catch(() => undefined)
    return move
  }

  const settled = async (): Promise<void> => {
    await moving
    await Promise.allSettled(pushes)
  }
  const checkServer = (server: number, what: string): void =>
    assertInteger(server, { where: what, argument: 'server', min: 0, max: now.spec.servers - 1 })
  const disturb = (what: 'pause' | 'isolate', server: number): void => {
    checkServer(server, what)
    const act = now.cluster[what]
    if (act === undefined) {
      throw new FtError('UNSUPPORTED', `${what}: these shards are not processes of this one; use kill`, {})
    }
    act(server)
  }
  const checkKeeps = (where: string): void => {
    if (kind.keeps !== false) return
    throw new FtError(
      'UNSUPPORTED',
      `${where}: rows on Redis nodes end with their trainer, and nothing is kept there; save checkpoints`,
      {},
    )
  }
  let end = 0
  const tables = resolved.ranges.map((range) => {
    end += range.rows
    return { first: end - range.rows, rows: range.rows, protection: 'encode' as const }
  })
  const store: ShardStore = {
    get layout() {
      return now.spec.layout
    },
    d,
    width,
    rows,
    tables,
    offsets: tables.map(({ first }) => first),
    lasting: first.lasting === true,
    get replacements() {
      return past.replacements + now.replacements + (next?.replacements ?? 0)
    },
    async pull(ids, into) {
      checkPull(ids, into, d)
      const kept = held(ids)
      return enter(() => pull(kept, into), false)
    },
    expect(ids) {
      // While rows move there are two sets of servers, and pulls wait for pieces of the move more than for a decode.
      if (moved === undefined && now.degraded) now.expect(ids())
    },
    async push(ids, gradients, options) {
      checkPush(ids, gradients)
      const [kept, values] = [held(ids), held(gradients)]
      return enter(() => push(kept, values, options), true)
    },
    async keep(version) {
      checkKeeps('keep')
      const { push } = version
      const kept = push && { push: { ids: held(push.ids), gradients: held(push.gradients) } }
      const still = { ...version, arrays: version.arrays.map(held), ...kept }
      return enter(() => keeper.keep(still), false)
    },
    async kept() {
      checkKeeps('kept')
      return enter(() => keeper.kept(), false)
    },
    report: () => now.report(),
    async recovered() {
      await settled()
      await now.whole()
      await keeper.settled()
      return [...new Set([...past.lost, ...(await now.lost())])]
    },
    async snapshot({ mark = false } = {}) {
      await settled()
      const whole = { words: new Uint32Array(rows * width), width, versions: new Uint32Array(rows) }
      layRows(whole, await now.steady(() => readRows(now.spec, now.client, { changed: false, mark })))
      return whole
    },
    async changed() {
      await settled()
      const sets = await now.steady(() => readRows(now.spec, now.client, { changed: true, mark: false }))
      return joinSets(sets)
    },
    async restore(from, ids) {
      const at = { where: 'restore' }
      checkSnapshot(from, { rows, width })
      const all =
        ids === undefined
          ? Uint32Array.from({ length: rows }, (_, id) => id)
          : listIds(ids, rows, { ...at, argument: 'ids' })
      await moving
      for (let start = 0; start < all.length; start += rowsAMessage) {
        const some = all.subarray(start, start + rowsAMessage)
        const words = new Uint32Array(some.length * width)
        some.forEach((id, i) => words.set(from.words.subarray(id * width, (id + 1) * width), i * width))
        const versions = Uint32Array.from(some, (id) => from.versions[id]!)
        await now.client.write(some, words, versions)
      }
    },
    async scrub(options = {}) {
      checkScrubNames(options)
      const { stripes = 1024, repair = false, signal, onProgress } = options
      if (r === 0) {
        throw new FtError('UNSUPPORTED', 'scrub: r = 0 has no parity to compare with; open with r of 1 or more', {})
      }
      assertInteger(stripes, { where: 'scrub', argument: 'stripes', min: 1, max: 65_536 })
      await moving
      const { spec, client } = now
      const total = spec.layout.stripes
      const corrupt: CorruptStripe[] = []
      const skipped: number[] = []
      const piece = Math.min(stripes, rowsAMessage)
      for (let start = 0; start < total; start += piece) {
        throwIfAborted(signal, 'scrub')
        const end = Math.min(total, start + piece)
        const some = Array.from({ length: end - start }, (_, i) => start + i)
        const found = await scrubStripes(spec, client, { stripes: some, repair })
        corrupt.push(...found.corrupt)
        skipped.push(...found.skipped)
        onProgress?.({ phase: 'scrub', done: end, total })
      }
      return { stripes: total, corrupt, skipped }
    },
    async flipBit({ stripe, position, word, bit }) {
      const where = 'flipBit'
      await moving
      const { layout } = now.spec
      assertInteger(stripe, { where, argument: 'stripe', min: 0, max: layout.stripes - 1 })
      assertInteger(position, { where, argument: 'position', min: 0, max: k + r - 1 })
      assertInteger(word, { where, argument: 'word', min: 0, max: width - 1 })
      assertInteger(bit, { where, argument: 'bit', min: 0, max: 31 })
      const server = layout.serverOf({ stripe, position })
      await now.client.ask(server, { type: 'flip', id: 0, stripe, position, word, bit })
    },
    addServer: (address) => moveTo(() => ({ changed: kind.grown(address), servers: now.spec.servers + 1 })),
    drain: (server) =>
      moveTo(() => {
        const { servers } = now.spec
        checkServer(server, 'drain')
        if (servers === k + r) {
          throw new FtError(
            'INVALID_ARGUMENT',
            `drain: a stripe of k + r = ${k + r} rows needs as many servers; add one first`,
            { servers, k, r },
          )
        }
        return { changed: kind.shrunk(server), servers: servers - 1 }
      }),
    kill(server) {
      checkServer(server, 'kill')
      now.cluster.kill(server)
    },
    pause: (server) => disturb('pause', server),
    isolate: (server) => disturb('isolate', server),
    async close() {
      closed = true
      fail(new FtError('ABORTED', 'openShards: the store was closed; open another', {}))
      await Promise.all([now.close(), next?.close()])
      await moving
    },
  }
  // While rows move there are two sets of servers, and only the store knows which row is where.
  giveSeats(store, () => (next === undefined ? seating.seats() : undefined))
  return store
}

/** Rows that move at a time: pulls and pushes wait for them. */
const largestPiece = 512

// Tables of several protections behind one store. Small hot ones are kept as the dense network is: whole at the trainer, and, in the
// versions that it keeps, at r + 1 servers. The store of the others stays as it is, with its own numbers of rows; this one stands before it.
import { FtError } from '@ft/core'
import { checkIds, checkPull, checkPush, checkUpdate } from '../client.ts'
import { join } from '../join.ts'
import type { KeptVersion } from '../keptVersion.ts'
import { giveSeats, seatsAt } from '../seating.ts'
import type { ResolvedSpec, RowRange } from '../shard/spec.ts'
import { rowsAt, wordsOf } from '../shard/words.ts'
import { checkSnapshot, joinSets, type RowSet, type Snapshot } from '../snapshot.ts'
import type { ShardStore } from '../store.ts'
import { listIds } from '../typedArrays.ts'
import { createPlaces, type Part, type StoredTable } from './places.ts'
import { createReplicaRows, type ReplicaRows } from './replicaRows.ts'
import { splitAccess, type Halves } from './splitAccess.ts'

export interface MixedOptions {
  readonly tables: readonly StoredTable[]
  /** Of the replicated ones. */
  readonly ranges: readonly RowRange[]
  readonly spec: Pick<ResolvedSpec, 'd' | 'width' | 'row' | 'seed'>
  /** Whether the run was another trainer's: its versions have the rows. */
  readonly resumed: boolean
}

/** @param inner - has the tables at the shards alone, those without parity last */
export async function mixedStore(inner: ShardStore, o: MixedOptions): Promise<ShardStore> {
  const { tables, spec } = o
  const { d, width } = spec
  const places = createPlaces(tables)
  const { rows, sharded, replicated } = places
  const replicas = createReplicaRows(spec, o.ranges)
  /** Of the latest version's push, while it has not been sent. */
  let ahead: Pushed | undefined
  const own: Halves['replicated'] = {
    pull: (part, into) => replicas.pull(part, into),
    push(part, gradients) {
      ahead = undefined
      replicas.push(part, gradients)
    },
  }
  const access = splitAccess(places, { sharded: inner, replicated: own }, d)
  /** Ids of replicated rows that no version had. */
  let startedOver: readonly number[] = []

  const idsOf = (kind: typeof sharded, numbers: Iterable<number>): Uint32Array =>
    Uint32Array.from(numbers, (row) => kind.idOf(row))
  const withIds = (kind: typeof sharded, set: RowSet): RowSet => ({ ...set, ids: idsOf(kind, set.ids) })

  /** @param load - whether rows become those of the version: they are not this trainer's */
  async function kept(load: boolean): Promise<KeptVersion | undefined> {
    const version = await inner.kept()
    if (version === undefined) return undefined
    const { arrays, push, ...rest } = version
    const [mine, pushed] = takeOut(arrays, replicas, d)
    if (load) {
      replicas.words.set(mine.words)
      replicas.versions.set(mine.versions)
      ahead = pushed
    }
    // At the servers it has been applied.
    if (ahead !== undefined) await own.push(inOrder(ahead.rows), ahead.gradients)
    const whole = push && {
      push: {
        ids: join([idsOf(sharded, push.ids), idsOf(replicated, pushed.rows)]),
        gradients: asFloats(join([wordsOf(push.gradients), wordsOf(pushed.gradients)])),
      },
    }
    return { ...rest, arrays: arrays.slice(0, -ownArrays), ...whole }
  }

  if (o.resumed && (await kept(true)) === undefined)
    startedOver = Array.from({ length: replicas.count }, (_, row) => replicated.idOf(row))

  const store: ShardStore = {
    ...inner,
    get layout() {
      return inner.layout
    },
    get replacements() {
      return inner.replacements
    },
    rows,
    tables,
    offsets: tables.map(({ first }) => first),
    async pull(ids, into) {
      checkPull(ids, into, d)
      checkIds(ids, rows, 'pull')
      return access.pull(ids, into)
    },
    expect(ids) {
      inner.expect(() => {
        const wanted = ids()
        checkIds(wanted, rows, 'expect')
        return places.split(wanted).sharded.rows
      })
    },
    async push(ids, gradients, options) {
      checkPush(ids, gradients)
      // What one side would refuse must not be applied by the other.
      checkUpdate(ids, gradients, { d, rows })
      return access.push(ids, gradients, options)
    },
    async snapshot(options) {
      const part = await inner.snapshot(options)
      if (options?.mark === true) replicas.mark()
      const whole = { words: new Uint32Array(rows * width), width, versions: new Uint32Array(rows) }
      layTables(whole, part, sharded.tables)
      layTables(whole, replicas, replicated.tables)
      return whole
    },
    async changed() {
      return joinSets([withIds(sharded, await inner.changed()), withIds(replicated, replicas.changed())])
    },
    async restore(from, ids) {
      checkSnapshot(from, { rows, width })
      const at = { where: 'restore', argument: 'ids' }
      const parts = ids === undefined ? undefined : places.split(listIds(ids, rows, at))
      const count = sharded.rows
      const part = { words: new Uint32Array(count * width), width, versions: new Uint32Array(count) }
      takeTables(part, from, sharded.tables)
      await inner.restore(part, parts?.sharded.rows)
      for (const row of parts?.replicated.rows ?? Array.from({ length: replicas.count }, (_, i) => i))
        replicas.write(row, from, replicated.idOf(row))
    },
    async recovered() {
      return [...idsOf(sharded, await inner.recovered()), ...startedOver]
    },
    async keep(version) {
      const { push } = version
      if (push !== undefined) checkUpdate(push.ids, push.gradients, { d, rows })
      const parts = push && places.split(push.ids)
      const gradientsAt = (at: Uint32Array): Float32Array => rowsAt(push!.gradients, at, d)
      const pushed = {
        rows: parts?.replicated.rows ?? new Uint32Array(0),
        gradients: parts ? gradientsAt(parts.replicated.at) : new Float32Array(0),
      }
      const { push: _, ...rest } = version
      const keeping = inner.keep({
        ...rest,
        arrays: [...version.arrays, ...putIn(replicas, pushed)],
        ...(parts ? { push: { ids: parts.sharded.rows, gradients: gradientsAt(parts.sharded.at) } } : {}),
      })
      ahead = pushed
      try {
        await keeping
      } catch (error) {
        if (ahead === pushed) ahead = undefined
        throw error
      }
    },
    kept: () => kept(false),
  }
  giveSeats(store, () => seatsAt(inner))
  return store
}

/** What stands behind the arrays of a version: words, versions, and the rows and gradients of the push that follows. */
const ownArrays = 4

interface Pushed {
  readonly rows: Uint32Array
  readonly gradients: Float32Array
}

const inOrder = (rows: Uint32Array): Part => ({ rows, at: Uint32Array.from(rows.keys()) })
const asFloats = ({ buffer, byteOffset, length }: Uint32Array): Float32Array =>
  new Float32Array(buffer, byteOffset, length)

const putIn = ({ words, versions }: ReplicaRows, { rows, gradients }: Pushed): Float32Array[] => [
  asFloats(words),
  asFloats(versions),
  asFloats(rows),
  gradients,
]

/** @throws FtError `SHAPE_MISMATCH` */
function takeOut(
  arrays: readonly Float32Array[],
  { words, versions }: ReplicaRows,
  d: number,
): [{ readonly words: Uint32Array; readonly versions: Uint32Array }, Pushed] {
  const last = arrays.slice(-ownArrays)
  const [floats, counts, rows, gradients] = last
  const fits =
    last.length === ownArrays &&
    floats!.length === words.length &&
    counts!.length === versions.length &&
    gradients!.length === rows!.length * d
  if (!fits)
    throw new FtError(
      'SHAPE_MISMATCH',
      'kept: the version is of other replicated tables; open the store with the tables that it had',
      { rows: versions.length },
    )
  return [
    { words: wordsOf(floats!), versions: wordsOf(counts!) },
    { rows: wordsOf(rows!), gradients: gradients! },
  ]
}

type Blocks = readonly { readonly first: number; readonly begin: number; readonly rows: number }[]
type Content = Pick<Snapshot, 'words' | 'versions'>

/** Tables of one kind into all rows. */
function layTables(into: Snapshot, from: Content, blocks: Blocks): void {
  for (const { first, begin, rows } of blocks) copyRows(into, first, from, { begin, rows })
}

/** The other way round. */
function takeTables(into: Snapshot, from: Content, blocks: Blocks): void {
  for (const { first, begin, rows } of blocks) copyRows(into, begin, from, { begin: first, rows })
}

function copyRows(into: Snapshot, to: number, from: Content, { begin, rows }: { begin: number; rows: number }): void {
  const { width } = into
  into.words.set(from.words.subarray(begin * width, (begin + rows) * width), to * width)
  into.versions.set(from.versions.subarray(begin, begin + rows), to)
}

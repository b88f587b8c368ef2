// All rows of a store, by id, or those that changed.
import { FtError } from '@ft/core'
import type { Client } from './client.ts'
import { join } from './join.ts'
import type { MessageOf } from './shard/messages.ts'
import type { ResolvedSpec } from './shard/spec.ts'
import { assertArray } from './typedArrays.ts'

/** All rows, by id. */
export interface Snapshot {
  /** Bits of values and optimizer state: `[rows, width]`. */
  readonly words: Uint32Array
  readonly width: number
  /** Updates of each row. */
  readonly versions: Uint32Array
}

/** Some rows. */
export interface RowSet {
  readonly ids: Uint32Array
  /** `[ids.length, width]`. */
  readonly words: Uint32Array
  readonly versions: Uint32Array
}

/** @throws FtError `INVALID_ARGUMENT`, `SHAPE_MISMATCH` when it is not of so many such rows */
export function checkSnapshot(from: Snapshot, { rows, width }: { rows: number; width: number }): void {
  const at = { where: 'restore' }
  assertArray(from.words, 'Uint32Array', { ...at, argument: 'snapshot.words' })
  assertArray(from.versions, 'Uint32Array', { ...at, argument: 'snapshot.versions' })
  if (from.width === width && from.versions.length === rows && from.words.length === rows * width) return
  throw new FtError(
    'SHAPE_MISMATCH',
    `restore: the snapshot must have ${rows} rows of ${width} words, got ${from.versions.length} of ${from.width}; open the store with the same tables, d and optimizer`,
    { rows, width },
  )
}

/** A piece of a server's rows. */
interface Range {
  readonly server: number
  readonly first: number
  readonly count: number
  readonly changed: boolean
  readonly mark: boolean
}

/** Reads data rows of a server from its `first`: all, or those changed since the latest reading with `mark`. */
export async function readRange({ layout, width }: ResolvedSpec, client: Client, range: Range): Promise<RowSet> {
  const { server, first, count } = range
  const how = { changed: Number(range.changed), mark: Number(range.mark) }
  const answer = await client.ask(server, { type: 'snapshot', id: 0, first, count, ...how })
  const { rows, words, versions } = answer as MessageOf<'rowBits'>
  const own = Array.from(rows, (row) => layout.idOf(layout.dataPlace(server, row)))
  const real = own.flatMap((id, i) => (id < 0 ? [] : [i]))
  const set = {
    ids: new Uint32Array(real.length),
    words: new Uint32Array(real.length * width),
    versions: new Uint32Array(real.length),
  }
  real.forEach((from, to) => {
    set.ids[to] = own[from]!
    set.words.set(words.subarray(from * width, (from + 1) * width), to * width)
    set.versions[to] = versions[from]!
  })
  return set
}

/** Reads rows of every server: all, or those changed since the latest reading with `mark`. */
export async function readRows(
  spec: ResolvedSpec,
  client: Client,
  how: { changed: boolean; mark: boolean },
): Promise<RowSet[]> {
  const { layout, rowsAMessage: count } = spec
  const sets: RowSet[] = []
  for (let server = 0; server < layout.servers; server++)
    for (let first = 0; first < layout.dataRows; first += count)
      sets.push(await readRange(spec, client, { server, first, count, ...how }))
  return sets
}

/** Sets of different rows as one. */
export function joinSets(sets: readonly RowSet[]): RowSet {
  return {
    ids: join(sets.map(({ ids }) => ids)),
    words: join(sets.map(({ words }) => words)),
    versions: join(sets.map(({ versions }) => versions)),
  }
}

/** Rows laid into a snapshot of all. */
export function layRows(into: Snapshot, sets: readonly RowSet[]): void {
  const { width } = into
  for (const { ids, words, versions } of sets)
    ids.forEach((id, i) => {
      into.versions[id] = versions[i]!
      into.words.set(words.subarray(i * width, (i + 1) * width), id * width)
    })
}

// Options of `openShards` that every kind of shards has, with their defaults.
import { FtError, assertInteger, assertNumber, assertOneOf, invalidArgument } from '@ft/core'
import type { SweepOptions } from './network/members.ts'
import type { Protection, StoredTable } from './tables/places.ts'
import { checkRange, type RowRange, type ShardSpec } from './shard/spec.ts'
import type { EmbeddingTable, ShardOptions } from './store.ts'

export interface ResolvedOptions {
  /** Of the tables at the shards. */
  readonly spec: ShardSpec
  readonly sweep: SweepOptions
  /** All of them; rows of the replicated ones. */
  readonly tables: readonly StoredTable[]
  readonly replicated: readonly RowRange[]
  readonly resumed: boolean
}

/** @throws FtError `INVALID_ARGUMENT`, `UNSUPPORTED` */
export function resolveOptions(options: ShardOptions): ResolvedOptions {
  const { k = 4, r = 1, d, seed = 0, acknowledgement = 'sync', logBytes = 64 * 2 ** 20 } = options
  const {
    servers = (options.shards ?? options.redis)?.length ?? k + r,
    optimizer = { name: 'adagrad', learningRate: 0.01 },
  } = options
  // On Redis nodes pushes wait for each step: smaller ones, of more of the time.
  const usual = options.redis === undefined ? { stripes: 1024, share: 0.08 } : { stripes: 512, share: 0.12 }
  const { stripes = usual.stripes, pause = 5, share = usual.share } = options.sweep ?? {}
  const at = (argument: string) => ({ where: 'openShards', argument })
  assertOneOf(acknowledgement, { ...at('acknowledgement'), values: ['sync', 'async'] })
  assertInteger(stripes, { ...at('sweep.stripes'), min: 1, max: 1_000_000 })
  assertInteger(pause, { ...at('sweep.pause'), min: 0, max: 60_000 })
  assertNumber(share, { ...at('sweep.share'), min: 0.001, max: 1 })
  if (!Array.isArray(options.tables)) throw invalidArgument(at('tables'), 'an array of tables', options.tables)
  const { tables, ranges, bare, replicated } = resolveTables(options.tables)
  // Runs in which every row has parity say of themselves what they always have.
  const some = bare > 0 ? { bare } : {}
  const spec = { k, r, servers, d, ranges, ...some, optimizer, seed, acknowledgement, logBytes }
  return { spec, sweep: { stripes, pause, share }, tables, replicated, resumed: options.resume === true }
}

function resolveTables(given: readonly EmbeddingTable[]) {
  const where = 'openShards'
  let end = 0
  const all = given.map(({ rows, scale = 1 / Math.sqrt(rows), protection = 'encode' }, i) => {
    const argument = `tables[${i}].protection`
    assertOneOf(protection, { where, argument, values: ['encode', 'replicate', 'leave'] })
    end += rows
    return { first: end - rows, rows, scale, protection }
  })
  const rangesOf = (wanted: Protection): RowRange[] =>
    all.filter(({ protection }) => protection === wanted).map(({ first, rows, scale }) => ({ first, rows, scale }))
  const [encoded, replicated, left] = [rangesOf('encode'), rangesOf('replicate'), rangesOf('leave')]
  if (encoded.length === 0 && all.length > 0) {
    const text = `${where}: \`tables\` must have one to encode; encode the largest, or keep the tables without shards`
    throw new FtError('INVALID_ARGUMENT', text, { tables: all.length })
  }
  for (const { rows, scale } of replicated) checkRange(where, rows, scale)
  // Ids follow from the ranges where all are encoded: such runs say of themselves what they always have.
  const ranges =
    encoded.length === all.length ? encoded.map(({ rows, scale }) => ({ rows, scale })) : [...encoded, ...left]
  const bare = left.reduce((sum, { rows }) => sum + rows, 0)
  const tables = all.map(({ first, rows, protection }) => ({ first, rows, protection }))
  return { tables, ranges, bare, replicated }
}

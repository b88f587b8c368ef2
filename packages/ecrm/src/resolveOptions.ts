// Options of `openShards` that every kind of shards has, with their defaults.
import { assertInteger, assertNumber, assertOneOf, invalidArgument } from '@ft/core'
import type { SweepOptions } from './network/members.ts'
import type { ShardSpec } from './shard/spec.ts'
import type { ShardOptions } from './store.ts'

/** @throws FtError `INVALID_ARGUMENT` */
export function resolveOptions(options: ShardOptions): { readonly spec: ShardSpec; readonly sweep: SweepOptions } {
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
  const ranges = options.tables.map(({ rows, scale = 1 / Math.sqrt(rows) }) => ({ rows, scale }))
  const spec = { k, r, servers, d, ranges, optimizer, seed, acknowledgement, logBytes }
  return { spec, sweep: { stripes, pause, share } }
}

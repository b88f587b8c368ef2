// What every shard of a run must agree on, checked once and carried as words.
import { FtError, assertInteger, assertNumber } from '@ft/core'
import { createLayout, type Layout } from '../layout.ts'
import { optimizerNames, rowOptimizer, type OptimizerOptions, type RowOptimizer } from './optimizers.ts'
import { packText, unpackText } from './text.ts'

/** Rows that start alike: uniform in [-scale, scale). */
export interface RowRange {
  readonly rows: number
  readonly scale: number
  /** The id of the first one, where rows before it are not at the shards; default the rows of the ranges before. */
  readonly first?: number
}

export interface ShardSpec {
  /** Data rows and parity rows a stripe; r = 0 protects nothing. */
  readonly k: number
  readonly r: number
  readonly servers: number
  /** Values a row. */
  readonly d: number
  /** Tables laid end to end: ids count through all of them. */
  readonly ranges: readonly RowRange[]
  /** Rows without parity, the last ones; left out: none. */
  readonly bare?: number
  readonly optimizer: OptimizerOptions
  readonly seed: number
  /** 'sync': a push is answered when its differences are at every parity. 'async': at once. */
  readonly acknowledgement: 'sync' | 'async'
  /** Most bytes of differences that wait for one peer's answer; then pushes wait. */
  readonly logBytes: number
  /** About the most bytes of one message; default 8 MiB. Not an option of the package: for its tests. */
  readonly messageBytes?: number
}

/** A spec with what follows from it. */
export interface ResolvedSpec extends ShardSpec {
  readonly layout: Layout
  readonly row: RowOptimizer
  /** Words of a row with its state. */
  readonly width: number
  /**
   * Most rows in one message: longer lists go in several, none of which is near what a frame may hold or keeps a connection from
   * showing a sign of life.
   */
  readonly rowsAMessage: number
}

/** Far below what a frame may hold, and a tenth of a second of a network of 1 Gbit/s. */
const defaultMessageBytes = 8 * 2 ** 20
/** Words of a row in a message beside its own, at most: heads of differences, or of members beside their k versions. */
const headWordsARow = 10

export function checkRange(where: string, rows: number, scale: number): void {
  assertInteger(rows, { where, argument: 'tables[].rows', min: 1 })
  assertNumber(scale, { where, argument: 'tables[].scale', min: 0 })
}

/** @throws FtError `INVALID_ARGUMENT` */
export function resolveSpec(spec: ShardSpec): ResolvedSpec {
  const where = 'openShards'
  assertInteger(spec.d, { where, argument: 'd', min: 1, max: 65_536 })
  assertInteger(spec.seed, { where, argument: 'seed', min: 0 })
  assertInteger(spec.logBytes, { where, argument: 'logBytes', min: 1 })
  if (spec.ranges.length === 0)
    throw new FtError('INVALID_ARGUMENT', `${where}: \`tables\` must not be empty; name one`, {})
  for (const { rows, scale, first = 0 } of spec.ranges) {
    checkRange(where, rows, scale)
    assertInteger(first, { where, argument: 'tables[].first', min: 0 })
  }
  const rows = spec.ranges.reduce((sum, range) => sum + range.rows, 0)
  const { k, r, servers, seed, bare = 0 } = spec
  const layout = createLayout({ rows, bare, k, r, servers, seed })
  const row = rowOptimizer(spec.optimizer)
  const width = spec.d + row.stateWords(spec.d)
  const { messageBytes = defaultMessageBytes } = spec
  // Also of the messages that a question leads to: differences of its rows, or what they are decoded from.
  const rowsAMessage = Math.max(1, Math.floor(messageBytes / (4 * (width + spec.k + headWordsARow))))
  return { ...spec, layout, row, width, rowsAMessage }
}

/** The spec as words. */
export function packSpec(spec: ShardSpec): Uint32Array {
  return packText(JSON.stringify(spec))
}

/** @throws FtError `CORRUPT_DATA` when the words hold no spec, `INVALID_ARGUMENT` when it asks for what cannot be */
export function unpackSpec(words: Uint32Array): ResolvedSpec {
  let spec: ShardSpec
  try {
    spec = JSON.parse(unpackText(words)) as ShardSpec
    if (!Array.isArray(spec.ranges) || !optimizerNames.includes(spec.optimizer.name)) throw new Error('fields missing')
  } catch (cause) {
    throw new FtError(
      'CORRUPT_DATA',
      'shard: the start message holds no specification; start the run again',
      {},
      { cause },
    )
  }
  return resolveSpec(spec)
}

// The nodes of a run as its owners see them.
import type { ErasureCode } from '../codes/code.ts'
import type { ResolvedSpec } from '../shard/spec.ts'
import type { Lock } from './lock.ts'
import type { Part } from './part.ts'
import type { Shapes } from './records.ts'
import type { ServerRows } from './rows.ts'

export interface Fleet {
  readonly spec: ResolvedSpec
  readonly shapes: Shapes
  /** Undefined when r = 0. */
  readonly code: ErasureCode | undefined
  /** By server; undefined while a lost one is replaced. */
  readonly parts: (Part | undefined)[]
  readonly rows: readonly ServerRows[]
  readonly lock: Lock
  /** Rows could not be rebuilt and start over. */
  gaveUp(server: number, ids: readonly number[]): void
}

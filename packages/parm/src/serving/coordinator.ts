// What a coordinator is told and what it offers; how it works is in serveGroup.ts.
import type { Code } from '../codes/code.ts'
import type { NamedTensor } from '../named.ts'
import type { Bag } from './bag.ts'
import type { Cancellation } from './cancellation.ts'
import type { Clock } from './clock.ts'
import type { Answer, Dispatch, Group, Query } from './group.ts'
import type { UtilisationGuard } from './guard.ts'
import type { Policy } from './policy.ts'
import type { ResidualCheck } from './residual.ts'
import type { ShadowCheck } from './shadow.ts'

export interface CoordinatorOptions {
  /** Absent: no redundancy, queries are only dispatched and answered by their deadline. */
  readonly code?: Code
  readonly policy: Policy
  readonly clock: Clock
  readonly dispatch: Dispatch
  /** Milliseconds until a query is answered whatever happens. Default 1000. */
  readonly deadlineMs?: number
  /** Longest time that a group stays open for members. Default 50. */
  readonly maxGroupWaitMs?: number
  /** Runs work that no answer waits for, such as encoding. Default: at once. */
  readonly defer?: (work: () => void) => void
  /** Stops extra units while the base instances are too busy. Default: never. */
  readonly guard?: Pick<UtilisationGuard, 'allows'>
  /** Compares a share of reconstructions with the outputs that come later. Default: none. */
  readonly shadow?: ShadowCheck
  /** Looks for an instance that answers wrongly, in groups of which every output comes. Default: none. */
  readonly residual?: ResidualCheck
  /** Counts what happens. */
  readonly count?: (event: CoordinatorEvent) => void
}

export type CoordinatorEvent =
  | 'query'
  | 'exact'
  | 'reconstructed'
  | 'default'
  | 'cancelled'
  | 'unit-failed'
  | 'group-full'
  | 'group-short'
  | 'parity'
  | 'replica'
  | 'hedge'
  | 'guarded'
  | 'decode-failed'

export interface Submission {
  readonly inputs: readonly NamedTensor[]
  /** Travel with the query to its instances. */
  readonly headers?: Readonly<Record<string, string>>
  readonly deadlineMs?: number
  /** Whether a reconstruction may answer. Default true. */
  readonly allowDegraded?: boolean
  readonly signal?: AbortSignal
  /** The same without the cost of a signal. */
  readonly gone?: Pick<Cancellation, 'cancelled' | 'onCancel'>
}

export interface Coordinator {
  /** Answers exactly once, at the latest at the deadline; rejects only for misuse and when its signal is aborted. */
  submit(query: Submission): Promise<Answer>
  /** Queries without an answer and groups in memory. */
  open(): { readonly queries: number; readonly groups: number }
  /** Answers all open queries as at their deadline and forgets the groups. */
  stop(): void
}

/** What the steps of a query's life share: the options with their defaults, and what is open. */
export interface Shared extends CoordinatorOptions {
  readonly defer: (work: () => void) => void
  readonly count: (event: CoordinatorEvent) => void
  readonly groups: Bag<Group>
  readonly queries: Bag<Query>
}

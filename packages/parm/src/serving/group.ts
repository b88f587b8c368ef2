// The state of open queries and coding groups. Plain records; what happens to them is in serveGroup.ts.
import type { Code } from '../codes/code.ts'
import type { NamedTensor, Quality } from '../named.ts'
import type { BagMember } from './bag.ts'
import type { Cancellation } from './cancellation.ts'

/**
 * What a query gets. `outputs` is absent when the deadline passed and no reconstruction could be used, or before when nothing
 * was left that could answer it.
 */
export interface Answer {
  readonly quality: Quality
  readonly outputs: readonly NamedTensor[] | undefined
  /** Why there are none, when the deadline was not waited for: how the last unit failed. */
  readonly error?: unknown
  /** Number of its coding group. */
  readonly group: number
  /** From submission, by the clock. */
  readonly latencyMs: number
}

/** One unit's work for a model. */
export interface Task {
  /** Dense id: `group * n + slot`. */
  readonly id: number
  /** Whether it is the hedge of a unit that is already on its way under the same id. */
  readonly hedge: boolean
  /** 'base' or a parity model's name. */
  readonly model: string
  readonly inputs: readonly NamedTensor[]
  /** When nobody needs the outputs any more, by the clock. */
  readonly dueMs: number
  /** What the query brought for its instance, such as `traceparent`; none for parities. */
  readonly headers: Readonly<Record<string, string>>
  /** Says when nobody needs the outputs any more. */
  readonly work: Pick<Cancellation, 'cancelled' | 'abandoned' | 'onCancel'>
  /** The same as a signal, made when it is asked for. */
  readonly signal: AbortSignal
  /** Instances that other units of the group were given to: choose another where there is one, and add it. */
  readonly placed: Set<string>
  /** Names of the instances that have this unit, or its hedge, now: wait for another while one is in use. */
  readonly holders: string[]
}

/**
 * A task whose outputs nobody needs once its work is cancelled. A class, since every object with an accessor of its own is a kind
 * of its own to the engine, and slow.
 */
export class UnitTask implements Task {
  readonly id: number
  readonly hedge: boolean
  readonly model: string
  readonly inputs: readonly NamedTensor[]
  readonly dueMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly work: Cancellation
  readonly placed: Set<string>
  readonly holders: string[]

  constructor({ id, hedge, model, inputs, dueMs, headers, work, placed, holders }: Omit<UnitTask, 'signal'>) {
    this.id = id
    this.hedge = hedge
    this.model = model
    this.inputs = inputs
    this.dueMs = dueMs
    this.headers = headers
    this.work = work
    this.placed = placed
    this.holders = holders
  }

  get signal(): AbortSignal {
    return this.work.signal
  }
}

/**
 * Runs tasks; `by` names the instance that answered. Exactly one of the two callbacks is called, once, unless the work was
 * cancelled.
 */
export type Dispatch = (
  task: Task,
  settle: { done(outputs: readonly NamedTensor[], by?: string): void; failed(error: unknown): void },
) => void

export interface Query extends BagMember {
  readonly inputs: readonly NamedTensor[]
  readonly headers: Readonly<Record<string, string>>
  readonly allowDegraded: boolean
  readonly arrivedMs: number
  readonly deadlineMs: number
  readonly decodeAfterMs: number
  readonly answer: (answer: Answer) => void
  /** Cancels its own unit. */
  readonly work: Cancellation
  /** Instances that have its unit or its hedge. */
  readonly holders: string[]
  /** Cancels its hedge, when one was sent. */
  hedge: Cancellation | undefined
  hedgeFailed: boolean
  group: Group
  slot: number
  answered: boolean
  /** Its client has gone. */
  left: boolean
  cancelTimers: (() => void)[]
  /** Its own unit failed: no longer any use in waiting for it. */
  failed: boolean
  /** The reconstruction that answered it, while it waits to be compared with its own output. */
  shadow: readonly NamedTensor[] | undefined
}

export interface Group extends BagMember {
  readonly number: number
  /** Replaced when a group is closed short. */
  code: Code
  readonly members: Query[]
  /** Outputs that arrived, by unit. */
  readonly got: Map<number, readonly NamedTensor[]>
  /** Instances that gave them. */
  readonly by: Map<number, string>
  /** Whether its outputs are compared with its parities once all are there, whoever has been answered by then. */
  checked: boolean
  /** Works of parity units and replicas. */
  readonly extra: Cancellation[]
  readonly placed: Set<string>
  closed: boolean
  /** Whether the guard refused its extra units. */
  guarded: boolean
  /** Units beside the queries' own that will not come. */
  lost: Set<number> | undefined
  /** How the last unit failed that did. */
  error: unknown
  /** Whether its outputs did not fit together. */
  garbled: boolean
  /** Decoded once, when first possible and needed. */
  decoded: ReturnType<Code['decode']> | undefined
  cancelWait: (() => void) | undefined
}

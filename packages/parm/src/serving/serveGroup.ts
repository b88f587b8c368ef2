// The frontend of Parity Models (SOSP'19, section 3.1): queries go out at once, every k of them form a coding group, a
// parity query follows off their path, and a late output is decoded from those that came. Reads top to bottom in the
// order of a query's life; transport, instances and time are given from outside.
import { FtError, assertInteger, assertNumber } from '@ft/core'
import { unitId, type Code } from '../codes/code.ts'
import { replication } from '../codes/replication.ts'
import type { NamedTensor } from '../named.ts'
import { Cancellation } from './cancellation.ts'
import type { Clock } from './clock.ts'
import type { UtilisationGuard } from './guard.ts'
import type { ShadowCheck } from './shadow.ts'
import type { Answer, Dispatch, Group, Query, Task } from './group.ts'
import type { Policy } from './policy.ts'

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

/**
 * Serves queries in coding groups.
 *
 * Guarantees: every query is answered once, with its own answer, by its deadline (as exactly as the clock calls back); a
 * group leaves memory when its members have their answers, at the latest after their deadlines.
 * Differs: the prototype leaves groups of fewer than k unprotected; here they are closed after `maxGroupWaitMs` and their
 * members protected by a parity model trained for short groups, or by a replica each. Never by zeros in a parity model
 * that was not trained for them.
 */
export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const {
    code,
    policy,
    clock,
    dispatch,
    deadlineMs = 1000,
    maxGroupWaitMs = 50,
    defer = (work) => work(),
    guard,
    shadow,
    count = () => undefined,
  } = options
  assertNumber(deadlineMs, { where: 'createCoordinator', argument: 'deadlineMs', min: 1 })
  assertNumber(maxGroupWaitMs, { where: 'createCoordinator', argument: 'maxGroupWaitMs', min: 0 })
  if (code) assertInteger(code.k, { where: 'createCoordinator', argument: 'code.k', min: 1 })

  const forming = new Map<string, Group>()
  const groups = new Set<Group>()
  const queries = new Set<Query>()
  let nextGroup = 0

  function submit(submission: Submission): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { signal, gone } = submission
      if (signal?.aborted || gone?.cancelled) return reject(abortedBy(signal))
      const query = join(submission, resolve)
      const cancel = () => {
        if (query.answered) return
        finish(query)
        count('cancelled')
        reject(abortedBy(signal))
      }
      if (gone) query.cancelTimers.push(gone.onCancel(cancel))
      if (signal) {
        signal.addEventListener('abort', cancel, { once: true })
        query.cancelTimers.push(() => signal.removeEventListener('abort', cancel))
      }
      if (query.group.code.systematic) runOwnUnit(query)
      if (query.group.code.k === query.group.members.length) closeFull(query.group)
    })
  }

  /** Step 1: the query takes the next place of the group that is forming for queries like it. */
  function join(submission: Submission, answer: (answer: Answer) => void): Query {
    const own = submission.deadlineMs ?? deadlineMs
    // A code that mixes all units has no exact answer to give
    const alone = code?.systematic === false && submission.allowDegraded === false
    const key = code ? formOf(submission.inputs) : ''
    const group = alone ? makeGroup(unprotected) : ((code ? forming.get(key) : undefined) ?? openGroup(key))
    const query: Query = {
      inputs: submission.inputs,
      headers: submission.headers ?? none,
      allowDegraded: submission.allowDegraded ?? true,
      arrivedMs: clock.now(),
      deadlineMs: own,
      decodeAfterMs: Math.min(own, policy.decodeAfterMs({ deadlineMs: own })),
      answer,
      work: new Cancellation(),
      hedge: undefined,
      group,
      slot: group.members.length,
      answered: false,
      cancelTimers: [],
      failed: false,
      shadow: undefined,
    }
    group.members.push(query)
    queries.add(query)
    query.cancelTimers.push(clock.schedule(own, () => expire(query)))
    const hedgeAfterMs = policy.hedgeAfterMs?.({ deadlineMs: own }) ?? own
    if (hedgeAfterMs < own) query.cancelTimers.push(clock.schedule(hedgeAfterMs, () => sendHedge(query)))
    count('query')
    return query
  }

  function openGroup(key: string): Group {
    const group = makeGroup(code ?? unprotected)
    if (!code || code.k === 1) return group
    forming.set(key, group)
    group.cancelWait = clock.schedule(maxGroupWaitMs, () => closeShort(group))
    return group
  }

  function makeGroup(groupCode: Code): Group {
    const group: Group = {
      number: nextGroup++,
      code: groupCode,
      members: [],
      got: new Map(),
      extra: [],
      placed: new Set(),
      closed: false,
      guarded: false,
      decoded: undefined,
      cancelWait: undefined,
    }
    groups.add(group)
    return group
  }

  /** Step 2: the query itself goes to an instance at once; coding is never in its way. */
  function runOwnUnit(query: Query): void {
    dispatch(ownTask(query, query.work), {
      done(outputs) {
        if (!query.answered) policy.observe(clock.now() - query.arrivedMs)
        if (query.shadow) shadow?.compare({ reconstructed: query.shadow, own: outputs })
        arrived(query.group, query.slot, outputs)
      },
      failed() {
        count('unit-failed')
        query.failed = true
        consider(query)
        // Where nothing else is on its way to answer it, a second attempt is no luxury that the guard may refuse
        if (!query.answered && (policy.hedgeAfterMs || query.group.guarded)) repeat(query)
      },
    })
  }

  function ownTask(query: Query, work: Cancellation): Task {
    const { group, slot } = query
    return {
      id: unitId(code ?? unprotected, { group: group.number, slot }),
      hedge: work !== query.work,
      model: 'base',
      inputs: query.inputs,
      headers: query.headers,
      dueMs: query.arrivedMs + query.deadlineMs,
      work,
      get signal() {
        return work.signal
      },
      placed: group.placed,
    }
  }

  /** Step 2, for a query that is late under a policy that hedges: a copy goes to another instance. */
  function sendHedge(query: Query): void {
    if (guard?.allows() === false) return count('guarded')
    repeat(query)
  }

  function repeat(query: Query): void {
    if (query.answered || query.hedge) return
    query.hedge = new Cancellation()
    count('hedge')
    dispatch(ownTask(query, query.hedge), {
      done: (outputs) => arrived(query.group, query.slot, outputs),
      failed: () => count('unit-failed'),
    })
  }

  /** Step 3: k queries are together; the parities are encoded off their path and sent to the parity models. */
  function closeFull(group: Group): void {
    leaveForming(group)
    count('group-full')
    defer(() => sendExtraUnits(group))
  }

  /** Step 3, for a group that did not fill in time. */
  function closeShort(group: Group): void {
    leaveForming(group)
    count('group-short')
    if (!group.code.systematic) return runAlone(group)
    if (guard?.allows() === false) return refuse(group)
    const shorter = group.code.shorten?.(group.members.length)
    if (shorter) {
      // Parity units take the places after the members present; outputs of members keep theirs
      group.code = shorter
      return defer(() => sendExtraUnits(group))
    }
    for (const query of group.members) if (!query.answered) splitOff(query)
    forget(group)
  }

  /** A group too small for a code that mixes all units: every member runs as it is. */
  function runAlone(group: Group): void {
    forget(group)
    for (const query of group.members) {
      if (query.answered) continue
      moveTo(query, makeGroup(unprotected))
      runOwnUnit(query)
    }
  }

  function moveTo(query: Query, group: Group): void {
    for (const instance of query.group.placed) group.placed.add(instance)
    group.closed = true
    group.members.push(query)
    query.group = group
    query.slot = 0
  }

  /** The guard is closed: the members have their own outputs only. */
  function refuse(group: Group): void {
    if (group.members.every((query) => query.answered)) return forget(group)
    group.guarded = true
    count('guarded')
    for (const query of group.members) if (query.failed) repeat(query)
  }

  /** Gives a query a group of its own in which a second copy of it runs. */
  function splitOff(query: Query): void {
    const own = makeGroup(replica)
    moveTo(query, own)
    sendExtraUnits(own)
  }

  function leaveForming(group: Group): void {
    group.closed = true
    group.cancelWait?.()
    for (const [key, open] of forming) if (open === group) forming.delete(key)
  }

  function sendExtraUnits(group: Group): void {
    const waiting = group.members.filter((query) => !query.answered)
    // Everybody was answered while the encoder waited its turn: a parity would be of no use
    if (waiting.length === 0) return forget(group)
    const { systematic } = group.code
    if (systematic && guard?.allows() === false) return refuse(group)
    let units: NamedTensor[][]
    try {
      units = group.code.encode(group.members.map((query) => query.inputs))
    } catch {
      // Tensors that cannot be summed (or are no images): each has a copy instead
      for (const query of waiting) splitOff(query)
      return forget(group)
    }
    const dueMs = Math.max(...waiting.map((query) => query.arrivedMs + query.deadlineMs))
    // Units 0 .. k - 1 of a systematic code are on their way already
    for (let slot = systematic ? group.code.k : 0; slot < group.code.n; slot++) {
      const model = group.code.modelFor(slot)
      const work = new Cancellation()
      group.extra.push(work)
      if (systematic || slot >= group.code.k) count(group.code.exact ? 'replica' : 'parity')
      dispatch(
        {
          id: unitId(code ?? unprotected, { group: group.number, slot }),
          hedge: false,
          model,
          inputs: units[slot] as NamedTensor[],
          headers: none,
          dueMs,
          work,
          get signal() {
            return work.signal
          },
          placed: group.placed,
        },
        { done: (outputs) => arrived(group, slot, outputs), failed: () => count('unit-failed') },
      )
    }
  }

  /** Step 4: an output came. It answers its own query, and may make others of the group decodable. */
  function arrived(group: Group, slot: number, outputs: readonly NamedTensor[]): void {
    if (!groups.has(group) || group.got.has(slot)) return
    group.got.set(slot, outputs)
    const own = group.code.systematic ? group.members[slot] : undefined
    if (own && !own.answered) {
      complete(own, 'exact', outputs)
      own.work.cancel()
      own.hedge?.cancel()
    }
    for (const query of group.members) if (!query.answered) consider(query)
  }

  /** Step 5: a query without its output is answered by decoding when that is possible and the policy lets it. */
  function consider(query: Query): void {
    const { group } = query
    if (query.answered || !group.closed || !group.code.canDecode(new Set(group.got.keys()))) return
    const age = clock.now() - query.arrivedMs
    // Nothing to hold for when its own unit failed; a copy's output is exact and never held back
    const nothingToWaitFor = group.code.systematic
      ? query.failed || group.code.exact === true
      : group.got.size === group.code.n
    if (nothingToWaitFor || age >= query.decodeAfterMs) return decodeFor(query)
    query.cancelTimers.push(clock.schedule(query.decodeAfterMs - age, () => decodeFor(query)))
  }

  function decodeFor(query: Query): void {
    const { group } = query
    if (query.answered) return
    try {
      // Without queries among its units, every further output makes the answers better
      group.decoded = (group.code.systematic ? group.decoded : undefined) ?? group.code.decode(group.got)
    } catch {
      // Outputs of other shapes than the members': a wrong parity model or instance. The query waits for its own output
      count('decode-failed')
      return
    }
    const quality = group.decoded.quality[query.slot] ?? 'reconstructed'
    if (quality === 'reconstructed' && !query.allowDegraded) return
    policy.observe(clock.now() - query.arrivedMs)
    const outputs = group.decoded.outputs[query.slot]
    if (quality === 'reconstructed' && outputs && shadow?.wants()) query.shadow = outputs
    complete(query, quality, outputs)
  }

  /** Step 6: the deadline. A reconstruction that the policy held back is better than none. */
  function expire(query: Query): void {
    if (query.group.closed && query.group.code.canDecode(new Set(query.group.got.keys()))) decodeFor(query)
    if (query.answered) return
    policy.observe(clock.now() - query.arrivedMs)
    complete(query, 'default', undefined)
  }

  function complete(query: Query, quality: Answer['quality'], outputs: readonly NamedTensor[] | undefined): void {
    const group = query.group.number
    finish(query)
    count(quality)
    query.answer({ quality, outputs, group, latencyMs: clock.now() - query.arrivedMs })
  }

  /** Ends a query and the work that only it needed: exactly its own unit, and the extra units of an answered group. */
  function finish(query: Query): void {
    query.answered = true
    queries.delete(query)
    for (const cancel of query.cancelTimers) cancel()
    query.cancelTimers = []
    // Its output still helps to decode the others, those who may yet join included: stopped when none needs help
    const { group } = query
    const needed = group.members.some((other) => !other.answered)
    if (!needed && group.closed) {
      for (const member of group.members) endWork(member)
      for (const work of group.extra) work.cancel()
      forget(group)
    } else if (group.decoded) endWork(query)
  }

  function endWork(query: Query): void {
    query.hedge?.cancel()
    // An output that is awaited to judge a reconstruction goes on
    if (!query.shadow) query.work.cancel()
  }

  function forget(group: Group): void {
    groups.delete(group)
    group.got.clear()
  }

  return {
    submit,
    open: () => ({ queries: queries.size, groups: groups.size }),
    stop() {
      for (const query of queries) expire(query)
      for (const group of groups) {
        leaveForming(group)
        forget(group)
      }
    },
  }
}

/** Queries alike in names, types and shapes can share a group. */
function formOf(inputs: readonly NamedTensor[]): string {
  return inputs.map(({ name, dtype, shape }) => `${name}:${dtype}[${shape.join(',')}]`).join(';')
}

function abortedBy(signal: AbortSignal | undefined): FtError {
  return new FtError('ABORTED', 'submit: aborted by its signal', {}, { cause: signal?.reason })
}

const none: Readonly<Record<string, string>> = {}
const replica = replication({ k: 1, copies: 2 })

/** A group of one without extra units. */
const unprotected: Code = {
  name: 'none',
  k: 1,
  n: 1,
  systematic: true,
  encode: (group) => group.map((member) => [...member]),
  canDecode: (got) => got.has(0),
  decode: (got) => ({ outputs: [[...(got.get(0) ?? [])]], quality: ['exact'] }),
  modelFor: () => 'base',
}

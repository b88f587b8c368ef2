// The frontend of Parity Models (SOSP'19, section 3.1): queries go out at once, every k of them form a coding group, a
// parity query follows off their path, and a late output is decoded from those that came. Reads top to bottom in the
// order of a query's life, each step in a file of its own; transport, instances and time are given from outside.
import { FtError, assertInteger, assertNumber } from '@ft/core'
import { sameForm, type NamedTensor } from '../named.ts'
import { createAnswers } from './answers.ts'
import { Bag } from './bag.ts'
import { Cancellation } from './cancellation.ts'
import type { Coordinator, CoordinatorOptions, Shared, Submission } from './coordinator.ts'
import { createGroups } from './formGroups.ts'
import type { Answer, Query } from './group.ts'
import { createOwnUnits } from './ownUnits.ts'

/**
 * Serves queries in coding groups.
 *
 * Guarantees: every query is answered once, with its own answer, by its deadline (as exactly as the clock calls back), and
 * without outputs as soon as all units that could give it some have failed; a group leaves memory when its members have their answers, at the latest after their deadlines.
 * Differs: the prototype leaves groups of fewer than k unprotected; here they are closed after `maxGroupWaitMs` and their
 * members protected by a parity model trained for short groups, or by a replica each. Never by zeros in a parity model
 * that was not trained for them.
 */
export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { code, policy, clock, deadlineMs = 1000, maxGroupWaitMs = 50, defer = (work) => work() } = options
  assertNumber(deadlineMs, { where: 'createCoordinator', argument: 'deadlineMs', min: 1 })
  assertNumber(maxGroupWaitMs, { where: 'createCoordinator', argument: 'maxGroupWaitMs', min: 0 })
  if (code) assertInteger(code.k, { where: 'createCoordinator', argument: 'code.k', min: 1 })
  const count = options.count ?? (() => undefined)
  const shared: Shared = { ...options, defer, count, groups: new Bag(), queries: new Bag() }
  const { groups, queries } = shared
  const formOf = createFormReader()
  // Steps 4 to 6: an output came, it may decode others, the deadline (or that all units failed) answers the rest
  const answers = createAnswers(shared)
  const { expire, finish, forget } = answers
  // Step 2: a query to an instance, and its copy
  const units = createOwnUnits(shared, answers)
  const { runOwnUnit, sendHedge } = units
  // Step 3: full and short groups, and their extra units
  const { groupFor, closeFull, leaveForming } = createGroups(shared, { answers, units })

  function submit(submission: Submission): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { signal, gone } = submission
      if (signal?.aborted || gone?.cancelled) return reject(abortedBy(signal))
      const query = join(submission, resolve)
      const cancel = () => {
        if (query.answered) return
        query.left = true
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
    const group = groupFor(key, alone)
    const query: Query = {
      place: -1,
      inputs: submission.inputs,
      headers: submission.headers ?? none,
      allowDegraded: submission.allowDegraded ?? true,
      arrivedMs: clock.now(),
      deadlineMs: own,
      decodeAfterMs: Math.min(own, policy.decodeAfterMs({ deadlineMs: own })),
      answer,
      work: new Cancellation(),
      holders: [],
      hedge: undefined,
      hedgeFailed: false,
      group,
      slot: group.members.length,
      answered: false,
      left: false,
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

type Form = Pick<NamedTensor, 'name' | 'dtype' | 'shape'>

const isAlike = (form: Form, input: NamedTensor | undefined) => sameForm(form, input) && form.dtype === input?.dtype

/** Says of queries which can share a group: those alike in names, types and shapes. Knows the last form, most are alike. */
function createFormReader(): (inputs: readonly NamedTensor[]) => string {
  let last: { readonly forms: readonly Form[]; readonly text: string } | undefined
  return (inputs) => {
    if (last?.forms.length === inputs.length && last.forms.every((form, i) => isAlike(form, inputs[i])))
      return last.text
    const text = inputs.map(({ name, dtype, shape }) => `${name}:${dtype}[${shape.join(',')}]`).join(';')
    last = { forms: inputs.map(({ name, dtype, shape }) => ({ name, dtype, shape: [...shape] })), text }
    return text
  }
}

function abortedBy(signal: AbortSignal | undefined): FtError {
  return new FtError('ABORTED', 'submit: aborted by its signal', {}, { cause: signal?.reason })
}

const none: Readonly<Record<string, string>> = {}

// The units that are queries as they came (step 2 of serveGroup.ts): each to an instance at once, again when it is late under
// a policy that hedges, or when it failed and nothing else will answer it.
import { isFtError } from '@ft/core'
import { unitId } from '../codes/code.ts'
import type { Answers } from './answers.ts'
import { Cancellation } from './cancellation.ts'
import type { Shared } from './coordinator.ts'
import { UnitTask, type Query, type Task } from './group.ts'
import { unprotected } from './unprotected.ts'

export interface OwnUnits {
  runOwnUnit(query: Query): void
  /** A copy for a late query, unless the guard refuses it. */
  sendHedge(query: Query): void
  /** A second attempt, once a query. */
  repeat(query: Query): void
}

export function createOwnUnits(shared: Shared, { arrived, consider, giveUp }: Answers): OwnUnits {
  const { code, policy, clock, dispatch, guard, shadow, count } = shared

  /** Step 2: the query itself goes to an instance at once; coding is never in its way. */
  function runOwnUnit(query: Query): void {
    dispatch(ownTask(query, query.work), {
      done(outputs, by) {
        if (!query.answered) policy.observe(clock.now() - query.arrivedMs)
        if (query.shadow) shadow?.compare({ reconstructed: query.shadow, own: outputs })
        arrived(query.group, query.slot, { outputs, by })
      },
      failed(error) {
        count('unit-failed')
        query.failed = true
        query.group.error = error
        consider(query)
        // Where nothing else is on its way to answer it, a second attempt is no luxury that the guard may refuse. When there was
        // no time for the first, there is none for a second
        const again = (policy.hedgeAfterMs !== undefined || query.group.guarded) && !isFtError(error, 'OVERLOADED')
        if (!query.answered && again) repeat(query)
        giveUp(query.group)
      },
    })
  }

  function ownTask(query: Query, work: Cancellation): Task {
    const { group, slot } = query
    return new UnitTask({
      id: unitId(code ?? unprotected, { group: group.number, slot }),
      hedge: work !== query.work,
      model: 'base',
      inputs: query.inputs,
      headers: query.headers,
      dueMs: query.arrivedMs + query.deadlineMs,
      work,
      placed: group.placed,
      holders: query.holders,
    })
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
      done: (outputs, by) => arrived(query.group, query.slot, { outputs, by }),
      failed(error) {
        count('unit-failed')
        query.hedgeFailed = true
        query.group.error = error
        giveUp(query.group)
      },
    })
  }

  return { runOwnUnit, sendHedge, repeat }
}

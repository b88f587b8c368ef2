// The second half of a query's life (steps 4 to 6 of serveGroup.ts): outputs come, what is missing is decoded when the policy
// lets it, the deadline answers the rest, and what nobody needs any more is stopped.
import type { NamedTensor } from '../named.ts'
import type { Shared } from './coordinator.ts'
import type { Answer, Group, Query } from './group.ts'

export interface Arrived {
  readonly outputs: readonly NamedTensor[]
  /** Name of the instance that answered, where it is known. */
  readonly by: string | undefined
}

export interface Answers {
  arrived(group: Group, slot: number, arrived: Arrived): void
  consider(query: Query): void
  /** A unit beside the queries' own will not come. */
  lose(group: Group, slot: number, error: unknown): void
  /** Answers the queries of a group that nothing can answer any more: without outputs, with how the last unit failed. */
  giveUp(group: Group): void
  expire(query: Query): void
  finish(query: Query): void
  forget(group: Group): void
}

export function createAnswers({ groups, queries, policy, clock, shadow, residual, count }: Shared): Answers {
  /** Step 4: an output came. It answers its own query, and may make others of the group decodable. */
  function arrived(group: Group, slot: number, { outputs, by }: Arrived): void {
    if (!groups.has(group) || group.got.has(slot)) return
    group.got.set(slot, outputs)
    if (by !== undefined) group.by.set(slot, by)
    const own = group.code.systematic ? group.members[slot] : undefined
    if (own && !own.answered) {
      complete(own, 'exact', outputs)
      own.work.cancel()
      own.hedge?.cancel()
    }
    for (const query of group.members) if (!query.answered) consider(query)
    if (group.checked && group.got.size === group.code.n) {
      residual?.observe(group)
      // Whoever is not answered by now may still be by decoding
      if (group.members.every((query) => query.answered)) end(group)
    }
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
    } catch (error) {
      // Outputs of other shapes than the members': a wrong parity model or instance. The query waits for its own output
      count('decode-failed')
      group.garbled = true
      group.error = error
      return giveUp(group)
    }
    const quality = group.decoded.quality[query.slot] ?? 'reconstructed'
    if (quality === 'reconstructed' && !query.allowDegraded) return
    policy.observe(clock.now() - query.arrivedMs)
    const outputs = group.decoded.outputs[query.slot]
    if (quality === 'reconstructed' && outputs && shadow?.wants()) query.shadow = outputs
    complete(query, quality, outputs)
  }

  function lose(group: Group, slot: number, error: unknown): void {
    if (!groups.has(group)) return
    group.lost ??= new Set()
    group.lost.add(slot)
    group.error = error
    giveUp(group)
  }

  function giveUp(group: Group): void {
    if (!groups.has(group)) return
    for (const query of group.members)
      if (!query.answered && isHopeless(query)) complete(query, 'default', undefined, group.error)
  }

  /** Step 6: the deadline. A reconstruction that the policy held back is better than none. */
  function expire(query: Query): void {
    if (query.group.closed && query.group.code.canDecode(new Set(query.group.got.keys()))) decodeFor(query)
    if (query.answered) return
    policy.observe(clock.now() - query.arrivedMs)
    complete(query, 'default', undefined)
  }

  function complete(
    query: Query,
    quality: Answer['quality'],
    outputs: readonly NamedTensor[] | undefined,
    error?: unknown,
  ): void {
    const group = query.group.number
    finish(query)
    count(quality)
    const answer = { quality, outputs, group, latencyMs: clock.now() - query.arrivedMs }
    query.answer(error === undefined ? answer : { ...answer, error })
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
    if (!needed && group.closed) endUnlessChecked(group)
    else if (group.decoded && !group.checked) endWork(query)
  }

  /** Nobody waits for the group; one whose outputs are compared stays for all of them, as long as a member might have. */
  function endUnlessChecked(group: Group): void {
    const left = Math.max(...group.members.map(({ arrivedMs, deadlineMs }) => arrivedMs + deadlineMs)) - clock.now()
    if (!group.checked || left <= 0 || group.got.size === group.code.n) return end(group)
    group.cancelWait = clock.schedule(left, () => end(group))
  }

  function end(group: Group): void {
    group.cancelWait?.()
    for (const member of group.members) endWork(member)
    for (const work of group.extra) work.cancel()
    forget(group)
  }

  function endWork(query: Query): void {
    const why = { abandoned: query.left }
    query.hedge?.cancel(why)
    // An output that is awaited to judge a reconstruction goes on
    if (!query.shadow) query.work.cancel(why)
  }

  function forget(group: Group): void {
    groups.delete(group)
    group.got.clear()
  }

  return { arrived, consider, lose, giveUp, expire, finish, forget }
}

/** Whether nothing that is there or on its way can answer a query. Groups that form may yet get units for it. */
function isHopeless({ group, slot, allowDegraded }: Query): boolean {
  const { code, got } = group
  if (!group.closed || (code.systematic && !isLost(group, slot))) return false
  const possible = new Set<number>()
  let pending = false
  for (let unit = 0; unit < code.n; unit++) {
    if (isLost(group, unit)) continue
    possible.add(unit)
    if (!got.has(unit)) pending = true
  }
  if (!code.canDecode(possible) || (group.garbled && !pending)) return true
  return code.systematic && code.exact !== true && !allowDegraded
}

/** Whether a unit will not come: a query's own when its copy, if there was one, failed as well. */
function isLost(group: Group, slot: number): boolean {
  if (!group.code.systematic || slot >= group.code.k) return group.lost?.has(slot) === true
  const member = group.members[slot]
  return member === undefined || (member.failed && (member.hedge === undefined || member.hedgeFailed))
}

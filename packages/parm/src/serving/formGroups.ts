// Coding groups (steps 1 and 3 of serveGroup.ts): one forms for queries of each kind, and is closed when it is full or has
// waited long enough; its extra units then follow off the queries' path.
import { unitId, type Code } from '../codes/code.ts'
import { replication } from '../codes/replication.ts'
import type { NamedTensor } from '../named.ts'
import type { Answers } from './answers.ts'
import { Cancellation } from './cancellation.ts'
import type { Shared } from './coordinator.ts'
import { UnitTask, type Group, type Query } from './group.ts'
import type { OwnUnits } from './ownUnits.ts'
import { unprotected } from './unprotected.ts'

export interface Groups {
  /** The group that the next query of this kind joins; of its own when it is to have no others. */
  groupFor(key: string, alone: boolean): Group
  closeFull(group: Group): void
  leaveForming(group: Group): void
}

/** Kinds of queries that are remembered although none of their groups is forming. */
const MOST_IDLE = 64
const none: Readonly<Record<string, string>> = {}
const replica = replication({ k: 1, copies: 2 })

export function createGroups(
  { code, clock, dispatch, defer, guard, residual, count, groups, maxGroupWaitMs = 50 }: Shared,
  {
    answers,
    units,
  }: {
    answers: Pick<Answers, 'arrived' | 'lose' | 'giveUp' | 'forget'>
    units: Pick<OwnUnits, 'runOwnUnit' | 'repeat'>
  },
): Groups {
  const { arrived, lose, giveUp, forget } = answers
  const { runOwnUnit, repeat } = units
  /** By kind, the group that is forming, if any. Entries are used again: see `Bag` for what comes of deleting them. */
  const forming = new Map<string, { group: Group | undefined }>()
  let nextGroup = 0

  function groupFor(key: string, alone: boolean): Group {
    if (alone) return makeGroup(unprotected)
    return (code ? forming.get(key)?.group : undefined) ?? openGroup(key)
  }

  function openGroup(key: string): Group {
    const group = makeGroup(code ?? unprotected)
    if (!code || code.k === 1) return group
    const entry = forming.get(key)
    if (entry) entry.group = group
    else {
      if (forming.size >= MOST_IDLE) dropIdle()
      forming.set(key, { group })
    }
    group.cancelWait = clock.schedule(maxGroupWaitMs, () => closeShort(group))
    return group
  }

  function dropIdle(): void {
    for (const [key, { group }] of forming) if (!group) forming.delete(key)
  }

  function makeGroup(groupCode: Code): Group {
    const group: Group = {
      place: -1,
      number: nextGroup++,
      code: groupCode,
      members: [],
      got: new Map(),
      by: new Map(),
      checked: groupCode === code && groupCode.parityWeights !== undefined && residual?.wants() === true,
      extra: [],
      placed: new Set(),
      closed: false,
      guarded: false,
      lost: undefined,
      error: undefined,
      garbled: false,
      decoded: undefined,
      cancelWait: undefined,
    }
    groups.add(group)
    return group
  }

  /** Step 3: k queries are together; the parities are encoded off their path and sent to the parity models. */
  function closeFull(group: Group): void {
    leaveForming(group)
    if (group.code !== unprotected) count('group-full')
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
      // Of short groups the parity model's error is another one
      group.checked = false
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
    group.checked = false
    count('guarded')
    for (const query of group.members) if (query.failed) repeat(query)
    group.lost = new Set(Array.from({ length: group.code.n - group.code.k }, (_, j) => group.code.k + j))
    giveUp(group)
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
    for (const entry of forming.values()) if (entry.group === group) entry.group = undefined
  }

  function sendExtraUnits(group: Group): void {
    if (!groups.has(group)) return
    const waiting = group.members.filter((query) => !query.answered)
    // Everybody was answered while the encoder waited its turn: a parity would be of no use
    if (waiting.length === 0 && !group.checked) return forget(group)
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
    const dueMs = Math.max(...group.members.map((query) => query.arrivedMs + query.deadlineMs))
    // Units 0 .. k - 1 of a systematic code are on their way already
    for (let slot = systematic ? group.code.k : 0; slot < group.code.n; slot++) {
      const model = group.code.modelFor(slot)
      const work = new Cancellation()
      group.extra.push(work)
      if (systematic || slot >= group.code.k) count(group.code.exact ? 'replica' : 'parity')
      dispatch(
        new UnitTask({
          id: unitId(code ?? unprotected, { group: group.number, slot }),
          hedge: false,
          model,
          inputs: units[slot] as NamedTensor[],
          headers: none,
          dueMs,
          work,
          placed: group.placed,
          holders: [],
        }),
        {
          done: (outputs, by) => arrived(group, slot, { outputs, by }),
          failed(error) {
            count('unit-failed')
            lose(group, slot, error)
          },
        },
      )
    }
  }

  return { groupFor, closeFull, leaveForming }
}

// Replication as a code: every query runs on the deployed model several times, the first output answers it.
import { FtError, assertInteger, invalidArgument } from '@ft/core'
import type { Code } from './code.ts'

/**
 * `copies` of each of k queries, unit i a copy of query i mod k. Answers are exact; the price is k (copies - 1) more
 * queries a group.
 */
export function replication({ k = 1, copies = 2 }: { readonly k?: number; readonly copies?: number } = {}): Code {
  assertInteger(k, { where: 'replication', argument: 'k', min: 1, max: 64 })
  assertInteger(copies, { where: 'replication', argument: 'copies', min: 2, max: 8 })
  const copiesOf = (slot: number) => Array.from({ length: copies }, (_, copy) => copy * k + slot)
  const slots = Array.from({ length: k }, (_, slot) => slot)
  return {
    name: 'replication',
    k,
    n: k * copies,
    systematic: true,
    exact: true,
    encode(group) {
      if (group.length !== k)
        throw invalidArgument({ where: 'replication', argument: 'group' }, `${k} members`, group.length)
      return Array.from({ length: k * copies }, (_, unit) => [...(group[unit % k] ?? [])])
    },
    canDecode: (got) => slots.every((slot) => copiesOf(slot).some((unit) => got.has(unit))),
    decode(got) {
      const outputs = slots.map((slot) => {
        const found = copiesOf(slot).find((unit) => got.has(unit))
        if (found === undefined)
          throw new FtError('UNRECOVERABLE', `replication: decode must have a copy of query ${slot}, got none`, {
            slot,
          })
        return [...(got.get(found) ?? [])]
      })
      return { outputs, quality: outputs.map(() => 'exact' as const) }
    },
    modelFor: () => 'base',
  }
}

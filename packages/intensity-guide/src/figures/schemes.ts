// One look a scheme, the same in every figure.
import type { ProtectionScheme } from '@ft/core'

const looks: Readonly<Record<ProtectionScheme, number>> = {
  global: 0,
  'thread-one-sided': 1,
  row: 2,
  column: 3,
  'row-column': 4,
  'thread-two-sided': 5,
  replication: 6,
  none: 7,
}

export function lookOf(scheme: ProtectionScheme): number {
  return looks[scheme]
}

/** Schemes in the order of their looks. */
export function inOrder(schemes: Iterable<ProtectionScheme>): ProtectionScheme[] {
  return [...new Set(schemes)].sort((a, b) => looks[a] - looks[b])
}

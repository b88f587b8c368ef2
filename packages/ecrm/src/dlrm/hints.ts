// Which rows training reads next, said while servers lack some: they decode what they lost of them before it is read.
import { join } from '../join.ts'
import type { ShardStore } from '../store.ts'
import { lookAhead } from './lookAhead.ts'
import { distinct } from './lookUp.ts'

/** Steps whose rows are said at once while some are missing: a server asks its peers once for what it lost of them, not at each step. */
export const hintedSteps = 8

/** At each step the ids of those that follow, when it is their turn to be said; anew to a server that has just been replaced. */
export function createHints(
  store: ShardStore,
): (following: readonly (() => Uint32Array)[]) => (() => Uint32Array) | undefined {
  let replacements = store.replacements
  let said = 0
  let step = 0
  return (following) => {
    const now = step++
    if (following.length === 0) return undefined
    return () => {
      if (store.replacements !== replacements) said = 0
      replacements = store.replacements
      // The step after this one has been said
      if (now + 1 < said) return new Uint32Array(0)
      said = now + 1 + following.length
      // Hot rows are in nearly every step.
      return distinct(join(following.map((next) => next()))).ids
    }
  }
}

/** Steps as they are; as each is taken, the rows of those that follow are said. `idsOf`: the ids that a step reads. */
export function* hinted<S>(
  steps: Iterable<S>,
  { store, idsOf }: { readonly store: ShardStore; readonly idsOf: (step: S) => Uint32Array },
): Generator<S> {
  const hints = createHints(store)
  for (const { one, following } of lookAhead(steps, { depth: hintedSteps, make: (step) => step })) {
    const ids = hints(following.map((next) => () => idsOf(next())))
    if (ids !== undefined) store.expect(ids)
    yield one
  }
}

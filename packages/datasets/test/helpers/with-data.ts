import { it } from 'vitest'
import { requireData, type LocatedSet, type SetName } from '../../src/index.ts'

/** A test that needs sets: skipped with a printed reason where they are missing, an error when data are required. */
export function withData(
  names: readonly SetName[],
  title: string,
  run: (sets: readonly LocatedSet[]) => Promise<void>,
): void {
  const found = names.map((name) => requireData(name))
  const reasons = found.flatMap(({ skip }) => skip ?? [])
  for (const reason of reasons) console.log(`skipped: ${title}: ${reason}`)
  it.skipIf(reasons.length > 0)(title, () => run(found.flatMap(({ set }) => set ?? [])))
}

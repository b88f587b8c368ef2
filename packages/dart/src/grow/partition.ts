// Partition of nodes' rows by their splits, stable, shared among threads.
import { shares } from '../arena.ts'
import { bytesLeft } from '../layout.ts'
import { SET_WORDS } from '../tree.ts'
import type { RowRange } from './leaves.ts'
import type { Split } from './splits.ts'
import type { Workspace } from './workspace.ts'

/** Fewest rows of a stretch. */
const LEAST_ROWS = 4096
/** Stretches a thread. */
const EACH = 4

export interface Parted extends RowRange {
  readonly split: Split
}

/**
 * Moves each node's rows so that those that go left stand first, in order; returns how many they are.
 *
 * A node is parted in stretches, by whichever thread is free: a stretch's left rows stay at its start, its right ones go to the spare
 * list. Where a node has several, the left rows then close up, one stretch after the other, and the right ones follow from the spare list.
 */
export function partitionRows(space: Workspace, nodes: readonly Parted[]): number[] {
  const { arena, rows, spareRows } = space
  const stretches = shares(
    arena.runtime,
    nodes.map(({ start, end }) => end - start),
    { least: LEAST_ROWS, each: EACH },
  )
  const results = space.results(stretches.reduce((sum, { length }) => sum + length, 0))
  let result = 0
  const tests = testsOf(space, nodes)
  arena.runtime.fork(
    arena.module,
    'partition',
    nodes.flatMap(({ start }, i) => {
      const own = stretches[i] as [number, number][]
      return own.map(([from, to]) => [
        ...[rows.address, start + from, start + to, ...(tests[i] as number[])],
        ...[spareRows.address, Number(own.length === 1), results.address + 4 * result++],
      ])
    }),
  )
  result = 0
  const found = results.view()
  const back: [to: number, from: number, count: number][] = []
  const lefts = nodes.map(({ start }, i) => {
    const own = stretches[i] as [number, number][]
    const counts = own.map(() => found[result++] as number)
    const left = counts.reduce((sum, count) => sum + count, 0)
    if (own.length === 1) return left
    let to = rows.address + 4 * start
    own.forEach(([from], part) => {
      const count = counts[part] as number
      if (part > 0) arena.kernels['moveRows']?.(to, rows.address + 4 * (start + from), count)
      to += 4 * count
    })
    own.forEach(([from, end], part) => {
      const count = end - from - (counts[part] as number)
      back.push([to, spareRows.address + 4 * (start + from), count])
      to += 4 * count
    })
    return left
  })
  if (back.length > 0) arena.runtime.fork(arena.module, 'moveRows', back)
  return lefts
}

/** What the kernel asks a row of each node: where its bins stand, a threshold, and a set of bins in its place. */
function testsOf({ data, sets: setsOf }: Workspace, nodes: readonly Parted[]): number[][] {
  const { bundled, columnOf } = data.layout
  const sets = nodes.map(({ split }) => {
    const one = bundled[split.feature]
    return one ? bytesLeft(one, split) : split.set
  })
  const words = setsOf(nodes.length)
  return nodes.map(({ split }, i) => {
    const set = sets[i]
    if (set) words.view().set(set, i * SET_WORDS)
    const column = columnOf[split.feature] as number
    const cells = data.byColumn
      ? [data.byColumn.address + column * data.rows, 1]
      : [data.bins.address + column, data.stride]
    return [...cells, split.bin, Number(split.missingLeft), set ? words.address + 4 * i * SET_WORDS : 0]
  })
}

// Partition of a node's rows by a split, stable, shared among threads.
import { ranges } from '../arena.ts'
import { bytesLeft } from '../layout.ts'
import type { Split } from './splits.ts'
import type { Workspace } from './workspace.ts'

/** Fewest rows a thread takes. */
const LEAST_ROWS = 4096

/**
 * Moves the node's rows so that those that go left stand first, in order; returns how many they are.
 *
 * Every thread parts its own stretch: its left rows stay at the stretch's start, its right ones go to the spare list. Then
 * the left rows close up, one stretch after the other, and the right ones follow from the spare list.
 */
export function partitionRows(space: Workspace, start: number, end: number, split: Split): number {
  const { arena, data, rows, spareRows, results } = space
  const parts = ranges(arena.runtime, end - start, LEAST_ROWS)
  const bundled = data.layout.bundled[split.feature]
  const set = bundled ? bytesLeft(bundled, split) : split.set
  if (set) space.set.view().set(set)
  const test = set ? [space.set.address] : [split.bin, Number(split.missingLeft)]
  const column = data.layout.columnOf[split.feature] as number
  const cells = data.byColumn
    ? [data.byColumn.address + column * data.rows, 1]
    : [data.bins.address + column, data.stride]
  arena.runtime.fork(
    arena.module,
    set ? 'partitionSet' : 'partition',
    parts.map(([from, to], part) => [
      rows.address,
      start + from,
      start + to,
      ...cells,
      ...test,
      spareRows.address,
      results.address + 4 * part,
    ]),
  )
  const lefts = [...results.view().subarray(0, parts.length)]
  const left = lefts.reduce((sum, count) => sum + count, 0)
  let to = rows.address + 4 * start
  parts.forEach(([from], part) => {
    const count = lefts[part] as number
    if (part > 0) arena.kernels['moveRows']?.(to, rows.address + 4 * (start + from), count)
    to += 4 * count
  })
  const tasks = parts.map(([from, end_], part) => {
    const count = end_ - from - (lefts[part] as number)
    const at = to
    to += 4 * count
    return [at, spareRows.address + 4 * (start + from), count]
  })
  arena.runtime.fork(arena.module, 'moveRows', tasks)
  return left
}

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
 * Every thread parts its own stretch: its left rows stay at the stretch's start, its right ones go to the spare lists. Then
 * the left rows close up, one stretch after the other, and the right ones follow from the spare lists.
 */
export function partitionRows(space: Workspace, start: number, end: number, split: Split): number {
  const { arena, data, rows, gh, spareRows, spareGh, results } = space
  const parts = ranges(arena.runtime, end - start, LEAST_ROWS)
  const bundled = data.layout.bundled[split.feature]
  const set = bundled ? bytesLeft(bundled, split) : split.set
  if (set) space.set.view().set(set)
  const test = set ? [space.set.address] : [split.bin, Number(split.missingLeft)]
  arena.runtime.fork(
    arena.module,
    set ? 'partitionSet' : 'partition',
    parts.map(([from, to], part) => [
      rows.address,
      gh.address,
      start + from,
      start + to,
      data.bins.address,
      data.stride,
      data.layout.columnOf[split.feature] as number,
      ...test,
      spareRows.address,
      spareGh.address,
      results.address + 4 * part,
    ]),
  )
  const lefts = [...results.view().subarray(0, parts.length)]
  const left = lefts.reduce((sum, count) => sum + count, 0)
  const move = arena.kernels['moveRows']
  let to = start
  parts.forEach(([from], part) => {
    const count = lefts[part] as number
    if (part > 0) move?.(rows.address, gh.address, to, rows.address, gh.address, start + from, count)
    to += count
  })
  const tasks = parts.map(([from, end_], part) => {
    const count = end_ - from - (lefts[part] as number)
    const at = to
    to += count
    return [rows.address, gh.address, at, spareRows.address, spareGh.address, start + from, count]
  })
  arena.runtime.fork(arena.module, 'moveRows', tasks)
  return left
}

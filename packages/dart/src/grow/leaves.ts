// From the last partition to a tree: exact sums of each leaf's rows, and their values.
import { ranges, type Block } from '../arena.ts'
import type { Workspace } from './workspace.ts'

export interface RowRange {
  readonly start: number
  readonly end: number
}

/** Rows of a run: fixed, so that sums do not depend on the number of threads. */
const RUN = 8192

/**
 * Sums of gradients and hessians of each range of the workspace's row list, in float64: rounding to packed integers decides
 * where to cut, not what a leaf says.
 */
export function leafSums(
  space: Workspace,
  leaves: readonly RowRange[],
  gradients: Block<Float64Array>,
  hessians: Block<Float64Array>,
): { gradient: number; hessian: number }[] {
  const { arena } = space
  const cut: { start: number; end: number; leaf: number }[] = []
  leaves.forEach(({ start, end }, leaf) => {
    for (let at = start; at < end; at += RUN) cut.push({ start: at, end: Math.min(end, at + RUN), leaf })
  })
  const { pairs, sums } = space.runs(cut.length)
  const list = pairs.view()
  cut.forEach(({ start, end }, i) => list.set([start, end], 2 * i))
  arena.runtime.fork(
    arena.module,
    'sumRuns',
    balanced(cut, arena.runtime.threads).map(([first, last]) => [
      space.rows.address,
      pairs.address,
      first,
      last,
      gradients.address,
      hessians.address,
      sums.address,
    ]),
  )
  const out = leaves.map(() => ({ gradient: 0, hessian: 0 }))
  const found = sums.view()
  cut.forEach(({ leaf }, i) => {
    const total = out[leaf] as { gradient: number; hessian: number }
    total.gradient += found[2 * i] as number
    total.hessian += found[2 * i + 1] as number
  })
  return out
}

/** Ranges of runs of about equally many rows, one a thread. */
function balanced(runs: readonly RowRange[], threads: number): [number, number][] {
  const rows = runs.reduce((sum, { start, end }) => sum + end - start, 0)
  if (threads === 1 || rows < 2 * RUN) return [[0, runs.length]]
  const out: [number, number][] = []
  let first = 0
  let seen = 0
  runs.forEach(({ start, end }, i) => {
    seen += end - start
    if (seen * threads < rows * (out.length + 1)) return
    out.push([first, i + 1])
    first = i + 1
  })
  return out
}

/** Writes the leaf of each row of the list into `ids`, one byte or two a row. */
export function assignLeaves(
  space: Workspace,
  leaves: readonly RowRange[],
  ids: { readonly wide: boolean; readonly block: Block<Uint8Array> },
): void {
  const { arena, data } = space
  const { pairs } = space.runs(leaves.length)
  const list = pairs.view()
  leaves.forEach(({ start, end }, i) => list.set([start, end], 2 * i))
  arena.runtime.fork(
    arena.module,
    'assignLeaves',
    ranges(arena.runtime, data.rows, 16_384).map(([first, last]) => [
      space.rows.address,
      pairs.address,
      leaves.length,
      first,
      last,
      ids.block.address,
      Number(ids.wide),
    ]),
  )
}

// Histograms of nodes: built for the smaller child, the larger one is what remains of the parent's.
import { ranges, type Block } from '../arena.ts'
import type { Workspace } from './workspace.ts'

export interface Histogram {
  readonly sums: Block<Uint8Array>
  readonly counts: Block<Uint8Array> | undefined
}

/** Fewest rows a thread takes: below it starting a second thread costs more than it saves. */
const LEAST_ROWS = 8192

export function buildHistogram(space: Workspace, start: number, end: number): Histogram {
  const { arena, data, histograms, counts } = space
  const parts = ranges(arena.runtime, end - start, LEAST_ROWS)
  const partial = parts.map(() => histograms.take())
  for (const block of partial) block.view().fill(0)
  arena.runtime.fork(
    arena.module,
    'histogram',
    parts.map(([from, to], part) => [
      space.rows.address,
      space.gh.address,
      start + from,
      start + to,
      data.bins.address,
      data.stride,
      data.columns,
      partial[part]?.address ?? 0,
    ]),
  )
  const [sums, ...rest] = partial as [Block<Uint8Array>, ...Block<Uint8Array>[]]
  for (const block of rest) {
    // Integer sums: the order of adding does not show.
    arena.kernels['add64']?.(sums.address, block.address, histograms.bytes)
    histograms.give(block)
  }
  if (!counts) return { sums, counts: undefined }
  const counted = counts.take()
  counted.view().fill(0)
  arena.kernels['countRows']?.(
    space.rows.address,
    start,
    end,
    data.bins.address,
    data.stride,
    data.columns,
    counted.address,
  )
  return { sums, counts: counted }
}

/** Turns the parent's histogram into that of the child that was not built. */
export function subtractHistogram(space: Workspace, parent: Histogram, child: Histogram): Histogram {
  const { arena, histograms, counts } = space
  arena.kernels['subtract64']?.(parent.sums.address, parent.sums.address, child.sums.address, histograms.bytes)
  if (counts && parent.counts && child.counts) {
    arena.kernels['subtract32']?.(parent.counts.address, parent.counts.address, child.counts.address, counts.bytes)
  }
  return parent
}

export function giveBack(space: Workspace, histogram: Histogram): void {
  space.histograms.give(histogram.sums)
  if (histogram.counts) space.counts?.give(histogram.counts)
}

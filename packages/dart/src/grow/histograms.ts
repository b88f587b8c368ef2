// Histograms of nodes: built for the smaller child, the larger one is what remains of the parent's.
import { ranges, type Block } from '../arena.ts'
import type { Workspace } from './workspace.ts'

export interface Histogram {
  readonly sums: Block<Uint8Array>
  readonly counts: Block<Uint8Array> | undefined
}

/** A histogram of which some threads' shares are not added yet: the search adds them, feature by feature. */
export interface BuiltHistogram extends Histogram {
  readonly parts: number
}

/** Fewest rows a thread takes: below it waking a second thread costs more than it saves. */
const LEAST_ROWS = 2048

export function buildHistogram(space: Workspace, start: number, end: number): BuiltHistogram {
  const { arena, data, histograms, counts, partials } = space
  const built = { sums: histograms.take(), counts: counts?.take() }
  const parts = ranges(arena.runtime, end - start, LEAST_ROWS)
  arena.runtime.fork(
    arena.module,
    'histogram',
    parts.map(([from, to], part) => [
      space.rows.address,
      start + from,
      start + to,
      data.records,
      data.stride,
      data.columns,
      part === 0 ? built.sums.address : partials.sums + (part - 1) * histograms.bytes,
    ]),
  )
  if (counts && built.counts) {
    const first = built.counts.address
    arena.runtime.fork(
      arena.module,
      'countRows',
      parts.map(([from, to], part) => [
        space.rows.address,
        start + from,
        start + to,
        data.bins.address,
        data.stride,
        data.columns,
        part === 0 ? first : partials.counts + (part - 1) * counts.bytes,
      ]),
    )
  }
  return { ...built, parts: parts.length - 1 }
}

export function giveBack(space: Workspace, histogram: Histogram): void {
  space.histograms.give(histogram.sums)
  if (histogram.counts) space.counts?.give(histogram.counts)
}

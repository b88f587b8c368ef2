// Histograms of nodes: built for the smaller child, the larger one is what remains of the parent's.
import { shares, type Block } from '../arena.ts'
import type { RowRange } from './leaves.ts'
import type { Workspace } from './workspace.ts'

export interface Histogram {
  readonly sums: Block<Uint8Array>
  readonly counts: Block<Uint8Array> | undefined
}

/** A histogram of which some shares are not added yet: the search adds them, feature by feature. */
export interface BuiltHistogram extends Histogram {
  /** The other shares behind each other, how many, and where. They last until the next are built. */
  readonly parts: number
  readonly partials: { readonly sums: number; readonly counts: number }
}

/** Fewest rows of a share: below it clearing and adding its histogram costs what the rows do. */
const LEAST_ROWS = 2048
/** Shares a thread at most, and bytes that they may take beyond one a thread. */
const EACH = 4
const SHARE_BYTES = 2 ** 24

/** Builds a histogram of each range of the row list. */
export function buildHistograms(space: Workspace, nodes: readonly RowRange[]): BuiltHistogram[] {
  const { arena, data, histograms, counts } = space
  const { threads } = arena.runtime
  const stretches = shares(
    arena.runtime,
    nodes.map(({ start, end }) => end - start),
    { least: LEAST_ROWS, each: Math.max(1, Math.min(EACH, Math.floor(SHARE_BYTES / (threads * histograms.bytes)))) },
  )
  const partials = space.partials(stretches.reduce((sum, { length }) => sum + length - 1, 0))
  let share = 0
  const built = stretches.map(({ length }) => {
    const own = {
      sums: partials.sums + share * histograms.bytes,
      counts: partials.counts + share * (counts?.bytes ?? 0),
    }
    share += length - 1
    return { sums: histograms.take(), counts: counts?.take(), parts: length - 1, partials: own }
  })
  const fork = (kernel: string, cells: number, place: (histogram: BuiltHistogram, part: number) => number) =>
    arena.runtime.fork(
      arena.module,
      kernel,
      nodes.flatMap(({ start }, i) =>
        (stretches[i] as [number, number][]).map(([from, to], part) => [
          ...[space.rows.address, start + from, start + to, cells, data.stride, data.columns],
          place(built[i] as BuiltHistogram, part),
        ]),
      ),
    )
  fork('histogram', data.records, ({ sums, partials: others }, part) =>
    part === 0 ? sums.address : others.sums + (part - 1) * histograms.bytes,
  )
  if (counts) {
    fork('countRows', data.bins.address, (histogram, part) =>
      part === 0 ? (histogram.counts?.address ?? 0) : histogram.partials.counts + (part - 1) * counts.bytes,
    )
  }
  return built
}

export function giveBack(space: Workspace, histogram: Histogram): void {
  space.histograms.give(histogram.sums)
  if (histogram.counts) space.counts?.give(histogram.counts)
}

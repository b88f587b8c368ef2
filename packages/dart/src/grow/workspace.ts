// Memory that growing a tree needs, kept from tree to tree.
import type { Arena, Block } from '../arena.ts'
import type { BinEdges, BinnedRows } from '../binning.ts'

export interface Workspace {
  readonly arena: Arena
  readonly data: BinnedRows
  readonly edges: BinEdges
  /** Features of the data; a row's bytes hold them as `data.layout` says. */
  readonly features: number
  /** Features of each column, as the search reads them: where a column's begin, and five words a feature. */
  readonly members: { readonly starts: Block<Uint32Array>; readonly list: Block<Uint32Array> }
  /** Row numbers, partitioned so that a node's rows stand together. */
  readonly rows: Block<Uint32Array>
  readonly spareRows: Block<Uint32Array>
  /** Bins of each feature, missing included, as the kernels read them. */
  readonly binsOf: Block<Uint32Array>
  /** One byte a feature that is split by sets of categories; absent when there is none. */
  readonly categorical: Block<Uint8Array> | undefined
  readonly monotone: Block<Uint8Array> | undefined
  /** Features that may be used together, as sets of columns; absent when all may. */
  readonly interactions: readonly ReadonlySet<number>[] | undefined
  /** What a search reads and writes for each of two siblings. */
  readonly search: readonly [SearchSlot, SearchSlot]
  readonly records: Block<Float64Array>
  readonly histograms: HistogramPool
  /** Row counts a bin are kept only where `minRows` asks for them. */
  readonly counts: HistogramPool | undefined
  /** One histogram for each thread but the first, behind each other. */
  readonly partials: { readonly sums: number; readonly counts: number }
  /** Some memory of each thread's own: 4 KiB for the search, 4 bytes for results. */
  readonly scratch: Block<Uint8Array>
  readonly results: Block<Uint32Array>
  /** A 256-bit set, for partitions by category. */
  readonly set: Block<Uint32Array>
  /** Memory for at least so many pairs of positions and of sums; contents are lost. */
  runs(count: number): { readonly pairs: Block<Uint32Array>; readonly sums: Block<Float64Array> }
}

export interface SearchSlot {
  readonly allowed: Block<Uint8Array>
  readonly splits: Block<Float64Array>
}

/** Doubles of one feature's best split: gain, bin, missing left, gradient, hessian and rows of the left side, set of bins. */
export const SPLIT_FIELDS = 10
/** Doubles of a record of the search. */
export const RECORD_FIELDS = 9
export const SCRATCH_BYTES = 4096

/** Histograms handed out and taken back. */
export interface HistogramPool {
  readonly bytes: number
  take(): Block<Uint8Array>
  give(block: Block<Uint8Array>): void
}

function histogramPool(arena: Arena, bytes: number): HistogramPool {
  const free: Block<Uint8Array>[] = []
  return {
    bytes,
    take: () => free.pop() ?? arena.bytes(bytes),
    give: (block) => void free.push(block),
  }
}

export interface WorkspaceOptions {
  readonly countRows: boolean
  /** Directions of features: 1, -1 or 0. */
  readonly monotone?: Int8Array | undefined
  readonly interactions?: readonly ReadonlySet<number>[] | undefined
}

function membersOf(arena: Arena, { columns, layout }: BinnedRows): Workspace['members'] {
  const { columnOf, bundled } = layout
  const byColumn = Array.from({ length: columns }, () => [] as number[])
  columnOf.forEach((column, feature) => byColumn[column]?.push(feature))
  const starts = arena.integers(columns + 1)
  const list = arena.integers(columnOf.length * 5)
  const bins = arena.bytes(bundled.reduce((sum, one) => sum + (one?.bins.length ?? 0), 0))
  let [member, at] = [0, 0]
  byColumn.forEach((features, column) => {
    starts.view()[column] = member
    for (const feature of features) {
      const one = bundled[feature]
      if (one) bins.view().set(one.bins, at)
      const words = one ? [one.first, one.bins.length, one.defaultBin, bins.address + at] : [0, 0, 0, 0]
      list.view().set([feature, ...words], 5 * member++)
      at += one?.bins.length ?? 0
    }
  })
  starts.view()[columns] = member
  return { starts, list }
}

export function createWorkspace(arena: Arena, data: BinnedRows, edges: BinEdges, options: WorkspaceOptions): Workspace {
  const { threads } = arena.runtime
  const { columns, rows } = data
  const features = edges.edges.length
  const binsOf = arena.integers(features)
  // Bins 1 .. edges + 1 hold values, or 1 .. levels categories; bin 0 the missing.
  edges.edges.forEach((edge, column) => (binsOf.view()[column] = (edges.levels[column] ?? edge.length + 1) + 1))
  const signed = (values: Int8Array | undefined) => {
    const block = values && arena.bytes(features)
    block?.view().set(new Uint8Array((values as Int8Array).buffer))
    return block
  }
  const isCategorical = Int8Array.from(edges.levels, (levels) => Number(levels !== undefined))
  const slot = (): SearchSlot => ({ allowed: arena.bytes(features), splits: arena.doubles(features * SPLIT_FIELDS) })
  let pairs = arena.integers(512)
  let sums = arena.doubles(512)
  return {
    arena,
    data,
    edges,
    features,
    members: membersOf(arena, data),
    rows: arena.integers(rows),
    spareRows: arena.integers(rows),
    binsOf,
    categorical: isCategorical.includes(1) ? signed(isCategorical) : undefined,
    monotone: signed(options.monotone),
    interactions: options.interactions,
    search: [slot(), slot()],
    records: arena.doubles(2 * RECORD_FIELDS),
    histograms: histogramPool(arena, columns * 2048),
    counts: options.countRows ? histogramPool(arena, columns * 1024) : undefined,
    partials: {
      sums: threads > 1 ? arena.bytes((threads - 1) * columns * 2048).address : 0,
      counts: threads > 1 && options.countRows ? arena.bytes((threads - 1) * columns * 1024).address : 0,
    },
    scratch: arena.bytes(threads * SCRATCH_BYTES),
    results: arena.integers(threads),
    set: arena.integers(8),
    runs(count) {
      if (pairs.length < 2 * count) {
        arena.free(pairs)
        arena.free(sums)
        pairs = arena.integers(4 * count)
        sums = arena.doubles(4 * count)
      }
      return { pairs, sums }
    },
  }
}

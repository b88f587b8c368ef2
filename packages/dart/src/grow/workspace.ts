// Memory that growing a tree needs, kept from tree to tree.
import type { Arena, Block } from '../arena.ts'
import type { BinEdges, BinnedRows } from '../binning.ts'
import { SET_WORDS } from '../tree.ts'

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
  /** Nodes that are divided together. */
  readonly together: number
  /** What a search reads and writes of so many nodes: a record, allowed features and the best split of each feature for every one. */
  search(nodes: number): SearchSpace
  readonly histograms: HistogramPool
  /** Row counts a bin are kept only where `minRows` asks for them. */
  readonly counts: HistogramPool | undefined
  /** Memory for so many histograms behind each other; contents are lost, as they are below. */
  partials(count: number): { readonly sums: number; readonly counts: number }
  /** 4 KiB for each task of a search. */
  scratch(tasks: number): Block<Uint8Array>
  /** What each task of a partition found, and 256-bit sets for partitions by category. */
  results(tasks: number): Block<Uint32Array>
  sets(nodes: number): Block<Uint32Array>
  /** Memory for at least so many pairs of positions and of sums; contents are lost. */
  runs(count: number): { readonly pairs: Block<Uint32Array>; readonly sums: Block<Float64Array> }
}

export interface SearchSpace {
  readonly records: Block<Float64Array>
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

/** Memory that grows with what is asked of it, by half at least. */
function growing<T>(arena: Arena, make: (length: number) => Block<T>): (length: number) => Block<T> {
  let block: Block<T> | undefined
  return (length) => {
    if (block && block.length >= length) return block
    const longer = Math.max(length, Math.ceil(1.5 * (block?.length ?? 0)))
    if (block) arena.free(block)
    block = make(longer)
    return block
  }
}

/** Most nodes divided together, and bytes of the splits that are found for their children. */
const TOGETHER = 128
const SPLITS_BYTES = 2 ** 23

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
  const histogramBytes = { sums: columns * 2048, counts: options.countRows ? columns * 1024 : 0 }
  const pairs = growing(arena, arena.integers)
  const sums = growing(arena, arena.doubles)
  const records = growing(arena, arena.doubles)
  const allowed = growing(arena, arena.bytes)
  const splits = growing(arena, arena.doubles)
  const partialSums = growing(arena, arena.bytes)
  const partialCounts = growing(arena, arena.bytes)
  const scratch = growing(arena, arena.bytes)
  const results = growing(arena, arena.integers)
  const sets = growing(arena, arena.integers)
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
    together: Math.max(1, Math.min(TOGETHER, Math.floor(SPLITS_BYTES / (2 * 8 * SPLIT_FIELDS * features)))),
    search: (nodes) => ({
      records: records(nodes * RECORD_FIELDS),
      allowed: allowed(nodes * features),
      splits: splits(nodes * features * SPLIT_FIELDS),
    }),
    histograms: histogramPool(arena, histogramBytes.sums),
    counts: options.countRows ? histogramPool(arena, histogramBytes.counts) : undefined,
    partials: (count) => ({
      sums: count > 0 ? partialSums(count * histogramBytes.sums).address : 0,
      counts: count > 0 && options.countRows ? partialCounts(count * histogramBytes.counts).address : 0,
    }),
    scratch: (tasks) => scratch(tasks * SCRATCH_BYTES),
    results,
    sets: (nodes) => sets(nodes * SET_WORDS),
    runs: (count) => ({ pairs: pairs(2 * count), sums: sums(2 * count) }),
  }
}

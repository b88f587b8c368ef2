// Memory that growing a tree needs, kept from tree to tree.
import type { Arena, Block } from '../arena.ts'
import type { BinEdges, BinnedRows } from '../binning.ts'

export interface Workspace {
  readonly arena: Arena
  readonly data: BinnedRows
  readonly edges: BinEdges
  /** Row numbers, partitioned so that a node's rows stand together; `gh` follows them. */
  readonly rows: Block<Uint32Array>
  readonly gh: Block<BigInt64Array>
  readonly spareRows: Block<Uint32Array>
  readonly spareGh: Block<BigInt64Array>
  /** Bins of each feature, missing included, and whether it may split here; as the kernels read them. */
  readonly binsOf: Block<Uint32Array>
  readonly allowed: Block<Uint8Array>
  readonly monotone: Block<Uint8Array> | undefined
  readonly splits: Block<Float64Array>
  readonly sums: Block<Float64Array>
  readonly histograms: HistogramPool
  /** Row counts a bin are kept only where `minRows` asks for them. */
  readonly counts: HistogramPool | undefined
}

/** Doubles of one feature's best split: gain, bin, missing left, gradient, hessian and rows of the left side. */
export const SPLIT_FIELDS = 6

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
}

export function createWorkspace(arena: Arena, data: BinnedRows, edges: BinEdges, options: WorkspaceOptions): Workspace {
  const binsOf = arena.integers(data.columns)
  // Bins 1 .. edges + 1 hold values, bin 0 the missing.
  edges.edges.forEach((edge, column) => (binsOf.view()[column] = edge.length + 2))
  const monotone = options.monotone && arena.bytes(data.columns)
  monotone?.view().set(new Uint8Array((options.monotone as Int8Array).buffer))
  return {
    arena,
    data,
    edges,
    rows: arena.integers(data.rows),
    gh: arena.longs(data.rows),
    spareRows: arena.integers(data.rows),
    spareGh: arena.longs(data.rows),
    binsOf,
    allowed: arena.bytes(data.columns),
    monotone,
    splits: arena.doubles(data.columns * SPLIT_FIELDS),
    sums: arena.doubles(2),
    histograms: histogramPool(arena, data.columns * 2048),
    counts: options.countRows ? histogramPool(arena, data.columns * 1024) : undefined,
  }
}

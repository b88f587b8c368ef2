// The search for splits: what is found for a node, and how siblings are searched together.
import type { Random } from '@ft/core/random'
import { ranges } from '../arena.ts'
import type { ResolvedOptions } from '../options.ts'
import type { BuiltHistogram, Histogram } from './histograms.ts'
import type { Units } from './growTree.ts'
import { RECORD_FIELDS, SCRATCH_BYTES, SPLIT_FIELDS, type SearchSpace, type Workspace } from './workspace.ts'

export interface Split {
  readonly gain: number
  readonly feature: number
  /** Last bin that goes left. */
  readonly bin: number
  readonly missingLeft: boolean
  /** Bins that go left, 256 bits, for a categorical feature. */
  readonly set: Uint32Array | undefined
  /** Sums of the left side. */
  readonly gradient: number
  readonly hessian: number
}

export interface SearchInput {
  readonly space: Workspace
  readonly options: ResolvedOptions
  readonly units: Units
  /** Columns that the tree may use. */
  readonly columns: Uint8Array
  /** Draws the columns of each node, under `nodeColumnFraction`. */
  readonly random: Random
}

/** What the search must know of a node. */
export interface Searched {
  readonly start: number
  readonly end: number
  readonly gradient: number
  readonly hessian: number
  readonly low: number
  readonly high: number
  readonly histogram: Histogram
  /** Features on the way to the node; kept under interaction constraints. */
  readonly path: readonly number[]
}

/** Fewest columns a thread takes. */
const LEAST_COLUMNS = 8
/** Searches a thread from which on none is cut into columns. */
const ENOUGH = 4

/** Siblings, or the root alone, or no node: then shares are added only. */
export interface Family {
  readonly nodes: readonly Searched[]
  /** Receives the shares that threads hold, and is then taken off `parent`, which becomes the other sibling's. */
  readonly built: BuiltHistogram
  readonly parent: Histogram | undefined
}

/**
 * Searches the nodes of each family.
 *
 * @returns by family, the best split of each node, undefined where none gains
 */
export function searchNodes(input: SearchInput, families: readonly Family[]): (Split | undefined)[][] {
  const { space, options, units } = input
  const { arena, data } = space
  const searched = families.map(({ nodes }) => nodes.map((node) => mayBeSplit(options, node)))
  const memory = space.search(2 * families.length)
  families.forEach(({ nodes }, i) => {
    let slot = 2 * i
    nodes.forEach((node, child) => {
      if (searched[i]?.[child]) writeRecord(input, memory, slot++, node)
    })
  })
  const columns =
    families.length < ENOUGH * arena.runtime.threads
      ? ranges(arena.runtime, data.columns, LEAST_COLUMNS)
      : ([[0, data.columns]] as const)
  const scratch = space.scratch(columns.length * families.length)
  let task = 0
  arena.runtime.fork(
    arena.module,
    'searchNodes',
    families.flatMap(({ built, parent }, i) => {
      const active = (searched[i] as boolean[]).filter(Boolean).length
      if (active === 0 && built.parts === 0 && !parent) return []
      return columns.map(([first, last]) => [
        built.sums.address,
        built.counts?.address ?? 0,
        built.partials.sums,
        built.partials.counts,
        built.parts,
        parent?.sums.address ?? 0,
        parent?.counts?.address ?? 0,
        data.columns,
        first,
        last,
        space.members.starts.address,
        space.members.list.address,
        memory.records.address + 8 * RECORD_FIELDS * 2 * i,
        active,
        space.binsOf.address,
        space.categorical?.address ?? 0,
        space.monotone?.address ?? 0,
        Number(!space.counts && !space.monotone && options.l1 === 0),
        units.gradient,
        units.hessian,
        options.l1,
        options.l2,
        options.minHessian,
        options.minRows,
        options.categorySmooth,
        options.categoryL2,
        options.mostCategories,
        scratch.address + task++ * SCRATCH_BYTES,
      ])
    }),
  )
  const splits = memory.splits.view()
  return families.map(({ nodes }, i) => {
    let slot = 2 * i
    return nodes.map((node, child) => (searched[i]?.[child] ? bestOf(input, node, splits, slot++) : undefined))
  })
}

function writeRecord(input: SearchInput, memory: SearchSpace, slot: number, node: Searched): void {
  const { features } = input.space
  const { records, allowed, splits } = memory
  allowed.view().set(nodeColumns(input, node), slot * features)
  const { histogram, gradient, hessian, start, end, low, high } = node
  records
    .view()
    .set(
      [
        ...[histogram.sums.address, histogram.counts?.address ?? 0, allowed.address + slot * features],
        ...[gradient, hessian, end - start, low, high, splits.address + 8 * slot * features * SPLIT_FIELDS],
      ],
      slot * RECORD_FIELDS,
    )
}

function mayBeSplit({ minRows, minHessian }: ResolvedOptions, { start, end, hessian }: Searched): boolean {
  return end - start >= 2 * minRows && hessian >= 2 * minHessian
}

/** The best feature's split; the first of equal ones. */
function bestOf({ space, options }: SearchInput, node: Searched, all: Float64Array, slot: number): Split | undefined {
  const size = space.features * SPLIT_FIELDS
  const found = all.subarray(slot * size, (slot + 1) * size)
  let best = -1
  let bestGain = -Infinity
  for (let feature = 0; feature < space.features; feature++) {
    const gain = found[feature * SPLIT_FIELDS] as number
    if (gain > bestGain) {
      bestGain = gain
      best = feature
    }
  }
  const gain = bestGain - scoreOf(options, node)
  // Gains below rounding are noise: a pure node must not be split.
  if (best < 0 || !(gain > options.minGain) || gain <= 1e-12 * Math.abs(bestGain)) return undefined
  const field = (index: number) => found[best * SPLIT_FIELDS + index] as number
  const isSet = space.edges.levels[best] !== undefined
  return {
    gain,
    feature: best,
    bin: field(1),
    missingLeft: field(2) === 1,
    set: isSet ? new Uint32Array(found.buffer, found.byteOffset + 8 * (best * SPLIT_FIELDS + 6), 8).slice() : undefined,
    gradient: field(3),
    hessian: field(4),
  }
}

function scoreOf({ l1, l2 }: ResolvedOptions, node: Searched): number {
  if (node.low === -Infinity && node.high === Infinity) {
    const shrunk = Math.max(Math.abs(node.gradient) - l1, 0)
    return (shrunk * shrunk) / (node.hessian + l2)
  }
  const value = newton({ l1, l2 }, node, node)
  return -(2 * node.gradient * value + (node.hessian + l2) * value * value + 2 * l1 * Math.abs(value))
}

/** Newton's value of a leaf: -soft(G, l1) / (H + l2), within its bounds. */
export function newton(
  { l1, l2 }: Pick<ResolvedOptions, 'l1' | 'l2'>,
  { gradient, hessian }: { gradient: number; hessian: number },
  { low, high }: { low: number; high: number },
): number {
  const shrunk = Math.sign(gradient) * Math.max(Math.abs(gradient) - l1, 0)
  const denominator = hessian + l2
  const value = denominator > 0 ? -shrunk / denominator : 0
  return Math.min(Math.max(value, low), high) + 0
}

function nodeColumns({ space, columns, options, random }: SearchInput, { path }: Searched): Uint8Array {
  const open = space.interactions ? mayFollow(space.interactions, columns, path) : columns
  if (options.nodeColumnFraction === 1) return open
  const usable = Array.from(open.keys()).filter((column) => open[column] === 1)
  if (usable.length === 0) return open
  const kept = random.sample(usable.length, Math.max(1, Math.round(usable.length * options.nodeColumnFraction)))
  const chosen = new Uint8Array(columns.length)
  for (const at of kept) chosen[usable[at] as number] = 1
  return chosen
}

/** Columns that stand in one interaction set with all features of the path; a column of no set stands alone. */
function mayFollow(sets: readonly ReadonlySet<number>[], columns: Uint8Array, path: readonly number[]): Uint8Array {
  if (path.length === 0) return columns
  const fitting = sets.filter((set) => path.every((feature) => set.has(feature)))
  const only = path.every((feature) => feature === path[0]) ? path[0] : undefined
  return columns.map((usable, column) =>
    usable === 1 && (column === only || fitting.some((set) => set.has(column))) ? 1 : 0,
  )
}

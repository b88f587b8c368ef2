// The search for splits: what is found for a node, and how siblings are searched together.
import type { Random } from '@ft/core/random'
import { ranges } from '../arena.ts'
import type { ResolvedOptions } from '../options.ts'
import type { BuiltHistogram, Histogram } from './histograms.ts'
import type { Units } from './growTree.ts'
import { RECORD_FIELDS, SCRATCH_BYTES, SPLIT_FIELDS, type Workspace } from './workspace.ts'

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

/**
 * Searches up to two nodes. First `built` receives the shares that threads hold, and is taken off `parent`.
 *
 * @returns the best split of each node, undefined where none gains
 */
export function searchNodes(
  input: SearchInput,
  nodes: readonly Searched[],
  { built, parent }: { built: BuiltHistogram; parent: Histogram | undefined },
): (Split | undefined)[] {
  const { space, options, units } = input
  const { arena, data } = space
  const searched = nodes.map((node) => mayBeSplit(options, node))
  const active: Searched[] = nodes.filter((_, i) => searched[i])
  const records = space.records.view()
  active.forEach((node, i) => {
    const slot = space.search[i as 0 | 1]
    slot.allowed.view().set(nodeColumns(input, node))
    const { histogram } = node
    records.set(
      [
        histogram.sums.address,
        histogram.counts?.address ?? 0,
        slot.allowed.address,
        node.gradient,
        node.hessian,
        node.end - node.start,
        node.low,
        node.high,
        slot.splits.address,
      ],
      i * RECORD_FIELDS,
    )
  })
  if (active.length > 0 || built.parts > 0 || parent) {
    arena.runtime.fork(
      arena.module,
      'searchNodes',
      ranges(arena.runtime, data.columns, LEAST_COLUMNS).map(([first, last], part) => [
        built.sums.address,
        built.counts?.address ?? 0,
        space.partials.sums,
        space.partials.counts,
        built.parts,
        parent?.sums.address ?? 0,
        parent?.counts?.address ?? 0,
        data.columns,
        first,
        last,
        space.members.starts.address,
        space.members.list.address,
        space.records.address,
        active.length,
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
        space.scratch.address + part * SCRATCH_BYTES,
      ]),
    )
  }
  let slot = 0
  return nodes.map((node, i) => (searched[i] ? bestOf(input, node, slot++ as 0 | 1) : undefined))
}

function mayBeSplit({ minRows, minHessian }: ResolvedOptions, { start, end, hessian }: Searched): boolean {
  return end - start >= 2 * minRows && hessian >= 2 * minHessian
}

/** The best feature's split; the first of equal ones. */
function bestOf({ space, options }: SearchInput, node: Searched, slot: 0 | 1): Split | undefined {
  const found = space.search[slot].splits.view()
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

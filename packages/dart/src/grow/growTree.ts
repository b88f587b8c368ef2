// Grows one tree on binned rows: Newton's second-order gains over histograms, leaf by leaf.
import type { Random } from '@ft/core/random'
import type { Block } from '../arena.ts'
import type { ResolvedOptions } from '../options.ts'
import type { Tree } from '../tree.ts'
import { buildHistogram, giveBack, subtractHistogram, type Histogram } from './histograms.ts'
import { SPLIT_FIELDS, type Workspace } from './workspace.ts'

/** Scales that turn sums of packed integers back into gradients and hessians. */
export interface Units {
  readonly gradient: number
  readonly hessian: number
}

export interface GrowInput {
  readonly space: Workspace
  readonly options: ResolvedOptions
  /** Rows in use: the first so many of the workspace's row list. */
  readonly count: number
  readonly units: Units
  readonly gradients: Block<Float64Array>
  readonly hessians: Block<Float64Array>
  /** Columns that this tree may use. */
  readonly columns: Uint8Array
  /** Draws the columns of each node, under `nodeColumnFraction`. */
  readonly random: Random
  /** Replaces Newton's leaf value: gets the leaf's range of the workspace's row list. */
  readonly leafValue?: ((start: number, end: number) => number) | undefined
}

export interface GrownTree {
  readonly tree: Tree
  /** Range of the workspace's row list of each leaf. */
  readonly leaves: readonly { readonly start: number; readonly end: number }[]
  /** Split bin of each inner node. */
  readonly bins: Uint8Array
}

interface Split {
  readonly gain: number
  readonly feature: number
  readonly bin: number
  readonly missingLeft: boolean
  readonly gradient: number
  readonly hessian: number
}

/** A leaf that may still be split. */
interface Open {
  readonly start: number
  readonly end: number
  readonly depth: number
  readonly gradient: number
  readonly hessian: number
  /** Bounds on the values below, from monotone splits above. */
  readonly low: number
  readonly high: number
  readonly histogram: Histogram | undefined
  readonly split: Split | undefined
  /** Where the parent keeps it; -1 for the root. */
  readonly parent: number
  readonly side: 'left' | 'right'
}

interface Inner {
  readonly split: Split
  readonly cover: number
  left: number
  right: number
}

/**
 * Grows a tree.
 *
 * Gain of a split: score(left) + score(right) - score(node), score = G^2 / (H + l2) (Chen and Guestrin, KDD'16,
 * equation 7, without the factor 1/2).
 */
export function growTree(input: GrowInput): GrownTree {
  const { space, options } = input
  const inner: Inner[] = []
  const finished: { leaf: Open; index: number }[] = []
  const open: Open[] = [openRoot(input)]
  let leaves = 1

  for (;;) {
    const at = next(open, options.growth)
    const [node] = open.splice(at, 1)
    if (node === undefined) break
    const { split, histogram } = node
    if (split === undefined || leaves >= options.maxLeaves) {
      if (histogram) giveBack(space, histogram)
      attach(inner, node, ~finished.length)
      finished.push({ leaf: node, index: finished.length })
      continue
    }
    const index = inner.length
    inner.push({ split, cover: node.hessian, left: 0, right: 0 })
    attach(inner, node, index)
    open.push(...divide(input, node, split, index, leaves + 1 < options.maxLeaves))
    leaves++
  }
  return assemble(
    input,
    inner,
    finished.map((item) => item.leaf),
  )
}

/** The leaf to look at next: the first for level-wise growth, the largest gain for leaf-wise. */
function next(open: readonly Open[], growth: 'depth' | 'leaf'): number {
  if (growth === 'depth') return 0
  let best = 0
  open.forEach((node, index) => {
    if ((node.split?.gain ?? -1) > (open[best]?.split?.gain ?? -1)) best = index
  })
  return best
}

function attach(inner: Inner[], node: Open, child: number): void {
  const parent = inner[node.parent]
  if (parent) parent[node.side] = child
}

function openRoot(input: GrowInput): Open {
  const { space, count, units } = input
  const histogram = buildHistogram(space, 0, count)
  const totals = totalsOf(histogram, units)
  const root = {
    start: 0,
    end: count,
    depth: 0,
    ...totals,
    low: -Infinity,
    high: Infinity,
    parent: -1,
    side: 'left' as const,
  }
  return { ...root, histogram, split: findSplit(input, root, histogram) }
}

/** Sums over the first feature's bins are sums over the node. */
function totalsOf(histogram: Histogram, units: Units): { gradient: number; hessian: number } {
  const { sums } = histogram
  const cells = new BigInt64Array(sums.view().buffer, sums.address, 256)
  let total = 0n
  for (const cell of cells) total += cell
  return unpack(total, units)
}

function unpack(total: bigint, units: Units): { gradient: number; hessian: number } {
  return { gradient: Number(total >> 32n) * units.gradient, hessian: Number(total & 0xffffffffn) * units.hessian }
}

function divide(input: GrowInput, node: Open, split: Split, index: number, mayGrow: boolean): [Open, Open] {
  const { space, options } = input
  const middle = node.start + partition(space, node, split)
  const rightSums = { gradient: node.gradient - split.gradient, hessian: node.hessian - split.hessian }
  const bounds = childBounds(input, node, split, rightSums)
  const depth = node.depth + 1
  const sides = {
    left: {
      start: node.start,
      end: middle,
      depth,
      gradient: split.gradient,
      hessian: split.hessian,
      ...bounds.left,
      parent: index,
      side: 'left' as const,
    },
    right: {
      start: middle,
      end: node.end,
      depth,
      ...rightSums,
      ...bounds.right,
      parent: index,
      side: 'right' as const,
    },
  }
  const deeper = mayGrow && (options.maxDepth === 0 || depth < options.maxDepth)
  if (!deeper || !node.histogram) {
    if (node.histogram) giveBack(space, node.histogram)
    const leaf = { histogram: undefined, split: undefined }
    return [
      { ...sides.left, ...leaf },
      { ...sides.right, ...leaf },
    ]
  }
  const smallerIsLeft = middle - node.start <= node.end - middle
  const smaller = smallerIsLeft ? sides.left : sides.right
  const built = buildHistogram(space, smaller.start, smaller.end)
  const rest = subtractHistogram(space, node.histogram, built)
  const [left, right] = smallerIsLeft ? [built, rest] : [rest, built]
  return [
    { ...sides.left, histogram: left, split: findSplit(input, sides.left, left) },
    { ...sides.right, histogram: right, split: findSplit(input, sides.right, right) },
  ]
}

/** Under a monotone split neither side may cross the middle of the two values (LightGBM's basic method). */
function childBounds(
  input: GrowInput,
  node: Open,
  split: Split,
  right: { gradient: number; hessian: number },
): Record<'left' | 'right', { low: number; high: number }> {
  const bounds = { low: node.low, high: node.high }
  const direction = input.space.monotone ? new Int8Array(input.space.monotone.view())[split.feature] : 0
  if (!direction) return { left: bounds, right: bounds }
  const middle = (newton(input.options, split, bounds) + newton(input.options, right, bounds)) / 2
  return direction > 0
    ? { left: { low: node.low, high: middle }, right: { low: middle, high: node.high } }
    : { left: { low: middle, high: node.high }, right: { low: node.low, high: middle } }
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

/** Moves the node's rows so that those that go left stand first; returns how many they are. */
function partition(
  { arena, data, rows, gh, spareRows, spareGh }: Workspace,
  { start, end }: Open,
  split: Split,
): number {
  const left = arena.kernels['partition']?.(
    rows.address,
    gh.address,
    start,
    end,
    data.bins.address,
    data.stride,
    split.feature,
    split.bin,
    Number(split.missingLeft),
    spareRows.address,
    spareGh.address,
  ) as number
  const right = end - start - left
  rows.view().set(spareRows.view().subarray(0, right), start + left)
  gh.view().set(spareGh.view().subarray(0, right), start + left)
  return left
}

function findSplit(
  input: GrowInput,
  node: { start: number; end: number; gradient: number; hessian: number; low: number; high: number },
  histogram: Histogram,
): Split | undefined {
  const { space, options, units } = input
  const { arena, data, splits } = space
  const rows = node.end - node.start
  if (rows < 2 * options.minRows || node.hessian < 2 * options.minHessian) return undefined
  space.allowed.view().set(nodeColumns(input))
  const plain = !space.counts && !space.monotone && options.l1 === 0
  if (plain) searchPlain(input, node, histogram)
  else
    arena.kernels['bestSplits']?.(
      histogram.sums.address,
      histogram.counts?.address ?? 0,
      0,
      data.columns,
      space.binsOf.address,
      space.allowed.address,
      space.monotone?.address ?? 0,
      units.gradient,
      units.hessian,
      node.gradient,
      node.hessian,
      rows,
      options.l1,
      options.l2,
      options.minHessian,
      options.minRows,
      node.low,
      node.high,
      splits.address,
    )
  const found = splits.view()
  let best = -1
  let bestGain = -Infinity
  for (let feature = 0; feature < data.columns; feature++) {
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
  return { gain, feature: best, bin: field(1), missingLeft: field(2) === 1, gradient: field(3), hessian: field(4) }
}

/** The common case, two bins a step, in the units of the packed integers. */
function searchPlain(
  { space, options, units }: GrowInput,
  node: { gradient: number; hessian: number },
  histogram: Histogram,
): void {
  space.arena.kernels['bestSplitsPlain']?.(
    histogram.sums.address,
    0,
    space.data.columns,
    space.binsOf.address,
    space.allowed.address,
    units.gradient,
    units.hessian,
    node.gradient / units.gradient,
    node.hessian / units.hessian,
    options.l2 / units.hessian,
    options.minHessian / units.hessian,
    space.splits.address,
  )
}

function scoreOf(
  { l1, l2 }: ResolvedOptions,
  node: { gradient: number; hessian: number; low: number; high: number },
): number {
  if (node.low === -Infinity && node.high === Infinity) {
    const shrunk = Math.max(Math.abs(node.gradient) - l1, 0)
    return (shrunk * shrunk) / (node.hessian + l2)
  }
  const value = newton({ l1, l2 }, node, node)
  return -(2 * node.gradient * value + (node.hessian + l2) * value * value + 2 * l1 * Math.abs(value))
}

function nodeColumns({ columns, options, random }: GrowInput): Uint8Array {
  if (options.nodeColumnFraction === 1) return columns
  const usable = Array.from(columns.keys()).filter((column) => columns[column] === 1)
  const kept = random.sample(usable.length, Math.max(1, Math.round(usable.length * options.nodeColumnFraction)))
  const chosen = new Uint8Array(columns.length)
  for (const at of kept) chosen[usable[at] as number] = 1
  return chosen
}

function assemble(input: GrowInput, inner: readonly Inner[], leaves: readonly Open[]): GrownTree {
  const { space, options } = input
  const value = new Float64Array(leaves.length)
  const leafCover = new Float64Array(leaves.length)
  leaves.forEach((leaf, index) => {
    // Exact sums of the leaf's rows: rounding to packed integers decides where to cut, not what a leaf says.
    space.arena.kernels['leafSums']?.(
      space.rows.address,
      leaf.start,
      leaf.end,
      input.gradients.address,
      input.hessians.address,
      space.sums.address,
    )
    const [gradient = 0, hessian = 0] = space.sums.view()
    leafCover[index] = hessian
    value[index] = input.leafValue
      ? input.leafValue(leaf.start, leaf.end)
      : newton(options, { gradient, hessian }, leaf)
  })
  const tree: Tree = {
    feature: Uint16Array.from(inner, (node) => node.split.feature),
    threshold: Float32Array.from(inner, (node) => thresholdOf(space, node.split)),
    missingLeft: Uint8Array.from(inner, (node) => Number(node.split.missingLeft)),
    left: Int32Array.from(inner, (node) => node.left),
    right: Int32Array.from(inner, (node) => node.right),
    value,
    gain: Float64Array.from(inner, (node) => node.split.gain),
    nodeCover: Float64Array.from(inner, (node) => node.cover),
    leafCover,
  }
  return { tree, leaves, bins: Uint8Array.from(inner, (node) => node.split.bin) }
}

/** Upper edge of the split's bin; the last bin has none: all values go left and the missing right. */
function thresholdOf({ edges }: Workspace, { feature, bin }: Split): number {
  return edges.edges[feature]?.[bin - 1] ?? Infinity
}

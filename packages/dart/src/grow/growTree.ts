// Grows one tree on binned rows: Newton's second-order gains over histograms, leaf by leaf.
import type { Block } from '../arena.ts'
import { createTree, type Tree } from '../tree.ts'
import { buildHistogram, giveBack, type Histogram } from './histograms.ts'
import { leafSums, type RowRange } from './leaves.ts'
import { partitionRows } from './partition.ts'
import { newton, searchNodes, type SearchInput, type Split } from './splits.ts'

/** Scales that turn sums of packed integers back into gradients and hessians. */
export interface Units {
  readonly gradient: number
  readonly hessian: number
}

export interface GrowInput extends SearchInput {
  /** Rows in use: the first so many of the workspace's row list. */
  readonly count: number
  readonly gradients: Block<Float64Array>
  readonly hessians: Block<Float64Array>
  /** Replaces Newton's leaf value: gets the leaf's range of the workspace's row list. */
  readonly leafValue?: ((start: number, end: number) => number) | undefined
}

export interface GrownTree {
  readonly tree: Tree
  /** Range of the workspace's row list of each leaf. */
  readonly leaves: readonly RowRange[]
  /** Split bin of each inner node. */
  readonly bins: Uint8Array
  /** Sets of bins that go left, eight words each, as `tree.setAt` numbers them. */
  readonly binSets: Uint32Array
}

/** A node that may still be split. */
interface Open {
  readonly start: number
  readonly end: number
  readonly depth: number
  readonly gradient: number
  readonly hessian: number
  /** Bounds of values below, from monotone features. */
  readonly low: number
  readonly high: number
  /** Features on the way here; kept only under interaction constraints. */
  readonly path: readonly number[]
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
  const finished: Open[] = []
  const open: Open[] = [openRoot(input)]
  let leaves = 1

  for (;;) {
    const [node] = open.splice(next(open, options.growth), 1)
    if (node === undefined) break
    const { split, histogram } = node
    if (split === undefined || leaves >= options.maxLeaves) {
      if (histogram) giveBack(space, histogram)
      attach(inner, node, ~finished.length)
      finished.push(node)
      continue
    }
    const index = inner.length
    inner.push({ split, cover: node.hessian, left: 0, right: 0 })
    attach(inner, node, index)
    open.push(...divide(input, node, split, index, leaves + 1 < options.maxLeaves))
    leaves++
  }
  return assemble(input, inner, finished)
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
  const built = buildHistogram(space, 0, count)
  // Two passes: the root's sums are known only when the threads' shares are added.
  searchNodes(input, [], { built, parent: undefined })
  const histogram: Histogram = built
  const root = {
    start: 0,
    end: count,
    depth: 0,
    ...totalsOf(histogram, units),
    low: -Infinity,
    high: Infinity,
    path: [],
    parent: -1,
    side: 'left' as const,
    histogram,
  }
  const [split] = searchNodes(input, [root], { built: { ...built, parts: 0 }, parent: undefined })
  return { ...root, split }
}

/** Sums over the first feature's bins are sums over the node. */
function totalsOf({ sums }: Histogram, units: Units): { gradient: number; hessian: number } {
  const cells = new BigInt64Array(sums.view().buffer, sums.address, 256)
  let total = 0n
  for (const cell of cells) total += cell
  return { gradient: Number(total >> 32n) * units.gradient, hessian: Number(total & 0xffffffffn) * units.hessian }
}

function divide(input: GrowInput, node: Open, split: Split, index: number, mayGrow: boolean): [Open, Open] {
  const { space, options } = input
  const middle = node.start + partitionRows(space, node.start, node.end, split)
  const rightSums = { gradient: node.gradient - split.gradient, hessian: node.hessian - split.hessian }
  const bounds = childBounds(input, node, split, rightSums)
  const depth = node.depth + 1
  const path = space.interactions ? [...node.path, split.feature] : node.path
  const left = {
    ...{ start: node.start, end: middle, depth, gradient: split.gradient, hessian: split.hessian },
    ...{ ...bounds.left, path, parent: index, side: 'left' as const },
  }
  const right = {
    ...{ start: middle, end: node.end, depth, ...rightSums },
    ...{ ...bounds.right, path, parent: index, side: 'right' as const },
  }
  const deeper = mayGrow && (options.maxDepth === 0 || depth < options.maxDepth)
  const parent = node.histogram
  if (!deeper || !parent) {
    if (parent) giveBack(space, parent)
    const leaf = { histogram: undefined, split: undefined }
    return [
      { ...left, ...leaf },
      { ...right, ...leaf },
    ]
  }
  const smallerIsLeft = middle - node.start <= node.end - middle
  const smaller = smallerIsLeft ? left : right
  const built = buildHistogram(space, smaller.start, smaller.end)
  // The parent's histogram becomes that of the child that was not built.
  const children = [
    { ...left, histogram: smallerIsLeft ? built : parent },
    { ...right, histogram: smallerIsLeft ? parent : built },
  ] as const
  const [leftSplit, rightSplit] = searchNodes(input, children, { built, parent })
  return [
    { ...children[0], split: leftSplit },
    { ...children[1], split: rightSplit },
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

function assemble(input: GrowInput, inner: readonly Inner[], leaves: readonly Open[]): GrownTree {
  const { options } = input
  const { edges } = input.space
  const sums = leafSums(input.space, leaves, input.gradients, input.hessians)
  const sets = inner.flatMap(({ split }) => (split.set ? [split.set] : []))
  let set = 0
  const tree = createTree({
    feature: Uint16Array.from(inner, (node) => node.split.feature),
    // Upper edge of the split's bin; the last bin has none: all values go left and the missing right.
    threshold: Float32Array.from(inner, ({ split }) =>
      split.set ? NaN : (edges.edges[split.feature]?.[split.bin - 1] ?? Infinity),
    ),
    missingLeft: Uint8Array.from(inner, (node) => Number(node.split.missingLeft)),
    left: Int32Array.from(inner, (node) => node.left),
    right: Int32Array.from(inner, (node) => node.right),
    value: Float64Array.from(leaves, (leaf, index) =>
      input.leafValue
        ? input.leafValue(leaf.start, leaf.end)
        : newton(options, sums[index] as (typeof sums)[number], leaf),
    ),
    gain: Float64Array.from(inner, (node) => node.split.gain),
    nodeCover: Float64Array.from(inner, (node) => node.cover),
    leafCover: Float64Array.from(sums, ({ hessian }) => hessian),
    setAt: Int32Array.from(inner, ({ split }) => (split.set ? set++ : -1)),
    sets: Uint32Array.from(sets.flatMap((bins) => [...codesOf(bins)])),
  })
  return {
    tree,
    leaves,
    bins: Uint8Array.from(inner, (node) => node.split.bin),
    binSets: Uint32Array.from(sets.flatMap((bins) => [...bins])),
  }
}

/** A set of bins as a set of category codes: code c stands in bin c + 1. */
function codesOf(bins: Uint32Array): Uint32Array {
  return Uint32Array.from({ length: 8 }, (_, word) => {
    const low = (bins[word] as number) >>> 1
    const high = word < 7 ? ((bins[word + 1] as number) & 1) << 31 : 0
    return (low | high) >>> 0
  })
}

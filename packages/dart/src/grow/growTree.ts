// Grows one tree on binned rows: Newton's second-order gains over histograms, leaf by leaf.
import type { Block } from '../arena.ts'
import { createTree, type Tree } from '../tree.ts'
import { buildHistograms, giveBack, type BuiltHistogram, type Histogram } from './histograms.ts'
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

/** A node that is split, its number, and whether its children may be, as far as the number of leaves goes. */
interface Divided extends Open {
  readonly split: Split
  readonly index: number
  readonly mayGrow: boolean
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

  while (open.length > 0) {
    const divided: Divided[] = []
    for (const node of next(open, options.growth, space.together)) {
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
      leaves++
      divided.push({ ...node, split, index, mayGrow: leaves < options.maxLeaves })
    }
    if (divided.length > 0) open.push(...divide(input, divided))
  }
  return assemble(input, inner, finished)
}

/**
 * Takes the leaves to look at next: the largest gain for leaf-wise growth. For level-wise growth the first so many: none of them waits for
 * the children of another, and threads have more to share.
 */
function next(open: Open[], growth: 'depth' | 'leaf', together: number): Open[] {
  if (growth === 'depth') return open.splice(0, together)
  let best = 0
  open.forEach((node, index) => {
    if ((node.split?.gain ?? -1) > (open[best]?.split?.gain ?? -1)) best = index
  })
  return open.splice(best, 1)
}

function attach(inner: Inner[], node: Open, child: number): void {
  const parent = inner[node.parent]
  if (parent) parent[node.side] = child
}

function openRoot(input: GrowInput): Open {
  const { space, count, units } = input
  const [built] = buildHistograms(space, [{ start: 0, end: count }]) as [BuiltHistogram]
  // Two passes: the root's sums are known only when the threads' shares are added.
  searchNodes(input, [{ nodes: [], built, parent: undefined }])
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
  const found = searchNodes(input, [{ nodes: [root], built: { ...built, parts: 0 }, parent: undefined }])
  return { ...root, split: found[0]?.[0] }
}

/** Sums over the first feature's bins are sums over the node. */
function totalsOf({ sums }: Histogram, units: Units): { gradient: number; hessian: number } {
  const cells = new BigInt64Array(sums.view().buffer, sums.address, 256)
  let total = 0n
  for (const cell of cells) total += cell
  return { gradient: Number(total >> 32n) * units.gradient, hessian: Number(total & 0xffffffffn) * units.hessian }
}

/** Parts the nodes' rows and searches the children: of each node the left one, then the right one. */
function divide(input: GrowInput, nodes: readonly Divided[]): Open[] {
  const { space } = input
  const lefts = partitionRows(space, nodes)
  const pairs = nodes.map((node, i) => childrenOf(input, node, node.start + (lefts[i] as number)))
  const growing = nodes.flatMap((node, i) => {
    if (!node.histogram) return []
    if (!mayGrow(input, node)) {
      giveBack(space, node.histogram)
      return []
    }
    const [left, right] = pairs[i] as Pair
    return [{ pair: i, parent: node.histogram, smaller: left.end - left.start <= right.end - right.start ? 0 : 1 }]
  })
  if (growing.length > 0) {
    const built = buildHistograms(
      space,
      growing.map(({ pair, smaller }) => (pairs[pair] as Pair)[smaller] as Open),
    )
    const families = growing.map(({ pair, parent, smaller }, i) => {
      const own = built[i] as BuiltHistogram
      // The parent's histogram becomes that of the child that was not built.
      const nodes = (pairs[pair] as Pair).map((child, side) => ({
        ...child,
        histogram: side === smaller ? own : parent,
      }))
      return { nodes, built: own, parent }
    })
    const splits = searchNodes(input, families)
    growing.forEach(({ pair }, i) => {
      const [left, right] = (families[i] as (typeof families)[number]).nodes as [Open, Open]
      pairs[pair] = [
        { ...left, split: splits[i]?.[0] },
        { ...right, split: splits[i]?.[1] },
      ]
    })
  }
  return pairs.flat()
}

type Pair = readonly [left: Open, right: Open]

function mayGrow({ options }: GrowInput, node: Divided): boolean {
  return node.mayGrow && (options.maxDepth === 0 || node.depth + 1 < options.maxDepth)
}

/** The two children, not yet searched. */
function childrenOf(input: GrowInput, node: Divided, middle: number): Pair {
  const { split, index } = node
  const rightSums = { gradient: node.gradient - split.gradient, hessian: node.hessian - split.hessian }
  const bounds = childBounds(input, node, split, rightSums)
  const both = {
    depth: node.depth + 1,
    path: input.space.interactions ? [...node.path, split.feature] : node.path,
    parent: index,
    ...{ histogram: undefined, split: undefined },
  }
  return [
    {
      ...both,
      ...{ start: node.start, end: middle, gradient: split.gradient, hessian: split.hessian },
      ...{ ...bounds.left, side: 'left' },
    },
    { ...both, start: middle, end: node.end, ...rightSums, ...bounds.right, side: 'right' },
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

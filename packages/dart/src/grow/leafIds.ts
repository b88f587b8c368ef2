// Leaf numbers of rows: written by the grower for its own rows, found by following the tree for others.
import type { Arena, Block } from '../arena.ts'
import { forRange } from '../arena.ts'
import type { BinnedRows } from '../binning.ts'
import type { FloatMatrix } from '../data/schema.ts'
import { generalTree } from '../generalTree.ts'
import { binsLeft, bytesLeft, type Layout } from '../layout.ts'
import { SET_WORDS, type Tree } from '../tree.ts'
import type { GrownTree } from './growTree.ts'

/** Leaf of each row under one tree: one byte a row, two where the tree has more than 256 leaves. */
export interface LeafIds {
  readonly wide: boolean
  readonly block: Block<Uint8Array>
}

export function allocateLeafIds(arena: Arena, rows: number, leaves: number): LeafIds {
  const wide = leaves > 256
  return { wide, block: arena.bytes(rows * (wide ? 2 : 1)) }
}

/** A tree as it is followed on binned rows: of each inner node its column, its children as in the tree, and the bins that go left. */
export interface BinnedTree {
  readonly columns: Uint16Array
  readonly left: Int32Array
  readonly right: Int32Array
  /** Eight words a node. */
  readonly leftBins: Uint32Array
}

export function binnedTree(
  { tree, bins, binSets }: Pick<GrownTree, 'tree' | 'bins' | 'binSets'>,
  { columnOf, bundled }: Layout,
): BinnedTree {
  const leftBins = new Uint32Array(tree.feature.length * SET_WORDS)
  tree.feature.forEach((feature, node) => {
    const split = { bin: bins[node] as number, missingLeft: tree.missingLeft[node] === 1 }
    const set = tree.setAt[node] as number
    const one = bundled[feature]
    const words = one
      ? bytesLeft(one, split)
      : set >= 0
        ? binSets.subarray(set * SET_WORDS, (set + 1) * SET_WORDS)
        : binsLeft(split)
    leftBins.set(words, node * SET_WORDS)
  })
  return {
    columns: tree.feature.map((feature) => columnOf[feature] as number),
    left: tree.left,
    right: tree.right,
    leftBins,
  }
}

/** Words of a node as the kernel reads it: column, children, one of padding, and the bins that go right. */
const NODE_WORDS = 4 + SET_WORDS

/** Follows a tree for all rows of a binned matrix. */
export function routeAll(arena: Arena, data: BinnedRows, tree: BinnedTree, ids: LeafIds): void {
  const inner = tree.columns.length
  if (inner === 0) {
    ids.block.view().fill(0)
    return
  }
  const nodes = arena.integers((2 * inner + 1) * NODE_WORDS)
  const words = nodes.view().fill(0)
  const addressOf = (child: number) => nodes.address + 4 * NODE_WORDS * (child < 0 ? inner + ~child : child)
  for (let node = 0; node < inner; node++) {
    const at = node * NODE_WORDS
    words[at] = tree.columns[node] as number
    words[at + 1] = addressOf(tree.left[node] as number)
    words[at + 2] = addressOf(tree.right[node] as number)
    for (let i = 0; i < SET_WORDS; i++) words[at + 4 + i] = ~(tree.leftBins[node * SET_WORDS + i] as number)
  }
  // A leaf sends its rows to itself: they wait there for those beside them.
  for (let leaf = 0; leaf <= inner; leaf++) words[(inner + leaf) * NODE_WORDS + 1] = addressOf(~leaf)
  forRange(arena, 'routeRows', { count: data.rows }, (start, end) => [
    data.bins.address,
    data.stride,
    start,
    end,
    nodes.address,
    inner,
    ids.block.address,
    Number(ids.wide),
  ])
  arena.free(nodes)
}

/** A tree as it is added to scores: its rows' leaves, and factor * value of each leaf. */
export interface AddedTree {
  readonly ids: LeafIds
  readonly values: Float64Array
  readonly factor: number
}

/** Trees that one pass over the scores adds. */
const TOGETHER = 4

/** scores += sum of factor * value[leaf of row], in the trees' order, whichever are added in one pass. */
export function addTrees(
  arena: Arena,
  { trees, rows, scores }: { trees: readonly AddedTree[]; rows: number; scores: Block<Float64Array> },
): void {
  for (let first = 0; first < trees.length;) {
    const four = trees.slice(first, first + TOGETHER)
    if (four.length === TOGETHER && four.every(({ ids }) => !ids.wide)) {
      addFour(arena, four, { rows, scores })
      first += TOGETHER
    } else addTree(arena, { ...(trees[first++] as AddedTree), rows, scores })
  }
}

function addFour(
  arena: Arena,
  four: readonly AddedTree[],
  { rows, scores }: { rows: number; scores: Block<Float64Array> },
): void {
  const tables = four.map((tree) => tableOf(arena, tree))
  const list = arena.integers(2 * TOGETHER)
  list.view().set(four.flatMap(({ ids }, i) => [ids.block.address, (tables[i] as Block<Float64Array>).address]))
  forRange(arena, 'gather8x4', { count: rows }, (start, end) => [list.address, start, end, scores.address])
  for (const block of [list, ...tables]) arena.free(block)
}

function addTree(
  arena: Arena,
  { ids, rows, scores, ...tree }: AddedTree & { rows: number; scores: Block<Float64Array> },
): void {
  const table = tableOf(arena, tree)
  forRange(arena, ids.wide ? 'gather16' : 'gather8', { count: rows }, (start, end) => [
    ids.block.address,
    table.address,
    start,
    end,
    scores.address,
  ])
  arena.free(table)
}

function tableOf(arena: Arena, { values, factor }: Omit<AddedTree, 'ids'>): Block<Float64Array> {
  const table = arena.doubles(values.length)
  table.view().set(values.map((value) => value * factor))
  return table
}

/** Rows copied into the kernels' memory at a time. */
const STAGE = 8192

/** Follows a tree that knows thresholds only, on the features themselves. */
export function routeRaw(arena: Arena, tree: Tree, { values, rows, columns }: FloatMatrix, ids: LeafIds): void {
  if (tree.feature.length === 0) {
    ids.block.view().fill(0)
    return
  }
  const { nodes, sets } = generalTree(arena, tree)
  const staged = arena.floats(Math.min(rows, STAGE) * columns)
  const found = arena.integers(Math.min(rows, STAGE))
  for (let first = 0; first < rows; first += STAGE) {
    const count = Math.min(STAGE, rows - first)
    staged.view().set(values.subarray(first * columns, (first + count) * columns))
    forRange(arena, 'leafOf', { count }, (start, end) => [
      staged.address,
      columns,
      start,
      end,
      nodes.address,
      sets.address,
      found.address + 4 * start,
    ])
    const bytes = ids.block.view()
    const to = ids.wide ? new Uint16Array(bytes.buffer, bytes.byteOffset, rows) : bytes
    to.set(found.view().subarray(0, count), first)
  }
  for (const block of [nodes, sets, staged, found]) arena.free(block)
}

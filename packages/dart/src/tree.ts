// A regression tree as plain arrays: what models hold, importers make and predictors run.
import { FtError } from '@ft/core'

/**
 * A tree of `nodes` inner nodes and `leaves` leaves. Children are node indices, larger than their parent's, or ~leaf. A value
 * goes left when x <= threshold, or, at a categorical node, when its code is in the node's set; a missing one where
 * `missingLeft` says. A tree without inner nodes has one leaf.
 */
export interface Tree {
  readonly feature: Uint16Array
  readonly threshold: Float32Array
  readonly missingLeft: Uint8Array
  readonly left: Int32Array
  readonly right: Int32Array
  /** Leaf values, without learning rate or weight. */
  readonly value: Float64Array
  /** Improvement of the loss by each inner node's split. */
  readonly gain: Float64Array
  /** Sum of hessians at each inner node, and at each leaf. */
  readonly nodeCover: Float64Array
  readonly leafCover: Float64Array
  /** Number of the node's set of categories that go left, -1 for a node with a threshold. */
  readonly setAt: Int32Array
  /** The sets, eight words of 32 bits each; codes from 255 on are in no set. */
  readonly sets: Uint32Array
}

/** Words of a set of category codes. */
export const SET_WORDS = 8

/** A tree from its arrays; without sets where none are given. */
export function createTree(parts: Omit<Tree, 'setAt' | 'sets'> & Partial<Pick<Tree, 'setAt' | 'sets'>>): Tree {
  return {
    ...parts,
    setAt: parts.setAt ?? new Int32Array(parts.feature.length).fill(-1),
    sets: parts.sets ?? new Uint32Array(0),
  }
}

/** Depth of a tree: steps to its deepest leaf. */
export function depthOf(tree: Tree): number {
  if (tree.feature.length === 0) return 0
  const below = new Int32Array(tree.feature.length)
  // Children have larger indices than their parents, so one pass from the end suffices.
  for (let node = tree.feature.length - 1; node >= 0; node--) {
    const child = (at: number) => (at < 0 ? 0 : (below[at] ?? 0))
    below[node] = 1 + Math.max(child(tree.left[node] ?? -1), child(tree.right[node] ?? -1))
  }
  return below[0] ?? 0
}

/** Deepest tree that is walked node by node, a call a level. */
const DEEPEST_WALKED = 1000

/**
 * Whether a tree may be walked by calls that call themselves; prediction follows trees of any depth.
 *
 * @throws FtError `UNSUPPORTED` for one of more than 1,000 levels
 */
export function checkDepth(tree: Tree, index: number, where: string): void {
  const depth = depthOf(tree)
  if (depth <= DEEPEST_WALKED) return
  throw new FtError(
    'UNSUPPORTED',
    `${where}: tree ${index} has ${depth} levels; at most ${DEEPEST_WALKED} are followed`,
    {
      tree: index,
      depth,
    },
  )
}

/** Whether a category's code stands in a set. */
export function inSet(sets: Uint32Array, set: number, code: number): boolean {
  // The largest code of a set is 254; 255 is what was never seen.
  if (!(code >= 0 && code < 255)) return false
  const whole = Math.trunc(code)
  return (((sets[set * SET_WORDS + (whole >> 5)] as number) >>> (whole & 31)) & 1) === 1
}

/** Whether value `x`, float32 or NaN, goes left at an inner node. */
export function goesLeft(tree: Tree, node: number, x: number): boolean {
  if (x !== x) return tree.missingLeft[node] === 1
  const set = tree.setAt[node] as number
  return set >= 0 ? inSet(tree.sets, set, x) : x <= (tree.threshold[node] as number)
}

/** Leaf of one row; `at(feature)` gives its values. */
export function leafOfRow(tree: Tree, at: (feature: number) => number): number {
  if (tree.feature.length === 0) return 0
  let node = 0
  while (node >= 0) {
    const x = Math.fround(at(tree.feature[node] as number))
    node = (goesLeft(tree, node, x) ? tree.left[node] : tree.right[node]) as number
  }
  return ~node
}

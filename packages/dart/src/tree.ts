// A regression tree as plain arrays: what models hold, importers make and predictors run.

/**
 * A tree of `nodes` inner nodes and `leaves` leaves. Children are node indices, or ~leaf. A value goes left when
 * x <= threshold; a missing one where `missingLeft` says. A tree without inner nodes has one leaf.
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

/** Leaf of one row; `at(feature)` gives its values. */
export function leafOfRow(tree: Tree, at: (feature: number) => number): number {
  if (tree.feature.length === 0) return 0
  let node = 0
  while (node >= 0) {
    const x = Math.fround(at(tree.feature[node] as number))
    const left = x === x ? x <= (tree.threshold[node] as number) : tree.missingLeft[node] === 1
    node = (left ? tree.left[node] : tree.right[node]) as number
  }
  return ~node
}

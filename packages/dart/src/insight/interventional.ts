// Interventional TreeSHAP: what a feature adds when the features that are left out come from rows of a background set.
import type { FloatMatrix } from '../data/schema.ts'
import { goesLeft, type Tree } from '../tree.ts'

/** How features on the way to a leaf were met: rows go apart there, and the leaf is reached by one of the two. */
interface Apart {
  /** By feature: 1 where the way follows the explained row, 2 where it follows the background's, 0 where it has not been met. */
  readonly side: Uint8Array
  readonly own: number[]
  readonly other: number[]
}

/**
 * Adds `weight` times the Shapley values of one tree for row `x` against the background row `z` to `phi` (Lundberg and others, "From
 * local explanations to global understanding with explainable AI for trees", 2020, interventional TreeSHAP).
 *
 * A leaf that is reached with u features from x and v from z adds its value times (u - 1)! v! / (u + v)! to each of the former
 * and takes u! (v - 1)! / (u + v)! off each of the latter.
 */
function explainAgainst(
  tree: Tree,
  x: Float32Array,
  z: Float32Array,
  weight: number,
  phi: Float64Array,
  apart: Apart,
): void {
  const { side, own, other } = apart
  const descend = (node: number): void => {
    if (node < 0) {
      const value = weight * (tree.value[~node] as number)
      const ways = binomial(own.length + other.length, own.length)
      for (const f of own) phi[f] = (phi[f] as number) + value / (own.length * ways)
      for (const f of other) phi[f] = (phi[f] as number) - value / (other.length * ways)
      return
    }
    const feature = tree.feature[node] as number
    const [left, right] = [tree.left[node] as number, tree.right[node] as number]
    const ownChild = goesLeft(tree, node, x[feature] as number) ? left : right
    const otherChild = goesLeft(tree, node, z[feature] as number) ? left : right
    const met = side[feature] as number
    if (ownChild === otherChild || met === 1) return descend(ownChild)
    if (met === 2) return descend(otherChild)
    side[feature] = 1
    own.push(feature)
    descend(ownChild)
    own.pop()
    side[feature] = 2
    other.push(feature)
    descend(otherChild)
    other.pop()
    side[feature] = 0
  }
  if (tree.feature.length > 0) descend(0)
}

/** Ways to choose k of n; n is at most the number of features on a path, so doubles hold them closely. */
function binomial(n: number, k: number): number {
  let ways = 1
  for (let i = 1; i <= k; i++) ways = (ways * (n - k + i)) / i
  return ways
}

/** Adds the trees' Shapley values for one row, averaged over the background rows, to `phi`. */
export function explainByBackground(
  trees: readonly { readonly tree: Tree; readonly weight: number }[],
  x: Float32Array,
  { values, rows, columns }: FloatMatrix,
  phi: Float64Array,
): void {
  const apart: Apart = { side: new Uint8Array(columns), own: [], other: [] }
  for (let row = 0; row < rows; row++) {
    const z = values.subarray(row * columns, (row + 1) * columns)
    for (const { tree, weight } of trees) explainAgainst(tree, x, z, weight / rows, phi, apart)
  }
}

// TreeSHAP: what each feature adds to a prediction, by Shapley's rule over the paths of the trees.
import { FtError } from '@ft/core'
import type { Features } from '../data/matrix.ts'
import type { Model } from '../model.ts'
import { featuresOf } from '../predict.ts'
import { goesLeft, type Tree } from '../tree.ts'

/**
 * Contributions of features to the raw scores, `[rows, outputs, columns + 1]`; the last of each row and output is the mean
 * prediction. They add up to the raw score. Under dropout each tree's part carries the tree's weight.
 *
 * Path-dependent TreeSHAP (Lundberg, Erion and Lee 2018, algorithm 2): a feature that is left out splits a row by the covers
 * (sums of hessians) of the children.
 *
 * Cost: trees x leaves x depth^2 a row, in plain JavaScript.
 *
 * @throws FtError `SHAPE_MISMATCH` when the columns are not the model's; `UNSUPPORTED` for a model without covers
 */
export function contributions(model: Model, features: Features): Float64Array {
  const { values, rows, columns } = featuresOf(model, features, 'contributions')
  const { outputs, trees, weights, baseScores } = model
  const width = columns + 1
  const out = new Float64Array(rows * outputs * width)
  const means = trees.map((tree, t) => {
    checkCovers(tree, t)
    return expectation(tree)
  })
  const phi = new Float64Array(columns)
  for (let row = 0; row < rows; row++) {
    const x = values.subarray(row * columns, (row + 1) * columns)
    for (let output = 0; output < outputs; output++) {
      const at = (row * outputs + output) * width
      let mean = baseScores[output] as number
      for (let t = output; t < trees.length; t += outputs) {
        phi.fill(0)
        explain(trees[t] as Tree, x, phi)
        const weight = weights[t] as number
        mean += weight * (means[t] as number)
        for (let c = 0; c < columns; c++) out[at + c] = (out[at + c] as number) + weight * (phi[c] as number)
      }
      out[at + columns] = mean
    }
  }
  return out
}

function checkCovers(tree: Tree, t: number): void {
  const isGood = (cover: number): boolean => cover > 0
  if (tree.feature.length === 0 || (tree.nodeCover.every(isGood) && tree.leafCover.every((cover) => cover >= 0))) return
  throw new FtError('UNSUPPORTED', `contributions: tree ${t} lacks covers; its file did not have them`, { tree: t })
}

const coverOf = (tree: Tree, child: number): number =>
  (child >= 0 ? tree.nodeCover[child] : tree.leafCover[~child]) as number

/** Share of a node's cover in its left child; of the children's sum, for covers of nodes and leaves are rounded apart. */
function leftShare(tree: Tree, node: number): number {
  const left = coverOf(tree, tree.left[node] as number)
  const right = coverOf(tree, tree.right[node] as number)
  return left + right > 0 ? left / (left + right) : 0.5
}

/** Mean leaf value under the covers. */
function expectation(tree: Tree): number {
  const of = (node: number): number => {
    if (node < 0) return tree.value[~node] as number
    const share = leftShare(tree, node)
    return share * of(tree.left[node] as number) + (1 - share) * of(tree.right[node] as number)
  }
  return of(tree.feature.length === 0 ? ~0 : 0)
}

/** The features on the way to a node, each once, and the weights of subsets of them by size. */
interface Path {
  readonly feature: number[]
  /** Share of rows that goes this way when the feature is left out. */
  readonly zero: number[]
  /** 1 when the row itself goes this way, else 0. */
  readonly one: number[]
  readonly weight: number[]
}

function explain(tree: Tree, x: Float32Array, phi: Float64Array): void {
  const descend = (node: number, above: Path, zero: number, one: number, feature: number): void => {
    const path = extend(above, zero, one, feature)
    if (node < 0) {
      for (let i = 1; i < path.feature.length; i++) {
        const w = unwoundSum(path, i)
        const f = path.feature[i] as number
        const change = w * ((path.one[i] as number) - (path.zero[i] as number)) * (tree.value[~node] as number)
        phi[f] = (phi[f] as number) + change
      }
      return
    }
    const split = tree.feature[node] as number
    const isLeft = goesLeft(tree, node, x[split] as number)
    const share = leftShare(tree, node)
    const known = path.feature.indexOf(split, 1)
    const [zeroBefore, oneBefore] = known > 0 ? [path.zero[known] as number, path.one[known] as number] : [1, 1]
    const rest = known > 0 ? unwind(path, known) : path
    descend(tree.left[node] as number, rest, zeroBefore * share, isLeft ? oneBefore : 0, split)
    descend(tree.right[node] as number, rest, zeroBefore * (1 - share), isLeft ? 0 : oneBefore, split)
  }
  descend(tree.feature.length === 0 ? ~0 : 0, { feature: [], zero: [], one: [], weight: [] }, 1, 1, -1)
}

/** Lundberg's EXTEND. */
function extend({ feature, zero, one, weight }: Path, z: number, o: number, f: number): Path {
  const depth = feature.length
  const w = [...weight, depth === 0 ? 1 : 0]
  for (let i = depth - 1; i >= 0; i--) {
    w[i + 1] = (w[i + 1] as number) + (o * (w[i] as number) * (i + 1)) / (depth + 1)
    w[i] = (z * (w[i] as number) * (depth - i)) / (depth + 1)
  }
  return { feature: [...feature, f], zero: [...zero, z], one: [...one, o], weight: w }
}

/** Lundberg's UNWIND: the path as if feature `at` had never been met. */
function unwind({ feature, zero, one, weight }: Path, at: number): Path {
  const depth = feature.length - 1
  const [o, z] = [one[at] as number, zero[at] as number]
  const w = weight.slice(0, depth)
  let next = weight[depth] as number
  for (let i = depth - 1; i >= 0; i--) {
    if (o !== 0) {
      const kept = weight[i] as number
      w[i] = (next * (depth + 1)) / ((i + 1) * o)
      next = kept - ((w[i] as number) * z * (depth - i)) / (depth + 1)
    } else {
      w[i] = ((weight[i] as number) * (depth + 1)) / (z * (depth - i))
    }
  }
  const without = (list: readonly number[]): number[] => list.filter((_, i) => i !== at)
  return { feature: without(feature), zero: without(zero), one: without(one), weight: w }
}

/** Sum of the weights of the unwound path. */
function unwoundSum({ feature, zero, one, weight }: Path, at: number): number {
  const depth = feature.length - 1
  const [o, z] = [one[at] as number, zero[at] as number]
  let next = weight[depth] as number
  let total = 0
  for (let i = depth - 1; i >= 0; i--) {
    if (o !== 0) {
      const part = (next * (depth + 1)) / ((i + 1) * o)
      total += part
      next = (weight[i] as number) - (part * z * (depth - i)) / (depth + 1)
    } else if (z !== 0) {
      total += ((weight[i] as number) * (depth + 1)) / (z * (depth - i))
    }
  }
  return total
}

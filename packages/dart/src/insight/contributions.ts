// TreeSHAP: what each feature adds to a prediction, by Shapley's rule over the paths of the trees.
import { FtError } from '@ft/core'
import type { Features } from '../data/matrix.ts'
import type { FloatMatrix } from '../data/schema.ts'
import type { Model } from '../model.ts'
import { featuresOf, predict } from '../predict.ts'
import { checkDepth, depthOf, goesLeft, type Tree } from '../tree.ts'
import { explainByBackground } from './interventional.ts'

export interface ContributionsOptions {
  /**
   * Rows that stand for the features that are left out (interventional SHAP). Without them a tree splits such a row by the covers
   * of its children (path-dependent SHAP).
   */
  readonly background?: Features
}

/**
 * Contributions of features to the raw scores, `[rows, outputs, columns + 1]`; the last of each row and output is the mean
 * prediction, of the background rows where there are any. They add up to the raw score. Under dropout each tree's part carries
 * the tree's weight.
 *
 * Path-dependent TreeSHAP (Lundberg, Erion and Lee 2018, algorithm 2), or, with a background, interventional TreeSHAP (Lundberg and
 * others 2020): true to the model where features depend on each other, and without need of covers.
 *
 * Cost: trees x leaves x depth^2 a row, in plain JavaScript; with a background trees x (nodes where the two rows differ) a row and
 * background row.
 *
 * @throws FtError `SHAPE_MISMATCH` when the columns are not the model's; `INVALID_ARGUMENT` for a background without rows;
 * `UNSUPPORTED` for a model without covers and no background, and for trees of more than 1,000 levels
 */
export function contributions(model: Model, features: Features, options: ContributionsOptions = {}): Float64Array {
  const { background } = options
  const matrix = featuresOf(model, features, 'contributions')
  const others = background && featuresOf(model, background, 'contributions: background')
  if (others?.rows === 0) throw new FtError('INVALID_ARGUMENT', 'contributions: the background has no rows')
  model.trees.forEach((tree, t) => checkDepth(tree, t, 'contributions'))
  const { rows, columns, values } = matrix
  const { outputs } = model
  const width = columns + 1
  const out = new Float64Array(rows * outputs * width)
  const means = others ? meanScores(model, others) : expectations(model)
  const paths = createPaths(model.trees.reduce((deepest, tree) => Math.max(deepest, depthOf(tree)), 0))
  for (let output = 0; output < outputs; output++) {
    const trees = treesOf(model, output)
    for (let row = 0; row < rows; row++) {
      const x = values.subarray(row * columns, (row + 1) * columns)
      const at = (row * outputs + output) * width
      const phi = out.subarray(at, at + columns)
      if (others) explainByBackground(trees, x, others, phi)
      else explainByCovers(trees, x, phi, paths)
      out[at + columns] = means[output] as number
    }
  }
  return out
}

interface Weighted {
  readonly tree: Tree
  readonly weight: number
}

const treesOf = ({ trees, weights, outputs }: Model, output: number): Weighted[] =>
  trees.flatMap((tree, t) => (t % outputs === output ? [{ tree, weight: weights[t] as number }] : []))

function explainByCovers(trees: readonly Weighted[], x: Float32Array, phi: Float64Array, paths: Paths): void {
  const part = new Float64Array(phi.length)
  for (const { tree, weight } of trees) {
    part.fill(0)
    explain(tree, x, part, paths)
    for (let c = 0; c < phi.length; c++) phi[c] = (phi[c] as number) + weight * (part[c] as number)
  }
}

/** Mean raw score of rows, one an output. */
function meanScores(model: Model, { values, rows, columns }: FloatMatrix): number[] {
  const scores = predict(model, { data: values, rows, columns }, { output: 'raw' })
  return Array.from({ length: model.outputs }, (_, output) => {
    let sum = 0
    for (let row = 0; row < rows; row++) sum += scores[row * model.outputs + output] as number
    return sum / rows
  })
}

/** Mean raw score under the covers, one an output. */
function expectations(model: Model): number[] {
  model.trees.forEach(checkCovers)
  return Array.from(model.baseScores, (base, output) =>
    treesOf(model, output).reduce((mean, { tree, weight }) => mean + weight * expectation(tree), base),
  )
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

/**
 * The features on the way to a node, each once, and the weights of subsets of them by size; paths of all levels lie behind each
 * other. `zero` is the share of rows that goes this way when the feature is left out, `one` is 1 when the row itself does.
 */
interface Paths {
  readonly feature: Int32Array
  readonly zero: Float64Array
  readonly one: Float64Array
  readonly weight: Float64Array
}

function createPaths(deepest: number): Paths {
  const size = ((deepest + 2) * (deepest + 3)) / 2 + deepest + 2
  const doubles = (): Float64Array => new Float64Array(size)
  return { feature: new Int32Array(size), zero: doubles(), one: doubles(), weight: doubles() }
}

/** Adds a tree's part for one row to `phi`. */
function explain(tree: Tree, x: Float32Array, phi: Float64Array, paths: Paths): void {
  /** `above`: where the parent's path begins, of `depth` entries. */
  const descend = (node: number, above: number, depth: number, zero: number, one: number, feature: number): void => {
    const at = above + depth
    copyPath(paths, above, at, depth)
    extend(paths, at, depth, zero, one, feature)
    if (node < 0) {
      for (let i = 1; i <= depth; i++) {
        const change = (paths.one[at + i] as number) - (paths.zero[at + i] as number)
        const f = paths.feature[at + i] as number
        phi[f] = (phi[f] as number) + unwoundSum(paths, at, depth, i) * change * (tree.value[~node] as number)
      }
      return
    }
    const split = tree.feature[node] as number
    const isLeft = goesLeft(tree, node, x[split] as number)
    const share = leftShare(tree, node)
    let [zeroBefore, oneBefore, length] = [1, 1, depth + 1]
    for (let i = 1; i <= depth; i++) {
      if (paths.feature[at + i] !== split) continue
      zeroBefore = paths.zero[at + i] as number
      oneBefore = paths.one[at + i] as number
      unwind(paths, at, depth, i)
      length = depth
      break
    }
    descend(tree.left[node] as number, at, length, zeroBefore * share, isLeft ? oneBefore : 0, split)
    descend(tree.right[node] as number, at, length, zeroBefore * (1 - share), isLeft ? 0 : oneBefore, split)
  }
  descend(tree.feature.length === 0 ? ~0 : 0, 0, 0, 1, 1, -1)
}

/** Loops: for a handful of entries a call of the engine costs more. */
function copyPath({ feature, zero, one, weight }: Paths, from: number, to: number, count: number): void {
  for (let i = 0; i < count; i++) {
    feature[to + i] = feature[from + i] as number
    zero[to + i] = zero[from + i] as number
    one[to + i] = one[from + i] as number
    weight[to + i] = weight[from + i] as number
  }
}

/** Lundberg's EXTEND: entry number `depth` of the path at `at`. */
function extend(
  { feature, zero, one, weight }: Paths,
  at: number,
  depth: number,
  z: number,
  o: number,
  f: number,
): void {
  feature[at + depth] = f
  zero[at + depth] = z
  one[at + depth] = o
  weight[at + depth] = depth === 0 ? 1 : 0
  for (let i = depth - 1; i >= 0; i--) {
    const w = weight[at + i] as number
    weight[at + i + 1] = (weight[at + i + 1] as number) + (o * w * (i + 1)) / (depth + 1)
    weight[at + i] = (z * w * (depth - i)) / (depth + 1)
  }
}

/** Lundberg's UNWIND, in place: the path of `depth` + 1 entries as if entry `index` had never been met. */
function unwind({ feature, zero, one, weight }: Paths, at: number, depth: number, index: number): void {
  const [o, z] = [one[at + index] as number, zero[at + index] as number]
  let next = weight[at + depth] as number
  for (let i = depth - 1; i >= 0; i--) {
    const w = weight[at + i] as number
    if (o !== 0) {
      weight[at + i] = (next * (depth + 1)) / ((i + 1) * o)
      next = w - ((weight[at + i] as number) * z * (depth - i)) / (depth + 1)
    } else {
      weight[at + i] = (w * (depth + 1)) / (z * (depth - i))
    }
  }
  for (let i = at + index; i < at + depth; i++) {
    feature[i] = feature[i + 1] as number
    zero[i] = zero[i + 1] as number
    one[i] = one[i + 1] as number
  }
}

/** Sum of the weights of the unwound path. */
function unwoundSum({ zero, one, weight }: Paths, at: number, depth: number, index: number): number {
  const [o, z] = [one[at + index] as number, zero[at + index] as number]
  let next = weight[at + depth] as number
  let total = 0
  for (let i = depth - 1; i >= 0; i--) {
    if (o !== 0) {
      const part = (next * (depth + 1)) / ((i + 1) * o)
      total += part
      next = (weight[at + i] as number) - (part * z * (depth - i)) / (depth + 1)
    } else if (z !== 0) {
      total += ((weight[at + i] as number) * (depth + 1)) / (z * (depth - i))
    }
  }
  return total
}

// XGBoost's JSON, written: what its `load_model` reads.
import { FtError } from '@ft/core'
import { MOST_LEVELS } from '../data/schema.ts'
import type { Model } from '../model.ts'
import type { Tree } from '../tree.ts'
import { Numbers } from './numbers.ts'
import { codesIn, constantTree, floatAbove } from './rawTree.ts'
import { writeUbjson } from './ubjson.ts'
import { keepsBase, toXgboost, type XgboostObjective } from './xgboostObjectives.ts'

export interface WriteXgboostOptions {
  /**
   * Where the weights of trees stand: in a dart `wrapper` (read by all versions), as `weight_drop` inside gbtree ('inline',
   * from 3.3), or `folded` into the leaves of a plain gbtree. Default 'wrapper'.
   */
  readonly weights?: 'wrapper' | 'inline' | 'folded'
}

/** XGBoost's mark of a root in `parents`. */
const NO_PARENT = 2_147_483_647
/** In place of an infinite threshold, which JSON lacks: the largest float32. */
const LARGEST = 3.4028234663852886e38

/**
 * Writes a model as XGBoost's JSON. Leaves and weights become float32 there; predictions agree to that rounding. Losses that
 * XGBoost lacks are written as reg:squarederror, whose answer is the score itself.
 *
 * @example
 * ```ts
 * import { readXgboost, train } from '@ft/dart'
 * const features = { data: Float32Array.of(0, 1, 2, 3), rows: 4, columns: 1 }
 * const { model } = await train({ features, label: [1, 1, 5, 5] }, { objective: 'squared', rounds: 3 })
 * readXgboost(writeXgboost(model)).trees.length // => 3
 * ```
 */
export function writeXgboost(model: Model, options: WriteXgboostOptions = {}): string {
  return toJson(documentOf(model, options, 'writeXgboost'))
}

/**
 * The same document as UBJSON, what XGBoost's `save_model('model.ubj')` writes: its float32 numbers are the model's bits, not digits.
 */
export function writeXgboostUbjson(model: Model, options: WriteXgboostOptions = {}): Uint8Array {
  return writeUbjson(documentOf(model, options, 'writeXgboostUbjson'))
}

function documentOf(model: Model, options: WriteXgboostOptions, where: string): object {
  const { weights: form = 'wrapper' } = options
  if (!['wrapper', 'inline', 'folded'].includes(form)) {
    throw new FtError('INVALID_ARGUMENT', `${where}: weights must be 'wrapper', 'inline' or 'folded', got ${form}`)
  }
  const objective = toXgboost(model.objective, model.outputs)
  const { trees, weights, outputs, base } = withOneBase(model, objective)
  const folded = form === 'folded'
  const gbtree = {
    name: 'gbtree',
    model: {
      gbtree_model_param: { num_trees: String(trees.length), num_parallel_tree: '1', size_leaf_vector: '0' },
      trees: trees.map((tree, t) => writeTree(model, tree, t, folded ? (weights[t] as number) : 1)),
      tree_info: trees.map((_, t) => t % outputs),
      iteration_indptr: Array.from({ length: trees.length / outputs + 1 }, (_, round) => round * outputs),
      ...(form === 'inline' ? { weight_drop: Numbers.each('d', weights) } : {}),
    },
  }
  return {
    version: [1, 7, 4],
    learner: {
      attributes: {},
      feature_names: model.featureNames,
      feature_types: model.featureLevels.map((levels) => (levels ? 'c' : 'float')),
      gradient_booster: form === 'wrapper' ? { name: 'dart', gbtree, weight_drop: Numbers.each('d', weights) } : gbtree,
      learner_model_param: {
        // Nine digits name a float32; of more its reader makes 0.5, without a word.
        base_score: objective.fromRaw(base).toExponential(8).toUpperCase(),
        boost_from_average: '0',
        num_class: String(outputs === 1 ? 0 : outputs),
        num_feature: String(model.featureNames.length),
        num_target: '1',
      },
      objective: objective.entry,
    },
  }
}

function toJson(value: unknown): string {
  if (value instanceof Numbers) return value.toJson()
  if (Array.isArray(value)) return `[${value.map(toJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([name, each]) => `${JSON.stringify(name)}:${toJson(each)}`)
    .join(',')}}`
}

/**
 * XGBoost keeps one base score for all outputs, and of some losses as a float32 probability or rate, which does not hold those at the
 * ends: otherwise trees of one leaf carry them.
 */
function withOneBase(
  model: Model,
  objective: XgboostObjective,
): Pick<Model, 'trees' | 'weights' | 'outputs'> & { base: number } {
  const { trees, weights, outputs, baseScores } = model
  if (outputs === 1 && keepsBase(objective, baseScores[0] as number))
    return { trees, weights, outputs, base: baseScores[0] as number }
  return {
    trees: [...Array.from(baseScores, constantTree), ...trees],
    weights: Float64Array.from([...new Float64Array(outputs).fill(1), ...weights]),
    outputs,
    base: 0,
  }
}

/**
 * Nodes and leaves (as ~leaf) level by level. XGBoost follows a row to `left` or `left + 1`, whatever `right_children` says, so
 * siblings must stand together.
 */
function breadthFirst(tree: Tree): number[] {
  const order = [tree.feature.length === 0 ? ~0 : 0]
  for (let i = 0; i < order.length; i++) {
    const node = order[i] as number
    if (node >= 0) order.push(tree.left[node] as number, tree.right[node] as number)
  }
  return order
}

function writeTree(model: Model, tree: Tree, id: number, factor: number): object {
  const order = breadthFirst(tree)
  const place = new Map(order.map((node, at) => [node, at]))
  const numberOf = (child: number): number => place.get(child) as number
  const both = (inner: (node: number) => number, leaf: (leaf: number) => number): number[] =>
    order.map((node) => (node >= 0 ? inner(node) : leaf(~node)))
  const column =
    (type: 'd' | 'l' | 'U') =>
    (inner: (node: number) => number, leaf: (leaf: number) => number): Numbers =>
      new Numbers(type, both(inner, leaf))
  // The types that XGBoost's own binary files have: its reader takes no others.
  const [floats, wholes, bytes] = [column('d'), column('l'), column('U')]
  const parents = new Array<number>(order.length).fill(NO_PARENT)
  for (let node = 0; node < tree.feature.length; node++) {
    for (const child of [tree.left[node], tree.right[node]]) parents[numberOf(child as number)] = numberOf(node)
  }
  const value = (leaf: number): number => (tree.value[leaf] as number) * factor
  const categories = categoriesOf(model, tree, numberOf)
  return {
    id,
    tree_param: {
      num_nodes: String(order.length),
      num_deleted: '0',
      num_feature: String(model.featureNames.length),
      size_leaf_vector: '0',
    },
    left_children: wholes(
      (node) => numberOf(tree.left[node] as number),
      () => -1,
    ),
    right_children: wholes(
      (node) => numberOf(tree.right[node] as number),
      () => -1,
    ),
    parents: new Numbers('l', parents),
    split_indices: wholes(
      (node) => tree.feature[node] as number,
      () => 0,
    ),
    split_conditions: floats(
      (node) => ((tree.setAt[node] as number) >= 0 ? 0 : Math.min(floatAbove(tree.threshold[node] as number), LARGEST)),
      value,
    ),
    split_type: bytes(
      (node) => Number((tree.setAt[node] as number) >= 0),
      () => 0,
    ),
    default_left: bytes(
      (node) => tree.missingLeft[node] as number,
      () => 0,
    ),
    loss_changes: floats(
      (node) => tree.gain[node] as number,
      () => 0,
    ),
    sum_hessian: floats(
      (node) => tree.nodeCover[node] as number,
      (leaf) => tree.leafCover[leaf] as number,
    ),
    base_weights: floats(() => 0, value),
    ...categories,
  }
}

/** XGBoost lists the categories that go right. */
function categoriesOf(
  { featureLevels }: Model,
  tree: Tree,
  numberOf: (node: number) => number,
): Record<string, Numbers> {
  const nodes: number[] = []
  const starts: number[] = []
  const sizes: number[] = []
  const all: number[] = []
  // Ascending, as XGBoost's reader walks through them.
  for (const node of breadthFirst(tree)) {
    const set = node >= 0 ? (tree.setAt[node] as number) : -1
    if (set < 0) continue
    const left = new Set(codesIn(tree, set))
    const levels = featureLevels[tree.feature[node] as number]?.length ?? MOST_LEVELS
    const right = Array.from({ length: levels }, (_, code) => code).filter((code) => !left.has(code))
    nodes.push(numberOf(node))
    starts.push(all.length)
    sizes.push(right.length)
    all.push(...right)
  }
  return {
    categories: new Numbers('l', all),
    categories_nodes: new Numbers('l', nodes),
    categories_segments: new Numbers('L', starts),
    categories_sizes: new Numbers('L', sizes),
  }
}

// LightGBM's text form, version 4: header, then a block a tree, `name=values` line by line.
import { FtError } from '@ft/core'
import { MOST_LEVELS } from '../data/schema.ts'
import type { Model } from '../model.ts'
import { SET_WORDS, type Tree } from '../tree.ts'
import { checkModel } from './checkModel.ts'
import { codesIn, constantTree, floatAtMost, setOf, treeFrom, type RawNode } from './rawTree.ts'

const READ = 'readLightgbm'

/** Bits of `decision_type`; the missing type stands in bits 2 and 3. */
const CATEGORICAL = 1
const DEFAULT_LEFT = 2
const MISSING_NONE = 0
const MISSING_ZERO = 1
const MISSING_NAN = 2

/** Our names of losses, and LightGBM's. */
const written: Readonly<Record<string, string>> = {
  squared: 'regression',
  absolute: 'regression_l1',
  huber: 'huber',
  quantile: 'quantile',
  poisson: 'poisson',
  logistic: 'binary sigmoid:1',
  lambdarank: 'lambdarank',
}
const read: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(written).map(([ours, theirs]) => [theirs.split(' ')[0], ours])),
  rank_xendcg: 'lambdarank',
  multiclass: 'softmax',
  gamma: 'poisson',
  tweedie: 'poisson',
}

type Lines = ReadonlyMap<string, string>

/**
 * Reads LightGBM's `save_model` text. Dropout's weights are inside its leaves, so all weights are 1.
 *
 * A float64 threshold becomes the largest float32 not above it: the same side for every float32 value.
 *
 * @throws FtError `CORRUPT_DATA` naming tree and node; `UNSUPPORTED` for linear leaves, zero as missing, categories above
 * 253 and objectives whose answers this package does not know
 */
export function readLightgbm(text: string): Model {
  const { header, trees } = cut(text)
  const outputs = integer(header, 'num_tree_per_iteration', 'header')
  const columns = integer(header, 'max_feature_idx', 'header') + 1
  const names = (header.get('feature_names') ?? '').split(' ').filter((name) => name !== '')
  if (names.length !== columns) throw corrupt(`header: ${names.length} feature_names for ${columns} features`)
  if (outputs < 1 || trees.length % outputs !== 0) throw corrupt(`${trees.length} trees, ${outputs} an iteration`)
  const built = trees.map((lines, t) => readTree(lines, columns, `tree ${t}`))
  const withSets = new Set(built.flatMap((tree) => [...tree.feature].filter((_, n) => (tree.setAt[n] as number) >= 0)))
  const codes = Array.from({ length: MOST_LEVELS }, (_, code) => String(code))
  return checkModel(
    {
      ...objectiveOf(header, outputs),
      outputs,
      baseScores: new Float64Array(outputs),
      featureNames: names,
      featureLevels: names.map((_, column) => (withSets.has(column) ? codes : undefined)),
      trees: built,
      // A forest's answer is the mean of its trees.
      weights: new Float64Array(built.length).fill(header.has('average_output') ? outputs / built.length : 1),
    },
    READ,
  )
}

function corrupt(what: string): FtError {
  return new FtError('CORRUPT_DATA', `${READ}: ${what}`)
}

function cut(text: string): { header: Lines; trees: Lines[] } {
  const lines = text.split(/\r?\n/)
  if (lines[0] !== 'tree') throw corrupt("the first line must be 'tree'")
  const end = lines.indexOf('end of trees')
  if (end < 0) throw corrupt("cut short: no line 'end of trees'")
  const blocks: Map<string, string>[] = [new Map()]
  for (const line of lines.slice(1, end)) {
    const at = line.indexOf('=')
    const [name, value] = at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
    if (name === 'Tree') {
      if (Number(value) !== blocks.length - 1) throw corrupt(`Tree=${value} where ${blocks.length - 1} should stand`)
      blocks.push(new Map())
    }
    blocks.at(-1)?.set(name, value)
  }
  const [header = new Map<string, string>(), ...trees] = blocks
  const version = header.get('version') ?? ''
  if (!/^v[2-4]$/.test(version)) {
    throw new FtError('VERSION_UNSUPPORTED', `${READ}: version '${version}'; read are v2 to v4`, { version })
  }
  return { header, trees }
}

function integer(lines: Lines, name: string, where: string): number {
  const value = Number(lines.get(name) ?? NaN)
  if (!Number.isInteger(value) || value < 0 || value > 65_535) throw corrupt(`${where}: ${name}=${lines.get(name)}`)
  return value
}

function objectiveOf(header: Lines, outputs: number): Pick<Model, 'objective' | 'parameters'> {
  const [name = '', ...parameters] = (header.get('objective') ?? '').split(' ')
  const unsupported = (): FtError =>
    new FtError(
      'UNSUPPORTED',
      `${READ}: objective '${header.get('objective')}'; read are ${Object.keys(read).join(', ')}`,
    )
  if (!Object.hasOwn(read, name) || parameters.includes('sqrt')) throw unsupported()
  const objective = read[name] as string
  if (objective === 'logistic' && !parameters.includes('sigmoid:1')) throw unsupported()
  return { objective, parameters: objective === 'softmax' ? { classes: outputs } : {} }
}

function readTree(lines: Lines, columns: number, where: string): Tree {
  const leaves = integer(lines, 'num_leaves', where)
  const nodes = leaves - 1
  if (leaves < 1) throw corrupt(`${where}: no leaves`)
  if (Number(lines.get('is_linear') ?? 0) !== 0) {
    throw new FtError('UNSUPPORTED', `${READ}: ${where} has linear leaves`)
  }
  const each = (name: string, length: number, missing?: number): number[] => {
    const given = (lines.get(name) ?? '').split(' ').filter((part) => part !== '')
    if (given.length === 0 && (length === 0 || missing !== undefined))
      return new Array<number>(length).fill(missing ?? 0)
    const values = given.map(Number)
    if (values.length !== length) throw corrupt(`${where}: ${name} has ${values.length} values, not ${length}`)
    const bad = values.findIndex((value) => Number.isNaN(value))
    if (bad >= 0) throw corrupt(`${where}: ${name} ${bad} is '${given[bad]}'`)
    return values
  }
  const [value, leafCover] = [each('leaf_value', leaves), each('leaf_weight', leaves, 0)]
  if (nodes === 0)
    return treeFrom({ root: 0, at: () => ({ value: value[0] as number, cover: leafCover[0] as number }), where })
  const [feature, threshold, kind] = [
    each('split_feature', nodes),
    each('threshold', nodes),
    each('decision_type', nodes),
  ]
  const [left, right] = [each('left_child', nodes), each('right_child', nodes)]
  const [gain, cover] = [each('split_gain', nodes, 0), each('internal_weight', nodes, 0)]
  const sets = setsOf(lines, each, where)
  return treeFrom({
    root: 0,
    where: `${READ}: ${where}`,
    at(id): RawNode | undefined {
      if (id < 0) return ~id < leaves ? { value: value[~id] as number, cover: leafCover[~id] as number } : undefined
      if (!(id < nodes)) return undefined
      const split = feature[id] as number
      if (!Number.isInteger(split) || split < 0 || split >= columns) {
        throw corrupt(`${where}: node ${id} splits feature ${split} of ${columns}`)
      }
      const test = testOf(kind[id] as number, threshold[id] as number, sets, `${where}: node ${id}`)
      return { feature: split, ...test, gain: gain[id] as number, cover: cover[id] as number, ...childrenOf(id) }
    },
  })

  function childrenOf(id: number): { left: number; right: number } {
    return { left: left[id] as number, right: right[id] as number }
  }
}

function setsOf(lines: Lines, each: (name: string, length: number) => number[], where: string): Uint32Array[] {
  const count = Number(lines.get('num_cat') ?? 0)
  if (count === 0) return []
  if (!Number.isInteger(count) || count < 0 || count > 65_535) throw corrupt(`${where}: num_cat=${count}`)
  const bounds = each('cat_boundaries', count + 1)
  const words = each('cat_threshold', bounds[count] ?? -1)
  return Array.from({ length: count }, (_, i) => {
    const set = words.slice(bounds[i], bounds[i + 1])
    const tooFar = set.length > SET_WORDS || (set[7] ?? 0) >= 2 ** 30
    if (tooFar) throw new FtError('UNSUPPORTED', `${READ}: ${where}: categories must be 0 to 253`)
    return Uint32Array.from({ length: SET_WORDS }, (_, word) => set[word] ?? 0)
  })
}

/** What a node asks, from its kind and threshold. */
function testOf(
  kind: number,
  threshold: number,
  sets: readonly Uint32Array[],
  where: string,
): { threshold: number; set?: Uint32Array; missingLeft: boolean } {
  const missing = (kind >> 2) & 3
  if (missing === MISSING_ZERO) throw new FtError('UNSUPPORTED', `${READ}: ${where} takes zeros for missing`)
  if ((kind & CATEGORICAL) === 0) {
    // Without a missing type NaN counts as 0.
    const missingLeft = missing === MISSING_NONE ? 0 <= threshold : (kind & DEFAULT_LEFT) !== 0
    return { threshold: floatAtMost(threshold), missingLeft }
  }
  const set = sets[threshold]
  if (!set) throw corrupt(`${where}: no set ${threshold}`)
  // A missing category goes right there, whatever the missing type (CategoricalDecision in its tree.h).
  return { threshold: NaN, set, missingLeft: false }
}

/**
 * Writes a model as LightGBM's text. Weights and base scores are folded into leaves. LightGBM sends missing categories right:
 * where ours go left the children change places, and with them the categories that training did not see.
 *
 * @throws FtError `UNSUPPORTED` for feature names that its text cannot hold
 */
export function writeLightgbm(model: Model): string {
  const { outputs, featureNames, objective } = model
  const odd = featureNames.find((name) => name === '' || /[\s=]/.test(name))
  if (odd !== undefined) {
    throw new FtError('UNSUPPORTED', `writeLightgbm: feature name '${odd}': blanks and = have a meaning there`, {
      name: odd,
    })
  }
  const folded = model.trees.length > 0 ? model : withEmptyRound(model)
  const blocks = folded.trees.map((tree, t) => `Tree=${t}\n${writeTree(folded, tree, t)}\n`)
  const header = {
    version: 'v4',
    num_class: outputs,
    num_tree_per_iteration: outputs,
    label_index: 0,
    max_feature_idx: featureNames.length - 1,
    objective: objective === 'softmax' ? `multiclass num_class:${outputs}` : (written[objective] ?? 'regression'),
    feature_names: featureNames.join(' '),
    feature_infos: featureNames.map((_, column) => infoOf(model, column)).join(' '),
    // Bytes of each block; names and numbers are the only text, and numbers are ASCII.
    tree_sizes: blocks.map((block) => new TextEncoder().encode(block).length).join(' '),
  }
  const lines = Object.entries(header).map(([name, value]) => `${name}=${value}`)
  return `tree\n${lines.join('\n')}\n\n${blocks.join('')}end of trees\n\nfeature_importances:\n\nparameters:\nend of parameters\n\npandas_categorical:null\n`
}

/** Base scores have no place but the first round's leaves: a model without rounds gets one that adds nothing. */
function withEmptyRound(model: Model): Model {
  const trees = Array.from(model.baseScores, () => constantTree(0))
  return { ...model, trees, weights: new Float64Array(trees.length).fill(1) }
}

/** Levels of a category; for numbers any range will do, for it is not read in prediction. */
function infoOf({ featureLevels }: Model, column: number): string {
  const levels = featureLevels[column]
  return levels ? levels.map((_, code) => code).join(':') || 'none' : '[-1e+308:1e+308]'
}

function writeTree({ weights, baseScores, outputs, featureLevels }: Model, tree: Tree, t: number): string {
  const base = t < outputs ? (baseScores[t] as number) : 0
  const nodes = tree.feature.length
  const words: number[] = []
  const bounds = [0]
  const swapped = Array.from({ length: nodes }, (_, n) => (tree.setAt[n] as number) >= 0 && tree.missingLeft[n] === 1)
  const kinds: number[] = []
  const thresholds: number[] = []
  for (let node = 0; node < nodes; node++) {
    const set = tree.setAt[node] as number
    if (set < 0) {
      kinds.push((MISSING_NAN << 2) | (tree.missingLeft[node] === 1 ? DEFAULT_LEFT : 0))
      // Infinity is written so that its reader can take it.
      thresholds.push(Math.min(tree.threshold[node] as number, 1e300))
      continue
    }
    kinds.push((MISSING_NAN << 2) | CATEGORICAL)
    thresholds.push(bounds.length - 1)
    const inSet = new Set(codesIn(tree, set))
    const levels = featureLevels[tree.feature[node] as number]?.length ?? MOST_LEVELS
    const others = Array.from({ length: levels }, (_, code) => code).filter((code) => !inSet.has(code))
    words.push(...setOf(swapped[node] ? others : inSet))
    bounds.push(words.length)
  }
  const child = (side: 'left' | 'right') => (node: number) => {
    const other = side === 'left' ? 'right' : 'left'
    return tree[swapped[node] ? other : side][node] as number
  }
  const list = (values: Iterable<number>): string => [...values].join(' ')
  const each = (value: (node: number) => number): string =>
    list(Array.from({ length: nodes }, (_, node) => value(node)))
  const lines: [string, string | number][] = [
    ['num_leaves', tree.value.length],
    ['num_cat', bounds.length - 1],
    ['split_feature', list(tree.feature)],
    ['split_gain', list(tree.gain)],
    ['threshold', list(thresholds)],
    ['decision_type', list(kinds)],
    ['left_child', each(child('left'))],
    ['right_child', each(child('right'))],
    ['leaf_value', list(tree.value.map((value) => value * (weights[t] as number) + base))],
    ['leaf_weight', list(tree.leafCover)],
    ['leaf_count', list(tree.value.map(() => 0))],
    ['internal_value', each(() => 0)],
    ['internal_weight', list(tree.nodeCover)],
    ['internal_count', each(() => 0)],
    ...(words.length > 0
      ? [['cat_boundaries', list(bounds)] as [string, string], ['cat_threshold', list(words)] as [string, string]]
      : []),
    ['is_linear', 0],
    ['shrinkage', 1],
  ]
  return `${lines.map(([name, value]) => `${name}=${value}`).join('\n')}\n\n`
}

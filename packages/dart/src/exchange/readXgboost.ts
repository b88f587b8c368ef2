// XGBoost's JSON and UBJSON: boosters gbtree and dart, the latter as a wrapper (before 3.3) or as `weight_drop` inside gbtree.
import { FtError } from '@ft/core'
import { MOST_LEVELS } from '../data/schema.ts'
import type { Model } from '../model.ts'
import type { Tree } from '../tree.ts'
import { checkModel } from './checkModel.ts'
import { fail, list, member, number, numbers, parseJson, text, whole, type Field } from './json.ts'
import { floatBelow, setOf, treeFrom, type RawNode } from './rawTree.ts'
import { parseUbjson } from './ubjson.ts'
import { fromXgboost, xgboostObjectives } from './xgboostObjectives.ts'

const WHERE = 'readXgboost'

/**
 * Reads what XGBoost's `save_model` wrote as 'model.json' (versions 1.0 to 3.x) or 'model.ubj' (1.6 to 3.x).
 *
 * XGBoost compares float32 values, x < t; here a value goes left when x <= the float32 before t, which is the same. Margins
 * agree to float32 rounding: XGBoost sums in float32, this package in float64. Differs for categories: one that training did
 * not see goes left there, right here.
 *
 * @param file - the text of a JSON file, or the bytes of either
 * @throws FtError `CORRUPT_DATA` naming the place, `UNSUPPORTED` for linear boosters, unknown objectives and vector leaves
 */
export function readXgboost(file: string | Uint8Array): Model {
  const learner = member(documentOf(file), 'learner')
  const { trees, treeInfo, weightDrop } = boosterOf(member(learner, 'gradient_booster'))
  const parameters = member(learner, 'learner_model_param')
  const columns = whole(member(parameters, 'num_feature'), 1, 65_535)
  const classes = whole(member(parameters, 'num_class'), 0, 65_535)
  const outputs = Math.max(1, classes)
  const name = text(member(member(learner, 'objective'), 'name'))
  const objective = fromXgboost(name)
  if (!objective) {
    throw new FtError('UNSUPPORTED', `${WHERE}: objective ${name}; read are ${xgboostObjectives.join(', ')}`, { name })
  }
  const read = trees.map((tree) => readTree(tree, columns))
  const order = roundRobin(treeInfo, outputs)
  const hasSets = new Set(read.flatMap((tree) => [...tree.feature].filter((_, node) => (tree.setAt[node] ?? -1) >= 0)))
  const allCodes = Array.from({ length: MOST_LEVELS }, (_, code) => String(code))
  return checkModel(
    {
      objective: objective.objective,
      parameters: objective.objective === 'softmax' ? { classes } : objective.parameters,
      outputs,
      baseScores: baseScoresOf(member(parameters, 'base_score'), outputs).map(objective.toRaw),
      featureNames: namesOf(member(learner, 'feature_names'), columns),
      featureLevels: Array.from({ length: columns }, (_, column) => (hasSets.has(column) ? allCodes : undefined)),
      trees: order.map((t) => read[t] as Tree),
      weights: Float64Array.from(order, (t) => Math.fround(weightDrop?.[t] ?? 1)),
    },
    WHERE,
  )
}

/** Bytes are UBJSON where a name's length follows the first brace: in JSON it is a quotation mark or white space. */
function documentOf(file: string | Uint8Array): Field {
  if (typeof file === 'string') return parseJson(file, WHERE)
  const isBinary = file[0] === 0x7b && 'iUIlL#$N'.includes(String.fromCharCode(file[1] ?? 0))
  if (!isBinary) return parseJson(new TextDecoder().decode(file), WHERE)
  return { value: parseUbjson(file, WHERE), path: '$', where: WHERE }
}

/** Trees, the output of each, and the weights that dropout left; wherever this version keeps them. */
function boosterOf(booster: Field): { trees: Field[]; treeInfo: number[]; weightDrop: number[] | undefined } {
  const name = text(member(booster, 'name'))
  if (name !== 'gbtree' && name !== 'dart') {
    throw new FtError('UNSUPPORTED', `${WHERE}: booster ${name}; read are gbtree and dart`, { name })
  }
  const model = member(name === 'dart' ? member(booster, 'gbtree') : booster, 'model')
  const trees = list(member(model, 'trees'))
  const treeInfo = numbers(member(model, 'tree_info'), trees.length)
  const drop = member(name === 'dart' ? booster : model, 'weight_drop')
  const isAbsent =
    drop.value === undefined || (name === 'gbtree' && Array.isArray(drop.value) && drop.value.length === 0)
  if (name === 'dart' && isAbsent) throw fail(drop, `${trees.length} numbers`)
  return { trees, treeInfo, weightDrop: isAbsent ? undefined : numbers(drop, trees.length) }
}

/** One number, or a list as text: '[5E-1,2E-1]'. */
function baseScoresOf(field: Field, outputs: number): Float64Array {
  const { value } = field
  if (typeof value === 'string' && value.startsWith('[')) {
    const all = numbers({ ...field, value: parseJson(value, WHERE).value })
    if (all.length !== 1 && all.length !== outputs) throw fail(field, `1 or ${outputs} numbers`)
    return Float64Array.from({ length: outputs }, (_, output) => all[all.length === 1 ? 0 : output] as number)
  }
  return new Float64Array(outputs).fill(number(field))
}

function namesOf(field: Field, columns: number): string[] {
  const given = field.value === undefined ? [] : list(field).map(text)
  if (given.length === 0) return Array.from({ length: columns }, (_, i) => `f${i}`)
  if (given.length !== columns) throw fail(field, `${columns} names`)
  return given
}

/** Trees in the order round by round, output by output: with several parallel trees XGBoost groups them by output. */
function roundRobin(treeInfo: readonly number[], outputs: number): number[] {
  const byOutput = Array.from({ length: outputs }, () => [] as number[])
  treeInfo.forEach((output, t) => {
    const trees = byOutput[output]
    if (!trees)
      throw new FtError('CORRUPT_DATA', `${WHERE}: tree ${t} adds to output ${output} of ${outputs}`, { tree: t })
    trees.push(t)
  })
  const rounds = byOutput[0]?.length ?? 0
  if (byOutput.some((trees) => trees.length !== rounds)) {
    throw new FtError('CORRUPT_DATA', `${WHERE}: outputs have unequal numbers of trees`)
  }
  return Array.from({ length: rounds * outputs }, (_, i) => byOutput[i % outputs]?.[Math.floor(i / outputs)] as number)
}

function readTree(tree: Field, columns: number): Tree {
  const left = numbers(member(tree, 'left_children'))
  const count = left.length
  const listOf = (field: Field): number[] => numbers(field, count)
  const each = (name: string): number[] => listOf(member(tree, name))
  // Text has nine digits of them: the float32 that they name is meant.
  const floats = (field: Field): number[] => listOf(field).map(Math.fround)
  const vector = member(member(tree, 'tree_param'), 'size_leaf_vector')
  if (vector.value !== undefined && number(vector) > 1) {
    throw new FtError('UNSUPPORTED', `${WHERE}: ${tree.path}: leaves are vectors`)
  }
  const types = member(tree, 'split_type').value === undefined ? new Array<number>(count).fill(0) : each('split_type')
  const rights = types.includes(1) ? rightSets(tree) : new Map<number, number[]>()
  const [right, feature, missingLeft] = [each('right_children'), each('split_indices'), each('default_left')]
  const condition = floats(withoutSets(member(tree, 'split_conditions'), types))
  const [hessian, gain] = [floats(member(tree, 'sum_hessian')), floats(member(tree, 'loss_changes'))]
  return treeFrom({
    root: 0,
    where: `${WHERE}: ${tree.path}`,
    at(id): RawNode | undefined {
      if (!Number.isInteger(id) || id < 0 || id >= count) return undefined
      const cover = hessian[id] as number
      if (left[id] === -1) return { value: condition[id] as number, cover }
      const split = feature[id] as number
      if (!Number.isInteger(split) || split < 0 || split >= columns) {
        throw new FtError('CORRUPT_DATA', `${WHERE}: ${tree.path}: node ${id} splits feature ${split} of ${columns}`)
      }
      const goesRight = types[id] === 1 ? new Set(rights.get(id) ?? []) : undefined
      return {
        feature: split,
        threshold: floatBelow(condition[id] as number),
        ...(goesRight
          ? { set: setOf(Array.from({ length: MOST_LEVELS }, (_, c) => c).filter((c) => !goesRight.has(c))) }
          : {}),
        missingLeft: missingLeft[id] === 1,
        gain: gain[id] as number,
        cover,
        left: left[id] as number,
        right: right[id] as number,
      }
    },
  })
}

/** A node that splits by categories has no threshold: XGBoost writes NaN there. */
function withoutSets(field: Field, types: readonly number[]): Field {
  const { value } = field
  return Array.isArray(value) ? { ...field, value: value.map((x: unknown, i) => (types[i] === 1 ? 0 : x)) } : field
}

/** Categories that go right, by node. */
function rightSets(tree: Field): Map<number, number[]> {
  const nodes = numbers(member(tree, 'categories_nodes'))
  const [starts, sizes] = ['categories_segments', 'categories_sizes'].map((name) =>
    numbers(member(tree, name), nodes.length),
  ) as [number[], number[]]
  const all = numbers(member(tree, 'categories'))
  return new Map(
    nodes.map((node, i) => {
      const codes = all.slice(starts[i], (starts[i] as number) + (sizes[i] as number))
      const odd = codes.find((code) => !Number.isInteger(code) || code < 0 || code >= MOST_LEVELS)
      if (codes.length !== sizes[i] || odd !== undefined) {
        throw new FtError('UNSUPPORTED', `${WHERE}: ${tree.path}: node ${node}: categories must be 0 to 253`, { node })
      }
      return [node, codes]
    }),
  )
}

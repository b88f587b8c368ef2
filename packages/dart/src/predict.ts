// Prediction: sums of weighted leaves in tree order, in float64, the same bits for one row and for a million.
import { FtError, assertOneOf } from '@ft/core'
import { generalTree } from './generalTree.ts'
import { objectiveOf } from './answers.ts'
import type { Arena, Block } from './arena.ts'
import { withKeptArena } from './keptArena.ts'
import { checkForm, toColumn, toFloatMatrix, type Features } from './data/matrix.ts'
import type { FloatMatrix } from './data/schema.ts'
import { roundsOf, type Model } from './model.ts'
import { depthOf, leafOfRow, type Tree } from './tree.ts'

export interface PredictOptions {
  /**
   * 'answer' is what the objective speaks of (a value, a probability, a rate), 'raw' the sum of scores, 'leaf' the leaf
   * number of each tree. Default 'answer'.
   */
  readonly output?: 'answer' | 'raw' | 'leaf'
  /**
   * Sums only the first so many rounds, with today's weights. Under dropout that is not the model of that round: train
   * with validation data to get the best round's.
   */
  readonly rounds?: number
  /**
   * Starting score of each row and output, row-major, in place of the base score: for models that were trained with starting scores, whose
   * base score is 0. Leaf numbers do not depend on it.
   */
  readonly initialScore?: ArrayLike<number>
}

/**
 * Predicts, `[rows, outputs]` row-major ('leaf': `[rows, trees]`). Nothing is random: two calls give the same bits.
 *
 * Cost: about 8 ns a row and tree; below 64 rows in plain JavaScript, without starting WebAssembly. Later calls find the
 * kernels compiled, and their memory (at most 32 MiB is kept).
 *
 * @throws FtError `SHAPE_MISMATCH` when the columns are not those of training; `INVALID_ARGUMENT` for options that are none
 */
export function predict(model: Model, features: Features, options: PredictOptions = {}): Float64Array {
  const { output = 'answer', initialScore } = options
  assertOneOf(output, { where: 'predict', argument: 'output', values: ['answer', 'raw', 'leaf'] })
  const matrix = featuresOf(model, features, 'predict')
  const trees = firstTrees(model, options.rounds)
  if (output === 'leaf') return leaves(model, matrix, trees)
  const scores = startScores(model, matrix.rows, initialScore)
  if (matrix.rows < SMALL) sumRows(model, matrix, { trees, scores })
  else withKeptArena((arena) => sumKernels(arena, model, matrix, { trees, scores }))
  if (output === 'answer') answer(model, scores)
  return scores
}

/**
 * Features in the model's columns.
 *
 * @throws FtError `SHAPE_MISMATCH` when they do not fit
 */
export function featuresOf(model: Model, features: Features, where: string): FloatMatrix {
  const { featureNames: names, featureLevels: levels } = model
  checkForm(features, where)
  const isTable = Array.isArray(features) || !('data' in features)
  if (!isTable) {
    const columns = 'shape' in features ? (features.shape[1] ?? 0) : features.columns
    if (columns !== names.length) {
      const message = `${where}: the model takes ${names.length} columns, got ${columns}`
      throw new FtError('SHAPE_MISMATCH', message, { expected: names.length, got: columns })
    }
  }
  return toFloatMatrix(features, { where, schema: { names, levels } })
}

/** Rows below which WebAssembly does not pay. */
const SMALL = 64

function firstTrees(model: Model, rounds = roundsOf(model)): number {
  if (!Number.isInteger(rounds) || rounds < 0 || rounds > roundsOf(model)) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `predict: rounds must be a whole number up to ${roundsOf(model)}, got ${rounds}`,
      { rounds },
    )
  }
  return rounds * model.outputs
}

function answer(model: Model, scores: Float64Array): void {
  const objective = objectiveOf(model)
  if (!objective) return
  for (let at = 0; at < scores.length; at += model.outputs) objective.answer(scores.subarray(at, at + model.outputs))
}

function startScores(model: Model, rows: number, initial?: ArrayLike<number>): Float64Array {
  if (initial) return toColumn(initial, { rows: rows * model.outputs, where: 'predict: initialScore' })
  const scores = new Float64Array(rows * model.outputs)
  for (let at = 0; at < scores.length; at++) scores[at] = model.baseScores[at % model.outputs] as number
  return scores
}

/** What is added up: so many trees, to the scores that rows start from. */
interface Sums {
  readonly trees: number
  readonly scores: Float64Array
}

function sumRows(model: Model, { values, rows, columns }: FloatMatrix, { trees, scores }: Sums): void {
  for (let row = 0; row < rows; row++) {
    const at = (feature: number) => values[row * columns + feature] as number
    for (let t = 0; t < trees; t++) {
      const tree = model.trees[t] as Tree
      const index = row * model.outputs + (t % model.outputs)
      scores[index] =
        (scores[index] as number) + (model.weights[t] as number) * (tree.value[leafOfRow(tree, at)] as number)
    }
  }
}

function leaves(model: Model, { values, rows, columns }: FloatMatrix, trees: number): Float64Array {
  const out = new Float64Array(rows * trees)
  for (let row = 0; row < rows; row++) {
    const at = (feature: number) => values[row * columns + feature] as number
    for (let t = 0; t < trees; t++) out[row * trees + t] = leafOfRow(model.trees[t] as Tree, at)
  }
  return out
}

/** Rows of one pass: their features stay in the first-level cache while all trees go over them. */
const BLOCK = 160
/** Bytes of features copied into the kernels' memory at a time: what the second-level cache holds. */
const STAGE_BYTES = 2 ** 18
/** Deeper trees are followed node by node: padding them to complete ones would double with every level. */
const DEEPEST_COMPLETE = 8

function sumKernels(arena: Arena, model: Model, matrix: FloatMatrix, { trees, scores }: Sums): void {
  const { values, rows, columns } = matrix
  const { kernels } = arena
  const runs = model.trees.slice(0, trees).map((tree, t) => treeRunner(arena, tree, model.weights[t] as number))
  const stage = BLOCK * Math.max(1, Math.floor(STAGE_BYTES / (4 * columns * BLOCK)))
  const staged = arena.floats(Math.min(rows, stage) * columns)
  const sums = arena.doubles(Math.min(rows, stage) * model.outputs)
  for (let first = 0; first < rows; first += stage) {
    const count = Math.min(stage, rows - first)
    staged.view().set(values.subarray(first * columns, (first + count) * columns))
    sums.view().set(scores.subarray(first * model.outputs, (first + count) * model.outputs))
    for (let start = 0; start < count; start += BLOCK) {
      const end = Math.min(start + BLOCK, count)
      const missing = kernels['hasMissing']?.(staged.address + 4 * start * columns, (end - start) * columns) === 1
      runs.forEach((run, t) => {
        run({
          values: staged.address,
          columns,
          start,
          end,
          missing,
          sums: sums.address + 8 * (t % model.outputs),
          outputs: model.outputs,
        })
      })
    }
    scores.set(sums.view().subarray(0, count * model.outputs), first * model.outputs)
  }
}

interface Rows {
  readonly values: number
  readonly columns: number
  readonly start: number
  readonly end: number
  readonly missing: boolean
  readonly sums: number
  readonly outputs: number
}

/** Lays a tree out for its kernel and returns what runs it over a range of rows. */
function treeRunner(arena: Arena, tree: Tree, weight: number): (rows: Rows) => void {
  const depth = depthOf(tree)
  if (depth <= DEEPEST_COMPLETE && tree.sets.length === 0) {
    const { nodes, leaves: values } = completeTree(arena, tree, depth, weight)
    return ({ values: x, columns, start, end, missing, sums, outputs }) => {
      const kernel = arena.kernels[missing ? 'predictCompleteMissing' : 'predictComplete']
      kernel?.(x, columns, start, end, nodes.address, depth, values.address, sums, outputs)
    }
  }
  const { nodes, sets } = generalTree(arena, tree)
  const ids = arena.integers(BLOCK)
  const table = tree.value.map((value) => value * weight)
  return ({ values: x, columns, start, end, sums, outputs }) => {
    arena.kernels['leafOf']?.(x, columns, start, end, nodes.address, sets.address, ids.address)
    const found = ids.view()
    const out = new Float64Array(arena.runtime.memory.buffer, sums, (end - 1) * outputs + 1)
    for (let row = start; row < end; row++)
      out[row * outputs] = (out[row * outputs] as number) + (table[found[row - start] as number] as number)
  }
}

/** Bytes of a node of a complete tree: its threshold, and where its feature stands in a row. Behind the nodes, where the missing go. */
const NODE_BYTES = 8

function completeTree(
  arena: Arena,
  tree: Tree,
  depth: number,
  weight: number,
): { nodes: Block<Uint8Array>; leaves: Block<Float64Array> } {
  const interior = 2 ** depth - 1
  const nodes = arena.bytes(interior * (NODE_BYTES + 1))
  const leafBlock = arena.doubles(interior + 1)
  const view = new DataView(arena.runtime.memory.buffer, nodes.address, nodes.length)
  const values = leafBlock.view()
  const place = (slot: number, node: number): void => {
    if (slot >= interior) {
      values[slot - interior] = (tree.value[~node] as number) * weight
      return
    }
    const inner = node >= 0
    view.setFloat32(slot * NODE_BYTES, inner ? (tree.threshold[node] as number) : Infinity, true)
    view.setUint32(slot * NODE_BYTES + 4, inner ? 4 * (tree.feature[node] as number) : 0, true)
    view.setUint8(interior * NODE_BYTES + slot, inner ? (tree.missingLeft[node] as number) : 1)
    place(2 * slot + 1, inner ? (tree.left[node] as number) : node)
    place(2 * slot + 2, inner ? (tree.right[node] as number) : node)
  }
  place(0, tree.feature.length === 0 ? ~0 : 0)
  return { nodes, leaves: leafBlock }
}

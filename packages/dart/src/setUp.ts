// From checked data to a booster before its first round: bins, boards, and the trees of a model to go on from.
import { FtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import type { Arena, Block } from './arena.ts'
import { binRows, findEdges, type BinnedRows } from './binning.ts'
import type { Booster } from './boostRound.ts'
import { columnOf, toColumn } from './data/matrix.ts'
import type { FloatMatrix } from './data/schema.ts'
import { createWorkspace } from './grow/workspace.ts'
import { routeRaw } from './grow/leafIds.ts'
import { findLayout, plainLayout } from './layout.ts'
import type { Model } from './model.ts'
import type { Objective } from './objectives/objective.ts'
import type { ResolvedOptions, TrainOptions } from './options.ts'
import { checkSize, type ReadData } from './readData.ts'
import { createScoreboard, type Scoreboard, type TrainingTree } from './scoreboard.ts'
import type { Tree } from './tree.ts'

/** What a metric needs of a set besides its scores. */
export interface Part {
  readonly labels: Float64Array
  readonly weights: Float64Array | undefined
  readonly groups: Int32Array | undefined
}

const partOf = ({ label, weight, group }: ReadData): Part => ({ labels: label, weights: weight, groups: group })

export interface SetUp {
  readonly booster: Booster
  readonly baseScores: Float64Array
  readonly train: Part
  readonly validation: (Part & { readonly board: Scoreboard }) | undefined
  /** Appends trees that were grown elsewhere; their leaf numbers come from the features themselves. */
  adopt(trees: readonly Tree[], weights: Float64Array): void
}

/**
 * Bytes of bins between which they are kept by column too: below, all rows are in a second-level cache or nearly so; beyond, a copy could
 * take of the memory, 4 GiB in all, what the run itself needs.
 */
const COPIED = { least: 2 ** 21, most: 2 ** 29 }

export interface SetUpInput {
  readonly options: TrainOptions
  readonly resolved: ResolvedOptions
  readonly objective: Objective
  readonly data: ReadData
  readonly validation: ReadData | undefined
}

export function createSetUp(arena: Arena, given: SetUpInput): SetUp {
  const { options, resolved, objective, data, validation } = given
  const edges = findEdges(arena, data.matrix, { maxBins: resolved.maxBins })
  const plain = plainLayout(data.matrix.columns)
  const layout = resolved.bundle ? findLayout(data.matrix, edges) : plain
  const cells = data.matrix.rows * layout.columns
  const binned = binRows(arena, data.matrix, edges, layout, {
    derivatives: true,
    byColumn: resolved.columnCopy ?? (cells >= COPIED.least && cells <= COPIED.most),
  })
  const baseScores = baseScoresOf(given)
  const board = (part: ReadData, rows: BinnedRows) =>
    createScoreboard(arena, rows, {
      base: startScores(part, objective.outputs, baseScores),
      // Without dropout no tree is looked at twice.
      cacheBytes: resolved.dropout ? resolved.leafCacheBytes : 0,
    })
  const validationBoard = validation && board(validation, binRows(arena, validation.matrix, edges, plain))
  const training = board(data, binned)
  const perOutput = (): Block<Float64Array>[] =>
    Array.from({ length: objective.outputs }, () => arena.doubles(binned.rows))
  const column = (values: Float64Array): Block<Float64Array> => {
    const block = arena.doubles(values.length)
    block.view().set(values)
    return block
  }
  const random = createRandom(resolved.seed)
  const drops = resolved.dropout ? createRandom(resolved.dropout.dropSeed) : random
  const booster: Booster = {
    arena,
    options: resolved,
    objective,
    space: createWorkspace(arena, binned, edges, {
      countRows: resolved.minRows > 1,
      monotone: monotoneOf(options, data.matrix),
      interactions: interactionsOf(options, data.matrix),
    }),
    training,
    validation: validationBoard ? [validationBoard] : [],
    labels: column(data.label),
    weights: data.weight && column(data.weight),
    gradients: perOutput(),
    hessians: perOutput(),
    removed: resolved.dropout ? perOutput() : [],
    trees: [],
    treeWeights: new Float64Array(0),
    random: {
      drops: drops.stream('dart drops'),
      rows: random.stream('dart rows'),
      goss: random.stream('dart goss'),
      columns: random.stream('dart columns'),
      nodes: random.stream('dart node columns'),
    },
  }
  const setUp: SetUp = {
    booster,
    baseScores,
    train: partOf(data),
    validation: validationBoard && { board: validationBoard, ...partOf(validation) },
    adopt(trees, weights) {
      trees.forEach((tree, index) => {
        const entry = (matrix: FloatMatrix): TrainingTree => ({
          values: tree.value,
          route: (ids) => routeRaw(arena, tree, matrix, ids),
          output: index % objective.outputs,
        })
        training.add(entry(data.matrix))
        if (validation) validationBoard?.add(entry(validation.matrix))
        booster.trees.push(tree)
      })
      booster.treeWeights = weights.slice()
    },
  }
  const { continueFrom } = options
  if (continueFrom) {
    setUp.adopt(continueFrom.trees, continueFrom.weights)
    for (const each of [training, ...booster.validation]) each.recompute(booster.treeWeights)
  }
  return setUp
}

function baseScoresOf({ options, objective, data }: SetUpInput): Float64Array {
  const { continueFrom, baseScore } = options
  if (continueFrom) checkContinued(continueFrom, objective, data.matrix)
  // Rows that bring their own start do not get another on top when they are predicted.
  if (data.initialScore) return new Float64Array(objective.outputs)
  if (continueFrom) return continueFrom.baseScores.slice()
  return baseScore === undefined
    ? objective.baseScores(data.label, data.weight)
    : new Float64Array(objective.outputs).fill(baseScore)
}

function checkContinued(model: Model, objective: Objective, matrix: FloatMatrix): void {
  if (model.objective !== objective.name) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `train: continueFrom was trained for ${model.objective}, not for ${objective.name}: its scores mean something else`,
    )
  }
  if (model.outputs !== objective.outputs || model.featureNames.length !== matrix.columns) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `train: continueFrom has ${model.featureNames.length} features and ${model.outputs} outputs, ` +
        `the data ${matrix.columns} and the objective ${objective.outputs}`,
    )
  }
}

function startScores({ matrix, initialScore }: ReadData, outputs: number, base: Float64Array): Float64Array[] {
  if (!initialScore) return Array.from(base, (score) => new Float64Array(matrix.rows).fill(score))
  const where = 'train: initialScore'
  const all = checkSize(toColumn(initialScore, { rows: matrix.rows * outputs, where }), where)
  return Array.from({ length: outputs }, (_, output) =>
    Float64Array.from({ length: matrix.rows }, (_, row) => all[row * outputs + output] as number),
  )
}

function monotoneOf({ monotone }: TrainOptions, { names, levels }: FloatMatrix): Int8Array | undefined {
  if (!monotone) return undefined
  const directions = new Int8Array(names.length)
  for (const [key, direction] of Object.entries(monotone)) {
    const column = columnOf(key, names, 'train: monotone')
    if (levels[column]) {
      throw new FtError('INVALID_ARGUMENT', `train: monotone: ${key} is categorical and has no direction`, {
        feature: key,
      })
    }
    if (direction !== 1 && direction !== -1) {
      throw new FtError('INVALID_ARGUMENT', `train: monotone: ${key} must be 1 or -1, got ${String(direction)}`, {
        feature: key,
      })
    }
    directions[column] = direction
  }
  return directions
}

function interactionsOf({ interactions }: TrainOptions, { names }: FloatMatrix): ReadonlySet<number>[] | undefined {
  const isSets = interactions === undefined || (Array.isArray(interactions) && interactions.every(Array.isArray))
  if (!isSets) throw new FtError('INVALID_ARGUMENT', "train: interactions must be lists of features, as [['a', 'b']]")
  return interactions?.map((set) => new Set(set.map((key) => columnOf(key, names, 'train: interactions'))))
}

// One round of DART (Rashmi and Gilad-Bachrach, AISTATS'15, algorithm 1), step by step. With dropout switched off it is a
// round of MART; with every tree dropped, of a random forest.
import type { Random } from '@ft/core/random'
import { forRange, type Arena, type Block } from './arena.ts'
import { chooseDropped, normalize } from './dropout.ts'
import { binnedTree, allocateLeafIds, routeAll, type LeafIds } from './grow/leafIds.ts'
import { assignLeaves } from './grow/leaves.ts'
import { gossRows } from './grow/goss.ts'
import { growTree, type GrownTree } from './grow/growTree.ts'
import { packGradients, sampleColumns, sampleRows } from './grow/sample.ts'
import type { Workspace } from './grow/workspace.ts'
import type { Objective } from './objectives/objective.ts'
import type { ResolvedOptions } from './options.ts'
import type { Scoreboard, TrainingTree } from './scoreboard.ts'
import type { Tree } from './tree.ts'

/** Everything that a round reads and changes. */
export interface Booster {
  readonly arena: Arena
  readonly options: ResolvedOptions
  readonly objective: Objective
  readonly space: Workspace
  readonly training: Scoreboard
  readonly validation: readonly Scoreboard[]
  readonly labels: Block<Float64Array>
  readonly weights: Block<Float64Array> | undefined
  readonly gradients: readonly Block<Float64Array>[]
  readonly hessians: readonly Block<Float64Array>[]
  /** Contribution of the dropped trees, one block an output. */
  readonly removed: readonly Block<Float64Array>[]
  /** The ensemble: trees and their weights, `outputs` trees a round. */
  readonly trees: Tree[]
  treeWeights: Float64Array
  /** Streams of their own: a change of sampling never changes the drops. */
  readonly random: { drops: Random; rows: Random; goss: Random; columns: Random; nodes: Random }
}

export interface RoundReport {
  /** Numbers of the dropped trees. */
  readonly dropped: readonly number[]
  /** Weight of the new trees. */
  readonly added: number
  readonly leaves: number
}

/** Rounds between recomputations of the scores from all trees: k additions and subtractions a round drift. */
const REFRESH = 100

/** Runs round t = trees / outputs + 1. */
export function boostRound(booster: Booster): RoundReport {
  const { objective, options, training, validation } = booster

  // 1. Choose the dropped set D.
  const dropped = chooseTrees(booster)

  // 2. The thinned model: M^ = M - sum over D of w_i T_i.
  thin(booster, dropped)

  // 3. Fit one tree an output to the loss's derivatives at M^.
  objective.derive({ ...booster, rows: training.data.rows, scores: training.scores })
  const grown = Array.from({ length: objective.outputs }, (_, output) => growOne(booster, output))

  // 4. Normalise: the new trees' weight, and the factor on those dropped.
  const k =
    options.dropout && options.dropout.dropUnit === 'round' ? dropped.length / objective.outputs : dropped.length
  const { added, factor } = normalize(options.dropout ? options.dropout.normalize : 'none', k, options.learningRate)

  // 5. M = M^ + factor * (what was dropped) + added * T_t, on the training rows and on every validation set.
  restore(booster, dropped, factor)
  for (const { tree, ids } of grown) append(booster, tree, ids, added)
  const rounds = booster.trees.length / objective.outputs
  if (options.dropout && rounds % REFRESH === 0) {
    for (const board of [training, ...validation]) board.recompute(booster.treeWeights)
  }
  return { dropped, added, leaves: grown.reduce((sum, { tree }) => sum + tree.tree.value.length, 0) }
}

function chooseTrees({ options: { dropout }, objective, treeWeights, random }: Booster): number[] {
  if (!dropout) return []
  const { outputs } = objective
  if (dropout.dropUnit === 'tree' || outputs === 1) return chooseDropped(treeWeights, dropout, random.drops)
  // Trees of one round share their weight.
  const rounds = Float64Array.from(
    { length: treeWeights.length / outputs },
    (_, round) => treeWeights[round * outputs] as number,
  )
  return chooseDropped(rounds, dropout, random.drops).flatMap((round) =>
    Array.from({ length: outputs }, (_, c) => round * outputs + c),
  )
}

function thin({ arena, training, removed, treeWeights }: Booster, dropped: readonly number[]): void {
  if (dropped.length === 0) return
  for (const block of removed) block.view().fill(0)
  training.accumulate(
    dropped,
    dropped.map((index) => treeWeights[index] as number),
    removed,
  )
  addScaled(arena, training, removed, -1)
}

function restore(
  { arena, training, validation, removed, treeWeights }: Booster,
  dropped: readonly number[],
  factor: number,
): void {
  if (dropped.length === 0) return
  addScaled(arena, training, removed, factor)
  const changes = dropped.map((index) => (factor - 1) * (treeWeights[index] as number))
  if (factor !== 1) for (const board of validation) board.accumulate(dropped, changes, board.scores)
  for (const index of dropped) treeWeights[index] = factor * (treeWeights[index] as number)
}

/** scores += factor * x on the training rows. */
function addScaled(
  arena: Arena,
  { scores, data }: Scoreboard,
  x: readonly Block<Float64Array>[],
  factor: number,
): void {
  scores.forEach((block, output) => {
    forRange(arena, 'axpy', { count: data.rows, least: 65_536 }, (start, end) => [
      block.address,
      (x[output] as Block<Float64Array>).address,
      factor,
      start,
      end,
    ])
  })
}

interface Grown {
  readonly tree: GrownTree
  readonly ids: LeafIds
}

function growOne(booster: Booster, output: number): Grown {
  const { arena, options, objective, space, training, random } = booster
  const gradients = booster.gradients[output] as Block<Float64Array>
  const hessians = booster.hessians[output] as Block<Float64Array>
  const count = options.goss
    ? gossRows(options.goss, { rows: space.data.rows, list: space.rows, gradients, hessians, random: random.goss })
    : sampleRows(space, options.rowFraction, random.rows)
  const units = packGradients(space, count, gradients, hessians)
  const columns = sampleColumns(space.features, options.columnFraction, random.columns)
  const leafValue = objective.leafValue ? residualLeaf(booster, output) : undefined
  const tree = growTree({ space, options, count, units, gradients, hessians, columns, random: random.nodes, leafValue })
  const ids = allocateLeafIds(arena, training.data.rows, tree.tree.value.length)
  if (count === training.data.rows) assignLeaves(space, tree.leaves, ids)
  else routeAll(arena, training.data, binnedTree(tree, training.data.layout), ids)
  return { tree, ids }
}

/** Leaf values from residuals label - score, for objectives that ask for it. */
function residualLeaf({ space, training, labels, weights, objective }: Booster, output: number) {
  return (start: number, end: number): number => {
    const rows = space.rows.view().subarray(start, end)
    const [label, score, weight] = [labels.view(), training.scores[output]?.view() as Float64Array, weights?.view()]
    const residuals = Float64Array.from(rows, (row) => (label[row] as number) - (score[row] as number))
    return objective.leafValue?.(residuals, weight && Float64Array.from(rows, (row) => weight[row] as number)) ?? 0
  }
}

function append(booster: Booster, grown: GrownTree, ids: LeafIds, weight: number): void {
  const { trees, training, validation, objective } = booster
  const index = trees.length
  trees.push(grown.tree)
  const longer = new Float64Array(index + 1)
  longer.set(booster.treeWeights)
  longer[index] = weight
  booster.treeWeights = longer
  for (const board of [training, ...validation]) {
    // Validation rows may have values together that training rows never had: their columns are not shared.
    const binned = binnedTree(grown, board.data.layout)
    const entry: TrainingTree = {
      values: grown.tree.value,
      route: (to) => routeAll(booster.arena, board.data, binned, to),
      output: index % objective.outputs,
    }
    board.add(entry, board === training ? ids : undefined)
    board.accumulate([index], [weight], board.scores)
  }
}

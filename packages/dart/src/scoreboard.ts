// Scores of a fixed set of rows under a growing, re-weighted ensemble: the training rows and each validation set.
// Remembered leaf numbers make a dropped tree one gather instead of one traversal a row.
import type { Arena, Block } from './arena.ts'
import type { BinnedRows } from './binning.ts'
import { addTrees, allocateLeafIds, type AddedTree, type LeafIds } from './grow/leafIds.ts'

/** A tree in training: its leaf values and how to find its leaf numbers. */
export interface TrainingTree {
  readonly values: Float64Array
  /** Follows the tree for all rows: on their bins, or on their features for a tree of another run, which knows thresholds only. */
  readonly route: (ids: LeafIds) => void
  /** Which output it adds to. */
  readonly output: number
}

export interface Scoreboard {
  readonly data: BinnedRows
  /** Current raw score of each row, one block an output. */
  readonly scores: readonly Block<Float64Array>[]
  /** Remembers a new tree's leaf numbers; `ids` when the grower has them already. Does not change scores. */
  add(tree: TrainingTree, ids?: LeafIds): void
  /** target[output] += sum over the trees numbered `indices`, in their order, of factors[i] * tree(row). */
  accumulate(indices: readonly number[], factors: ArrayLike<number>, target: readonly Block<Float64Array>[]): void
  /** Computes the scores anew from all trees. */
  recompute(weights: Float64Array): void
  /** Leaf numbers held, in bytes. */
  readonly cached: number
}

export interface ScoreboardOptions {
  readonly base: readonly Float64Array[]
  /** Most bytes of leaf numbers; trees beyond are followed when needed. */
  readonly cacheBytes: number
}

/**
 * @param options.base - starting score of every row, one array an output
 */
export function createScoreboard(arena: Arena, data: BinnedRows, options: ScoreboardOptions): Scoreboard {
  const trees: { tree: TrainingTree; ids: LeafIds | undefined }[] = []
  const scores = options.base.map(() => arena.doubles(data.rows))
  let cached = 0
  let spare: LeafIds | undefined
  // The newest tree's leaf numbers are needed once more, to add it, whether they are kept or not.
  let newest: { index: number; ids: LeafIds } | undefined

  const start = () => scores.forEach((block, output) => block.view().set(options.base[output] as Float64Array))
  start()

  const idsOf = (index: number): LeafIds => {
    const { tree, ids } = trees[index] as (typeof trees)[number]
    if (ids) return ids
    if (newest?.index === index) return newest.ids
    const wide = tree.values.length > 256
    if (spare?.wide !== wide) {
      if (spare) arena.free(spare.block)
      spare = allocateLeafIds(arena, data.rows, tree.values.length)
    }
    const followed = spare
    tree.route(followed)
    return followed
  }

  const board: Scoreboard = {
    data,
    scores,
    get cached() {
      return cached
    },
    add(tree, given) {
      const bytes = data.rows * (tree.values.length > 256 ? 2 : 1)
      const keep = cached + bytes <= options.cacheBytes
      let ids = given
      if (keep) {
        if (ids === undefined) {
          ids = allocateLeafIds(arena, data.rows, tree.values.length)
          tree.route(ids)
        }
        cached += bytes
      } else if (ids) {
        if (newest) arena.free(newest.ids.block)
        newest = { index: trees.length, ids }
        ids = undefined
      }
      trees.push({ tree, ids })
    },
    accumulate(indices, factors, target) {
      target.forEach((scores, output) => {
        let kept: AddedTree[] = []
        const add = (more: readonly AddedTree[]) => {
          addTrees(arena, { trees: [...kept, ...more], rows: data.rows, scores })
          kept = []
        }
        indices.forEach((index, i) => {
          const { tree, ids } = trees[index] as (typeof trees)[number]
          if (tree.output !== output) return
          const added = { values: tree.values, factor: factors[i] as number }
          if (ids) kept.push({ ids, ...added })
          // A tree that is followed anew lies where the next one will.
          else add([{ ids: idsOf(index), ...added }])
        })
        add([])
      })
    },
    recompute(weights) {
      start()
      board.accumulate([...trees.keys()], weights, scores)
    },
  }
  return board
}

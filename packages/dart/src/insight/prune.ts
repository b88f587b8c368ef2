// X-DART (Lucchese, Nardini, Orlando, Perego and Trani, SIGIR 2017): trees that the validation set does not miss go for good.
import { FtError, throwIfAborted, type LongRunning } from '@ft/core'
import { judge, metricOf, type CustomMetric, type Metric, type MetricName } from '../metrics.ts'
import type { EmptyQuery } from '../ndcg.ts'
import { roundsOf, type Model } from '../model.ts'
import { predict } from '../predict.ts'
import { readData, type LabelledData } from '../readData.ts'
import { objectiveOf } from '../answers.ts'
import { toColumn } from '../data/matrix.ts'
import { checkLabels } from '../objectives/labels.ts'
import { createPauses } from '../pause.ts'
import type { Tree } from '../tree.ts'

export interface PruneOptions extends LongRunning {
  /** Default the objective's. */
  readonly metric?: MetricName | CustomMetric
  readonly emptyQuery?: EmptyQuery
  /** How much worse the validation metric may end, as a share of what it was. Default 0: not worse at all. */
  readonly tolerance?: number
}

export interface Pruned {
  readonly model: Model
  /** Rounds that were removed, in that order. */
  readonly removed: readonly number[]
  /** The validation metric before and after. */
  readonly before: number
  readonly after: number
}

/**
 * Removes rounds one by one while the validation metric allows it: each time the one that is missed least. The others either
 * keep their weights or share the weight of the removed one, as after a drop: whichever the metric likes better.
 *
 * Differs from X-DART, which decides while it trains: here a finished model is thinned.
 *
 * With `initialScore` rows start there in place of the base score.
 *
 * Cost: 2 rounds^2 evaluations of the metric at worst; memory 8 bytes a row, round and output.
 *
 * @throws FtError `SHAPE_MISMATCH`, `INVALID_ARGUMENT`, `ABORTED`
 */
export async function prune(model: Model, validation: LabelledData & PruneOptions): Promise<Pruned> {
  const { tolerance = 0, signal, onProgress } = validation
  if (!(tolerance >= 0 && tolerance < 1)) {
    throw new FtError('INVALID_ARGUMENT', `prune: tolerance must be from 0 to 1, got ${tolerance}`, { tolerance })
  }
  const objective = objectiveOf(model)
  const metric = metricOf(validation.metric ?? objective?.metric ?? 'rmse', validation)
  const schema = { names: model.featureNames, levels: model.featureLevels }
  const data = readData(validation, { where: 'prune', ranking: model.objective === 'lambdarank', schema })
  const { rows, columns, values } = data.matrix
  const features = { data: values, rows, columns }
  const parts = roundParts(model, predict(model, features, { output: 'leaf' }), rows)
  checkLabels(data.label, { objective: model.objective, classes: model.outputs, where: 'prune' })
  const part = { labels: data.label, weights: data.weight, groups: data.group }
  const { initialScore } = data
  const state: State = {
    start: initialScore && byOutput(initialScore, model.outputs, rows),
    base: model.baseScores,
    scores: sumOf(parts, model.outputs, rows),
    kept: new Set(parts.keys()),
    scale: 1,
  }
  const judgeScores = (scores: readonly Float64Array[]): number => judge(metric, { scores, ...part }, 'prune')
  const before = judgeScores(withBase(state, undefined, 1))
  const worst = limitOf(metric, before, tolerance)
  const removed: number[] = []
  let after = before
  const weightOf = (round: number): number => model.weights[round * model.outputs] as number
  const pauses = createPauses()
  const pause = async (): Promise<void> => {
    await pauses()
    throwIfAborted(signal, 'prune')
  }
  while (state.kept.size > 0) {
    const found = await leastMissed(state, { parts, judge: judgeScores, metric, weightOf, pause })
    if (isWorse(metric, found.value, worst)) break
    removed.push(found.round)
    state.kept.delete(found.round)
    subtract(state.scores, parts[found.round] as Float64Array[])
    state.scale = found.scale
    after = found.value
    onProgress?.({ phase: 'pruning', done: removed.length, total: parts.length })
  }
  const trees = model.trees.flatMap((tree, t) => (state.kept.has(Math.floor(t / model.outputs)) ? [{ tree, t }] : []))
  return {
    model: {
      ...model,
      trees: trees.map(({ tree }) => tree),
      weights: Float64Array.from(trees, ({ t }) => state.scale * (model.weights[t] as number)),
    },
    removed,
    before,
    after,
  }
}

/** Scores are base + scale x the sum of the kept rounds. */
interface State {
  /** Starting scores of the rows by output, where they have their own. */
  readonly start: readonly Float64Array[] | undefined
  readonly base: Float64Array
  readonly scores: readonly Float64Array[]
  readonly kept: Set<number>
  scale: number
}

function sumOf(parts: readonly Float64Array[][], outputs: number, rows: number): Float64Array[] {
  const sums = Array.from({ length: outputs }, () => new Float64Array(rows))
  for (const part of parts) subtract(sums, part)
  return sums.map((sum) => sum.map((value) => -value))
}

function withBase(
  { start, base, scores }: State,
  part: readonly Float64Array[] | undefined,
  scale: number,
): Float64Array[] {
  return scores.map((all, output) => {
    const less = part?.[output]
    const [own, same] = [start?.[output], base[output] as number]
    return all.map(
      (value, row) => (own ? (own[row] as number) : same) + scale * (less ? value - (less[row] as number) : value),
    )
  })
}

function byOutput(initial: ArrayLike<number>, outputs: number, rows: number): Float64Array[] {
  const all = toColumn(initial, { rows: rows * outputs, where: 'prune: initialScore' })
  return Array.from({ length: outputs }, (_, output) => all.filter((_, i) => i % outputs === output))
}

const isWorse = ({ better }: Metric, value: number, than: number): boolean =>
  better === 'lower' ? value > than : value < than

function limitOf({ better }: Metric, before: number, tolerance: number): number {
  return better === 'lower' ? before + tolerance * Math.abs(before) : before - tolerance * Math.abs(before)
}

/** What each round adds to each row, by output. */
function roundParts(model: Model, leaves: Float64Array, rows: number): Float64Array[][] {
  const count = model.trees.length
  return Array.from({ length: roundsOf(model) }, (_, round) =>
    Array.from({ length: model.outputs }, (_, output) => {
      const t = round * model.outputs + output
      const { value } = model.trees[t] as Tree
      return Float64Array.from(
        { length: rows },
        (_, row) => (model.weights[t] as number) * (value[leaves[row * count + t] as number] as number),
      )
    }),
  )
}

function subtract(scores: readonly Float64Array[], part: readonly Float64Array[]): void {
  scores.forEach((all, output) => {
    const values = part[output] as Float64Array
    for (let row = 0; row < all.length; row++) all[row] = (all[row] as number) - (values[row] as number)
  })
}

interface Search {
  readonly parts: readonly Float64Array[][]
  readonly judge: (scores: readonly Float64Array[]) => number
  readonly metric: Metric
  readonly weightOf: (round: number) => number
  readonly pause: () => Promise<void>
}

interface Found {
  readonly round: number
  readonly scale: number
  readonly value: number
}

async function leastMissed(state: State, { parts, judge, metric, weightOf, pause }: Search): Promise<Found> {
  const total = [...state.kept].reduce((sum, round) => sum + weightOf(round), 0)
  let best: Found | undefined
  for (const round of state.kept) {
    await pause()
    const rest = total - weightOf(round)
    for (const scale of rest > 0 ? [state.scale, (state.scale * total) / rest] : [state.scale]) {
      const value = judge(withBase(state, parts[round], scale))
      if (!best || isWorse(metric, best.value, value)) best = { round, scale, value }
    }
  }
  return best as Found
}

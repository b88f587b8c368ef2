// Training: binning once, then rounds until the last or until the validation metric stops improving.
import { FtError, throwIfAborted } from '@ft/core'
import { createWasmRuntime } from '@ft/tensor-core/wasm'
import { createArena } from './arena.ts'
import { boostRound } from './boostRound.ts'
import { fingerprintOf, restoreCheckpoint, saveCheckpoint } from './checkpoint.ts'
import type { Schema } from './data/schema.ts'
import { checkModel } from './exchange/checkModel.ts'
import { saveModel } from './exchange/modelBytes.ts'
import { judge, metricOf, type Metric } from './metrics.ts'
import type { Model } from './model.ts'
import { resolveObjective } from './objectives/index.ts'
import { checkLabels } from './objectives/labels.ts'
import { resolveOptions, type ResolvedOptions, type TrainOptions } from './options.ts'
import { createPauses } from './pause.ts'
import { readData, type LabelledData, type ReadData } from './readData.ts'
import type { Scoreboard } from './scoreboard.ts'
import { createSetUp, type Part, type SetUp, type SetUpInput } from './setUp.ts'

export interface TrainInput extends LabelledData {
  /** Judged after each round; early stopping looks at it. */
  readonly validation?: LabelledData
}

export interface RoundRecord {
  readonly round: number
  /** Present with `trackTraining`. */
  readonly train?: number
  readonly validation?: number
  /** Trees dropped. */
  readonly dropped: number
  readonly weight: number
  readonly leaves: number
}

export interface Trained {
  readonly model: Model
  readonly history: readonly RoundRecord[]
  readonly metric: string
  readonly better: 'lower' | 'higher'
  /** Rounds in the model: the best one's when validation data were given, else all. */
  readonly bestRound: number
  /** Raw validation scores recorded at that round, row-major by output: what the restored model must reproduce. */
  readonly validationScores?: Float64Array
}

/**
 * Trains boosted trees: DART by default, MART with `dropout: false`.
 *
 * With validation data the weights of the best round are restored: under dropout later rounds change earlier weights, and
 * a mere prefix of the final model is not the model that was best.
 *
 * Cost: memory rows x (columns + 16, rounded up to 8, + 16 an output, 24 with dropout) bytes besides data, labels and scores, rows x columns
 * more under `columnCopy`, and rows x trees bytes of remembered leaf numbers up to `leafCacheBytes`.
 *
 * @throws FtError `INVALID_ARGUMENT`, `SHAPE_MISMATCH` for data and options that do not fit; `ABORTED` by the signal
 * @see Rashmi and Gilad-Bachrach, "DART: Dropouts meet Multiple Additive Regression Trees", AISTATS 2015
 * @example
 * ```ts
 * const features = { data: Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7), rows: 8, columns: 1 }
 * const { model } = await train({ features, label: [1, 1, 1, 1, 5, 5, 5, 5] }, { objective: 'squared', rounds: 20 })
 * model.trees.length // => 20
 * ```
 */
export async function train(input: TrainInput, options: TrainOptions): Promise<Trained> {
  const resolved = resolveOptions(options)
  // Threads start while the data are read.
  const runtime = createWasmRuntime({ threads: resolved.threads, relaxed: false })
  try {
    const given = checkInput(input, options, resolved)
    const { data, validation } = given
    const { names, levels } = data.matrix
    const metric = metricOf(options.metric ?? given.objective.metric, options)
    if (resolved.threads > 1) await runtime.ready()
    const setUp = createSetUp(createArena(runtime), given)
    const fingerprint =
      options.resume || options.onCheckpoint ? runFingerprint({ options, resolved, data, validation, metric }) : 0
    return await boost(setUp, { options, resolved, metric, schema: { names, levels }, fingerprint })
  } finally {
    await runtime.dispose()
  }
}

function checkInput(input: TrainInput, options: TrainOptions, resolved: ResolvedOptions): SetUpInput {
  const ranking = options.objective === 'lambdarank'
  // A model to go on from knows its columns and its categories' codes: the data are read in its terms.
  const { continueFrom: from } = options
  if (from !== undefined) checkModel(from, 'train: continueFrom')
  const known = from && { schema: { names: from.featureNames, levels: from.featureLevels } }
  const data = readData(input, { where: 'train', ranking, ...known })
  const { names, levels } = data.matrix
  const schema = { names, levels }
  const validation = input.validation && readData(input.validation, { where: 'train: validation', ranking, schema })
  if (resolved.earlyStopping > 0 && !validation) {
    throw new FtError(
      'INVALID_ARGUMENT',
      'train: earlyStopping needs validation data; pass { validation: { features, label } }',
    )
  }
  checkStarts(options, data, validation)
  const objective = resolveObjective(options, data.label, data.group)
  if (validation) {
    const { name, outputs } = objective
    checkLabels(validation.label, { objective: name, classes: outputs, where: 'train: validation' })
  }
  return { options, resolved, objective, data, validation }
}

function checkStarts({ baseScore }: TrainOptions, data: ReadData, validation: ReadData | undefined): void {
  const fail = (what: string): FtError => new FtError('INVALID_ARGUMENT', `train: ${what}`)
  if (!data.initialScore) return
  if (baseScore !== undefined) throw fail('initialScore takes the place of baseScore; give one of them')
  if (validation && !validation.initialScore) throw fail('validation needs initialScore, as the training rows have it')
}

/**
 * Of what shapes a run, its choice of the best round included: threads, callbacks and the number of rounds do not. Objectives
 * and metrics of one's own count by their names.
 */
function runFingerprint(
  given: Pick<SetUpInput, 'options' | 'resolved' | 'data' | 'validation'> & { metric: Metric },
): number {
  const { options, resolved, data, validation, metric } = given
  const { objective, monotone, interactions, classes, alpha, delta, truncation, sigma, normalizeLambdas } = options
  const { baseScore, continueFrom, emptyQuery = 'skip' } = options
  const shape = {
    ...{
      ...resolved,
      threads: 0,
      rounds: 0,
      leafCacheBytes: 0,
      checkpointEvery: 0,
      earlyStopping: 0,
      bundle: undefined,
      columnCopy: undefined,
    },
    objective: typeof objective === 'string' ? objective : objective.name,
    ...{ monotone, interactions, classes, alpha, delta, truncation, sigma, normalizeLambdas, baseScore },
    ...{ metric: metric.name, better: metric.better, emptyQuery },
    names: data.matrix.names,
    levels: data.matrix.levels,
  }
  // What is absent has its place too: weights must not pass for initial scores.
  const parts = [data, ...(validation ? [validation] : [])].flatMap(
    ({ matrix, label, weight, group, initialScore }) => [
      matrix.values,
      label,
      weight ?? '',
      group ?? '',
      initialScore ? Float64Array.from(initialScore) : '',
    ],
  )
  return fingerprintOf([JSON.stringify(shape), ...parts, ...(continueFrom ? [saveModel(continueFrom)] : [])])
}

/** The best round so far: its weights, and the validation scores it had. */
export interface BestRound {
  /** 0: before the first new round. */
  readonly round: number
  readonly value: number
  readonly weights: Float64Array
  readonly scores: Float64Array
}

interface Run {
  readonly options: TrainOptions
  readonly resolved: ResolvedOptions
  readonly metric: Metric
  readonly schema: Schema
  readonly fingerprint: number
}

async function boost(setUp: SetUp, run: Run): Promise<Trained> {
  const { booster, train: rows, validation } = setUp
  const { options, resolved, metric } = run
  const scored = (board: Scoreboard, part: Part) => ({ scores: board.scores.map((block) => block.view()), ...part })
  const judgeRound = (part: NonNullable<SetUp['validation']>, round: number): number =>
    judge(metric, scored(part.board, part), `train: validation, round ${round}`)
  const before = booster.trees.length
  let best: BestRound | undefined = validation && {
    round: 0,
    value: judgeRound(validation, 0),
    weights: booster.treeWeights.slice(),
    scores: scoresOf(validation.board),
  }
  let history: RoundRecord[] = []
  if (options.resume) ({ history, best } = restoreCheckpoint(setUp, options.resume, run.fingerprint))

  const pause = createPauses()
  for (let round = history.length + 1; round <= resolved.rounds; round++) {
    if (best && resolved.earlyStopping > 0 && round - 1 - best.round >= resolved.earlyStopping) break
    throwIfAborted(options.signal, 'train')
    const report = boostRound(booster)
    const value = validation && judgeRound(validation, round)
    const trained = options.trackTraining ? metric.compute(scored(booster.training, rows)) : undefined
    const judged = {
      ...(trained === undefined ? {} : { train: trained }),
      ...(value === undefined ? {} : { validation: value }),
    }
    history.push({
      round,
      ...judged,
      dropped: report.dropped.length,
      weight: report.added,
      leaves: report.leaves,
    })
    options.onRound?.({
      round,
      ...judged,
      trees: booster.trees.slice(-booster.objective.outputs),
      dropped: report.dropped,
      weights: booster.treeWeights,
    })
    if (best && validation && value !== undefined && isBetter(metric, value, best.value)) {
      // Early stopping done right: later rounds re-weight these trees, so the weights themselves are kept.
      best = { round, value, weights: booster.treeWeights.slice(), scores: scoresOf(validation.board) }
    }
    if (options.onProgress && (round === resolved.rounds || round % PROGRESS_EVERY === 0 || round === 1)) {
      const shown = value ?? trained
      const note = shown === undefined ? {} : { note: `${metric.name} ${shown.toPrecision(5)}` }
      options.onProgress({ phase: 'boosting', done: round, total: resolved.rounds, ...note })
    }
    if (options.onCheckpoint && round % resolved.checkpointEvery === 0) {
      await options.onCheckpoint(saveCheckpoint(setUp, { history, best }, run.fingerprint))
    }
    await pause()
  }
  return trainedOf(setUp, run, { history, best, before })
}

function isBetter({ better }: Metric, value: number, than: number): boolean {
  return better === 'lower' ? value < than : value > than
}

function trainedOf(
  { booster, baseScores }: SetUp,
  { metric, schema }: Run,
  { history, best, before }: { history: RoundRecord[]; best: BestRound | undefined; before: number },
): Trained {
  const { name, parameters, outputs } = booster.objective
  const bestRound = before / outputs + (best ? best.round : history.length)
  return {
    model: {
      objective: name,
      parameters,
      outputs,
      baseScores,
      featureNames: schema.names,
      featureLevels: schema.levels,
      trees: booster.trees.slice(0, bestRound * outputs),
      weights: best ? best.weights : booster.treeWeights,
    },
    history,
    metric: metric.name,
    better: metric.better,
    bestRound,
    ...(best ? { validationScores: best.scores } : {}),
  }
}

function scoresOf(board: Scoreboard): Float64Array {
  const outputs = board.scores.map((block) => block.view())
  const { rows } = board.data
  const all = new Float64Array(rows * outputs.length)
  outputs.forEach((scores, output) => {
    for (let row = 0; row < rows; row++) all[row * outputs.length + output] = scores[row] as number
  })
  return all
}

const PROGRESS_EVERY = 5

// Training: binning once, then rounds until the last or until the validation metric stops improving.
import { FtError, throwIfAborted } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmRuntime } from '@ft/tensor-core/wasm'
import { createArena, type Arena, type Block } from './arena.ts'
import { binRows, findEdges, type BinnedRows } from './binning.ts'
import { boostRound, type Booster } from './boostRound.ts'
import { toGroups } from './objectives/lambdarank.ts'
import { toColumn, toFloatMatrix, type Features, type FloatMatrix } from './data.ts'
import { createWorkspace } from './grow/workspace.ts'
import { metricOf, type Metric } from './metrics.ts'
import type { Model } from './model.ts'
import { resolveObjective } from './objectives/index.ts'
import type { Objective } from './objectives/objective.ts'
import { resolveOptions, type ResolvedOptions, type TrainOptions } from './options.ts'
import { createScoreboard, type Scoreboard } from './scoreboard.ts'

/** Rows with their labels. */
export interface LabelledData {
  readonly features: Features
  readonly label: ArrayLike<number>
  /** Rows of each query, for ranking; queries stand together. */
  readonly group?: ArrayLike<number>
  /** Default 1 a row. */
  readonly weight?: ArrayLike<number>
  /** Starting score of each row and output, row-major; default the base score. */
  readonly initialScore?: ArrayLike<number>
}

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
 * Cost: memory rows x (columns + 40) bytes, and rows x trees bytes of remembered leaf numbers up to `leafCacheBytes`.
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
  const ranking = options.objective === 'lambdarank'
  const data = readData(input, { where: 'train', ranking })
  const validation =
    input.validation && readData(input.validation, { where: 'train: validation', ranking, names: data.matrix.names })
  if (resolved.earlyStopping > 0 && !validation) {
    throw new FtError(
      'INVALID_ARGUMENT',
      'train: earlyStopping needs validation data; pass { validation: { features, label } }',
    )
  }
  const objective = resolveObjective(options, data.label, data.group)
  const metric = metricOf(options.metric ?? objective.metric, options)
  const runtime = createWasmRuntime({ threads: resolved.threads, relaxed: false })
  try {
    if (resolved.threads > 1) await runtime.ready()
    const setUp = createBooster(createArena(runtime), { options, resolved, objective, data, validation })
    return await boost(setUp, { options, resolved, metric, names: data.matrix.names })
  } finally {
    await runtime.dispose()
  }
}

interface ReadData {
  readonly matrix: FloatMatrix
  readonly label: Float64Array
  readonly weight: Float64Array | undefined
  readonly group: Int32Array | undefined
  readonly initialScore: ArrayLike<number> | undefined
}

function readData(data: LabelledData, given: { where: string; ranking: boolean; names?: readonly string[] }): ReadData {
  const { where, ranking, names } = given
  const matrix = toFloatMatrix(data.features, { where: `${where}: features`, ...(names ? { names } : {}) })
  const { rows, columns } = matrix
  if (rows === 0 || columns === 0)
    throw new FtError('INVALID_ARGUMENT', `${where}: needs at least one row and one column, got ${rows} x ${columns}`)
  if (columns > 65_535)
    throw new FtError('UNSUPPORTED', `${where}: at most 65,535 columns, got ${columns}`, { columns })
  if (names && names.length !== columns) {
    throw new FtError('SHAPE_MISMATCH', `${where}: expected ${names.length} columns as in training, got ${columns}`, {
      columns,
    })
  }
  const label = toColumn(data.label, { rows, where: `${where}: label` })
  const weight = data.weight && toColumn(data.weight, { rows, where: `${where}: weight` })
  const negative = weight?.findIndex((value) => value < 0) ?? -1
  if (negative >= 0)
    throw new FtError(
      'INVALID_ARGUMENT',
      `${where}: weight of row ${negative} is ${weight?.[negative]}; weights must not be negative`,
    )
  const group = ranking || data.group ? toGroups(data.group, { rows, where }) : undefined
  return { matrix, label, weight, group, initialScore: data.initialScore }
}

/** What a metric needs of a set besides its scores. */
interface Part {
  readonly labels: Float64Array
  readonly weights: Float64Array | undefined
  readonly groups: Int32Array | undefined
}

const partOf = ({ label, weight, group }: ReadData): Part => ({ labels: label, weights: weight, groups: group })

interface SetUp {
  readonly booster: Booster
  readonly baseScores: Float64Array
  readonly train: Part
  readonly validation: (Part & { readonly board: Scoreboard }) | undefined
}

function createBooster(
  arena: Arena,
  given: {
    options: TrainOptions
    resolved: ResolvedOptions
    objective: Objective
    data: ReadData
    validation: ReadData | undefined
  },
): SetUp {
  const { options, resolved, objective, data, validation } = given
  const edges = findEdges(arena, data.matrix, { maxBins: resolved.maxBins })
  const binned = binRows(arena, data.matrix, edges)
  const baseScores =
    options.baseScore === undefined
      ? objective.baseScores(data.label, data.weight)
      : new Float64Array(objective.outputs).fill(options.baseScore)
  const board = (part: ReadData, rows: BinnedRows) =>
    createScoreboard(arena, rows, {
      base: startScores(part, objective.outputs, baseScores),
      cacheBytes: resolved.leafCacheBytes,
    })
  const validationBoard = validation && board(validation, binRows(arena, validation.matrix, edges))
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
    }),
    training: board(data, binned),
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
      columns: random.stream('dart columns'),
      nodes: random.stream('dart node columns'),
    },
  }
  return {
    booster,
    baseScores,
    train: partOf(data),
    validation: validationBoard && { board: validationBoard, ...partOf(validation) },
  }
}

function startScores({ matrix, initialScore }: ReadData, outputs: number, base: Float64Array): Float64Array[] {
  if (!initialScore) return Array.from(base, (score) => new Float64Array(matrix.rows).fill(score))
  const all = toColumn(initialScore, { rows: matrix.rows * outputs, where: 'train: initialScore' })
  return Array.from({ length: outputs }, (_, output) =>
    Float64Array.from({ length: matrix.rows }, (_, row) => all[row * outputs + output] as number),
  )
}

function monotoneOf({ monotone }: TrainOptions, { names }: FloatMatrix): Int8Array | undefined {
  if (!monotone) return undefined
  const directions = new Int8Array(names.length)
  for (const [key, direction] of Object.entries(monotone)) {
    const column = names.includes(key) ? names.indexOf(key) : Number(key)
    if (!Number.isInteger(column) || column < 0 || column >= names.length) {
      throw new FtError(
        'INVALID_ARGUMENT',
        `train: monotone: no feature ${key}; features are ${names.slice(0, 10).join(', ')}`,
        { feature: key },
      )
    }
    directions[column] = direction
  }
  return directions
}

async function boost(
  { booster, baseScores, train: rows, validation }: SetUp,
  {
    options,
    resolved,
    metric,
    names,
  }: { options: TrainOptions; resolved: ResolvedOptions; metric: Metric; names: readonly string[] },
): Promise<Trained> {
  const history: RoundRecord[] = []
  const judge = (board: Scoreboard, part: Part) =>
    metric.compute({ scores: board.scores.map((block) => block.view()), ...part })
  let best = validation && {
    round: 0,
    value: judge(validation.board, validation),
    weights: new Float64Array(0),
    scores: scoresOf(validation.board),
  }

  for (let round = 1; round <= resolved.rounds; round++) {
    throwIfAborted(options.signal, 'train')
    const report = boostRound(booster)
    const value = validation && judge(validation.board, validation)
    const trained = options.trackTraining ? judge(booster.training, rows) : undefined
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
    if (
      best &&
      validation &&
      value !== undefined &&
      (metric.better === 'lower' ? value < best.value : value > best.value)
    ) {
      // Early stopping done right: later rounds re-weight these trees, so the weights themselves are kept.
      best = { round, value, weights: booster.treeWeights.slice(), scores: scoresOf(validation.board) }
    }
    if (options.onProgress && (round === resolved.rounds || round % PROGRESS_EVERY === 0 || round === 1)) {
      const shown = value ?? trained
      const note = shown === undefined ? {} : { note: `${metric.name} ${shown.toPrecision(5)}` }
      options.onProgress({ phase: 'boosting', done: round, total: resolved.rounds, ...note })
    }
    if (best && resolved.earlyStopping > 0 && round - best.round >= resolved.earlyStopping) break
    if (round % YIELD_EVERY === 0) await pause()
  }
  const bestRound = best ? best.round : history.length
  const kept = bestRound * booster.objective.outputs
  return {
    model: {
      objective: booster.objective.name,
      parameters: booster.objective.parameters,
      outputs: booster.objective.outputs,
      baseScores,
      featureNames: names,
      trees: booster.trees.slice(0, kept),
      weights: best ? best.weights : booster.treeWeights,
    },
    history,
    metric: metric.name,
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
/** Rounds between turns of the event loop, so that signals and servers are heard. */
const YIELD_EVERY = 10

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}

// Training options with their defaults, checked once.
import { FtError, assertInteger, assertOneOf, type LongRunning } from '@ft/core'
import type { CustomObjective, ObjectiveName } from './objectives/objective.ts'
import type { CustomMetric, MetricName } from './metrics.ts'
import type { EmptyQuery } from './ndcg.ts'
import type { Model } from './model.ts'
import type { Tree } from './tree.ts'
import { MOST_CLASSES } from './objectives/labels.ts'
import { checkDropoutNames, checkGossNames, checkTrainNames } from './knownOptions.ts'

/** How the weights of a round are settled; `eta` is the learning rate, k the number of dropped trees. */
export type Normalization =
  /** The paper's (with eta = 1): new eta / (k + eta), dropped times k / (k + eta). */
  | 'tree'
  /** XGBoost's: new eta / (1 + eta), dropped times 1 / (1 + eta). */
  | 'forest'
  /** LightGBM's default: new eta / (k + 1), dropped times k / (k + 1). */
  | 'lightgbm'
  /** No normalisation: new eta, dropped unchanged. */
  | 'none'

export interface DropoutOptions {
  /** Probability of each tree to be dropped. Default 0.03. */
  readonly dropRate?: number
  /** Drop one tree where none was drawn: the paper's Binomial-plus-one. With dropRate 0: epsilon-dropout. Default true. */
  readonly plusOne?: boolean
  /** Probability of a round without dropout. Default 0. */
  readonly skipDrop?: number
  /** Most trees dropped in a round, 0 for no limit; a random subset is kept. Default 0. */
  readonly maxDrop?: number
  /** 'weighted' drops trees in proportion to their weight. Default 'uniform'. */
  readonly sample?: 'uniform' | 'weighted'
  /** Default 'tree'. */
  readonly normalize?: Normalization
  /** Whether the trees of a round (one a class) are dropped together. Default 'round'. */
  readonly dropUnit?: 'round' | 'tree'
  /** Seed of the drops alone; default derived from `seed`. */
  readonly dropSeed?: number
}

export type DropoutPreset = 'paper' | 'epsilon' | 'xgboost' | 'lightgbm'

export interface GossOptions {
  /** Share of rows taken for their large gradients: the paper's a. Default 0.2. */
  readonly topRate?: number
  /** Rows sampled of the others, as a share of all rows: the paper's b. Default 0.1. */
  readonly otherRate?: number
}

export type Goss = Required<GossOptions>

export interface TrainOptions extends LongRunning {
  readonly objective: ObjectiveName | CustomObjective
  /** Boosting rounds. Default 100. */
  readonly rounds?: number
  /** Shrinkage eta. Default 0.4 with dropout, 0.1 without. */
  readonly learningRate?: number
  /** False: MART. A preset by name, or options over the default. Default {}: DART with dropRate 0.03. */
  readonly dropout?: false | DropoutPreset | DropoutOptions
  /** 'depth' splits level by level, 'leaf' the leaf with the largest gain first. Default 'depth'. */
  readonly growth?: 'depth' | 'leaf'
  /** Default 6 for growth 'depth', no limit (0) for 'leaf'. */
  readonly maxDepth?: number
  /** Default 0 (no limit but the depth's) for 'depth', 31 for 'leaf'. */
  readonly maxLeaves?: number
  /** Fewest rows a leaf. Default 1. */
  readonly minRows?: number
  /** Smallest sum of hessians a leaf. Default 1e-3. */
  readonly minHessian?: number
  /** Smallest gain of a split. Default 0. */
  readonly minGain?: number
  /** Default 0. */
  readonly l1?: number
  /** Default 1. */
  readonly l2?: number
  /** Bins of values a feature, 2 to 254. Default 254. */
  readonly maxBins?: number
  /**
   * Let sparse columns that are never non-zero in the same row share a byte: less memory and time on one-hot columns, the
   * same model bits. Default true.
   */
  readonly bundle?: boolean
  /**
   * Keep the bins a second time, column by column, while trees grow: a split then reads one byte of a row from its column and not
   * from all rows, which lie too far apart for the caches. A second byte a cell, the same model bits. Default: from 2 to 512 MiB of bins.
   */
  readonly columnCopy?: boolean
  /** Share of rows each tree sees. Default 1. */
  readonly rowFraction?: number
  /**
   * Gradient-based one-side sampling: each tree sees the rows with the largest gradients and a few of the others, which
   * count for all of those. True: the paper's 0.2 and 0.1. Not together with `rowFraction`, nor for losses whose gradients are
   * all of one size ('absolute', 'quantile'). Default false.
   */
  readonly goss?: boolean | GossOptions
  /** Share of columns each tree sees. Default 1. */
  readonly columnFraction?: number
  /** Share of those that each node sees. Default 1. */
  readonly nodeColumnFraction?: number
  /** A feature's direction by name or index: 1 increasing, -1 decreasing. */
  readonly monotone?: Readonly<Record<string, 1 | -1>>
  /** Sets of features that may meet on one path, by name or index; a feature of no set meets none. Default: all may. */
  readonly interactions?: readonly (readonly (string | number)[])[]
  /** Added to a category's hessians when categories are sorted: rare ones move to the middle. Default 10. */
  readonly categorySmooth?: number
  /** L2 added where a split takes a set out of more than four categories. Default 10. */
  readonly categoryL2?: number
  /** Most categories that such a split sends left. Default 32. */
  readonly mostCategories?: number
  /** A model to go on from: its trees come first, may be dropped and are weighted anew. */
  readonly continueFrom?: Model
  /** A checkpoint of a run with the same data and options: goes on as if it had not ended, bit for bit. */
  readonly resume?: Uint8Array
  /** Rounds between calls of `onCheckpoint`. Default 10. */
  readonly checkpointEvery?: number
  /** Gets the state of the run; `resume` takes it. About 8 bytes a row and output, and the trees. */
  readonly onCheckpoint?: (state: Uint8Array) => void | Promise<void>
  /** Classes of 'softmax'. Default: one more than the largest label. */
  readonly classes?: number
  /** The quantile of objective 'quantile'. Default 0.5. */
  readonly alpha?: number
  /** Where 'huber' turns linear. Default 1. */
  readonly delta?: number
  /** Ranking: pairs are formed with the documents ranked so high. Default 30. */
  readonly truncation?: number
  /** Ranking: steepness of a pair's logistic. Default 1. */
  readonly sigma?: number
  /** Ranking: scale pairs and queries as LightGBM does. Default true. */
  readonly normalizeLambdas?: boolean
  /** NDCG of a query without a relevant row. Default 'skip'. */
  readonly emptyQuery?: EmptyQuery
  /** Starting score before the first tree; default the objective's best constant. Not together with `initialScore`. */
  readonly baseScore?: number
  /** Metric shown and stopped on; default the objective's. */
  readonly metric?: MetricName | CustomMetric
  /** Judge the training rows after each round too; costs a pass over them. Default false. */
  readonly trackTraining?: boolean
  /** Stop when the validation metric has not improved for so many rounds; the best round's model is restored. */
  readonly earlyStopping?: number
  readonly seed?: number
  /** Default 1. The model's bits do not depend on it. */
  readonly threads?: number
  /** Most memory for remembered leaf numbers, in bytes; above it trees are followed again, with equal results. Default 1 GiB. */
  readonly leafCacheBytes?: number
  /** Called after every round: for live pictures and custom logs. What it throws ends training. */
  readonly onRound?: (round: RoundEvent) => void
}

/** What a round did. The arrays are training's own: read them, and copy what should last. */
export interface RoundEvent {
  /** Counted from 1. */
  readonly round: number
  /** The new trees, one an output. */
  readonly trees: readonly Tree[]
  /** Numbers of the trees that were dropped while it was fitted. */
  readonly dropped: readonly number[]
  /** Weight of every tree so far. */
  readonly weights: Float64Array
  readonly train?: number
  readonly validation?: number
}

export interface ResolvedOptions {
  readonly rounds: number
  readonly learningRate: number
  readonly dropout: false | (Required<Omit<DropoutOptions, 'dropSeed'>> & { dropSeed: number })
  readonly growth: 'depth' | 'leaf'
  readonly maxDepth: number
  readonly maxLeaves: number
  readonly minRows: number
  readonly minHessian: number
  readonly minGain: number
  readonly l1: number
  readonly l2: number
  readonly maxBins: number
  readonly bundle: boolean
  readonly columnCopy: boolean | undefined
  readonly rowFraction: number
  readonly goss: Goss | undefined
  readonly columnFraction: number
  readonly nodeColumnFraction: number
  readonly categorySmooth: number
  readonly categoryL2: number
  readonly mostCategories: number
  readonly checkpointEvery: number
  readonly seed: number
  readonly threads: number
  readonly leafCacheBytes: number
  readonly earlyStopping: number
}

/** Dropout presets: the paper's rule, its limit of one tree a round, and the two programs' defaults. */
export const dropoutPresets: Readonly<Record<DropoutPreset, DropoutOptions & { readonly learningRate: number }>> = {
  paper: { dropRate: 0.03, plusOne: true, normalize: 'tree', learningRate: 1 },
  epsilon: { dropRate: 0, plusOne: true, normalize: 'tree', learningRate: 1 },
  xgboost: { dropRate: 0, plusOne: false, skipDrop: 0, normalize: 'tree', learningRate: 0.3 },
  lightgbm: {
    dropRate: 0.1,
    plusOne: false,
    skipDrop: 0.5,
    maxDrop: 50,
    sample: 'weighted',
    normalize: 'lightgbm',
    learningRate: 0.1,
  },
}

const MOST_LEAVES = 65_536

export function resolveOptions(options: TrainOptions): ResolvedOptions {
  if (typeof (options as unknown) !== 'object' || (options as unknown) === null) {
    throw new FtError('INVALID_ARGUMENT', "train: needs options: at least { objective: 'squared' } or its like")
  }
  checkTrainNames(options)
  checkRest(options)
  const check = (
    name: keyof TrainOptions & string,
    value: number,
    low: number,
    high: number,
    whole = false,
  ): number => {
    if (typeof value === 'number' && value >= low && value <= high && (!whole || Number.isInteger(value))) return value
    throw new FtError(
      'INVALID_ARGUMENT',
      `train: ${name} must be ${whole ? 'a whole number' : 'a number'} from ${low} to ${high}, got ${described(value)}`,
      {
        [name]: value,
      },
    )
  }
  const preset = typeof options.dropout === 'string' ? dropoutPresets[options.dropout] : undefined
  if (typeof options.dropout === 'string' && preset === undefined) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `train: no dropout preset ${options.dropout}; known: ${Object.keys(dropoutPresets).join(', ')}`,
    )
  }
  const isForm = ['undefined', 'string', 'object'].includes(typeof options.dropout) || options.dropout === false
  if (!isForm || (options.dropout as unknown) === null) {
    const message = `train: dropout must be false, a preset or options as { dropRate: 0.1 }, got ${String(options.dropout)}`
    throw new FtError('INVALID_ARGUMENT', message)
  }
  const chosen =
    options.dropout === false ? undefined : (preset ?? (options.dropout as DropoutOptions | undefined) ?? {})
  const growth = options.growth ?? 'depth'
  assertOneOf(growth, { where: 'train', argument: 'growth', values: ['depth', 'leaf'] })
  const seed = check('seed', options.seed ?? 1, 0, Number.MAX_SAFE_INTEGER, true)
  const fraction = (name: 'rowFraction' | 'columnFraction' | 'nodeColumnFraction') => {
    const value = check(name, options[name] ?? 1, 0, 1)
    if (value === 0) throw new FtError('INVALID_ARGUMENT', `train: ${name} must be above 0`, { [name]: value })
    return value
  }
  return {
    rounds: check('rounds', options.rounds ?? 100, 0, 1_000_000, true),
    learningRate: check('learningRate', options.learningRate ?? preset?.learningRate ?? (chosen ? 0.4 : 0.1), 1e-6, 10),
    dropout: chosen ? resolveDropout(chosen, seed) : false,
    growth,
    maxDepth: check('maxDepth', options.maxDepth ?? (growth === 'depth' ? 6 : 0), 0, 64, true),
    maxLeaves:
      check('maxLeaves', options.maxLeaves ?? (growth === 'depth' ? 0 : 31), 0, MOST_LEAVES, true) || MOST_LEAVES,
    minRows: check('minRows', options.minRows ?? 1, 0, 1e9),
    minHessian: check('minHessian', options.minHessian ?? 1e-3, 0, 1e12),
    minGain: check('minGain', options.minGain ?? 0, 0, 1e12),
    l1: check('l1', options.l1 ?? 0, 0, 1e12),
    l2: check('l2', options.l2 ?? 1, 0, 1e12),
    maxBins: check('maxBins', options.maxBins ?? 254, 2, 254, true),
    bundle: options.bundle ?? true,
    columnCopy: options.columnCopy,
    rowFraction: fraction('rowFraction'),
    goss: resolveGoss(options),
    columnFraction: fraction('columnFraction'),
    nodeColumnFraction: fraction('nodeColumnFraction'),
    categorySmooth: check('categorySmooth', options.categorySmooth ?? 10, 0, 1e12),
    categoryL2: check('categoryL2', options.categoryL2 ?? 10, 0, 1e12),
    mostCategories: check('mostCategories', options.mostCategories ?? 32, 1, 254, true),
    checkpointEvery: check('checkpointEvery', options.checkpointEvery ?? 10, 1, 1_000_000, true),
    seed,
    threads: check('threads', options.threads ?? 1, 1, 64, true),
    leafCacheBytes: check('leafCacheBytes', options.leafCacheBytes ?? 2 ** 30, 0, 2 ** 32),
    earlyStopping: check('earlyStopping', options.earlyStopping ?? 0, 0, 1_000_000, true),
  }
}

const described = (value: unknown): string => (typeof value === 'string' ? `'${value}'` : String(value))

/** Options that are used as they were given. */
function checkRest(options: TrainOptions): void {
  const need = (name: keyof TrainOptions, fits: (value: number) => boolean, words: string): void => {
    const value: unknown = options[name]
    if (value === undefined || (typeof value === 'number' && fits(value))) return
    throw new FtError('INVALID_ARGUMENT', `train: ${name} must be ${words}, got ${described(value)}`, { [name]: value })
  }
  const { emptyQuery = 'skip' } = options
  need('baseScore', (value) => Math.abs(value) <= 1e70, 'a number up to 1e70')
  need('truncation', (value) => Number.isInteger(value) && value >= 1, 'a whole number from 1')
  need('sigma', (value) => value > 0 && value < Infinity, 'a number above 0')
  need(
    'classes',
    (value) => Number.isInteger(value) && value >= 2 && value <= MOST_CLASSES,
    `a whole number from 2 to ${MOST_CLASSES}`,
  )
  assertOneOf(emptyQuery, { where: 'train', argument: 'emptyQuery', values: [0, 1, 'skip'] })
  for (const name of ['bundle', 'columnCopy', 'normalizeLambdas', 'trackTraining'] as const) {
    assertOneOf(options[name], { where: 'train', argument: name, values: [undefined, true, false] })
  }
}

function resolveGoss({ goss = false, rowFraction = 1, objective }: TrainOptions): Goss | undefined {
  if (goss === false) return undefined
  const fail = (what: string): FtError => new FtError('INVALID_ARGUMENT', `train: goss: ${what}`)
  if (goss !== true) {
    if (typeof (goss as unknown) !== 'object' || (goss as unknown) === null) {
      throw fail(`must be true, false or { topRate, otherRate }, got ${described(goss)}`)
    }
    checkGossNames(goss)
  }
  const { topRate = 0.2, otherRate = 0.1 } = goss === true ? {} : goss
  // Written so that NaN is refused.
  if (!(topRate >= 0 && otherRate > 0 && topRate + otherRate <= 1)) {
    throw fail(`topRate from 0, otherRate above 0, together at most 1; got ${topRate} and ${otherRate}`)
  }
  if (rowFraction !== 1) throw fail('chooses the rows itself; leave rowFraction at 1')
  if (objective === 'absolute' || objective === 'quantile') {
    throw fail(`gradients of '${objective}' are all of one size; use rowFraction`)
  }
  return { topRate, otherRate }
}

function resolveDropout(given: DropoutOptions, seed: number): Exclude<ResolvedOptions['dropout'], false> {
  checkDropoutNames(given)
  const probability = (name: 'dropRate' | 'skipDrop', value: number): number => {
    if (typeof value === 'number' && value >= 0 && value <= 1) return value
    throw new FtError(
      'INVALID_ARGUMENT',
      `train: dropout.${name} must be a number from 0 to 1, got ${described(value)}`,
      { [name]: value },
    )
  }
  const maxDrop = given.maxDrop ?? 0
  const { dropSeed = seed, plusOne = true } = given
  assertOneOf(plusOne, { where: 'train', argument: 'dropout.plusOne', values: [true, false] })
  assertInteger(dropSeed, { where: 'train', argument: 'dropout.dropSeed', min: 0 })
  if (!Number.isInteger(maxDrop) || maxDrop < 0) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `train: dropout.maxDrop must be a whole number, 0 for no limit, got ${maxDrop}`,
      { maxDrop },
    )
  }
  const { sample = 'uniform', normalize = 'tree', dropUnit = 'round' } = given
  const words = {
    sample: ['uniform', 'weighted'],
    normalize: ['tree', 'forest', 'lightgbm', 'none'],
    dropUnit: ['round', 'tree'],
  }
  for (const [name, value] of Object.entries({ sample, normalize, dropUnit }))
    assertOneOf(value, { where: 'train', argument: `dropout.${name}`, values: words[name as keyof typeof words] })
  return {
    dropRate: probability('dropRate', given.dropRate ?? 0.03),
    plusOne,
    skipDrop: probability('skipDrop', given.skipDrop ?? 0),
    maxDrop,
    sample,
    normalize,
    dropUnit,
    dropSeed,
  }
}

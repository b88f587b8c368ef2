// Training and evaluation of a DLRM whose embeddings live in shards.
import {
  FtError,
  assertInteger,
  invalidArgument,
  throwIfAborted,
  type LongRunning,
  type SyncMatmulEngine,
} from '@ft/core'
import { createRandom } from '@ft/core/random'
import { auc, logLoss } from '@ft/core/statistics'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { dataDigest } from './dlrm/dataDigest.ts'
import { createDenseModel, type DenseModel, type DenseModelOptions } from './dlrm/denseModel.ts'
import { eventsTurn } from './dlrm/eventsTurn.ts'
import { createHints, hintedSteps } from './dlrm/hints.ts'
import { lookAhead } from './dlrm/lookAhead.ts'
import { distinct, pool } from './dlrm/lookUp.ts'
import { notePoolings } from './dlrm/poolings.ts'
import { createReplication, takeUp, type Replication } from './dlrm/replication.ts'
import {
  batchesOf,
  checkSamples,
  takeBatch,
  type Batch,
  type CategoricalFeature,
  type Samples,
} from './dlrm/samples.ts'
import { checkEvaluateNames, checkTrainNames } from './knownOptions.ts'
import { createScratch } from './dlrm/scratch.ts'
import { createScoreWindow, type ScoreWindow, type WindowScore } from './dlrm/scoreWindow.ts'
import type { OptimizerOptions } from './shard/optimizers.ts'
import type { ShardStore } from './store.ts'
import { trainStep, type StepState } from './trainStep.ts'

export interface StepRecord {
  readonly step: number
  /** Mean log loss of the step's batch before its update. */
  readonly loss: number
}

export interface TrainOptions extends LongRunning {
  /** Where the embeddings live: its tables in the order of the data's categorical features. */
  readonly store: ShardStore
  /** Default 1. */
  readonly epochs?: number
  /** Samples a step; default 128. */
  readonly batch?: number
  /** Hidden widths of the bottom network; default [64]. */
  readonly bottom?: readonly number[]
  /** Hidden widths of the top network; default [64, 32]. */
  readonly top?: readonly number[]
  /** Of the dense network; default Adagrad with learning rate 0.01. */
  readonly optimizer?: OptimizerOptions
  /** Of initial weights and of the order of samples; default 0. */
  readonly seed?: number
  /** A matrix engine; default the WebAssembly engine on one thread, which the model keeps. */
  readonly engine?: SyncMatmulEngine
  /** A model to train on instead of a new one; `bottom`, `top` and `optimizer` are then its own. */
  readonly model?: DenseModel
  /** Steps already done, as a checkpoint says: the same batches are passed over. Default 0. */
  readonly from?: number
  /**
   * Steps between versions of the dense network and its optimizer state that r + 1 shards keep; 0: none. With 1 and one worker a
   * version goes ahead of its step's push and holds it: whenever the trainer dies, rows and dense network are of the same step, and
   * the training that goes on has the same bits as one that never stopped. Else it follows, and the dense network is up to two
   * such intervals behind the rows. Default 1 where the store outlives the trainer, else 0.
   */
  readonly replicateEvery?: number
  /**
   * Goes on from the newest version at the shards, if there is one, else from the beginning: data, batch and seed must be those of the
   * training before. Default false.
   */
  readonly resume?: boolean
  /** Ends after this many steps in all; default when the epochs are done. */
  readonly until?: number
  /**
   * Called after every step; the next one waits for what it returns. Of workers in mode 'async' those wait that have ended a
   * step, and the others go on: it is never called again before it has returned.
   */
  readonly onStep?: (record: StepRecord, model: DenseModel, score: () => WindowScore) => unknown
  /**
   * Last samples that `onStep`'s `score()` tells log loss and AUC of, each as predicted before the model learned from it. Costs
   * 8 bytes a sample, and two sorts of the window when `score` is called, nothing to speak of when it is not. Default 8,192.
   */
  readonly window?: number
}

export interface Trained {
  /** Weights by layer and their optimizer state; it computes with the engine it was made with. */
  readonly model: DenseModel
  readonly history: readonly StepRecord[]
}

/** What a training does: its model, its batches, and what becomes of each step. */
export interface Plan extends Trained {
  /** Rows of each step's batch. */
  readonly steps: Iterable<Uint32Array>
  readonly replication: Replication
  /** Predictions of each batch before its update. */
  readonly window: ScoreWindow
  /** To be called after every step. */
  stepped(loss: number): Promise<void>
}

/** @throws FtError `SHAPE_MISMATCH`, `INVALID_ARGUMENT` */
export async function planTraining(data: Samples, options: TrainOptions): Promise<Plan> {
  checkTrainNames(options)
  const { store, epochs = 1, batch = 128, seed = 0, until = Infinity, resume = false, onProgress, onStep } = options
  const { replicateEvery = store.lasting ? 1 : 0 } = options
  const { rows, features } = checkSamples(data, 'train')
  checkTables(data, store, 'train')
  assertInteger(epochs, { where: 'train', argument: 'epochs', min: 1 })
  assertInteger(batch, { where: 'train', argument: 'batch', min: 1 })
  assertInteger(options.from ?? 0, { where: 'train', argument: 'from', min: 0 })
  assertInteger(replicateEvery, { where: 'train', argument: 'replicateEvery', min: 0 })
  if (resume && options.from !== undefined)
    throw invalidArgument({ where: 'train', argument: 'from' }, 'left out with `resume`', options.from)
  if (until !== Infinity) assertInteger(until, { where: 'train', argument: 'until', min: 0 })
  const window = createScoreWindow(options.window ?? 8192)
  const model = options.model ?? newModel(options, { features, tables: data.categorical.length })
  const about =
    resume || replicateEvery > 0
      ? [`${rows} rows ${dataDigest(data)}, batch ${batch}, seed ${seed}`, ...data.categorical.flatMap(bagsText)].join(
          ', ',
        )
      : ''
  const from = resume ? await takeUp(store, model, about) : (options.from ?? 0)
  const replication = createReplication({ store, model, every: replicateEvery, from, about })
  notePoolings(model, data.categorical)
  const history: StepRecord[] = []
  const total = Math.min(until, epochs * Math.ceil(rows / batch))
  function* steps(): Generator<Uint32Array> {
    const random = createRandom(seed)
    let step = 0
    for (let epoch = 0; epoch < epochs; epoch++)
      for (const chosen of batchesOf(rows, { batch, random: random.stream('order', epoch) })) {
        if (step >= total) return
        if (step++ >= from) yield chosen
      }
  }
  return {
    model,
    history,
    steps: steps(),
    replication,
    window,
    async stepped(loss) {
      await replication.after()
      const record = { step: from + history.length, loss }
      history.push(record)
      await onStep?.(record, model, window.score)
      onProgress?.({ phase: 'train', done: record.step + 1, total, note: `loss ${loss.toFixed(4)}` })
    },
  }
}

/** Of a feature's bags, where it has them: a training that goes on must pool as it did. */
function bagsText({ ids, offsets, pooling = 'sum', weights }: CategoricalFeature, t: number): string[] {
  if (offsets === undefined) return []
  return [`feature ${t} the ${weights === undefined ? '' : 'weighted '}${pooling} of ${ids.length} ids in bags`]
}

/**
 * Trains a DLRM: bottom network, one embedding a categorical feature, dot interaction, top network, log loss.
 *
 * Guarantees: with one trainer and synchronous acknowledgement the model has the same bits whether or not servers died
 * meanwhile (at most r at once). It ends with `INVALID_ARGUMENT` at the first batch whose gradients are not finite, of which
 * nothing is applied.
 *
 * @throws FtError `SHAPE_MISMATCH`, `INVALID_ARGUMENT`, `ABORTED`, `UNRECOVERABLE`
 */
export async function train(data: Samples, options: TrainOptions): Promise<Trained> {
  const { store, signal } = options
  const { model, history, steps, window, stepped, replication } = await planTraining(data, options)
  const { ahead } = replication
  const state: StepState = { model, store, pushing: Promise.resolve(), window, ahead, scratch: createScratch() }
  const make = (chosen: Uint32Array): Batch => {
    const batch = takeBatch(data, chosen, store.offsets)
    return { ...batch, rows: distinct(batch.ids, state.scratch) }
  }
  const hints = createHints(store)
  for (const { one: batch, following } of lookAhead(steps, { depth: hintedSteps, make })) {
    throwIfAborted(signal, 'train')
    const ids = hints(following.map((next) => () => next().rows!.ids))
    await stepped(await trainStep(state, batch, { ids, prepare: following[0] }))
    await eventsTurn()
  }
  await state.before
  await state.pushing
  await replication.settle()
  return { model, history }
}

function newModel(o: TrainOptions, sizes: Pick<DenseModelOptions, 'features' | 'tables'>): DenseModel {
  return createDenseModel({
    ...sizes,
    engine: o.engine ?? createWasmEngine({ threads: 1 }),
    d: o.store.d,
    ...(o.bottom ? { bottom: o.bottom } : {}),
    ...(o.top ? { top: o.top } : {}),
    optimizer: o.optimizer ?? { name: 'adagrad', learningRate: 0.01 },
    seed: o.seed ?? 0,
  })
}

export interface EvaluateOptions extends LongRunning {
  readonly store: ShardStore
  /** Samples a pull; default 2,048. */
  readonly batch?: number
}

export interface Evaluation {
  readonly auc: number
  readonly logLoss: number
  /** A sample's probability of label 1. */
  readonly probabilities: Float32Array
}

/**
 * Predicts and scores samples; changes nothing.
 *
 * @throws FtError as `train`
 */
export async function evaluate(model: DenseModel, data: Samples, options: EvaluateOptions): Promise<Evaluation> {
  const { store, batch = 2048, signal, onProgress } = options
  checkEvaluateNames(options)
  assertInteger(batch, { where: 'evaluate', argument: 'batch', min: 1 })
  const { rows } = checkSamples(data, 'evaluate')
  checkTables(data, store, 'evaluate')
  const probabilities = new Float32Array(rows)
  for (let start = 0; start < rows; start += batch) {
    throwIfAborted(signal, 'evaluate')
    const chosen = Uint32Array.from({ length: Math.min(batch, rows - start) }, (_, i) => start + i)
    const { dense, ids, bags } = takeBatch(data, chosen, store.offsets)
    const found = distinct(ids)
    const embeddings = pool(await store.pull(found.ids), found, { d: store.d, bags })
    probabilities.set(model.predict({ dense, embeddings }), start)
    onProgress?.({ phase: 'evaluate', done: start + chosen.length, total: rows })
  }
  const labels = Array.from(data.label)
  return { auc: auc({ scores: probabilities, labels }), logLoss: logLoss({ probabilities, labels }), probabilities }
}

function checkTables(data: Samples, store: ShardStore, where: string): void {
  const sizes = store.tables.map(({ rows }) => rows)
  const fits = sizes.length === data.categorical.length && data.categorical.every(({ size }, t) => size <= sizes[t]!)
  if (fits) return
  throw new FtError(
    'SHAPE_MISMATCH',
    `${where}: the store must have a table of at least [${data.categorical.map(({ size }) => size).join(', ')}] rows, got [${sizes.join(', ')}]; open it with the data's tables`,
    { sizes },
  )
}

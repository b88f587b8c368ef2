// Names that options may have. A misspelt one would be a default that nobody asked for: it is an error.
import { assertOptionNames, invalidArgument } from '@ft/core'
import type { UpdatesOptions } from './advisor/updatesAStep.ts'
import type { CheckpointerOptions } from './checkpoint/checkpointer.ts'
import type { DenseModelOptions } from './dlrm/denseModel.ts'
import type { TfjsModelOptions } from './dlrm/tfjsModel.ts'
import type { ParityGroupOptions } from './group/parityGroup.ts'
import type { MemoryShardOptions } from './memory.ts'
import type { ScrubOptions } from './scrub.ts'
import type { ServeOptions } from './serveShards.ts'
import type { OptimizerOptions } from './shard/optimizers.ts'
import type { ShardOptions } from './store.ts'
import type { EvaluateOptions, TrainOptions } from './train.ts'
import type { TrainOptions as WorkersOptions } from './workers/train.ts'

type Names<T> = Readonly<Record<keyof T, true>>

const memoryNames: Names<MemoryShardOptions> = {
  ...{ tables: true, d: true, k: true, r: true, servers: true, optimizer: true, seed: true, where: true },
  ...{ acknowledgement: true, logBytes: true, sweep: true },
}
const shardNames: Names<ShardOptions> = {
  ...memoryNames,
  ...{ heartbeat: true, spares: true, shards: true, token: true, redis: true, owners: true, name: true },
  ...{ tls: true, patience: true, resume: true, linger: true },
}
const sweepNames: Names<NonNullable<ShardOptions['sweep']>> = { stripes: true, pause: true, share: true }
const heartbeatNames: Names<NonNullable<ShardOptions['heartbeat']>> = { interval: true, missed: true }
const optimizerNames: Names<OptimizerOptions> = {
  ...{ name: true, learningRate: true, momentum: true, beta1: true, beta2: true, epsilon: true },
}
const trainNames: Names<TrainOptions> = {
  ...{ store: true, epochs: true, batch: true, bottom: true, top: true, optimizer: true, seed: true, engine: true },
  ...{ model: true, from: true, until: true, window: true, onStep: true, onProgress: true, signal: true },
  ...{ replicateEvery: true, resume: true },
}
const updatesNames: Names<UpdatesOptions> = { batch: true, seed: true, steps: true }
const workersNames: Names<WorkersOptions> = { ...trainNames, workers: true, mode: true }
const evaluateNames: Names<EvaluateOptions> = { store: true, batch: true, onProgress: true, signal: true }
const denseNames: Names<DenseModelOptions> = {
  ...{ engine: true, features: true, tables: true, d: true, bottom: true, top: true, optimizer: true, seed: true },
}
const tfjsNames: Names<TfjsModelOptions> = {
  ...{ tf: true, features: true, tables: true, d: true, bottom: true, top: true, optimizer: true, seed: true },
}
const checkpointerNames: Names<CheckpointerOptions> = { folder: true, kind: true, fullEvery: true, background: true }
const scrubNames: Names<ScrubOptions> = { stripes: true, repair: true, signal: true, onProgress: true }
const serveNames: Names<ServeOptions> = { listen: true, token: true, tls: true, idle: true, onRun: true }
const groupNames: Names<ParityGroupOptions> = { k: true, r: true }

/**
 * Of an options object: that it is one, and that it has no other names.
 *
 * @throws FtError `INVALID_ARGUMENT` naming an option that there is not, and those that there are
 */
type Check = (given: unknown) => void

const checker =
  (where: string, argument: string, known: Readonly<Record<string, true>>): Check =>
  (given) => {
    if (given === undefined) return
    if (given === null || typeof given !== 'object' || Array.isArray(given))
      throw invalidArgument({ where, argument }, 'an object', given)
    assertOptionNames(given, known, argument === 'options' ? where : `${where}: \`${argument}\``)
  }

/** With those of its parts that are objects; `optimizer` is checked where it is used. */
function checkShards(known: Readonly<Record<string, true>>, given: unknown): void {
  const where = 'openShards'
  if (given === undefined) throw invalidArgument({ where, argument: 'options' }, 'an object', given)
  checker(where, 'options', known)(given)
  const { tables, sweep, heartbeat } = given as ShardOptions
  checker(where, 'sweep', sweepNames)(sweep)
  checker(where, 'heartbeat', heartbeatNames)(heartbeat)
  // A table may be whatever the caller knows of it; its rows are what counts here.
  if (Array.isArray(tables))
    tables.forEach((table: unknown, i) => {
      if (typeof table !== 'object' || table === null)
        throw invalidArgument({ where, argument: `tables[${i}]` }, 'an object with `rows`', table)
    })
}

export const checkShardNames: Check = (given) => checkShards(shardNames, given)
export const checkMemoryNames: Check = (given) => checkShards(memoryNames, given)
export const checkOptimizerNames: Check = checker('rowOptimizer', 'optimizer', optimizerNames)
export const checkTrainNames: Check = checker('train', 'options', trainNames)
export const checkWorkersNames: Check = checker('train', 'options', workersNames)
export const checkUpdatesNames: Check = checker('updatesAStep', 'options', updatesNames)
export const checkEvaluateNames: Check = checker('evaluate', 'options', evaluateNames)
export const checkDenseNames: Check = checker('createDenseModel', 'options', denseNames)
export const checkTfjsNames: Check = checker('createTfjsModel', 'options', tfjsNames)
export const checkCheckpointerNames: Check = checker('createCheckpointer', 'options', checkpointerNames)
export const checkScrubNames: Check = checker('scrub', 'options', scrubNames)
export const checkServeNames: Check = checker('serveShards', 'options', serveNames)
export const checkGroupNames: Check = checker('createParityGroup', 'options', groupNames)

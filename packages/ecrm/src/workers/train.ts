// Training with one worker, in the calling thread, or with several in threads of their own.
import { assertInteger, assertOneOf, invalidArgument } from '@ft/core'
import type { DenseModel } from '../dlrm/denseModel.ts'
import { hinted } from '../dlrm/hints.ts'
import { takeBatch, type Samples } from '../dlrm/samples.ts'
import { checkWorkersNames } from '../knownOptions.ts'
import { planTraining, train as trainAlone, type Trained, type TrainOptions as AloneOptions } from '../train.ts'
import type { Sizes } from './protocol.ts'

export interface TrainOptions extends AloneOptions {
  /**
   * Threads that compute and reach the shards by themselves, each with a part of the data; default 1: the calling thread alone.
   * Needs Node. With several the WebAssembly engine computes, whatever made `model`, and `engine` must not be given; the store's
   * servers cannot be added or drained meanwhile, where they are processes.
   */
  readonly workers?: number
  /**
   * Of several workers. 'sync' (default): each step's batch is cut into one part a worker, and all their gradients are applied,
   * in the order of workers, before the next step: the same bits in every run, whatever dies. 'async': a worker goes on with
   * the next batch as soon as it has done one; gradients are applied as they come.
   */
  readonly mode?: 'sync' | 'async'
}

/**
 * Trains a DLRM: bottom network, one embedding a categorical feature, dot interaction, top network, log loss.
 *
 * The dense network stays with the caller, who deals out batches; embeddings are between workers and shards.
 *
 * Guarantees: with synchronous acknowledgement, and one worker or mode 'sync', the model has the same bits whether or not
 * servers died meanwhile (at most r at once). With 'async' each gradient counts once all the same.
 *
 * @throws FtError `SHAPE_MISMATCH`, `INVALID_ARGUMENT`, `ABORTED`, `UNRECOVERABLE`
 */
export async function train(data: Samples, options: TrainOptions): Promise<Trained> {
  checkWorkersNames(options)
  const { workers = 1, mode = 'sync', ...alone } = options
  const { store, signal } = alone
  assertInteger(workers, { where: 'train', argument: 'workers', min: 1, max: 64 })
  assertOneOf(mode, { where: 'train', argument: 'mode', values: ['sync', 'async'] })
  if (workers === 1) return trainAlone(data, alone)
  if (options.engine !== undefined)
    throw invalidArgument({ where: 'train', argument: 'engine' }, 'left out with several workers', 'an engine')
  const { model, history, window, stepped, replication, ...plan } = await planTraining(data, alone)
  const steps = hinted(plan.steps, { store, idsOf: (chosen) => takeBatch(data, chosen, store.offsets).ids })
  const sizes = sizesOf(model, { tables: data.categorical.length, d: store.d })
  const [{ startWorkerThread }, { trainSynchronously, trainAsynchronously }] = await Promise.all([
    import('./thread.ts'),
    import('./dataParallel.ts'),
  ])
  const threads = Array.from({ length: workers }, () => startWorkerThread(store, sizes))
  try {
    const run = mode === 'sync' ? trainSynchronously : trainAsynchronously
    await run({ data, model, workers: threads, offsets: store.offsets, steps, window, signal, onStep: stepped })
    await replication.settle()
    return { model, history }
  } finally {
    await Promise.all(threads.map((thread) => thread.close()))
  }
}

/** The widths of a model's layers, from its parameters. */
function sizesOf({ parameters }: DenseModel, { tables, d }: { tables: number; d: number }): Sizes {
  const outputs = parameters.filter((_, i) => i % 2 === 1).map(({ length }) => length)
  const inputs = outputs.map((width, layer) => parameters[2 * layer]!.length / width)
  // Only where the interaction stands between two layers does one not take what the one before gives.
  const first = inputs.findIndex((width, layer) => layer > 0 && width !== outputs[layer - 1])
  return { features: inputs[0]!, tables, d, bottom: outputs.slice(0, first - 1), top: outputs.slice(first, -1) }
}

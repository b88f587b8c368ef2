// The loop that every training here runs: epochs of minibatches, a learning rate that falls, the best epoch kept, a
// checkpoint after each.
import { assertInteger, assertNumber, throwIfAborted, type LongRunning } from '@ft/core'
import { adamStep, createAdamState, type AdamState } from './adam.ts'
import { readCheckpoint, writeCheckpoint, type EpochRecord, type Judged, type TrainingState } from './checkpoint.ts'
import type { TrainingSettings } from './presets.ts'

export interface EpochOptions extends LongRunning {
  /** Ends after so many epochs without a better validation accuracy. Default: none, all epochs are run. */
  readonly patience?: number
  /** 'cosine' lets the learning rate fall to zero over the epochs (default), 'constant' keeps it as the published runs do. */
  readonly schedule?: 'cosine' | 'constant'
  /**
   * A file that holds the training's state after every epoch. When it is there already, training goes on from it, to the
   * same weights that an uninterrupted run gives (on the same machine and backend). It is left there at the end.
   */
  readonly checkpoint?: string
}

export interface Run<Batch, J extends Judged> {
  /** For messages. */
  readonly where: string
  /** What a checkpoint belongs to. */
  readonly run: string
  readonly settings: TrainingSettings
  /** Changed in place. */
  readonly parameters: readonly Float32Array[]
  readonly stepsPerEpoch: number
  batches(epoch: number): Iterable<Batch>
  gradient(batch: Batch): { readonly loss: number; readonly gradients: readonly ArrayLike<number>[] }
  judge(): Promise<J>
  isBetter(a: J, b: J): boolean
}

export interface Finished<J extends Judged> {
  readonly best: TrainingState<J>['best']
  readonly history: readonly EpochRecord[]
}

/** @throws FtError `ABORTED`; of the checkpoint, see `readCheckpoint` */
export async function runEpochs<Batch, J extends Judged>(
  run: Run<Batch, J>,
  options: EpochOptions,
): Promise<Finished<J>> {
  const { settings, parameters, where } = run
  const resumed = options.checkpoint ? await readCheckpoint<J>(options.checkpoint, { run: run.run }) : undefined
  if (resumed) resumed.parameters.forEach((saved, p) => parameters[p]?.set(saved))
  const adam: AdamState = resumed
    ? { parameters, means: resumed.means, squares: resumed.squares, steps: resumed.steps }
    : createAdamState(parameters)
  const copy = () => parameters.map((parameter) => Float32Array.from(parameter))
  let best = resumed?.best ?? { epoch: 0, accuracy: await run.judge(), parameters: copy() }
  const history: EpochRecord[] = [...(resumed?.history ?? [])]
  const rateAt = (epochs: number) =>
    options.schedule === 'constant'
      ? settings.learningRate
      : (settings.learningRate * (1 + Math.cos((Math.PI * epochs) / settings.epochs))) / 2
  const isDone = (epoch: number) => options.patience !== undefined && epoch - best.epoch >= options.patience

  const [first, started] = [resumed?.epoch ?? 0, performance.now()]
  for (let epoch = first + 1; epoch <= settings.epochs && !isDone(epoch - 1); epoch++) {
    let loss = 0
    let steps = 0
    for (const batch of run.batches(epoch)) {
      throwIfAborted(options.signal, where)
      const { loss: one, gradients } = run.gradient(batch)
      const learningRate = rateAt(epoch - 1 + steps / run.stepsPerEpoch)
      adamStep(adam, { gradients, learningRate, weightDecay: settings.weightDecay })
      loss += one
      steps++
      // Gives timers and signals their turn
      if (steps % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const accuracy = await run.judge()
    if (run.isBetter(accuracy, best.accuracy)) best = { epoch, accuracy, parameters: copy() }
    history.push({ epoch, loss: loss / Math.max(1, steps), degraded: accuracy.degraded })
    if (options.checkpoint) {
      const { means, squares } = adam
      const state = { epoch, steps: adam.steps, best, history, parameters, means, squares }
      await writeCheckpoint(options.checkpoint, { run: run.run, state })
    }
    const left = ((performance.now() - started) / (epoch - first)) * (settings.epochs - epoch)
    const note = `loss ${(loss / Math.max(1, steps)).toPrecision(4)}, accuracy ${(100 * accuracy.degraded).toFixed(1)} %, ${timeOf(left)} left`
    options.onProgress?.({ phase: 'train', done: epoch, total: settings.epochs, note })
  }
  return { best, history }
}

export function checkSettings(
  settings: TrainingSettings,
  { where, samples, k }: { where: string; samples: number; k: number },
): void {
  assertInteger(settings.epochs, { where, argument: 'epochs', min: 0, max: 100_000 })
  assertInteger(settings.groupsPerBatch, { where, argument: 'groupsPerBatch', min: 1 })
  assertInteger(settings.validationSamples, { where, argument: 'validationSamples', min: k, max: samples - k })
  assertNumber(settings.learningRate, { where, argument: 'learningRate', min: 0 })
  assertNumber(settings.weightDecay, { where, argument: 'weightDecay', min: 0 })
}

function timeOf(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 100) return `${seconds} s`
  return seconds < 6000 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`
}

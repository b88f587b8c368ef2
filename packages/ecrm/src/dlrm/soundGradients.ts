// What one batch must not do: spoil the dense network and every checkpoint after it.
import { FtError } from '@ft/core'
import { allFinite } from '../shard/finite.ts'

/** Of one batch. */
export interface StepGradients {
  readonly loss: number
  readonly parameters: readonly Float32Array[]
  /** Of the batch's rows. */
  readonly rows: Float32Array
}

/**
 * To be called before anything of a batch is applied. Cost: one pass over the gradients.
 *
 * @throws FtError `INVALID_ARGUMENT` when the loss or a gradient is not finite
 */
export function checkGradients({ loss, parameters, rows }: StepGradients): void {
  if (Number.isFinite(loss) && parameters.every(allFinite) && allFinite(rows)) return
  throw new FtError(
    'INVALID_ARGUMENT',
    `train: the gradients of a batch are not finite, its loss is ${loss}; nothing of it was applied. Look at its features, or lower the learning rate`,
    { loss },
  )
}

// What a trainer and the threads of its workers say to each other: plain data.
import type { FtErrorCode } from '@ft/core'
import type { PushOptions } from '../client.ts'
import type { Batch } from '../dlrm/samples.ts'
import type { Seat } from '../network/seat.ts'
import type { StoredTable } from '../tables/places.ts'

/** The dense network that a worker computes with. */
export interface Sizes {
  readonly features: number
  readonly tables: number
  readonly d: number
  readonly bottom: readonly number[]
  readonly top: readonly number[]
}

/** What a thread is started with. */
export interface Assignment {
  readonly sizes: Sizes
  /** Without it rows are asked of the trainer. */
  readonly seat: Seat | undefined
  /** Rows of the replicated ones are the trainer's. */
  readonly tables: readonly StoredTable[]
}

export interface Work {
  readonly batch: Batch
  /** The dense network as it is now. */
  readonly parameters: readonly Float32Array[]
  /** The part of the step's samples that are in the batch: gradients of rows are of the step's mean loss. */
  readonly part: number
}

export interface Computed {
  /** Mean over the worker's batch, before the update. */
  readonly loss: number
  /** Gradients of the dense parameters, of the worker's mean loss. */
  readonly parameters: readonly Float32Array[]
  /** Of the batch's samples, before the update. */
  readonly probabilities: Float32Array
}

export type ToWorker =
  | ({ readonly type: 'compute'; readonly id: number } & Work)
  | { readonly type: 'push'; readonly id: number; readonly options: PushOptions }
  /** Resolves when the latest push was answered. */
  | { readonly type: 'settle'; readonly id: number }
  | { readonly type: 'renewed'; readonly server: number; readonly address: string }
  /** The trainer's answer to a worker without a seat. */
  | { readonly type: 'answer'; readonly id: number; readonly values?: Float32Array; readonly error?: Failure }

export type ToTrainer =
  | { readonly type: 'done'; readonly id: number; readonly computed?: Computed; readonly error?: Failure }
  | { readonly type: 'pull'; readonly id: number; readonly ids: Uint32Array }
  | {
      readonly type: 'push'
      readonly id: number
      readonly ids: Uint32Array
      readonly gradients: Float32Array
      readonly options: PushOptions
    }

/** An error as plain data. */
export interface Failure {
  readonly code: FtErrorCode
  readonly message: string
  readonly details: Readonly<Record<string, unknown>>
}

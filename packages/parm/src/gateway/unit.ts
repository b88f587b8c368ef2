// A unit of work for an instance: a query, its copy or a parity, while it waits and while it is at one.
import type { InferRequest, InferResponse, Parameters, WireTensor } from '../oip/message.ts'
import type { BagMember } from '../serving/bag.ts'
import type { Cancellation } from '../serving/cancellation.ts'
import type { Companion } from './batch.ts'
import type { Instance } from './instance.ts'

export interface Job {
  readonly inputs: readonly WireTensor[]
  /** Rows of the inputs, of each of which the outputs must have one. Absent: not said by the model. */
  readonly rows?: number | undefined
  /** Asked for by name, where something is said of one. Default: all. */
  readonly outputs?: InferRequest['outputs']
  /** Of the request, besides its inputs. Default none. */
  readonly parameters?: Parameters | undefined
  /** Of the model. Default: the instance's own choice. */
  readonly version?: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly work: Pick<Cancellation, 'cancelled' | 'abandoned' | 'onCancel'>
  /** Domains to avoid while there are others; the chosen one is added. */
  readonly placed: Set<string>
  /** Instances that have the unit, under another job as well: it waits for another while one is in use. Its own are added. */
  readonly holders?: string[]
  /** When nobody needs its outputs any more, by the clock. */
  readonly dueMs: number
  /** Set to the name of the instance whose answer it was. */
  answeredBy?: string
}

/** A unit that waits for an instance, or is at one. */
export interface Waiting extends Companion {
  readonly job: Job
  readonly resolve: (response: InferResponse) => void
  readonly reject: (error: unknown) => void
  attempts: number
  /** Where it failed: it goes to another instance while any is in use, and waits for one. */
  failedAt: Instance | undefined
  settled: boolean
  /** Whether it did not go at once when it came. */
  queued: boolean
  /** Whether others waited when it came. */
  readonly behind: boolean
  key: string | undefined
  running: Running | undefined
  stopListening: () => void
}

/** A request at an instance: a unit, or several of a row each. */
export interface Running extends BagMember {
  readonly units: readonly Waiting[]
  readonly started: number
  /** Tells the instance that nobody needs it. */
  cut: ((reason: unknown) => void) | undefined
}

// The instances of one model: a shared queue from which the least busy healthy instance takes the next unit (the paper's
// single queue).
import { FtError, isFtError } from '@ft/core'
import type { OipClient } from '../oip/client.ts'
import { OipError, blamesRequest } from '../oip/error.ts'
import type { InferResponse, WireTensor } from '../oip/message.ts'
import type { TensorMetadata } from '../oip/service.ts'
import { Bag, type BagMember } from '../serving/bag.ts'
import { notNeeded, type Cancellation } from '../serving/cancellation.ts'
import type { Clock } from '../serving/clock.ts'
import type { Verify } from './fitness.ts'
import { createHealth } from './health.ts'
import { checkAnswer } from './unitAnswer.ts'

/** One instance behind the gateway. Units in progress never exceed `concurrency`. */
export interface Instance {
  readonly name: string
  /** Instances of one domain fail together, such as those of one host. */
  readonly domain: string
  readonly model: string
  readonly concurrency: number
  client: OipClient
  outstanding: number
  /** Out of use until a probe succeeds. */
  out: boolean
  /** Why it may not serve although it is ready: it has another model than it should. */
  unfit: string | undefined
  failuresInRow: number
  answered: number
  failed: number
  /** Average of about the last 16 latencies since it came into use. */
  latencyMs: number
  /** Answers since it came into use. */
  judged: number
  /** Pauses for slowness in a row. */
  pauses: number
  /** When it last answered. */
  answeredAtMs: number
}

export interface Job {
  readonly inputs: readonly WireTensor[]
  /** Rows of the inputs, of each of which the outputs must have one. Absent: not said by the model. */
  readonly rows?: number
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

export interface Pool {
  readonly instances: readonly Instance[]
  /**
   * Runs a unit; once more on another instance when the first fails or falls silent.
   *
   * @throws what the second failed with; FtError `OVERLOADED` when no instance was free in time
   */
  run(job: Job): Promise<InferResponse>
  queued(): number
  /** Share of the places of instances in use that are taken, waiting units included. */
  utilisation(): number
  /** Puts an instance back to use after it was replaced. */
  restore(instance: Instance): void
  /** Takes an instance out of use until it is there and fit. */
  leaveOut(instance: Instance): void
  /** Fails what is queued and stops probing. */
  close(): void
}

export interface PoolOptions {
  readonly instances: readonly Instance[]
  readonly clock: Clock
  /** What an answer must be: the model's signature. Default: anything. */
  readonly outputs?: readonly TensorMetadata[]
  /** Asked before an instance comes back to use. Default: it may. */
  readonly verify?: Verify
  /** Milliseconds between probes of an instance that is out. Default 100. */
  readonly probeEveryMs?: number
  /** Milliseconds without an answer after which an instance of unknown latency must answer a probe. Default 1000. */
  readonly deadlineMs?: number
  /** Shows the utilisation after each change. */
  readonly onUtilisation?: (utilisation: number) => void
}

interface Waiting {
  readonly job: Job
  readonly resolve: (response: InferResponse) => void
  readonly reject: (error: unknown) => void
  attempts: number
  /** Where it failed: it goes to another instance while any is in use, and waits for one. */
  failedAt: Instance | undefined
  settled: boolean
  /** Whether no instance was free when it came. */
  queued: boolean
  /** Tells the instance that nobody needs it, while it is at one. */
  cut: ((reason: unknown) => void) | undefined
  stopListening: () => void
}

/** A unit at an instance. */
interface Running extends BagMember {
  readonly waiting: Waiting
  readonly started: number
  cut: ((reason: unknown) => void) | undefined
}

/**
 * An instance goes on computing what nobody needs any more: the unit keeps its place at the instance until it answers. Only
 * when its client has left it is told to stop, by the end of the connection, which costs a new one: too much for each copy or
 * parity that comes too late.
 * Freeing the place at once would send an instance more than it can do just when it is slow. An instance that has
 * answered nothing for so many average latencies, and no less than this, must answer a probe or loses its units.
 */
const PATIENCE = 10
const LEAST_PATIENCE_MS = 200

/**
 * A unit that waited is not started with less time left than so many average latencies. The head of a queue that is too
 * long is always a unit that has only just time: serving those that have not would answer nobody.
 */
const LEAST_LATENCIES = 1.5

const nobody: readonly string[] = []
const silence = new FtError('IO', 'gateway: the instance has fallen silent', {})
const tooLate = new FtError('OVERLOADED', 'too many requests wait for an instance to be answered in time', {})

export function createPool({
  instances,
  clock,
  outputs: expected,
  verify,
  probeEveryMs = 100,
  deadlineMs = 1000,
  onUtilisation,
}: PoolOptions): Pool {
  const queue: Waiting[] = []
  const running = new Map<Instance, Bag<Running>>(instances.map((instance) => [instance, new Bag()]))
  const watched = new Set<Instance>()
  let closed = false
  let turn = 0
  const health = createHealth({ instances, clock, probeEveryMs, verify, onBack, onSilent: cutAll })

  function run(job: Job): Promise<InferResponse> {
    return new Promise((resolve, reject) => {
      if (job.work.cancelled) return reject(notNeeded)
      const waiting: Waiting = {
        job,
        resolve,
        reject,
        attempts: 0,
        failedAt: undefined,
        settled: false,
        queued: false,
        cut: undefined,
        stopListening: () => undefined,
      }
      waiting.stopListening = job.work.onCancel(() => {
        // Exactly this unit leaves the queue, whatever its place; at an instance it keeps its place
        const at = queue.indexOf(waiting)
        if (at >= 0) queue.splice(at, 1)
        else if (job.work.abandoned) waiting.cut?.(notNeeded)
        settle(waiting)
        reject(notNeeded)
      })
      queue.push(waiting)
      pull()
      waiting.queued = true
    })
  }

  function settle(waiting: Waiting): boolean {
    if (waiting.settled) return false
    waiting.settled = true
    waiting.stopListening()
    return true
  }

  /** Gives units from the head of the queue to instances as long as one is free. */
  function pull(): void {
    for (let at = 0; at < queue.length;) {
      const waiting = queue[at] as Waiting
      const instance = pick(waiting)
      if (instance) {
        queue.splice(at, 1)
        const leftMs = waiting.job.dueMs - clock.now()
        if (waiting.queued && leftMs < LEAST_LATENCIES * instance.latencyMs) {
          settle(waiting)
          waiting.reject(tooLate)
        } else void work(instance, waiting)
      } else if (waiting.failedAt || waiting.job.holders?.length) at++
      else break
    }
    onUtilisation?.(utilisation())
  }

  /** The least busy instance, preferably of a domain that the group does not use yet. */
  function pick({ job, failedAt }: Waiting): Instance | undefined {
    const { placed } = job
    const holders: readonly string[] = job.holders ?? nobody
    const has = (instance: Instance) => instance === failedAt || holders.includes(instance.name)
    const failed = (instance: Instance) => instance === failedAt
    const some = failedAt !== undefined || holders.length > 0
    // Where all have it or failed it, at least not where it failed
    const isAvoided = !some
      ? undefined
      : [has, failed].find((one) => instances.some((other) => !other.out && !one(other)))
    let best: Instance | undefined
    let cost = Infinity
    turn++
    // Ties go round, each round from another start: who is in a group with whom changes, which tells them apart when one lies
    const first = turn + Math.floor(turn / instances.length)
    for (let i = 0; i < instances.length; i++) {
      const instance = instances[(i + first) % instances.length] as Instance
      if (instance.out || instance.outstanding >= instance.concurrency || isAvoided?.(instance)) continue
      // A group is spread over domains, so that one that falls silent takes no two of its members; it costs at most as
      // much waiting as one unit
      const own = instance.outstanding + (placed.has(instance.domain) ? 1 : 0)
      if (own < cost) [best, cost] = [instance, own]
    }
    return best
  }

  async function work(instance: Instance, waiting: Waiting): Promise<void> {
    const { job } = waiting
    instance.outstanding++
    waiting.attempts++
    job.placed.add(instance.domain)
    job.holders?.push(instance.name)
    const own: Running = { place: -1, waiting, started: clock.now(), cut: undefined }
    const all = running.get(instance) as Bag<Running>
    all.add(own)
    watch(instance)
    try {
      const response = await instance.client.infer(instance.model, {
        request: { parameters: {}, inputs: job.inputs, binaryOutput: true },
        headers: job.headers,
        started(cut) {
          own.cut = cut
          waiting.cut = cut
          if (job.work.abandoned) cut(notNeeded)
        },
      })
      const outputs = expected ? checkAnswer(response.outputs, { expected, rows: job.rows }) : response.outputs
      instance.answeredAtMs = clock.now()
      health.answered(instance, instance.answeredAtMs - own.started)
      if (settle(waiting)) {
        job.answeredBy = instance.name
        waiting.resolve(outputs === response.outputs ? response : { ...response, outputs })
      }
    } catch (error) {
      // Told to stop, it may be at it all the same: it has room again when it says that it is there
      if (job.work.abandoned) return await untilThere(instance, own.started)
      waiting.failedAt = instance
      job.holders?.splice(job.holders.indexOf(instance.name), 1)
      onFailure(instance, { waiting, error })
    } finally {
      all.delete(own)
      instance.outstanding--
      pull()
    }
  }

  async function untilThere(instance: Instance, started: number): Promise<void> {
    const timeout = new AbortController()
    const cancel = clock.schedule(deadlineMs, () => timeout.abort())
    const there = await instance.client.ready(timeout.signal).catch(() => false)
    cancel()
    if (!there) return health.probe(instance, 0)
    // One that says that it is there may be at it all the same, off its event loop: the place is taken for as long as a unit takes
    const leftMs = started + instance.latencyMs - clock.now()
    if (leftMs > 0 && !closed) await new Promise<void>((resolve) => void clock.schedule(leftMs, resolve))
  }

  /** Notices an instance that answers nothing although it has units; one timer an instance, not one a unit. */
  function watch(instance: Instance): void {
    if (watched.has(instance)) return
    watched.add(instance)
    const look = () => {
      watched.delete(instance)
      if (instance.outstanding === 0 || closed) return
      // Before the first answer nobody knows how long it takes: until nobody waits for its first unit any more. Looked up
      // anew each time: what an instance that has just come into use takes is known soon after
      const known = instance.judged > 0 ? PATIENCE * instance.latencyMs : deadlineMs
      const patience = Math.max(LEAST_PATIENCE_MS, known)
      // Quiet since its last answer, or since its oldest unit came where that was later
      const oldestMs = Math.min(...Array.from(running.get(instance) as Bag<Running>, ({ started }) => started))
      const quietMs = clock.now() - Math.max(instance.answeredAtMs, oldestMs)
      if (quietMs < patience) {
        watched.add(instance)
        clock.schedule(Math.min(LEAST_PATIENCE_MS, patience - quietMs), look)
      } else if (instance.out) cutAll(instance)
      else health.probe(instance, 0)
    }
    clock.schedule(LEAST_PATIENCE_MS, look)
  }

  /** It may have kept units: it can fall silent on those as well. */
  function onBack(instance: Instance): void {
    if (instance.outstanding > 0) watch(instance)
    pull()
  }

  function cutAll(instance: Instance): void {
    for (const { cut } of running.get(instance) ?? []) cut?.(silence)
  }

  function onFailure(instance: Instance, { waiting, error }: { waiting: Waiting; error: unknown }): void {
    // The fault is the request's, not the instance's: no other instance would answer differently
    const refused = error instanceof OipError && blamesRequest(error.status)
    if (isInstances(error)) health.failed(instance, { unreachable: isFtError(error, 'IO') })
    if (waiting.settled) return
    if (refused || closed || waiting.attempts > 1 || instances.length < 2) {
      settle(waiting)
      waiting.reject(error)
    } else queue.unshift(waiting)
  }

  function utilisation(): number {
    let places = 0
    let taken = queue.length
    for (const { out, concurrency, outstanding } of instances) {
      if (out) continue
      places += concurrency
      taken += outstanding
    }
    return places === 0 ? 1 : taken / places
  }

  return {
    instances,
    run,
    utilisation,
    queued: () => queue.length,
    restore: (instance) => health.restore(instance),
    leaveOut: (instance) => health.probe(instance, 0),
    close() {
      closed = true
      health.close()
      for (const waiting of queue.splice(0)) {
        settle(waiting)
        waiting.reject(new FtError('ABORTED', 'gateway: closing', {}))
      }
    },
  }
}

/** Whether a failure says something about the instance: it answered wrongly or could not be reached. */
function isInstances(error: unknown): boolean {
  if (error instanceof OipError) return error.status !== 429 && !blamesRequest(error.status)
  return isFtError(error, 'IO') || isFtError(error, 'CORRUPT_DATA')
}

// The instances of one model: a shared queue from which the least busy healthy instance takes the next unit (the paper's
// single queue).
import { FtError, isFtError } from '@ft/core'
import type { OipClient } from '../oip/client.ts'
import { OipError, blamesRequest } from '../oip/error.ts'
import type { InferRequest, InferResponse, Parameters, WireTensor } from '../oip/message.ts'
import type { TensorMetadata } from '../oip/service.ts'
import { Bag, type BagMember } from '../serving/bag.ts'
import { notNeeded, type Cancellation } from '../serving/cancellation.ts'
import type { Clock } from '../serving/clock.ts'
import { batchKey, isRipe, joinInputs, rowOf, takeBatch, type Companion } from './batch.ts'
import type { Verify } from './fitness.ts'
import { createHealth } from './health.ts'
import { checkAnswer } from './unitAnswer.ts'

/** One instance behind the gateway. Requests in progress never exceed `concurrency`. */
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

export interface Pool {
  readonly instances: readonly Instance[]
  /**
   * Runs a unit; once more on another instance when the first fails or falls silent. Units of one row may share a request:
   * never two of a group (those with one set `placed`), which must not fail together.
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
  /** Most units of one row in a request; more than one needs `outputs` of any number of rows. Default 1. */
  readonly maxBatchRows?: number
  /** Milliseconds that a unit waits for others to share its request, unless it would be late. Default 0. */
  readonly maxBatchWaitMs?: number
  /** Told how many units each request has. */
  readonly onBatch?: (rows: number) => void
}

interface Waiting extends Companion {
  readonly job: Job
  readonly resolve: (response: InferResponse) => void
  readonly reject: (error: unknown) => void
  attempts: number
  /** Where it failed: it goes to another instance while any is in use, and waits for one. */
  failedAt: Instance | undefined
  settled: boolean
  /** Whether it did not go at once when it came. */
  queued: boolean
  key: string | undefined
  running: Running | undefined
  stopListening: () => void
}

/** A request at an instance: a unit, or several of a row each. */
interface Running extends BagMember {
  readonly units: readonly Waiting[]
  readonly started: number
  /** Tells the instance that nobody needs it. */
  cut: ((reason: unknown) => void) | undefined
}

/** Rows alone, of which nothing else is said, share requests. */
const keyOf = ({ inputs, headers, rows, outputs, parameters, version }: Job) =>
  rows === 1 && (parameters ?? version ?? outputs ?? inputs.find((one) => one.parameters)) === undefined
    ? batchKey(inputs, headers)
    : undefined

/** Whether nobody is left who would have had an answer of it: one client's leaving costs the others nothing. */
const isAbandoned = ({ units }: Running) => units.every(({ job }) => job.work.abandoned)

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
 * A unit that waited is not started where less time is left than so many average latencies. The head of a queue that is too
 * long is always a unit that has only just time: serving those that have not would answer nobody. It waits for a faster
 * instance while one in use has time for it.
 */
const LEAST_LATENCIES = 1.5

/** A unit waits for company only as long as it has so many times that left. */
const SPARE = 2

const nobody: readonly string[] = []
const noParameters: Parameters = {}
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
  maxBatchRows = 1,
  maxBatchWaitMs = 0,
  onBatch,
}: PoolOptions): Pool {
  const queue: Waiting[] = []
  const running = new Map<Instance, Bag<Running>>(instances.map((instance) => [instance, new Bag()]))
  const watched = new Set<Instance>()
  let closed = false
  let turn = 0
  /** Looks for units that have waited for company long enough. */
  let ripening: { readonly atMs: number; readonly cancel: () => void } | undefined
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
        key: maxBatchRows > 1 ? keyOf(job) : undefined,
        ripeMs: ripeMsOf(job),
        running: undefined,
        stopListening: () => undefined,
      }
      waiting.stopListening = job.work.onCancel(() => {
        // Exactly this unit leaves the queue, whatever its place; at an instance it keeps its place
        const at = queue.indexOf(waiting)
        if (at >= 0) queue.splice(at, 1)
        else if (waiting.running && isAbandoned(waiting.running)) waiting.running.cut?.(notNeeded)
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

  /** A copy of a late unit waits for nobody, and none waits so long that it would be late for it. */
  function ripeMsOf({ dueMs, holders }: Job): number {
    if (maxBatchRows === 1 || maxBatchWaitMs === 0 || holders?.length) return 0
    const slowest = Math.max(...instances.map(({ out, latencyMs }) => (out ? 0 : latencyMs)))
    return Math.min(clock.now() + maxBatchWaitMs, dueMs - SPARE * LEAST_LATENCIES * slowest)
  }

  /** Gives units from the head of the queue to instances as long as one is free. */
  function pull(): void {
    let nextMs = Infinity
    for (let at = 0; at < queue.length;) {
      const waiting = queue[at] as Waiting
      if (!isRipe(queue, at, { most: maxBatchRows, clock })) {
        nextMs = Math.min(nextMs, waiting.ripeMs)
        at++
        continue
      }
      const instance = pick(waiting)
      if (instance === 'too late') giveUp(at)
      else if (instance) void work(instance, take(at, instance))
      else if (waiting.failedAt || waiting.job.holders?.length) at++
      else break
    }
    if (nextMs < (ripening?.atMs ?? Infinity)) ripenAt(nextMs)
    onUtilisation?.(utilisation())
  }

  function ripenAt(atMs: number): void {
    ripening?.cancel()
    const cancel = clock.schedule(Math.max(0, atMs - clock.now()), () => {
      ripening = undefined
      pull()
    })
    ripening = { atMs, cancel }
  }

  /** Takes a unit off the queue, with those behind it that may share its request to this instance. */
  function take(at: number, instance: Instance): Waiting[] {
    const isThere = ({ job }: Waiting) => job.placed.has(instance.domain)
    return takeBatch(queue, at, {
      most: maxBatchRows,
      // Where its group is already only if that cannot be helped
      mayJoin: (head, other) =>
        (isThere(head) || !isThere(other)) && hasTime(other, instance) && !avoidedBy(other)?.(instance),
    })
  }

  function hasTime({ queued, job }: Waiting, { latencyMs }: Instance): boolean {
    return !queued || job.dueMs - clock.now() >= LEAST_LATENCIES * latencyMs
  }

  function giveUp(at: number): void {
    const [waiting] = queue.splice(at, 1) as [Waiting]
    settle(waiting)
    waiting.reject(tooLate)
  }

  /** Instances that a unit does not go to while there are others: those that have it, and the one that failed it. */
  function avoidedBy({ job, failedAt }: Waiting): ((instance: Instance) => boolean) | undefined {
    const holders: readonly string[] = job.holders ?? nobody
    if (failedAt === undefined && holders.length === 0) return undefined
    const has = (instance: Instance) => instance === failedAt || holders.includes(instance.name)
    const failed = (instance: Instance) => instance === failedAt
    // Where all have it or failed it, at least not where it failed
    return [has, failed].find((one) => instances.some((other) => !other.out && !one(other)))
  }

  /**
   * The least busy instance that has time for it, preferably of a domain that the group does not use yet; undefined where
   * that is not free yet.
   */
  function pick(waiting: Waiting): Instance | 'too late' | undefined {
    const { placed } = waiting.job
    const isAvoided = avoidedBy(waiting)
    let best: Instance | undefined
    let cost = Infinity
    let slow = false
    turn++
    // Ties go round, each round from another start: who is in a group with whom changes, which tells them apart when one lies
    const first = turn + Math.floor(turn / instances.length)
    for (let i = 0; i < instances.length; i++) {
      const instance = instances[(i + first) % instances.length] as Instance
      if (instance.out || instance.outstanding >= instance.concurrency || isAvoided?.(instance)) continue
      if (!hasTime(waiting, instance)) {
        slow = true
        continue
      }
      // A group is spread over domains, so that one that falls silent takes no two of its members; it costs at most as
      // much waiting as one unit
      const own = instance.outstanding + (placed.has(instance.domain) ? 1 : 0)
      if (own < cost) [best, cost] = [instance, own]
    }
    if (best || !slow) return best
    const mayCome = instances.some((other) => !other.out && !isAvoided?.(other) && hasTime(waiting, other))
    return mayCome ? undefined : 'too late'
  }

  async function work(instance: Instance, units: readonly Waiting[]): Promise<void> {
    const { job } = units[0] as Waiting
    const own: Running = { place: -1, units, started: clock.now(), cut: undefined }
    instance.outstanding++
    for (const unit of units) {
      unit.attempts++
      unit.running = own
      unit.job.placed.add(instance.domain)
      unit.job.holders?.push(instance.name)
    }
    const all = running.get(instance) as Bag<Running>
    all.add(own)
    watch(instance)
    const rows = units.length === 1 ? job.rows : units.length
    if (rows !== undefined) onBatch?.(rows)
    try {
      const response = await instance.client.infer(instance.model, {
        request: {
          parameters: job.parameters ?? noParameters,
          inputs: units.length === 1 ? job.inputs : joinInputs(units.map((unit) => unit.job.inputs)),
          ...(job.outputs ? { outputs: job.outputs } : {}),
          binaryOutput: true,
        },
        version: job.version,
        headers: job.headers,
        started(cut) {
          own.cut = cut
          if (isAbandoned(own)) cut(notNeeded)
        },
      })
      const outputs = expected
        ? checkAnswer(response.outputs, { expected, rows, wanted: job.outputs })
        : response.outputs
      instance.answeredAtMs = clock.now()
      health.answered(instance, { latencyMs: instance.answeredAtMs - own.started, units: units.length })
      units.forEach((unit, i) => {
        if (!settle(unit)) return
        unit.job.answeredBy = instance.name
        if (units.length > 1) unit.resolve({ ...response, outputs: rowOf(outputs, i) })
        else unit.resolve(outputs === response.outputs ? response : { ...response, outputs })
      })
    } catch (error) {
      // Told to stop, it may be at it all the same: it has room again when it says that it is there
      if (isAbandoned(own)) return await untilThere(instance, own.started)
      for (const unit of units) {
        unit.failedAt = instance
        unit.job.holders?.splice(unit.job.holders.indexOf(instance.name), 1)
      }
      onFailure(instance, { units, error })
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

  function onFailure(instance: Instance, { units, error }: { units: readonly Waiting[]; error: unknown }): void {
    // The fault is the request's, not the instance's: no other instance would answer differently
    const refused = error instanceof OipError && blamesRequest(error.status)
    const unreachable = isFtError(error, 'IO')
    if (isInstances(error)) health.failed(instance, { unreachable, units: units.length })
    // What an instance does not answer of several it may of each: nobody is refused for what another asked
    const shared = units.length > 1 && !unreachable
    const again = !closed && (shared || (!refused && instances.length > 1))
    const repeated = units.filter((unit) => {
      if (unit.settled) return false
      if (again && unit.attempts < 2) return true
      settle(unit)
      unit.reject(error)
      return false
    })
    for (const unit of repeated) unit.key = undefined
    queue.unshift(...repeated)
  }

  function utilisation(): number {
    let places = 0
    let taken = Math.ceil(queue.length / maxBatchRows)
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
      ripening?.cancel()
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

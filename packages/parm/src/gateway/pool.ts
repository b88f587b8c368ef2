// The instances of one model: a shared queue from which the least busy healthy instance takes the next unit (the paper's
// single queue).
import { FtError, isFtError } from '@ft/core'
import { OipError, blamesRequest } from '../oip/error.ts'
import type { InferResponse, Parameters } from '../oip/message.ts'
import type { TensorMetadata } from '../oip/service.ts'
import { Bag } from '../serving/bag.ts'
import { notNeeded } from '../serving/cancellation.ts'
import type { Clock } from '../serving/clock.ts'
import { batchKey, isRipe, joinInputs, rowOf, takeBatch } from './batch.ts'
import { LEAST_LATENCIES, createChooser } from './choose.ts'
import type { Verify } from './fitness.ts'
import { createHealth } from './health.ts'
import type { Instance } from './instance.ts'
import { createOutage } from './outage.ts'
import type { Job, Running, Waiting } from './unit.ts'
import { checkAnswer } from './unitAnswer.ts'

export interface Pool {
  readonly instances: readonly Instance[]
  /**
   * Runs a unit; once more on another instance when the first fails or falls silent. Units of one row may share a request:
   * never two of a group (those with one set `placed`), which must not fail together.
   *
   * @throws what the second failed with; FtError `OVERLOADED` when no instance was free in time, `IO` when none is in use
   */
  run(job: Job): Promise<InferResponse>
  queued(): number
  /** Share of the places of instances in use that are taken, waiting units included. */
  utilisation(): number
  /** Puts an instance back to use after it was replaced. */
  restore(instance: Instance): void
  /** Takes an instance out of use until it is there and fit. */
  leaveOut(instance: Instance): void
  /** Takes an instance out of use until `restore`: it is being replaced. */
  takeOut(instance: Instance): void
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
  /** Milliseconds without any instance in use after which units are refused instead of waiting for one. Default 500. */
  readonly outageMs?: number
  /** Shows the utilisation after each change. */
  readonly onUtilisation?: (utilisation: number) => void
  /** Most units of one row in a request; more than one needs `outputs` of any number of rows. Default 1. */
  readonly maxBatchRows?: number
  /** Milliseconds that a unit waits for others to share its request, unless it would be late. Default 0. */
  readonly maxBatchWaitMs?: number
  /** Told how many units each request has. */
  readonly onBatch?: (rows: number) => void
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

/** A unit waits for company only as long as it has so many times that left. */
const SPARE = 2

const noParameters: Parameters = {}
const silence = new FtError('IO', 'gateway: the instance has fallen silent', {})
const noneInUse = new FtError('IO', 'gateway: none of the instances is in use', {})
const tooLate = new FtError('OVERLOADED', 'too many requests wait for an instance to be answered in time', {})

export function createPool({
  instances,
  clock,
  outputs: expected,
  verify,
  probeEveryMs = 100,
  deadlineMs = 1000,
  outageMs = 500,
  onUtilisation,
  maxBatchRows = 1,
  maxBatchWaitMs = 0,
  onBatch,
}: PoolOptions): Pool {
  const queue: Waiting[] = []
  const running = new Map<Instance, Bag<Running>>(instances.map((instance) => [instance, new Bag()]))
  const watched = new Set<Instance>()
  let closed = false
  /** Looks for units that have waited for company long enough. */
  let ripening: { readonly atMs: number; readonly cancel: () => void } | undefined
  const { choose, hasTime, avoidedBy, soonest } = createChooser({ instances, clock })
  const outage = createOutage({ instances, clock, outageMs, refuse: () => failQueued(noneInUse) })
  const health = createHealth({ instances, clock, probeEveryMs, verify, onOut: outage.look, onBack, onSilent: cutAll })

  function run(job: Job): Promise<InferResponse> {
    return new Promise((resolve, reject) => {
      if (job.work.cancelled) return reject(notNeeded)
      if (outage.isOn()) return reject(noneInUse)
      const waiting: Waiting = {
        job,
        resolve,
        reject,
        attempts: 0,
        failedAt: undefined,
        settled: false,
        queued: false,
        behind: queue.length > 0,
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
    // Who must be answered before has no time for any instance that is free
    let soonestMs = -Infinity
    for (let at = 0; at < queue.length;) {
      const waiting = queue[at] as Waiting
      if (waiting.queued && waiting.job.dueMs < soonestMs) {
        at++
        continue
      }
      if (!isRipe(queue, at, { most: maxBatchRows, clock })) {
        nextMs = Math.min(nextMs, waiting.ripeMs)
        at++
        continue
      }
      const instance = choose(waiting)
      if (instance === 'too late') giveUp(at)
      else if (instance === 'waits') {
        // Those behind it may have time for what is free
        soonestMs = soonest()
        at++
      } else if (instance) void work(instance, take(at, instance))
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

  function giveUp(at: number): void {
    const [waiting] = queue.splice(at, 1) as [Waiting]
    settle(waiting)
    waiting.reject(tooLate)
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
    outage.look()
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

  function failQueued(error: FtError): void {
    for (const waiting of queue.splice(0)) {
      settle(waiting)
      waiting.reject(error)
    }
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
    takeOut(instance) {
      instance.out = true
      outage.look()
    },
    close() {
      closed = true
      health.close()
      outage.close()
      ripening?.cancel()
      failQueued(new FtError('ABORTED', 'gateway: closing', {}))
    },
  }
}

/** Whether a failure says something about the instance: it answered wrongly or could not be reached. */
function isInstances(error: unknown): boolean {
  if (error instanceof OipError) return error.status !== 429 && !blamesRequest(error.status)
  return isFtError(error, 'IO') || isFtError(error, 'CORRUPT_DATA')
}

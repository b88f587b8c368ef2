// The instances of one model: a shared queue from which the least busy healthy instance takes the next unit (the paper's
// single queue), and what happens to an instance that fails or falls silent.
import { FtError, isFtError } from '@ft/core'
import type { OipClient } from '../oip/client.ts'
import { OipError } from '../oip/error.ts'
import type { InferResponse, WireTensor } from '../oip/message.ts'
import type { Clock } from '../serving/clock.ts'

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
  failuresInRow: number
  answered: number
  failed: number
  /** Moving average of the latency, weight 1/16. */
  latencyMs: number
}

export interface Job {
  readonly inputs: readonly WireTensor[]
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Domains to avoid while there are others; the chosen one is added. */
  readonly placed: Set<string>
}

export interface Pool {
  readonly instances: readonly Instance[]
  /** Runs a unit; once more on another instance when the first fails. */
  run(job: Job): Promise<InferResponse>
  queued(): number
  /** Puts an instance back to use after it was replaced. */
  restore(instance: Instance): void
  /** Fails what is queued and stops probing. */
  close(): void
}

export interface PoolOptions {
  readonly instances: readonly Instance[]
  readonly clock: Clock
  /** Milliseconds between probes of an instance that is out. Default 100. */
  readonly probeEveryMs?: number
}

interface Waiting {
  readonly job: Job
  readonly resolve: (response: InferResponse) => void
  readonly reject: (error: unknown) => void
  attempts: number
  readonly unlisten: () => void
}

/** Failed answers in a row after which an instance that can still be reached is left alone for a while. */
const REFUSALS = 3
/**
 * An instance goes on computing what nobody needs any more: the unit keeps its place at the instance until it answers, or
 * until it is so many average latencies old, and no younger than this; then its connection is cut and the instance has to
 * answer a probe. Freeing the place at once would
 * send an instance more than it can do just when it is slow.
 */
const PATIENCE = 10
const LEAST_PATIENCE_MS = 200
const PROBE_TIMEOUT_MS = 1000

export function createPool({ instances, clock, probeEveryMs = 100 }: PoolOptions): Pool {
  const queue: Waiting[] = []
  const timers = new Set<() => void>()
  let closed = false

  function run(job: Job): Promise<InferResponse> {
    return new Promise((resolve, reject) => {
      if (job.signal.aborted) return reject(notNeeded)
      // Exactly this unit leaves the queue, whatever its place
      const leave = () => {
        const at = queue.indexOf(waiting)
        if (at < 0) return
        queue.splice(at, 1)
        reject(notNeeded)
      }
      job.signal.addEventListener('abort', leave, { once: true })
      const waiting: Waiting = {
        job,
        resolve,
        reject,
        attempts: 0,
        unlisten: () => job.signal.removeEventListener('abort', leave),
      }
      queue.push(waiting)
      pull()
    })
  }

  /** Gives units from the head of the queue to instances as long as one is free. */
  function pull(): void {
    while (queue.length > 0) {
      const instance = pick((queue[0] as Waiting).job.placed)
      if (!instance) return
      void work(instance, queue.shift() as Waiting)
    }
  }

  /** The least busy instance, preferably of a domain that the group does not use yet. */
  function pick(placed: ReadonlySet<string>): Instance | undefined {
    let best: Instance | undefined
    let cost = Infinity
    for (const instance of instances) {
      if (instance.out || instance.outstanding >= instance.concurrency) continue
      // A group is spread over domains, so that one that falls silent takes no two of its members; it costs at most as
      // much waiting as one unit. Ties go to the instance that has answered less
      const own = instance.outstanding + (placed.has(instance.domain) ? 1 : 0) + instance.answered * 1e-12
      if (own < cost) [best, cost] = [instance, own]
    }
    return best
  }

  async function work(instance: Instance, waiting: Waiting): Promise<void> {
    const { job } = waiting
    instance.outstanding++
    waiting.attempts++
    job.placed.add(instance.domain)
    const started = clock.now()
    const cut = new AbortController()
    let cancelCut: (() => void) | undefined
    const noLongerNeeded = () => {
      waiting.reject(notNeeded)
      const patience = Math.max(LEAST_PATIENCE_MS, PATIENCE * instance.latencyMs)
      cancelCut = clock.schedule(Math.max(0, patience - (clock.now() - started)), () => cut.abort())
    }
    if (job.signal.aborted) noLongerNeeded()
    else job.signal.addEventListener('abort', noLongerNeeded, { once: true })
    try {
      const response = await instance.client.infer(instance.model, {
        request: { parameters: {}, inputs: job.inputs, binaryOutput: true },
        headers: job.headers,
        signal: cut.signal,
      })
      instance.failuresInRow = 0
      instance.answered++
      const latency = clock.now() - started
      instance.latencyMs = instance.latencyMs === 0 ? latency : instance.latencyMs + (latency - instance.latencyMs) / 16
      waiting.unlisten()
      waiting.resolve(response)
    } catch (error) {
      onFailure(instance, { waiting, error, cut: cut.signal.aborted })
    } finally {
      job.signal.removeEventListener('abort', noLongerNeeded)
      cancelCut?.()
      instance.outstanding--
      pull()
    }
  }

  function onFailure(
    instance: Instance,
    { waiting, error, cut }: { waiting: Waiting; error: unknown; cut: boolean },
  ): void {
    const gaveUp = waiting.job.signal.aborted
    // The fault is the request's, not the instance's: no other instance would answer differently
    const refused = error instanceof OipError && error.status < 500
    if (cut) probe(instance, 0)
    else if (!refused) {
      instance.failed++
      instance.failuresInRow++
      if (isFtError(error, 'IO')) probe(instance, 0)
      else if (instance.failuresInRow >= REFUSALS) probe(instance, 1000)
    }
    if (gaveUp || refused || closed || waiting.attempts > 1 || instances.length < 2) {
      waiting.unlisten()
      waiting.reject(error)
    } else queue.unshift(waiting)
  }

  /** Takes an instance out of use until it answers a health request. */
  function probe(instance: Instance, delayMs: number): void {
    if (instance.out || closed) return
    instance.out = true
    const attempt = async () => {
      const timeout = new AbortController()
      const cancel = clock.schedule(PROBE_TIMEOUT_MS, () => timeout.abort())
      const ready = await instance.client.ready(timeout.signal).catch(() => false)
      cancel()
      if (ready) restore(instance)
      else if (instance.out) later(probeEveryMs, () => void attempt())
    }
    later(delayMs, () => void attempt())
  }

  function later(delayMs: number, callback: () => void): void {
    if (closed) return
    const cancel = clock.schedule(delayMs, () => {
      timers.delete(cancel)
      callback()
    })
    timers.add(cancel)
  }

  function restore(instance: Instance): void {
    instance.out = false
    instance.failuresInRow = 0
    pull()
  }

  return {
    instances,
    run,
    queued: () => queue.length,
    restore,
    close() {
      closed = true
      for (const cancel of timers) cancel()
      for (const { reject, unlisten } of queue.splice(0)) {
        unlisten()
        reject(new FtError('ABORTED', 'gateway: closing', {}))
      }
    },
  }
}

// One for all: nobody reads it, and a stack costs more than a unit's way through the queue
const notNeeded = new FtError('ABORTED', 'gateway: no longer needed', {})

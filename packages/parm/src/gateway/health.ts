// Which instances are in use: out of use for a while are those that cannot be reached, refuse again and again, have
// fallen silent, or are much slower than their peers.
import type { Clock } from '../serving/clock.ts'
import type { Verify } from './fitness.ts'
import type { Instance } from './instance.ts'

/** Failed answers in a row after which an instance that can still be reached is left alone for a while. */
const REFUSALS = 3
const PROBE_TIMEOUT_MS = 1000
/**
 * An instance whose average latency is so many times the median of its peers' is left alone. Late responses by chance do
 * not reach it: with weight 1/16, one of 15 times the usual latency doubles the average.
 */
const SLOW_FACTOR = 4
/** Answers since it came into use before an instance is judged, and between judgements. */
const JUDGE_AFTER = 32
const JUDGE_EVERY = 16
const SLOW_PAUSE_MS = 1000
/** Until an instance that has another model is asked again. */
const UNFIT_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000

export interface Health {
  /** After an answer to a request of so many units: its latency counts. */
  answered(instance: Instance, o: { readonly latencyMs: number; readonly units: number }): void
  /** After a failure that is the instance's. */
  failed(instance: Instance, o: { readonly unreachable: boolean; readonly units: number }): void
  /** Out of use until a health request is answered. */
  probe(instance: Instance, delayMs: number): void
  restore(instance: Instance): void
  close(): void
}

export function createHealth(o: {
  readonly instances: readonly Instance[]
  readonly clock: Clock
  readonly probeEveryMs: number
  /** Whether an instance that is ready may serve. */
  readonly verify?: Verify | undefined
  /** An instance has gone out of use. */
  readonly onOut: () => void
  /** An instance has come back. */
  readonly onBack: (instance: Instance) => void
  /** An instance did not answer a health request: what it works on will not come. */
  readonly onSilent: (instance: Instance) => void
}): Health {
  const { instances, clock } = o
  const timers = new Set<() => void>()
  let closed = false

  function later(delayMs: number, callback: () => void): void {
    if (closed) return
    const cancel = clock.schedule(delayMs, () => {
      timers.delete(cancel)
      callback()
    })
    timers.add(cancel)
  }

  function probe(instance: Instance, delayMs: number): void {
    if (instance.out || closed) return
    instance.out = true
    o.onOut()
    const attempt = async () => {
      const timeout = new AbortController()
      const cancel = clock.schedule(PROBE_TIMEOUT_MS, () => timeout.abort())
      // Its work is cut off at once when it is not there, and at the first sign of silence, well before the time-out
      const silent = clock.schedule(o.probeEveryMs, () => o.onSilent(instance))
      const { signal } = timeout
      const ready = await instance.client.ready(signal).catch(() => false)
      silent()
      const fit = ready && ((await o.verify?.(instance, signal)) ?? true)
      cancel()
      if (fit) return restore(instance)
      if (!ready) o.onSilent(instance)
      if (instance.out) later(ready ? UNFIT_PAUSE_MS : o.probeEveryMs, () => void attempt())
    }
    if (delayMs === 0) void attempt()
    else later(delayMs, () => void attempt())
  }

  function restore(instance: Instance): void {
    instance.out = false
    instance.unfit = undefined
    instance.failuresInRow = 0
    instance.judged = 0
    instance.latencyMs = 0
    o.onBack(instance)
  }

  /** At most a third of the instances, so that slowness of all is not mistaken for slowness of some. */
  function judge(instance: Instance): void {
    const others = instances.filter((other) => other !== instance && !other.out && other.judged >= JUDGE_EVERY)
    const outOfUse = instances.filter(({ out }) => out).length
    if (others.length < 2 || (outOfUse + 1) * 3 > instances.length) return
    const latencies = others.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b)
    const usual = latencies[latencies.length >> 1] as number
    if (instance.latencyMs <= SLOW_FACTOR * usual) {
      instance.pauses = 0
      return
    }
    const pause = Math.min(LONGEST_PAUSE_MS, SLOW_PAUSE_MS * 2 ** instance.pauses++)
    probe(instance, pause)
  }

  return {
    probe,
    restore,
    answered(instance, { latencyMs, units }) {
      instance.failuresInRow = 0
      instance.answered += units
      instance.judged++
      instance.latencyMs += (latencyMs - instance.latencyMs) / Math.min(16, instance.judged)
      if (instance.judged >= JUDGE_AFTER && instance.judged % JUDGE_EVERY === 0) judge(instance)
    },
    failed(instance, { unreachable, units }) {
      instance.failed += units
      instance.failuresInRow++
      if (unreachable) probe(instance, 0)
      else if (instance.failuresInRow >= REFUSALS) probe(instance, 1000)
    },
    close() {
      closed = true
      for (const cancel of timers) cancel()
    },
  }
}

// The serving tab with real processes: two gateways with as many workers each, under the same queries, told as events.
// A worker is stopped with SIGSTOP or killed with SIGKILL by request; one run at a time, which ends after two minutes.
import { createRandom } from '@ft/core/random'
import {
  createGateway,
  createOipClient,
  firstWins,
  hold,
  sum,
  toNamedTensor,
  toWireTensor,
  type Gateway,
  type OipClient,
  type WorkerSpec,
} from '@ft/parm'
import type { ClusterName, ClusterView, Load, Tail, View, WorkerView } from '../../page/serving/messages.ts'
import { blank, count, histogramOf, tailOf, type Tally } from '../../page/serving/tally.ts'
import type { LinearOptions } from '../serving/linear.ts'
import type { EventStream } from './events.ts'
import { within } from './query.ts'

const WORKERS = 4
/** Twice that of the simulation: two gateways and their clients share this machine. */
const SERVICE_MS = 20
const LATE_MS = [50, 200] as const
const DEADLINE_MS = 1500
const STALL_MS = 2500
const FRAME_MS = 100
const LONGEST_MS = 120_000

export interface ServingHost {
  readonly busy: boolean
  start(events: EventStream, query: URLSearchParams): Promise<void>
  /** Strikes the second query worker of each cluster. @returns false where nothing runs */
  strike(how: string): boolean
  stop(): Promise<void>
}

interface Cluster {
  readonly name: ClusterName
  readonly gateway: Gateway
  readonly client: OipClient
  now: Tally
  before: Tail | undefined
  /** Until when the second worker is stopped. */
  stoppedUntil: number
  /** Lets it go on. */
  wake: () => void
}

/** @param module the worker's built module: `src/serving/linear.ts` */
export function createServingHost(module: string): ServingHost {
  let busy = false
  let current: { clusters: readonly Cluster[]; broken: string | undefined } | undefined
  let stop = new AbortController()
  let ended: Promise<void> = Promise.resolve()

  async function run(events: EventStream, load: Load, signal: AbortSignal): Promise<void> {
    const clusters: Cluster[] = []
    try {
      // One after the other: twelve processes that start at once would keep two cores busy for longer
      for (const name of ['as many workers', 'coded'] as const)
        clusters.push(await openCluster({ name, module, load, signal }))
      current = { clusters, broken: undefined }
      const begun = performance.now()
      const frame = setInterval(() => {
        const seconds = (performance.now() - begun) / 1000
        const view: View = { kind: 'view', seconds, broken: current?.broken, clusters: clusters.map(viewOf) }
        events.send('news', view)
      }, FRAME_MS)
      await ask(clusters, { load, until: begun + LONGEST_MS, signal }).finally(() => clearInterval(frame))
    } catch (error) {
      if (!signal.aborted) events.send('failed', { why: String(error) })
    } finally {
      current = undefined
      await Promise.allSettled(clusters.map(closeCluster))
      events.send('done', {})
      events.end()
    }
  }

  return {
    get busy() {
      // A run that is ending makes room
      return busy && !stop.signal.aborted
    },
    async start(events, query) {
      const before = ended
      busy = true
      stop = new AbortController()
      const own = stop
      events.gone.addEventListener('abort', () => own.abort(), { once: true })
      ended = before.then(() => run(events, loadOf(query), own.signal))
      await ended
      if (own === stop) busy = false
    },
    strike(how) {
      if (!current || (how !== 'stall' && how !== 'kill')) return false
      for (const cluster of current.clusters) {
        cluster.before ??= tailOf(cluster.now)
        cluster.now = blank()
        if (how === 'stall') stall(cluster)
        else signal(pidOf(cluster), 'SIGKILL')
      }
      current.broken =
        how === 'stall' ? 'one worker of each cluster got SIGSTOP for 2.5 s' : 'one worker of each cluster got SIGKILL'
      return true
    },
    async stop() {
      stop.abort()
      await ended
    },
  }
}

function loadOf(query: URLSearchParams): Load {
  return {
    seed: Math.round(within(query, 'seed', [1, 999_999])),
    load: within(query, 'load', [0.1, 0.95]),
    k: Math.round(within(query, 'k', [2, 4])),
    late: within(query, 'late', [0, 0.1]),
    patience: within(query, 'patience', [10, 200]),
  }
}

interface Opening {
  readonly name: ClusterName
  readonly module: string
  readonly load: Load
  readonly signal: AbortSignal
}

async function openCluster({ name, module, load, signal }: Opening): Promise<Cluster> {
  signal.throwIfAborted()
  const { seed, k, late, patience } = load
  const parities = Math.ceil(WORKERS / k)
  const workers = (n: number, from: number, code?: string): WorkerSpec[] =>
    Array.from({ length: n }, (_, i) => {
      const troubles = { serviceMs: SERVICE_MS, lateShare: late, lateMs: LATE_MS, seed: seed * 100 + from + i }
      const options: LinearOptions = { troubles, ...(code === undefined ? {} : { code }) }
      return { worker: { module, options }, concurrency: 8 }
    })
  const shared = { model: 'twice', deadlineMs: DEADLINE_MS, maxGroupWaitMs: 50 }
  const gateway = await createGateway(
    name === 'coded'
      ? {
          ...shared,
          instances: workers(WORKERS, 0),
          parityInstances: workers(parities, 50, `sum/${k}`),
          code: sum({ k }),
          policy: hold({ afterMs: patience }),
        }
      : { ...shared, instances: workers(WORKERS + parities, 0), policy: firstWins() },
  )
  const client = createOipClient(gateway.url, { connections: 128, binary: true })
  return { name, gateway, client, now: blank(), before: undefined, stoppedUntil: 0, wake: () => undefined }
}

async function closeCluster(cluster: Cluster): Promise<void> {
  cluster.wake()
  await cluster.client.close()
  await cluster.gateway.close()
}

/** Queries at times that no answer changes, the same for all clusters. */
async function ask(
  clusters: readonly Cluster[],
  { load, until, signal }: { load: Load; until: number; signal: AbortSignal },
): Promise<void> {
  const random = createRandom(load.seed).stream('queries')
  let due = performance.now()
  while (due < until && !signal.aborted) {
    due += random.exponential((load.load * WORKERS) / SERVICE_MS)
    const value = random.uniform(-1, 1)
    const wait = due - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    for (const cluster of clusters) void askOne(cluster, { value, due })
  }
}

async function askOne({ client, now }: Cluster, { value, due }: { value: number; due: number }): Promise<void> {
  const input = toWireTensor({ name: 'x', data: Float32Array.of(value), shape: [1, 1], dtype: 'float32' })
  const answer = await client
    .infer('twice', { request: { parameters: {}, inputs: [input], binaryOutput: true } })
    .catch(() => undefined)
  const output = answer?.outputs[0] && toNamedTensor(answer.outputs[0])
  count(now, {
    latencyMs: performance.now() - due,
    quality: String(answer?.parameters?.['ft.quality'] ?? 'exact'),
    value: output?.data[0],
    // As it was sent: float32
    wanted: 2 * Math.fround(value),
  })
}

function viewOf({ name, gateway, now, before, stoppedUntil }: Cluster): ClusterView {
  const { instances, openQueries } = gateway.snapshot()
  const stopped = performance.now() < stoppedUntil
  const counters = { query: 0, parity: 0 }
  const workers = instances.map((one): WorkerView => {
    const role = one.name.startsWith('base-') ? 'query' : 'parity'
    const number = ++counters[role]
    const state =
      role === 'query' && number === 2 && stopped ? 'stalled' : one.out ? 'out' : one.outstanding > 0 ? 'busy' : 'idle'
    return {
      name: `${role} ${number}`,
      role,
      state,
      queue: Math.max(0, one.outstanding - 1),
      answered: one.answered,
    }
  })
  return { name, workers, open: openQueries, now: tailOf(now), before, histogram: histogramOf(now.latencies) }
}

function pidOf({ gateway }: Cluster): number | undefined {
  return gateway.snapshot().instances.find(({ name }) => name === 'base-1')?.pid
}

function stall(cluster: Cluster): void {
  cluster.wake()
  const pid = pidOf(cluster)
  signal(pid, 'SIGSTOP')
  cluster.stoppedUntil = performance.now() + STALL_MS
  const timer = setTimeout(() => cluster.wake(), STALL_MS)
  cluster.wake = () => {
    clearTimeout(timer)
    cluster.wake = () => undefined
    signal(pid, 'SIGCONT')
  }
}

function signal(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(pid, name)
  } catch {
    // It has ended meanwhile
  }
}

// Three clusters with equally many workers under the same queries at the same times.
import { createRandom } from '@ft/core/random'
import { quantiles } from '@ft/core/statistics'
import { firstWins, hedge, hold, sum, virtualClock, type Answer } from '@ft/parm/serving'
import { createCluster, SERVICE_MS, type Cluster } from './cluster.ts'
import { binEdges, clusterNames, type ClusterName, type ClusterView, type Load, type Tail } from './messages.ts'

const WORKERS = 4
const STALL_MS = 2500

export interface Simulation {
  /** Simulated milliseconds. */
  now(): number
  advanceTo(ms: number): void
  /** Strikes the second query worker of every cluster. */
  breakOne(how: 'stall' | 'kill'): void
  view(): ClusterView[]
}

interface Record {
  latencies: number[]
  reconstructed: number
  unanswered: number
  wrong: number
}
const blank = (): Record => ({ latencies: [], reconstructed: 0, unanswered: 0, wrong: 0 })

export function createSimulation({ seed, load, k, late, patience }: Load): Simulation {
  const clock = virtualClock()
  const parities = Math.ceil(WORKERS / k)
  const all = WORKERS + parities
  const shared = { clock, late, seed }
  const makers: Readonly<{ [Name in ClusterName]: () => Cluster }> = {
    'as many workers': () => createCluster({ ...shared, workers: all, parities: 0, policy: firstWins() }),
    hedging: () => createCluster({ ...shared, workers: all, parities: 0, policy: hedge({ afterMs: patience }) }),
    coded: () =>
      createCluster({ ...shared, workers: WORKERS, parities, code: sum({ k }), policy: hold({ afterMs: patience }) }),
  }
  const clusters = clusterNames.map((name) => ({
    name,
    cluster: makers[name](),
    now: blank(),
    before: undefined as Tail | undefined,
  }))

  const random = createRandom(seed).stream('queries')
  const gap = SERVICE_MS / (load * WORKERS)
  const arrive = (): void => {
    const value = random.uniform(-1, 1)
    const inputs = [{ name: 'x', data: Float32Array.of(value), shape: [1, 1], dtype: 'float32' as const }]
    for (const one of clusters) {
      const into = one.now
      void one.cluster.coordinator.submit({ inputs }).then((answer) => count(into, answer, value))
    }
    clock.schedule(random.exponential(1 / gap), arrive)
  }
  clock.schedule(0, arrive)

  return {
    now: () => clock.now(),
    advanceTo: (ms) => clock.advanceTo(ms),
    breakOne(how) {
      for (const one of clusters) {
        one.before ??= tailOf(one.now)
        one.now = blank()
        if (how === 'stall') one.cluster.stall(1, STALL_MS)
        else one.cluster.kill(1)
      }
    },
    view: () =>
      clusters.map(({ name, cluster, now, before }) => ({
        name,
        workers: cluster.view(),
        open: cluster.coordinator.open().queries,
        now: tailOf(now),
        before,
        histogram: histogramOf(now.latencies),
      })),
  }
}

function count(record: Record, { latencyMs, quality, outputs }: Answer, value: number): void {
  record.latencies.push(latencyMs)
  if (quality === 'reconstructed') record.reconstructed++
  const y = outputs?.[0]?.data[0]
  if (y === undefined) record.unanswered++
  // Values are below 1; a reconstruction adds a few float32 roundings
  else if (Math.abs(y - 2 * value) > 1e-5) record.wrong++
}

function tailOf({ latencies, reconstructed, unanswered, wrong }: Record): Tail {
  const [p50 = NaN, p99 = NaN, p999 = NaN] = latencies.length > 0 ? quantiles(latencies, [0.5, 0.99, 0.999]) : []
  return { answered: latencies.length, reconstructed, unanswered, wrong, p50, p99, p999 }
}

function histogramOf(latencies: readonly number[]): number[] {
  const counts = new Array<number>(binEdges.length - 1).fill(0)
  const [first = 1, second = 2] = binEdges
  const ratio = Math.log(second / first)
  for (const latency of latencies) {
    const bin = Math.min(counts.length - 1, Math.max(0, Math.floor(Math.log(latency / first) / ratio)))
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return counts.map((value) => value / Math.max(1, latencies.length))
}

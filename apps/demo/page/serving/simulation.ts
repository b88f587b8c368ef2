// Three clusters with equally many workers under the same queries at the same times.
import { createRandom } from '@ft/core/random'
import { firstWins, hedge, hold, sum, virtualClock } from '@ft/parm/serving'
import { createCluster, SERVICE_MS, type Cluster } from './cluster.ts'
import { clusterNames, type ClusterName, type ClusterView, type Load, type Tail } from './messages.ts'
import { blank, count, histogramOf, tailOf } from './tally.ts'

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
      void one.cluster.coordinator.submit({ inputs }).then(({ latencyMs, quality, outputs }) => {
        count(into, { latencyMs, quality, value: outputs?.[0]?.data[0], wanted: 2 * value })
      })
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

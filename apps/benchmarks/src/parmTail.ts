// Bench "parm-tail": tail latency with real processes at equal load: instances hold a service time and return recorded
// outputs, gateways are processes of `parm serve`, arms take turns in short blocks so that what the machine does beside
// them hits all alike.
import { bootstrap, quantiles } from '@ft/core/statistics'
import { createRandom } from '@ft/core/random'
import { createOipClient, startWorker, type OipClient, type WorkerProcess } from '@ft/parm'
import type { Bench, BenchContext } from './bench.ts'
import { measureGatewayCost } from './parmCost.ts'
import { measureFaults } from './parmFaults.ts'
import { startGateway, type GatewayProcess } from './parmGateway.ts'
import { openLoop } from './parmLoad.ts'
import { askRecorded, recordedOutputs } from './parmRecorded.ts'
import { foretell, measureSimulator, orderings } from './parmSimulator.ts'
import { tailWorkerModule, type TailWorkerOptions } from './parmTailWorker.ts'

const M = 8
const SERVICE_MS = 10
/** Half of what M instances can serve. */
const RATE = (0.5 * M * 1000) / SERVICE_MS
const LATE_SHARE = 0.01
const LATE_MS = [50, 150] as const
/** Fixed: on a shared machine a measured quantile would follow the machine's own stalls. */
const LATE_AFTER_MS = 2.2 * SERVICE_MS
const DEADLINE_MS = 1000

interface Arm {
  readonly name: string
  readonly base: number
  readonly parities: number
  readonly config: object
}

const coded = (k: 2 | 4): Arm => ({
  name: `coded k=${k}`,
  base: M,
  parities: M / k,
  config: { code: { kind: 'sum', k }, policy: { hold: { afterMs: LATE_AFTER_MS } } },
})
const plain = (name: string, extra: number, config: object = {}): Arm => ({
  name,
  base: M + extra,
  parities: 0,
  config: { policy: 'firstWins', ...config },
})
const arms: readonly Arm[] = [
  plain('none', 0),
  plain('equal resources k=2', M / 2),
  plain('equal resources k=4', M / 4),
  plain('replication', M, { code: { kind: 'replication' } }),
  plain('hedging', M / 2, { policy: { hedge: { afterMs: LATE_AFTER_MS } } }),
  coded(2),
  coded(4),
]

interface Running extends Arm {
  readonly gateway: GatewayProcess
  readonly client: OipClient
}

interface Block {
  readonly latencies: Float64Array
  readonly lags: Float64Array
  readonly unanswered: number
}

export const parmTail: Bench = {
  name: 'parm-tail',
  title: `Tail latency at ${RATE} queries/s, ${M} instances of ${SERVICE_MS} ms, 1 % of responses late by 50-150 ms`,
  parts: ['simulator', 'late', 'slow', 'faults', 'cost'],
  async run(context) {
    if (context.wants('simulator')) await measureSimulator(context)
    const setting = { instances: M, serviceMs: SERVICE_MS, ratePerSecond: RATE }
    const outputs = await recordedOutputs()
    if (context.wants('late')) {
      const foretold = await foretell(context, { ...setting, afterMs: LATE_AFTER_MS })
      const sizes = context.quick ? { blocks: 10, queries: 400 } : { blocks: 60, queries: 500 }
      await measureCase(context, { outputs, ...sizes, name: '', slowInstance: false, foretold })
    }
    if (context.wants('slow')) {
      const short = context.quick ? { blocks: 3, queries: 400 } : { blocks: 12, queries: 500 }
      await measureCase(context, { outputs, ...short, name: 'one instance 6 x slower: ', slowInstance: true })
    }
    if (context.wants('faults')) await measureFaults(context, { ...setting, outputs })
    if (context.wants('cost')) await measureGatewayCost(context)
  },
}

interface CaseOptions {
  readonly outputs: readonly Float32Array[]
  readonly blocks: number
  /** In a block of one arm. */
  readonly queries: number
  readonly name: string
  /** The first instance takes six times as long, instead of late responses of all. */
  readonly slowInstance: boolean
  /** p99.9 of the arms by the simulator. */
  readonly foretold?: ReadonlyMap<string, number>
}

async function measureCase(context: BenchContext, o: CaseOptions): Promise<void> {
  const chosen = o.slowInstance ? arms.filter(({ name }) => !/k=4|none/.test(name)) : arms
  const workers: WorkerProcess[] = []
  const running: Running[] = []
  try {
    // The same processes serve all arms, one arm at a time
    for (let i = 0; i < 2 * M; i++) {
      const options: TailWorkerOptions = { serviceMs: o.slowInstance && i === 0 ? 6 * SERVICE_MS : SERVICE_MS }
      const late = { late: { share: LATE_SHARE, ms: LATE_MS } }
      workers.push(
        await startWorker({
          model: { module: tailWorkerModule, options },
          faults: { seed: context.seed * 1000 + i, ...(o.slowInstance ? {} : late) },
        }),
      )
    }
    // A late response does not keep its instance from the next queries: more than one at a time
    const at = (from: number, count: number) =>
      workers.slice(from, from + count).map(({ address }) => ({ url: address, model: 'recorded', concurrency: 8 }))
    for (const arm of chosen) {
      const gateway = await startGateway({
        model: 'recorded',
        deadlineMs: DEADLINE_MS,
        instances: at(0, arm.base),
        ...(arm.parities > 0 ? { parityInstances: at(arm.base, arm.parities) } : {}),
        ...arm.config,
      })
      running.push({ ...arm, gateway, client: createOipClient(gateway.url, { connections: 256, binary: true }) })
    }
    const results = new Map<string, Block[]>(chosen.map(({ name }) => [name, []]))
    // Connections, compilation and caches settle first
    for (const arm of running) await runBlock(arm, { ...o, seed: context.seed + 7919, queries: 200 })
    const before = await Promise.all(running.map(countsOf))
    for (let block = 0; block < o.blocks; block++) {
      for (let i = 0; i < running.length; i++) {
        const arm = running[(i + block) % running.length] as Running
        results.get(arm.name)?.push(await runBlock(arm, { ...o, seed: context.seed * 100_000 + block }))
      }
      context.note(`${o.name}round ${block + 1} of ${o.blocks}`)
    }
    for (const [i, arm] of running.entries()) {
      const counts = await countsOf(arm)
      const total = o.blocks * o.queries
      report(context, { arm, blocks: results.get(arm.name) ?? [], prefix: o.name })
      const line = { case: o.name + arm.name, unit: 'of queries' }
      const share = (counts.reconstructed - (before[i]?.reconstructed ?? 0)) / total
      const target = o.slowInstance || arm.parities === 0 ? {} : { target: `<= ${1.5 * LATE_SHARE}` }
      if (arm.parities > 0) context.emit({ ...line, metric: 'reconstructed', value: share, ...target })
      if (arm.name === 'hedging')
        context.emit({ ...line, metric: 'hedged', value: (counts.hedged - (before[i]?.hedged ?? 0)) / total })
    }
    compareArms(context, { results, prefix: o.name, targets: !o.slowInstance })
    if (o.foretold) {
      const pairs = [...o.foretold].map(([arm, value]) => [value, pooled(results.get(arm) ?? [], P999)] as const)
      const { differ, pairs: judged } = orderings(pairs)
      const line = { case: 'orderings of p99.9', metric: 'unlike the simulator', target: '= 0' }
      context.emit({ ...line, value: differ, unit: `of ${judged} pairs` })
    }
  } finally {
    await Promise.all(running.map(({ client }) => client.close()))
    await Promise.all(running.map(({ gateway }) => gateway.stop()))
    await Promise.all(workers.map((worker) => worker.stop()))
  }
}

async function countsOf({ gateway }: Running): Promise<{ reconstructed: number; hedged: number }> {
  return {
    reconstructed: await gateway.metric('ft_parm_queries_total', '{quality="reconstructed"}'),
    hedged: await gateway.metric('ft_parm_extra_units_total', '{kind="hedge"}'),
  }
}

/** One arm's turn; checks that every answer is its query's own. */
async function runBlock(
  { client }: Running,
  o: { outputs: readonly Float32Array[]; queries: number; seed: number },
): Promise<Block> {
  const random = createRandom(o.seed).stream('choice')
  const chosen = Array.from({ length: o.queries }, () => o.outputs[random.integer(0, o.outputs.length - 1)])
  return openLoop({
    ratePerSecond: RATE,
    queries: o.queries,
    seed: o.seed,
    ask: (i) => askRecorded(client, chosen[i] as Float32Array),
  })
}

const P999 = 0.999
const pooled = (blocks: readonly Block[], p: number) =>
  quantiles(
    blocks.flatMap(({ latencies }) => [...latencies]),
    [p],
  )[0] as number

function report(context: BenchContext, o: { arm: Arm; blocks: readonly Block[]; prefix: string }): void {
  const { arm, blocks } = o
  const name = o.prefix + arm.name
  context.emit({ case: name, metric: 'extra instances', value: arm.base + arm.parities - M, unit: '' })
  for (const [metric, p] of [
    ['p50', 0.5],
    ['p99', 0.99],
    ['p99.9', P999],
  ] as const) {
    // Blocks are drawn, not queries: neighbours share what the machine did
    const { value, low, high } = bootstrap(blocks, {
      statistic: (drawn) => pooled(drawn, p),
      seed: context.seed,
      resamples: 500,
    })
    const n = blocks.reduce((sum, { latencies }) => sum + latencies.length, 0)
    context.emit({ case: name, metric, value, unit: 'ms', low, high, n })
  }
  const [lag = 0] = quantiles(
    blocks.flatMap(({ lags }) => [...lags]),
    [P999],
  )
  context.emit({ case: name, metric: "machine's delay p99.9", value: lag, unit: 'ms' })
  const unanswered = blocks.reduce((sum, one) => sum + one.unanswered, 0)
  context.emit({ case: name, metric: 'unanswered', value: unanswered, unit: 'queries', target: '= 0' })
}

function compareArms(
  context: BenchContext,
  o: { results: ReadonlyMap<string, readonly Block[]>; prefix: string; targets: boolean },
): void {
  const gap = (blocks: readonly Block[]) => pooled(blocks, P999) - pooled(blocks, 0.5)
  const compare = (
    [own, baseline]: readonly [string, string],
    metric: string,
    { of, target }: { of: (blocks: readonly Block[]) => number; target: string },
  ) => {
    const [a, b] = [o.results.get(own), o.results.get(baseline)]
    if (!a || !b) return
    const pairs = a.map((block, i) => [block, b[i] as Block] as const)
    const ratio = (drawn: readonly (readonly [Block, Block])[]) =>
      of(drawn.map(([one]) => one)) / of(drawn.map(([, one]) => one))
    const { value, low, high, n } = bootstrap(pairs, { statistic: ratio, seed: context.seed, resamples: 500 })
    context.emit({
      case: o.prefix + own,
      metric,
      value: of(a),
      unit: 'ms',
      baseline: { case: baseline, value: of(b) },
      ratio: value,
      low,
      high,
      n,
      ...(o.targets ? { target } : {}),
    })
  }
  for (const k of [2, 4]) {
    const [own, equal] = [`coded k=${k}`, `equal resources k=${k}`]
    compare([own, equal], 'p99.9 - p50', { of: gap, target: 'ratio <= 1/6' })
    compare([own, equal], 'p50', { of: (blocks) => pooled(blocks, 0.5), target: 'ratio 0.95 .. 1.05' })
    compare([own, 'replication'], 'p99.9', { of: (blocks) => pooled(blocks, P999), target: 'ratio <= 1.15' })
    compare([own, 'hedging'], 'p99.9', { of: (blocks) => pooled(blocks, P999), target: 'reported' })
  }
}

// Bench "parm-tail": tail latency with real processes at equal load: instances hold a service time and return recorded
// outputs, gateways are processes of `parm serve`, arms take turns in short blocks so that what the machine does beside
// them hits all alike.
import { readFile, writeFile } from 'node:fs/promises'
import { createRandom } from '@ft/core/random'
import { createOipClient, startWorker, type OipClient, type WorkerProcess } from '@ft/parm'
import type { Bench, BenchContext } from './bench.ts'
import { measureGatewayCost } from './parmCost.ts'
import { measureFaults } from './parmFaults.ts'
import { startGateway, type GatewayProcess } from './parmGateway.ts'
import { openLoop } from './parmLoad.ts'
import { askRecorded, recordedOutputs } from './parmRecorded.ts'
import { foretell, measureSimulator } from './parmSimulator.ts'
import { besideForetold, compareArms, report, type ArmResult, type Block } from './parmTailReport.ts'
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
      const sizes = context.quick ? { seeds: 1, blocks: 10, queries: 400 } : { seeds: 5, blocks: 12, queries: 500 }
      await measureCase(context, { outputs, ...sizes, part: 'late', slowInstance: false, foretold })
    }
    if (context.wants('slow')) {
      const short = context.quick ? { seeds: 1, blocks: 3, queries: 400 } : { seeds: 5, blocks: 4, queries: 500 }
      await measureCase(context, { outputs, ...short, part: 'slow', slowInstance: true })
    }
    if (context.wants('faults')) await measureFaults(context, { ...setting, outputs })
    if (context.wants('cost')) await measureGatewayCost(context)
  },
}

interface CaseOptions {
  readonly outputs: readonly Float32Array[]
  readonly part: 'late' | 'slow'
  /** Each with workers, faults, arrivals and choices of its own. */
  readonly seeds: number
  /** Of each arm under one seed. */
  readonly blocks: number
  /** In a block of one arm. */
  readonly queries: number
  /** The first instance takes six times as long, instead of late responses of all. */
  readonly slowInstance: boolean
  /** p99.9 of the arms by the simulator. */
  readonly foretold?: ReadonlyMap<string, number>
}

async function measureCase(context: BenchContext, o: CaseOptions): Promise<void> {
  const prefix = o.slowInstance ? 'one instance 6 x slower: ' : ''
  const chosen = o.slowInstance ? arms.filter(({ name }) => !/k=4|none/.test(name)) : arms
  const results = new Map<string, ArmResult>(chosen.map(({ name }) => [name, { blocks: [], sums: {} }]))
  for (let i = 0; i < o.seeds; i++) {
    const seed = context.seed + i
    const found = await once(context.checkpoint(`parm-tail-${o.part}-${o.blocks}x${o.queries}-${seed}.json`), () =>
      measureSeed(context, { ...o, chosen, seed }),
    )
    for (const [name, { blocks, sums }] of Object.entries(found)) {
      const all = results.get(name) as ArmResult
      all.blocks.push(...blocks)
      for (const key in sums) all.sums[key] = (all.sums[key] ?? 0) + (sums[key] as number)
    }
  }
  for (const arm of chosen) {
    const result = results.get(arm.name) as ArmResult
    const extra = arm.base + arm.parities - M
    report(context, { name: prefix + arm.name, extra, result })
    const total = o.seeds * o.blocks * o.queries
    const line = { case: prefix + arm.name, unit: 'of queries' }
    const share = (key: string) => (result.sums[key] ?? 0) / total
    const target = o.slowInstance ? {} : { target: `<= ${1.5 * LATE_SHARE}` }
    if (arm.parities > 0)
      context.emit({ ...line, metric: 'reconstructed', value: share('reconstructed'), n: total, ...target })
    if (arm.name === 'hedging') context.emit({ ...line, metric: 'hedged', value: share('hedged'), n: total })
    // How much of a processor gateway and load generator took while this arm had its turns
    const busy = (result.sums['cpuMs'] ?? 0) / (result.sums['wallMs'] ?? 1)
    context.emit({ case: prefix + arm.name, metric: 'gateway and load', value: busy, unit: 'processors' })
  }
  compareArms(context, { results, prefix, targets: !o.slowInstance })
  if (o.foretold) {
    const { unlike, undecided, pairs } = besideForetold(o.foretold, { results, seed: context.seed })
    const line = { case: 'orderings of p99.9', unit: `of ${pairs} pairs` }
    context.emit({ ...line, metric: 'unlike the simulator', value: unlike, target: '= 0' })
    context.emit({ ...line, metric: 'undecided', value: undecided })
  }
}

/** What a file holds, or what `measure` gives, which the file then holds: long measurements can be made piece by piece. */
async function once(
  file: string | undefined,
  measure: () => Promise<Record<string, ArmResult>>,
): Promise<Record<string, ArmResult>> {
  const known = file === undefined ? undefined : await readFile(file, 'utf8').catch(() => undefined)
  if (known !== undefined) return JSON.parse(known) as Record<string, ArmResult>
  const found = await measure()
  if (file !== undefined) await writeFile(file, JSON.stringify(found))
  return found
}

async function measureSeed(
  context: BenchContext,
  o: CaseOptions & { readonly chosen: readonly Arm[]; readonly seed: number },
): Promise<Record<string, ArmResult>> {
  const { seed, chosen } = o
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
          faults: { seed: seed * 1000 + i, ...(o.slowInstance ? {} : late) },
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
    const results: Record<string, ArmResult> = Object.fromEntries(
      chosen.map(({ name }) => [name, { blocks: [], sums: { cpuMs: 0, wallMs: 0 } }]),
    )
    // Connections, compilation and caches settle first
    for (const arm of running) await runBlock(arm, { ...o, seed: seed + 7919, queries: 200 })
    const before = await Promise.all(running.map(countsOf))
    for (let block = 0; block < o.blocks; block++) {
      for (let i = 0; i < running.length; i++) {
        const arm = running[(i + block) % running.length] as Running
        const { blocks, sums } = results[arm.name] as ArmResult
        const [started, own] = [performance.now(), process.cpuUsage()]
        blocks.push(await runBlock(arm, { ...o, seed: seed * 100_000 + block }))
        const { user, system } = process.cpuUsage(own)
        sums['cpuMs'] = (sums['cpuMs'] as number) + (user + system) / 1000
        sums['wallMs'] = (sums['wallMs'] as number) + performance.now() - started
      }
      context.note(`${o.part}, seed ${seed}: round ${block + 1} of ${o.blocks}`)
    }
    for (const [i, arm] of running.entries()) {
      const counts = await countsOf(arm)
      const { sums } = results[arm.name] as ArmResult
      const grown = (key: keyof typeof counts) => counts[key] - (before[i]?.[key] ?? 0)
      sums['reconstructed'] = grown('reconstructed')
      sums['hedged'] = grown('hedged')
      sums['cpuMs'] = (sums['cpuMs'] as number) + 1000 * grown('cpuSeconds')
    }
    return results
  } finally {
    await Promise.all(running.map(({ client }) => client.close()))
    await Promise.all(running.map(({ gateway }) => gateway.stop()))
    await Promise.all(workers.map((worker) => worker.stop()))
  }
}

async function countsOf({ gateway }: Running) {
  return {
    cpuSeconds: await gateway.metric('process_cpu_seconds_total'),
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
  const { latencies, lags, unanswered } = await openLoop({
    ratePerSecond: RATE,
    queries: o.queries,
    seed: o.seed,
    ask: (i) => askRecorded(client, chosen[i] as Float32Array),
  })
  return { latencies: [...latencies], lags: [...lags], unanswered }
}

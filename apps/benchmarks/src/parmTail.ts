// Bench "parm-tail": tail latency with worker processes that hold a service time, at equal load: no redundancy, equal
// resources, replication, coded with hold. Open loop: a query's latency counts from the moment it was due, whatever the
// generator was doing then.
import { bootstrap, quantiles } from '@ft/core/statistics'
import { createRandom } from '@ft/core/random'
import { pixelsToFloat, readBaseModel, readImages } from '@ft/datasets'
import {
  createDenseRunner,
  createGateway,
  createOipClient,
  denseFromTorch,
  firstWins,
  hold,
  replication,
  sum,
  toNamedTensor,
  toWireTensor,
  type Code,
  type GatewayOptions,
  type OipClient,
} from '@ft/parm'
import type { Bench, BenchContext } from './bench.ts'
import { tailWorkerModule, type TailWorkerOptions } from './parmTailWorker.ts'

const M = 4
const SERVICE_MS = 10
/** Half of what M instances can serve. */
const RATE = (0.5 * M * 1000) / SERVICE_MS
const LATE = { lateShare: 0.01, lateMs: [50, 150] as const }

interface Arm {
  readonly name: string
  readonly instances: number
  readonly parities: number
  readonly code?: () => Code
  readonly policy: () => GatewayOptions['policy']
}

const coded = (k: 2 | 4): Arm => ({
  name: `coded k=${k}, hold`,
  instances: M,
  parities: M / k,
  code: () => sum({ k }),
  // Fixed: on a shared machine the measured quantile would follow the machine's own stalls
  policy: () => hold({ afterMs: 3 * SERVICE_MS }),
})
const arms: readonly Arm[] = [
  { name: 'none', instances: M, parities: 0, policy: firstWins },
  { name: 'equal resources k=2', instances: M + M / 2, parities: 0, policy: firstWins },
  { name: 'equal resources k=4', instances: M + M / 4, parities: 0, policy: firstWins },
  { name: 'replication', instances: 2 * M, parities: 0, code: () => replication(), policy: firstWins },
  coded(2),
  coded(4),
]

interface Measured {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly reconstructed: number
  readonly unanswered: number
}

export const parmTail: Bench = {
  name: 'parm-tail',
  title: `Tail latency at ${RATE} queries/s, ${M} instances of ${SERVICE_MS} ms, 1 % of responses late by 50-150 ms`,
  async run(context) {
    const queries = context.quick ? 1500 : 30_000
    const seeds = Array.from({ length: context.quick ? 2 : 5 }, (_, i) => context.seed + i)
    const outputs = await recordedOutputs()
    const results = new Map<string, Measured[]>(arms.map(({ name }) => [name, []]))
    for (const seed of seeds)
      for (const arm of arms) {
        const measured = await measure(arm, { outputs, queries, seed })
        results.get(arm.name)?.push(measured)
        context.note(`${arm.name}, seed ${seed}: p50 ${measured.p50.toFixed(1)}, p99.9 ${measured.p999.toFixed(1)} ms`)
      }
    report(context, results)
  },
}

/** Logits of MNIST test images under the papers' base model: what instances return. */
async function recordedOutputs(): Promise<Float32Array[]> {
  const model = await readBaseModel('mnist-base-mlp')
  const { images } = await readImages('mnist', { part: 'test' })
  const run = createDenseRunner(denseFromTorch(model.tensors.map(({ tensor }) => tensor)))
  const { data } = run({ ...pixelsToFloat(images), shape: [10_000, 784] })
  return Array.from({ length: 10_000 }, (_, i) => (data as Float32Array).slice(10 * i, 10 * i + 10))
}

async function measure(
  arm: Arm,
  o: { outputs: readonly Float32Array[]; queries: number; seed: number },
): Promise<Measured> {
  const worker = (i: number) => {
    const options: TailWorkerOptions = { serviceMs: SERVICE_MS, ...LATE, seed: o.seed * 1000 + i }
    // A late response does not keep its instance from the next queries
    return { worker: { module: tailWorkerModule, options }, concurrency: 8 }
  }
  const code = arm.code?.()
  const gateway = await createGateway({
    model: 'recorded',
    instances: Array.from({ length: arm.instances }, (_, i) => worker(i)),
    parityInstances: Array.from({ length: arm.parities }, (_, i) => worker(100 + i)),
    ...(code ? { code } : {}),
    policy: arm.policy(),
    deadlineMs: 1000,
    maxGroupWaitMs: 50,
  })
  const client = createOipClient(gateway.url, { connections: 256, binary: true })
  try {
    // Connections, compilation and caches settle first
    await openLoop(client, { ...o, queries: 300, seed: o.seed + 7919 })
    const before = gateway.snapshot().counts.reconstructed ?? 0
    const { latencies, unanswered } = await openLoop(client, o)
    const [p50 = 0, p99 = 0, p999 = 0] = quantiles(latencies, [0.5, 0.99, 0.999])
    const reconstructed = ((gateway.snapshot().counts.reconstructed ?? 0) - before) / o.queries
    return { p50, p99, p999, reconstructed, unanswered }
  } finally {
    await client.close()
    await gateway.close()
  }
}

/** Poisson arrivals at times fixed beforehand; checks that every answer is its query's own. */
async function openLoop(client: OipClient, o: { outputs: readonly Float32Array[]; queries: number; seed: number }) {
  const random = createRandom(o.seed).stream('arrivals')
  const latencies: number[] = []
  const running: Promise<void>[] = []
  let unanswered = 0
  let due = performance.now()
  for (let i = 0; i < o.queries; i++) {
    due += random.exponential(RATE / 1000)
    const wait = due - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    running.push(ask(due, o.outputs[random.integer(0, o.outputs.length - 1)] as Float32Array))
  }
  await Promise.all(running)
  return { latencies, unanswered }

  async function ask(dueMs: number, data: Float32Array): Promise<void> {
    const input = toWireTensor({ name: 'x', data, shape: [1, 10], dtype: 'float32' })
    const answer = await client
      .infer('recorded', { request: { parameters: {}, inputs: [input], binaryOutput: true } })
      .catch(() => undefined)
    latencies.push(performance.now() - dueMs)
    const values = answer?.outputs[0] && toNamedTensor(answer.outputs[0])?.data
    if (!values) unanswered++
    // Logits are below 100; a reconstruction adds k float32 roundings of sums of k
    else if (values.some((value, c) => Math.abs(value - (data[c] as number)) > 1e-3))
      throw new Error('an answer went to another query')
  }
}

function report(context: BenchContext, results: ReadonlyMap<string, readonly Measured[]>): void {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const interval = (list: readonly Measured[], statistic: (all: readonly Measured[]) => number) =>
    bootstrap(list, { statistic, seed: context.seed })
  for (const { name, instances, parities } of arms) {
    const list = results.get(name) ?? []
    context.emit({ case: name, metric: 'extra instances', value: instances + parities - M, unit: '' })
    for (const metric of ['p50', 'p99', 'p999'] as const) {
      const { value, low, high, n } = interval(list, (all) => mean(all.map((one) => one[metric])))
      context.emit({ case: name, metric, value, unit: 'ms', low, high, n })
    }
    context.emit({
      case: name,
      metric: 'reconstructed',
      value: mean(list.map(({ reconstructed }) => reconstructed)),
      unit: 'of queries',
      ...(name.startsWith('coded') ? { target: '<= 1.5 x 0.01' } : {}),
    })
    const target = '= 0'
    context.emit({
      case: name,
      metric: 'unanswered',
      value: list.reduce((sum, one) => sum + one.unanswered, 0),
      unit: 'queries',
      target,
    })
  }
  const gap = ({ p50, p999 }: Measured) => p999 - p50
  for (const k of [2, 4]) {
    const own = results.get(`coded k=${k}, hold`) ?? []
    const compare = (baseline: string, metric: string, o: { of: (one: Measured) => number; target: string }) => {
      const pairs = own.map((one, i) => [o.of(one), o.of((results.get(baseline) ?? [])[i] as Measured)] as const)
      const ratio = (all: readonly (readonly [number, number])[]) =>
        mean(all.map(([a]) => a)) / mean(all.map(([, b]) => b))
      const { value, low, high, n } = bootstrap(pairs, { statistic: ratio, seed: context.seed })
      const base = mean(pairs.map(([, b]) => b))
      context.emit({
        case: `coded k=${k}, hold`,
        metric,
        value: mean(pairs.map(([a]) => a)),
        unit: 'ms',
        baseline: { case: baseline, value: base },
        ratio: value,
        low,
        high,
        n,
        target: o.target,
      })
    }
    compare(`equal resources k=${k}`, 'p99.9 - p50', { of: gap, target: 'ratio <= 1/6' })
    compare(`equal resources k=${k}`, 'p50', { of: ({ p50 }) => p50, target: 'ratio <= 1.05' })
    compare('replication', 'p99.9', { of: ({ p999 }) => p999, target: 'ratio <= 1.15' })
  }
}

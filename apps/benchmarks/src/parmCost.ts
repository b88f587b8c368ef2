// Part of bench "parm-tail": what the gateway itself costs. Processor time of its process a query, the time it adds to a
// call at half load, and the time of one decode.
import { bootstrap, median } from '@ft/core/statistics'
import { createGrpcClient, createOipClient, startWorker, sum, toWireTensor, type NamedTensor } from '@ft/parm'
import type { BenchContext } from './bench.ts'
import { startGateway } from './parmGateway.ts'
import { openLoop } from './parmLoad.ts'
import { echoModule } from './parmTailWorker.ts'

const WIDTH = 784
const CALLERS = 8
/** Node compiles what is called often for tens of thousands of queries: the first cost twice as much as later ones. */
const WARM_UP = 30_000

export async function measureGatewayCost(context: BenchContext): Promise<void> {
  const workers = [
    await startWorker({ model: { module: echoModule } }),
    await startWorker({ model: { module: echoModule } }),
    await startWorker({ model: { module: echoModule } }),
  ]
  const at = (from: number, to: number) =>
    workers.slice(from, to).map(({ address }) => ({ url: address, model: 'echo', concurrency: 8 }))
  const hold = { hold: { afterMs: 50 } }
  const gateways = [
    {
      name: 'uncoded',
      gateway: await startGateway({ model: 'echo', policy: hold, instances: at(0, 2), grpc: { port: 0 } }),
    },
    {
      name: 'coded k=2',
      gateway: await startGateway({
        model: 'echo',
        policy: hold,
        grpc: { port: 0 },
        code: { kind: 'sum', k: 2 },
        instances: at(0, 2),
        parityInstances: at(2, 3),
      }),
    },
  ]
  try {
    const rounds = context.quick ? 8 : 20
    const queries = 2000
    for (const { name, gateway } of gateways)
      for (const form of ['binary', 'JSON', 'gRPC'] as const) {
        const client =
          form === 'gRPC'
            ? createGrpcClient(gateway.grpcUrl as string)
            : createOipClient(gateway.url, { connections: CALLERS, binary: form === 'binary' })
        const costs: number[] = []
        const measure = async (of: number) => {
          const before = await gateway.metric('process_cpu_seconds_total')
          await closedLoop(client, of)
          return ((await gateway.metric('process_cpu_seconds_total')) - before) / of
        }
        const what = `gateway, ${name}, ${form}, ${WIDTH} float32, echo`
        const first = await measure(queries)
        const metric = `CPU a query, first ${queries}`
        if (form === 'binary') context.emit({ case: what, metric, value: 1e6 * first, unit: 'us' })
        await closedLoop(client, form === 'binary' ? WARM_UP : queries)
        for (let round = 0; round < rounds; round++) costs.push(await measure(queries))
        await client.close()
        const { low, high, n } = bootstrap(costs, { statistic: median, seed: context.seed })
        context.emit({
          case: what,
          metric: 'CPU a query',
          value: 1e6 * median(costs),
          unit: 'us',
          low: 1e6 * low,
          high: 1e6 * high,
          n,
          ...(form === 'binary' ? { target: '<= 150, aim 80' } : {}),
        })
      }
    await measureAdded(context, { direct: workers[0]?.address as string, through: gateways })
  } finally {
    await Promise.all(gateways.map(({ gateway }) => gateway.stop()))
    await Promise.all(workers.map((worker) => worker.stop()))
  }
  measureDecode(context)
}

const row = () =>
  toWireTensor({ name: 'x', data: new Float32Array(WIDTH).fill(0.5), shape: [1, WIDTH], dtype: 'float32' })

async function closedLoop(client: ReturnType<typeof createOipClient>, queries: number): Promise<void> {
  const request = { parameters: {}, inputs: [row()], binaryOutput: true }
  let left = queries
  const caller = async () => {
    while (left-- > 0) await client.infer('echo', { request })
  }
  await Promise.all(Array.from({ length: CALLERS }, caller))
}

async function measureAdded(
  context: BenchContext,
  o: { direct: string; through: readonly { name: string; gateway: { url: string } }[] },
): Promise<void> {
  const request = { parameters: {}, inputs: [row()], binaryOutput: true }
  const p50 = async (address: string, seed: number) => {
    const client = createOipClient(address, { connections: 64, binary: true })
    const ask = async () => void (await client.infer('echo', { request }))
    await openLoop({ ratePerSecond: 200, queries: 100, seed: seed + 1, ask })
    const { latencies } = await openLoop({ ratePerSecond: 200, queries: 500, seed, ask })
    await client.close()
    return median(latencies)
  }
  for (const { name, gateway } of o.through) {
    const added: number[] = []
    for (let round = 0; round < 3; round++) {
      const direct = await p50(o.direct, context.seed + round)
      added.push((await p50(gateway.url, context.seed + round)) - direct)
    }
    context.emit({
      case: `gateway, ${name}, 200 queries/s`,
      metric: 'added to p50',
      value: median(added),
      unit: 'ms',
      low: Math.min(...added),
      high: Math.max(...added),
      n: added.length,
      target: '<= 1',
    })
  }
}

function measureDecode(context: BenchContext): void {
  const outputs = (value: number): NamedTensor[] => [
    { name: 'y', data: new Float32Array(1000).fill(value), shape: [1, 1000], dtype: 'float32' },
  ]
  for (const k of [2, 4]) {
    const code = sum({ k })
    const got = new Map(Array.from({ length: k }, (_, i) => [i + 1, outputs(i)]))
    const times: number[] = []
    for (let i = 0; i < 3000; i++) {
      const start = performance.now()
      code.decode(got)
      times.push(1000 * (performance.now() - start))
    }
    const value = median(times.slice(1000))
    context.emit({ case: `decode, 1,000 classes, k=${k}`, metric: 'median', value, unit: 'us', target: '<= 50' })
  }
}

// Part of bench "parm-tail": workers that are stopped for seconds and killed while queries come. Counts the queries that
// have no answer at their deadline.
import { createRandom } from '@ft/core/random'
import { createGateway, createOipClient, firstWins, hold, sum, type GatewayOptions, type InstanceSpec } from '@ft/parm'
import type { BenchContext } from './bench.ts'
import { openLoop } from './parmLoad.ts'
import { askRecorded } from './parmRecorded.ts'
import { tailWorkerModule } from './parmTailWorker.ts'

const DEADLINE_MS = 1000
/** What the machine may add to a deadline: the answer's way back and a timer of a busy process. */
const SLACK_MS = 50

export interface FaultOptions {
  readonly outputs: readonly Float32Array[]
  readonly serviceMs: number
  readonly ratePerSecond: number
  readonly instances: number
}

export async function measureFaults(context: BenchContext, o: FaultOptions): Promise<void> {
  const spec: InstanceSpec = {
    worker: { module: tailWorkerModule, options: { serviceMs: o.serviceMs } },
    concurrency: 8,
  }
  const coded: Partial<GatewayOptions> = {
    code: sum({ k: 2 }),
    policy: hold({ afterMs: 3 * o.serviceMs }),
    parityInstances: Array<InstanceSpec>(o.instances / 2).fill(spec),
  }
  for (const [name, options] of [
    ['none', {}],
    ['coded k=2', coded],
  ] as const)
    for (const signal of ['SIGSTOP', 'SIGKILL'] as const) await measure(context, { ...o, name, options, signal, spec })
}

/** To a worker that may have ended meanwhile, and been replaced. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone already: that is a fault as well
  }
}

async function measure(
  context: BenchContext,
  o: FaultOptions & {
    name: string
    options: Partial<GatewayOptions>
    signal: 'SIGSTOP' | 'SIGKILL'
    spec: InstanceSpec
  },
): Promise<void> {
  const gateway = await createGateway({
    model: 'recorded',
    policy: firstWins(),
    deadlineMs: DEADLINE_MS,
    instances: Array<InstanceSpec>(o.instances).fill(o.spec),
    ...o.options,
  })
  const client = createOipClient(gateway.url, { connections: 256, binary: true })
  const random = createRandom(context.seed).stream('faults')
  const queries = context.quick ? 800 : 2000
  const victim = () => gateway.snapshot().instances[random.integer(0, o.instances - 1)]?.pid as number
  // A second after the start, and again: stopped workers go on two seconds later
  const timers = [1000, 2500].map((ms) =>
    setTimeout(() => {
      const pid = victim()
      send(pid, o.signal)
      if (o.signal === 'SIGSTOP') setTimeout(() => send(pid, 'SIGCONT'), 2000)
    }, ms),
  )
  try {
    const { latencies, unanswered } = await openLoop({
      ratePerSecond: o.ratePerSecond,
      queries,
      seed: context.seed,
      ask: () => askRecorded(client, o.outputs[random.integer(0, o.outputs.length - 1)] as Float32Array),
    })
    const late = latencies.filter((ms) => ms > DEADLINE_MS + SLACK_MS).length
    const common = { case: `${o.signal}, ${o.name}` }
    context.emit({
      ...common,
      metric: 'unanswered at the deadline',
      value: Math.max(unanswered, late),
      unit: `of ${queries} queries`,
      target: '= 0',
    })
    context.emit({ ...common, metric: 'slowest', value: Math.max(...latencies), unit: 'ms' })
  } finally {
    for (const timer of timers) clearTimeout(timer)
    await client.close()
    await gateway.close()
  }
}

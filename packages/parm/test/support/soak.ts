// A gateway with its own workers at half load while faults of every kind come at random; what came of each query, and
// whether memory grew.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createRandom, type Random } from '@ft/core/random'
import {
  createGateway,
  createOipClient,
  hold,
  sum,
  toNamedTensor,
  toWireTensor,
  type Gateway,
} from '../../src/index.ts'
import { tripleModule } from './worker.ts'

export interface SoakReport {
  readonly queries: number
  /** Answers 200 with the query's own outputs, the same with another's, refusals by status, and calls cut off. */
  readonly right: number
  readonly wrong: number
  readonly refused: Readonly<Record<string, number>>
  readonly aborted: number
  /** Calls that ended twice or never. */
  readonly unsettled: number
  readonly faults: Readonly<Record<string, number>>
  /** Share of the time in which so many base instances were in use. */
  readonly inUse: readonly number[]
  /** Refused queries by the fewest base instances in use while they waited. */
  readonly refusedWith: readonly number[]
  /** Of answers: the gateway's own counts. */
  readonly counts: Gateway['snapshot'] extends () => { counts: infer C } ? C : never
  /** Requests to instances of the model and of the parity model, and the rows in them. */
  readonly batches: Readonly<Record<string, { readonly requests: number; readonly rows: number }>>
  /** Heap in MB after a collection, and open groups, at a tenth of the time each. */
  readonly heapMb: readonly number[]
  readonly openGroups: readonly number[]
  /** Open queries and groups after the last deadline. */
  readonly left: { readonly queries: number; readonly groups: number }
}

const INSTANCES = 4
const SERVICE_MS = 10
/** Half of what one-at-a-time instances of 10 ms (and about 2 ms between) can do. */
const RATE = 160
const DEADLINE_MS = 1000

export async function soak(o: { seconds: number; seed: number; workerFile: string }): Promise<SoakReport> {
  const random = createRandom(o.seed).stream('soak')
  const worker = (i: number) => ({
    worker: { module: tripleModule, options: { delayMs: SERVICE_MS } },
    workerFile: o.workerFile,
    faults: { seed: o.seed + i, late: { share: 0.01, ms: [50, 150] as const }, drop: { share: 0.002 } },
  })
  const gateway = await createGateway({
    model: 'm',
    code: sum({ k: 2 }),
    policy: hold({ quantile: 0.99 }),
    deadlineMs: DEADLINE_MS,
    residualShare: 0.5,
    maxBatchRows: 4,
    maxBatchWaitMs: 5,
    shadowShare: 0.5,
    instances: Array.from({ length: INSTANCES }, (_, i) => worker(i)),
    parityInstances: Array.from({ length: INSTANCES / 2 }, (_, i) => worker(INSTANCES + i)),
  })
  const client = createOipClient(gateway.url, { connections: 256, binary: true })
  const heapMb: number[] = []
  const openGroups: number[] = []
  const faults = { SIGKILL: 0, SIGSTOP: 0 }
  // Of the size that is needed from the start: what grows here would be taken for the gateway's
  const ends = new Uint8Array(Math.ceil(1.2 * RATE * o.seconds) + 1000)
  const availability = recordAvailability(o.seconds)
  const found = { right: 0, wrong: 0, aborted: 0 }
  const refused: Record<string, number> = {}
  try {
    const until = performance.now() + 1000 * o.seconds
    const breaking = breakWorkers(gateway, { random: random.stream('faults'), until, faults })
    const running = new Set<Promise<void>>()
    let queries = 0
    let due = performance.now()
    let sampleAt = due
    while (performance.now() < until) {
      const now = performance.now()
      // By its schedule, whatever the answers do: a query that is behind goes out at once
      for (; due <= now; due += random.exponential(RATE / 1000)) {
        const one = ask(client, { i: queries, random, ends, found, refused, onRefused: availability.watch() })
        running.add(one)
        void one.then(() => running.delete(one))
        queries++
      }
      if (now >= sampleAt) {
        collectGarbage()
        heapMb.push(process.memoryUsage().heapUsed / 2 ** 20)
        openGroups.push(gateway.snapshot().openGroups)
        sampleAt += (1000 * o.seconds) / 10
      }
      const { instances } = gateway.snapshot()
      availability.sample(instances.slice(0, INSTANCES).filter(({ out }) => !out).length)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await breaking
    await Promise.all(running)
    // Groups whose outputs are compared stay until the deadline of their members
    for (let i = 0; i < 30 && gateway.snapshot().openGroups > 0; i++)
      await new Promise((resolve) => setTimeout(resolve, DEADLINE_MS / 10))
    const { counts, openQueries, openGroups: groups, batches } = gateway.snapshot()
    return {
      queries,
      ...found,
      refused,
      ...availability.report(),
      unsettled: ends.subarray(0, queries).reduce((count, times) => count + Number(times !== 1), 0),
      faults,
      counts,
      batches: Object.fromEntries(
        Object.entries(batches).map(([name, { count, sum }]) => [name, { requests: count, rows: sum }]),
      ),
      heapMb,
      openGroups,
      left: { queries: openQueries, groups },
    }
  } finally {
    await client.close()
    await gateway.close()
  }
}

async function ask(
  client: ReturnType<typeof createOipClient>,
  o: {
    i: number
    random: Random
    ends: Uint8Array
    onRefused: () => void
    found: { right: number; wrong: number; aborted: number }
    refused: Record<string, number>
  },
): Promise<void> {
  // Integers that float32 holds, and with them the sums of two and their triples; no two queries of the last hours alike
  const values = [700 + (o.i % 1_000_000), Math.floor(o.i / 1_000_000)] as const
  const x = toWireTensor({ name: 'x', data: Float32Array.from(values), shape: [1, 2], dtype: 'float32' })
  const stop = o.random.bernoulli(0.005) ? new AbortController() : undefined
  if (stop) setTimeout(() => stop.abort(), o.random.uniform(0, 15))
  const settled = (what: () => void) => {
    o.ends[o.i] = (o.ends[o.i] ?? 0) + 1
    what()
  }
  await client
    .infer('m', {
      request: { parameters: {}, inputs: [x], binaryOutput: true },
      ...(stop ? { signal: stop.signal } : {}),
    })
    .then(
      ({ outputs }) =>
        settled(() => {
          const y = outputs[0] ? toNamedTensor(outputs[0])?.data : undefined
          if (y?.length === 2 && values.every((value, e) => y[e] === 3 * value)) o.found.right++
          else o.found.wrong++
        }),
      (error: unknown) =>
        settled(() => {
          const status = String((error as { status?: number }).status ?? 'cut off')
          if (stop?.signal.aborted) o.found.aborted++
          else {
            o.refused[status] = (o.refused[status] ?? 0) + 1
            o.onRefused()
          }
        }),
    )
}

/** How many base instances were in use, over time and while each query waited. */
function recordAvailability(seconds: number) {
  const history = new Uint8Array(1000 * (seconds + 10)).fill(INSTANCES)
  const refusedWith = new Array<number>(INSTANCES + 1).fill(0)
  const started = performance.now()
  let filled = 0
  const at = () => Math.min(history.length, Math.ceil(performance.now() - started))
  return {
    sample(inUse: number) {
      history.fill(inUse, filled, at())
      filled = at()
    },
    watch() {
      const from = at()
      return () => {
        let fewest = INSTANCES
        for (const count of history.subarray(Math.max(0, from - 1), at())) fewest = Math.min(fewest, count)
        refusedWith[fewest] = (refusedWith[fewest] as number) + 1
      }
    },
    report() {
      const inUse = new Array<number>(INSTANCES + 1).fill(0)
      for (const count of history.subarray(0, filled)) inUse[count] = (inUse[count] as number) + 1 / filled
      return { inUse, refusedWith }
    },
  }
}

/** Kills a worker or stops it for a while, every second or so. */
async function breakWorkers(
  gateway: Gateway,
  o: { random: Random; until: number; faults: { SIGKILL: number; SIGSTOP: number } },
): Promise<void> {
  const send = (pid: number, signal: NodeJS.Signals) => {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended meanwhile: a fault as well
    }
  }
  for (;;) {
    const pause = o.random.uniform(500, 3000)
    if (performance.now() + pause > o.until) return
    await new Promise((resolve) => setTimeout(resolve, pause))
    const { instances } = gateway.snapshot()
    const pid = instances[o.random.integer(0, instances.length - 1)]?.pid
    if (pid === undefined) continue
    const signal = o.random.bernoulli(0.3) ? 'SIGKILL' : 'SIGSTOP'
    o.faults[signal]++
    send(pid, signal)
    if (signal === 'SIGSTOP') setTimeout(() => send(pid, 'SIGCONT'), o.random.uniform(100, 1500))
  }
}

let collect: (() => void) | undefined
function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
}

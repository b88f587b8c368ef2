// One arm of the serving comparison: a gateway over worker processes, queries at times fixed beforehand, one worker
// killed and one stopped on the way.
import { createRandom } from '@ft/core/random'
import {
  createGateway,
  createOipClient,
  toNamedTensor,
  toWireTensor,
  type Gateway,
  type GatewayOptions,
  type OipClient,
} from '@ft/parm'

export interface Load {
  /** Vectors `[rows, width]` that queries are drawn from. */
  readonly vectors: Float32Array
  readonly width: number
  /** The network's own log odds of each row. */
  readonly exact: ArrayLike<number>
  readonly queries: number
  /** Queries before counting begins: connections, compilation and caches settle. */
  readonly warmUp: number
  /** Queries a second. */
  readonly rate: number
  readonly seed: number
  readonly onProgress: (done: number) => void
}

export interface Answered {
  readonly row: number
  /** From the moment it was due to its answer, whatever the generator was doing. */
  readonly latencyMs: number
  readonly quality: string
  readonly logOdds: number
}

export interface Served {
  /** In the order of their due times; the same rows and times for every arm. */
  readonly answers: readonly Answered[]
  /** Own answers that were not the network's own for that flight. */
  readonly swapped: number
}

/** How long the stopped worker is stopped. */
const STOP_MS = 400

export async function serveArm(options: Omit<GatewayOptions, 'model'>, load: Load): Promise<Served> {
  const gateway = await createGateway({ ...options, model: 'late-arrival' })
  const client = createOipClient(gateway.url, { connections: 128, binary: true })
  const stopped: number[] = []
  try {
    await openLoop(
      client,
      { ...load, queries: load.warmUp, seed: load.seed + 1, onProgress: () => undefined },
      () => undefined,
    )
    const answers = await openLoop(client, load, (query) => {
      if (query === Math.floor(load.queries / 3)) signal(gateway, 'base-1', 'SIGKILL')
      if (query === Math.floor((2 * load.queries) / 3)) {
        const pid = signal(gateway, 'base-2', 'SIGSTOP')
        if (pid === undefined) return
        stopped.push(pid)
        setTimeout(() => wake(pid), STOP_MS)
      }
    })
    const swapped = answers.filter(
      // Log odds are below 20; batches of one and of many round differently, by some 1e-6
      ({ quality, row, logOdds }) => quality === 'exact' && !(Math.abs(logOdds - (load.exact[row] as number)) < 1e-3),
    ).length
    return { answers, swapped }
  } finally {
    stopped.forEach(wake)
    await client.close()
    await gateway.close()
  }
}

function signal(gateway: Gateway, instance: string, name: NodeJS.Signals): number | undefined {
  const pid = gateway.snapshot().instances.find((one) => one.name === instance)?.pid
  if (pid !== undefined) process.kill(pid, name)
  return pid
}

function wake(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch {
    // It has ended meanwhile
  }
}

async function openLoop(client: OipClient, load: Load, before: (query: number) => void): Promise<Answered[]> {
  const random = createRandom(load.seed).stream('arrivals')
  const rows = load.vectors.length / load.width
  const running: Promise<Answered>[] = []
  let due = performance.now()
  for (let i = 0; i < load.queries; i++) {
    due += random.exponential(load.rate / 1000)
    const row = random.integer(0, rows - 1)
    const wait = due - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    before(i)
    running.push(ask(client, load, { row, due }))
    load.onProgress(i + 1)
  }
  return Promise.all(running)
}

async function ask(client: OipClient, load: Load, { row, due }: { row: number; due: number }): Promise<Answered> {
  const data = load.vectors.subarray(row * load.width, (row + 1) * load.width)
  const input = toWireTensor({ name: 'flight', data, shape: [1, load.width], dtype: 'float32' })
  const answer = await client
    .infer('late-arrival', { request: { parameters: {}, inputs: [input], binaryOutput: true } })
    .catch(() => undefined)
  const output = answer?.outputs[0] && toNamedTensor(answer.outputs[0])
  return {
    row,
    latencyMs: performance.now() - due,
    quality: output ? String(answer.parameters?.['ft.quality'] ?? 'exact') : 'none',
    logOdds: output?.data[0] ?? NaN,
  }
}

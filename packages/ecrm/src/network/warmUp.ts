// A process that stands by has done nothing yet, and V8 would compile its program while every step of the training waits for it. It
// trains on rows of its own before it is needed.
import { createRandom } from '@ft/core/random'
import { openGeneration } from '../generation.ts'
import { resolveSpec } from '../shard/spec.ts'
import { dial, localAddress } from './address.ts'
import type { StartCluster } from './cluster.ts'
import { startMembers, type Places } from './members.ts'
import { hostShards } from './shardHost.ts'

export interface WarmUpOptions {
  /** Beginning of the paths of its sockets; default ports of the loopback. */
  readonly path?: string | undefined
  /** Ends it early: there is something to do. */
  readonly signal: AbortSignal
}

const servers = 3
const rows = 6_000
const rowsAStep = 300
/** V8 compiles what has been called some hundreds of times. */
const steps = 400
/** When a server dies and is replaced. */
const deaths = [80, 200, 320]

/** A run of three servers and those that replace them, all in this process: pulls, pushes, parity, recoveries. */
export async function warmUp({ path, signal }: WarmUpOptions): Promise<void> {
  const token = crypto.getRandomValues(new Uint32Array(4))
  const count = servers + deaths.length
  const hosts = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      hostShards({ token, host: '127.0.0.1', port: 0, path: path === undefined ? undefined : `${path}.${i}` }),
    ),
  )
  let taken = 0
  const places: Places = {
    token,
    tls: undefined,
    take() {
      const i = taken++
      const address = path === undefined ? `127.0.0.1:${hosts[i]!.port}` : localAddress(`${path}.${i}`)
      return { address: Promise.resolve(address), ended: new Promise(() => undefined), kill: () => undefined }
    },
    dial: (address) => dial(address, undefined),
    refill: () => undefined,
    attempts: 1,
    retry: 0,
    patience: 0,
    close: async () => void (await Promise.all(hosts.map((host) => host.close()))),
  }
  const spec = resolveSpec({
    ...{ k: servers - 1, r: 1, servers, d: 16, ranges: [{ rows, scale: 0.1 }], seed: 1 },
    ...{ optimizer: { name: 'adagrad', learningRate: 0.01 }, acknowledgement: 'sync', logBytes: 2 ** 24 },
  })
  const how = { sweep: { stripes: 256, pause: 5, share: 0.1 }, heartbeat: 1_000, missed: 10 }
  const start: StartCluster = (resolved, events) =>
    startMembers(resolved, events, { ...how, places, lasting: undefined })
  const run = await openGeneration(spec, { start }, () => undefined)
  try {
    const random = createRandom(1)
    let [before, pushing]: Promise<void>[] = [Promise.resolve(), Promise.resolve()]
    for (let step = 0; step < steps && !signal.aborted; step++) {
      const at = deaths.indexOf(step)
      if (at >= 0) run.cluster.kill(at)
      const ids = random.sample(rows, rowsAStep)
      const values = await run.client.pull(ids)
      if (run.degraded) run.expect(random.sample(rows, rowsAStep))
      await before
      before = pushing
      pushing = run.client.push(ids, values, { readsNext: true, pushesNext: true })
      pushing.catch(() => undefined)
    }
    await pushing
  } finally {
    await run.close()
  }
}

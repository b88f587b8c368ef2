// Instances as a gateway is given them: addresses of servers, or models to run in worker processes of its own.
import { createGrpcClient } from '../grpc/client.ts'
import { createOipClient, type OipClient } from '../oip/client.ts'
import { startWorker, type StartWorkerOptions, type WorkerProcess } from '../workers/spawn.ts'
import type { WorkerFaults } from '../workers/faults.ts'
import type { WorkerModel } from '../workers/served.ts'
import { pause, type Verify } from './fitness.ts'
import type { Instance } from './instance.ts'
import type { Pool } from './pool.ts'

interface CommonSpec {
  readonly name?: string
  /** Instances that fail together share one; a group is spread over domains. Default: its own. */
  readonly domain?: string
  /** Requests in progress at a time. Default 1 for workers, 16 for servers. */
  readonly concurrency?: number
}

export interface ServerSpec extends CommonSpec {
  /** 'http://host:port' or 'grpc://host:port' (also https and grpcs) of an Open Inference Protocol server, or the path of its local socket. */
  readonly url: string
  /** The model's name there. Default: the gateway's; of a parity instance the parity model's, such as 'parity'. */
  readonly model?: string
}

export interface WorkerSpec extends CommonSpec {
  readonly worker: WorkerModel
  /** Faults that the worker injects into itself, to see what becomes of them. Default: none. */
  readonly faults?: WorkerFaults
  /** Default: the entry in this package's build. */
  readonly workerFile?: string
}

export type InstanceSpec = ServerSpec | WorkerSpec

/** An instance with the process behind it, when it is the gateway's own. */
export interface OpenInstance {
  readonly instance: Instance
  readonly spec: InstanceSpec
  readonly startTimeoutMs: number
  process: WorkerProcess | undefined
}

export async function openInstance(
  spec: InstanceSpec,
  { name, model, startTimeoutMs }: { name: string; model: string; startTimeoutMs: number },
): Promise<OpenInstance> {
  const process = 'worker' in spec ? await startWorker(workerOptions(spec, startTimeoutMs)) : undefined
  const own = spec.name ?? name
  const concurrency = spec.concurrency ?? (process ? 1 : 16)
  const instance: Instance = {
    name: own,
    domain: spec.domain ?? own,
    model: 'url' in spec ? (spec.model ?? model) : model,
    concurrency,
    client: clientOf(spec, process, concurrency),
    outstanding: 0,
    out: false,
    unfit: undefined,
    failuresInRow: 0,
    answered: 0,
    failed: 0,
    latencyMs: 0,
    judged: 0,
    pauses: 0,
    answeredAtMs: 0,
  }
  return { instance, spec, startTimeoutMs, process }
}

function workerOptions({ worker, faults, workerFile }: WorkerSpec, startTimeoutMs: number): StartWorkerOptions {
  return {
    model: worker,
    startTimeoutMs,
    ...(faults ? { faults } : {}),
    ...(workerFile === undefined ? {} : { workerFile }),
  }
}

function clientOf(spec: InstanceSpec, process: WorkerProcess | undefined, concurrency: number): OipClient {
  // One connection more than units: probes must not wait behind them
  const connections = concurrency + 1
  if (process) return createOipClient(process.address, { connections, binary: true })
  const { url } = spec as ServerSpec
  return /^grpcs?:/.test(url) ? createGrpcClient(url) : createOipClient(url, { connections })
}

/** A worker that ran for so long did not end because of how it starts. */
const SETTLED_MS = 5000
const FIRST_DELAY_MS = 50

/**
 * Starts a worker again whenever it ends, until told to stop. Waits longer after each end soon after a start, to 5 s. One that
 * loads another model than before, from files that were changed meanwhile, is ended and tried again as well.
 */
export function keepRunning(
  open: OpenInstance,
  { pool, stopped, verify }: { pool: Pool; stopped: AbortSignal; verify: Verify },
): void {
  if (!open.process) return
  let delayMs = FIRST_DELAY_MS
  let startedMs = performance.now()
  const again = async (): Promise<void> => {
    for (;;) {
      await open.process?.exited
      if (stopped.aborted) return
      pool.takeOut(open.instance)
      if (performance.now() - startedMs >= SETTLED_MS) delayMs = FIRST_DELAY_MS
      await open.process?.stop()
      await pause(delayMs, stopped)
      if (stopped.aborted) return
      delayMs = Math.min(5000, delayMs * 2)
      const next = await startWorker(workerOptions(open.spec as WorkerSpec, open.startTimeoutMs)).catch(() => undefined)
      if (!next) continue
      open.process = next
      startedMs = performance.now()
      if (stopped.aborted) return next.stop()
      await open.instance.client.close()
      open.instance.client = clientOf(open.spec, next, open.instance.concurrency)
      if (await verify(open.instance, stopped)) pool.restore(open.instance)
      else await next.stop()
    }
  }
  void again()
}

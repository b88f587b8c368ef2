// The gateway: the Open Inference Protocol in front, instances that speak it behind, coding groups between.
import process from 'node:process'
import { FtError, assertInteger, assertNumber } from '@ft/core'
import type { Code } from '../codes/code.ts'
import { assertPreprocessing, withPreprocessing, type Preprocessings } from '../codes/preprocessed.ts'
import type { NamedTensor } from '../named.ts'
import { toNamedTensor, toWireTensor, type WireTensor } from '../oip/message.ts'
import { startOipServer, type OipServer, type OipServerOptions } from '../oip/server.ts'
import type { ModelMetadata, OipService } from '../oip/service.ts'
import { startGrpcServer } from '../grpc/server.ts'
import { systemClock } from '../serving/clock.ts'
import { utilisationGuard } from '../serving/guard.ts'
import { residualCheck, type ResidualState } from '../serving/residual.ts'
import { shadowCheck, type ShadowCounts } from '../serving/shadow.ts'
import type { Dispatch, Task } from '../serving/group.ts'
import type { Policy } from '../serving/policy.ts'
import type { CoordinatorEvent } from '../serving/coordinator.ts'
import { createCoordinator } from '../serving/serveGroup.ts'
import { createFront } from './front.ts'
import { BUCKETS_MS, BUCKETS_ROWS, createHistogram, type Histogram } from './metrics.ts'
import { findInstances } from './fitness.ts'
import { takesBatches } from './batch.ts'
import { isRowWise } from './rows.ts'
import { withTracing } from './tracing.ts'
import { keepRunning, openInstance, type InstanceSpec, type OpenInstance } from './instances.ts'
import type { Instance } from './instance.ts'
import { createPool, type Pool } from './pool.ts'
import { checkPreprocessing } from './signature.ts'
import type { Job } from './unit.ts'
import { statusPage } from './statusPage.ts'
import { tensorflowRoutes } from '../tfs/routes.ts'

export interface GatewayOptions extends OipServerOptions {
  /** The model's name in front, and behind where an instance does not say otherwise. */
  readonly model: string
  readonly instances: readonly InstanceSpec[]
  /** Instances of the code's parity model; by its name when there are several. */
  readonly parityInstances?: readonly InstanceSpec[] | Readonly<Record<string, readonly InstanceSpec[]>>
  /** Absent: no redundancy. */
  readonly code?: Code
  /**
   * What the model itself makes of its inputs first, by their names: parities are encoded from that, in float32, as their model
   * was trained. Instances of the model get what clients send, of whatever type. Default: inputs are coded as they come.
   */
  readonly preprocessing?: Preprocessings
  readonly policy: Policy
  /** Milliseconds until a query is answered whatever happens; `ft.deadlineMs` of a request shortens it. Default 1000. */
  readonly deadlineMs?: number
  /**
   * Milliseconds that queries wait for an instance when none of its model is in use; after that they get 503 at once, until one is.
   * Default 500.
   */
  readonly outageMs?: number
  /** Default 50. */
  readonly maxGroupWaitMs?: number
  /**
   * Most rows that an instance is sent in one request: queries, or parities, of any clients and groups, never two of one group.
   * Of a model whose first axis is fixed always 1. Default 1: every row is a request.
   */
  readonly maxBatchRows?: number
  /**
   * Milliseconds that a row waits for others to share its request, although an instance is free; less where its deadline is
   * near. Default 0: only rows that wait for an instance share one.
   */
  readonly maxBatchWaitMs?: number
  /** Units that may wait for an instance before requests are refused with 429. Default 1000. */
  readonly queueLimit?: number
  /** Outputs for a row that no answer was found for by its deadline. Absent: such a request gets 504. */
  readonly defaultOutputs?: readonly NamedTensor[]
  /**
   * Utilisation of the base instances above which no parities, replicas or hedges are sent: they would make late queries
   * later. Default 0.9; `false` for no guard.
   */
  readonly guard?: { readonly limit?: number; readonly windowMs?: number } | false
  /** Compares this share of reconstructions with the outputs that come later. Default 0. */
  readonly shadowShare?: number
  /**
   * Of this share of groups all outputs are awaited and compared, to flag an instance that answers wrongly (codes with
   * parities only). Default 0.1.
   */
  readonly residualShare?: number
  /** Of the choices of both checks. Default 0. */
  readonly seed?: number
  /** Records an OpenTelemetry span a request, with the optional peer @opentelemetry/api. Default false. */
  readonly tracing?: boolean
  /** Serves gRPC as well, with the optional peer @grpc/grpc-js. `tls`, `maxBodyBytes` and `drainMs` are those of REST. */
  readonly grpc?: { readonly host?: string; readonly port?: number }
  /** Milliseconds that instances may take to become ready. Default 30,000. */
  readonly startTimeoutMs?: number
}

export interface GatewaySnapshot {
  readonly counts: Readonly<Partial<Record<CoordinatorEvent, number>>>
  /** Reconstructions compared with the model's own outputs. */
  readonly shadow: ShadowCounts
  /** Groups compared with their parities, and the instances that answer wrongly by them. */
  readonly residual: ResidualState
  /** Share of the base instances' places in use, averaged. */
  readonly utilisation: number
  /** Requests that failed or were refused, by the status that their clients got. */
  readonly refusals: Readonly<Record<string, number>>
  /** Of answers, in milliseconds: cumulative buckets. */
  readonly latency: ReturnType<Histogram['counts']>
  /** Of requests to the instances of a model, by its rows: cumulative buckets; 'base' and the parity models' names. */
  readonly batches: Readonly<Record<string, ReturnType<Histogram['counts']>>>
  readonly openQueries: number
  readonly openGroups: number
  readonly queued: number
  readonly instances: readonly {
    readonly name: string
    readonly model: string
    readonly out: boolean
    /** Why it is out although it is ready: it has another model than at the start, or than the others. */
    readonly unfit: string | undefined
    readonly outstanding: number
    readonly answered: number
    readonly failed: number
    readonly latencyMs: number
    /** Of a worker of the gateway's own. */
    readonly pid: number | undefined
  }[]
}

export interface Gateway {
  /** Where it listens. */
  readonly url: string
  /** Where it listens for gRPC, when it does. */
  readonly grpcUrl: string | undefined
  snapshot(): GatewaySnapshot
  /**
   * Refuses new requests, answers those in progress, ends its workers. Connections that are left after `drainMs` (default: a
   * second more than `deadlineMs`) are destroyed.
   */
  close(): Promise<void>
}

const DRAIN_MARGIN_MS = 1000

/**
 * Starts a gateway: resolves when it listens and all instances are ready, or at least one of each model is and the others
 * have had two seconds more; those join when they are there.
 *
 * Every response carries `ft.quality` ('exact', 'reconstructed', 'default'; the worst of its rows, all of them in
 * `ft.qualities` when there are several) and `ft.group`. A request with `ft.allowDegraded: false` gets exact answers or
 * 504. Inputs that cannot be summed pass through uncoded.
 *
 * @throws FtError `FINGERPRINT_MISMATCH` when a parity instance serves the parity model of another base model or code,
 * `SHAPE_MISMATCH` when instances differ in what they take and give, or inputs from their preprocessing, `IO` when a worker does not start or no instance of a
 * model becomes ready, `INVALID_ARGUMENT`
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { model, policy, deadlineMs = 1000, maxGroupWaitMs, queueLimit = 1000, startTimeoutMs = 30_000 } = options
  const { maxBatchRows = 1, maxBatchWaitMs = 0, outageMs = 500 } = options
  assertInteger(queueLimit, { where: 'createGateway', argument: 'queueLimit', min: 1 })
  assertInteger(maxBatchRows, { where: 'createGateway', argument: 'maxBatchRows', min: 1, max: 1024 })
  assertNumber(maxBatchWaitMs, { where: 'createGateway', argument: 'maxBatchWaitMs', min: 0 })
  assertNumber(outageMs, { where: 'createGateway', argument: 'outageMs', min: 0 })
  const { preprocessing = {} } = options
  assertPreprocessing(preprocessing)
  const code = options.code && withPreprocessing(options.code, preprocessing)
  const clock = systemClock()
  const guard = utilisationGuard({ limit: 0.9, ...(options.guard === false ? {} : options.guard), clock })
  const shadow = shadowCheck({ share: options.shadowShare ?? 0, seed: options.seed ?? 0 })
  const residual = residualCheck({ share: options.residualShare ?? 0.1, seed: options.seed ?? 0 })
  const stopping = new AbortController()
  const opened: OpenInstance[] = []
  const pools = new Map<string, Pool>()
  const batches = new Map<string, Histogram>()
  const counts: Partial<Record<CoordinatorEvent, number>> = {}
  const refusals: Record<string, number> = {}
  let server: OipServer | undefined
  try {
    assertDistinctNames(poolsOf(options))
    const members = new Map<string, readonly OpenInstance[]>()
    for (const [pool, specs] of poolsOf(options)) {
      if (specs.length === 0)
        throw new FtError('INVALID_ARGUMENT', `createGateway: '${pool}' must have at least one instance`, { pool })
      const started = await Promise.allSettled(
        specs.map((spec, i) =>
          openInstance(spec, { name: nameOf(pool, i), model: pool === 'base' ? model : pool, startTimeoutMs }),
        ),
      )
      const own = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      opened.push(...own)
      for (const result of started) if (result.status === 'rejected') throw result.reason
      members.set(pool, own)
    }
    const found = await findInstances(members, { code, timeoutMs: startTimeoutMs, signal: stopping.signal })
    const { metadata, verify } = found
    checkPreprocessing(metadata, preprocessing)
    const rowWise = isRowWise(metadata)
    for (const [name, own] of members) {
      const signature = found.signatures.get(name) as ModelMetadata
      const rows = createHistogram(BUCKETS_ROWS)
      const pool = createPool({
        instances: own.map(({ instance }) => instance),
        clock,
        deadlineMs,
        outageMs,
        outputs: signature.outputs,
        verify,
        maxBatchRows: takesBatches(signature) ? maxBatchRows : 1,
        maxBatchWaitMs,
        onBatch: rows.observe,
        ...(name === 'base' ? { onUtilisation: guard.sample } : {}),
      })
      pools.set(name, pool)
      batches.set(name, rows)
      for (const open of own) {
        keepRunning(open, { pool, stopped: stopping.signal, verify })
        if (found.absent.has(open.instance)) leaveOut(pool, open.instance)
      }
    }
    const base = pools.get('base') as Pool

    const count = (event: CoordinatorEvent) => {
      counts[event] = (counts[event] ?? 0) + 1
    }
    const coordinator = createCoordinator({
      ...(code ? { code } : {}),
      ...(maxGroupWaitMs === undefined ? {} : { maxGroupWaitMs }),
      policy,
      clock,
      deadlineMs,
      ...(options.guard === false ? {} : { guard }),
      shadow,
      defer: (work) => void setImmediate(work),
      count,
      residual,
      dispatch: (task, settle) => runTask(pools.get(task.model) as Pool, { task, ...settle }),
    })
    const latency = createHistogram(BUCKETS_MS)
    const snapshot = (): GatewaySnapshot => ({
      counts: { ...counts },
      refusals: { ...refusals },
      latency: latency.counts(),
      batches: Object.fromEntries([...batches].map(([name, rows]) => [name, rows.counts()])),
      shadow: shadow.counts(),
      residual: residual.state(),
      utilisation: guard.utilisation(),
      openQueries: coordinator.open().queries,
      openGroups: coordinator.open().groups,
      queued: [...pools.values()].reduce((sum, pool) => sum + pool.queued(), 0),
      instances: opened.map(
        ({
          instance: { name, model: served, out, unfit, outstanding, answered, failed, latencyMs },
          process: own,
        }) => ({
          name,
          model: served,
          out,
          unfit,
          outstanding,
          answered,
          failed,
          latencyMs,
          pid: own?.pid,
        }),
      ),
    })

    const untold = createFront({
      options,
      latency,
      count,
      snapshot,
      metadata,
      rowWise,
      coordinator,
      base,
      clock,
      deadlineMs,
      queueLimit,
      stopping: stopping.signal,
    })
    const plain: OipService = {
      ...untold,
      refused: ({ status }) => void (refusals[status] = (refusals[status] ?? 0) + 1),
    }
    const traced = options.tracing ? await withTracing(plain) : plain
    const front: OipService = {
      ...traced,
      async other(request) {
        if (request.method === 'GET' && (request.path === '/' || request.path === '/status'))
          return { contentType: 'text/html; charset=utf-8', text: await statusPage(snapshot(), { model }) }
        return tensorflowRoutes(traced, request)
      },
    }
    // By then every query that came whole has its answer
    const { drainMs = deadlineMs + DRAIN_MARGIN_MS } = options
    const rest = await startOipServer(front, { ...options, drainMs })
    server = rest
    const { tls, maxBodyBytes } = options
    const grpc = options.grpc
      ? await startGrpcServer(front, {
          ...options.grpc,
          drainMs,
          ...(tls ? { tls } : {}),
          ...(maxBodyBytes === undefined ? {} : { maxBodyBytes }),
        })
      : undefined
    return {
      url: rest.url,
      grpcUrl: grpc?.url,
      snapshot,
      async close() {
        stopping.abort()
        await Promise.all([rest.close(), grpc?.close()])
        coordinator.stop()
        await endAll(pools, opened)
      },
    }
  } catch (error) {
    stopping.abort()
    server?.destroy()
    await endAll(pools, opened)
    throw error
  }
}

function poolsOf({ instances, parityInstances = [], code }: GatewayOptions): [string, readonly InstanceSpec[]][] {
  const names = new Set(Array.from({ length: code?.n ?? 1 }, (_, slot) => code?.modelFor(slot) ?? 'base'))
  names.delete('base')
  const given = Array.isArray(parityInstances)
    ? Object.fromEntries([...names].slice(0, 1).map((name) => [name, parityInstances as readonly InstanceSpec[]]))
    : (parityInstances as Readonly<Record<string, readonly InstanceSpec[]>>)
  return [
    ['base', instances],
    ...[...names].map((name): [string, readonly InstanceSpec[]] => [name, given[name] ?? []]),
  ]
}

/** Of an instance that is given none. */
const nameOf = (pool: string, i: number) => `${pool}-${i}`

/** Metrics and flags say which instance they are about by its name. */
function assertDistinctNames(pools: readonly [string, readonly InstanceSpec[]][]): void {
  const names = pools.flatMap(([pool, specs]) => specs.map(({ name }, i) => name ?? nameOf(pool, i)))
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice === undefined) return
  const text = `createGateway: instances must have names of their own, got '${twice}' twice`
  throw new FtError('INVALID_ARGUMENT', text, { name: twice })
}

function leaveOut(pool: Pool, instance: Instance): void {
  pool.leaveOut(instance)
  process.emitWarning(`the gateway starts without instance ${instance.name}, which is not ready; it joins when it is`)
}

async function endAll(pools: ReadonlyMap<string, Pool>, opened: readonly OpenInstance[]): Promise<void> {
  for (const pool of pools.values()) pool.close()
  await Promise.all(opened.flatMap(({ process }) => process?.stop() ?? []))
  await Promise.all(opened.map(({ instance }) => instance.client.close()))
}

function runTask(pool: Pool, { task, done, failed }: { task: Task } & Parameters<Dispatch>[1]): void {
  const { inputs, headers, work, placed, holders, dueMs } = task
  const job: Job = { inputs: inputs.map(toWireTensor), rows: 1, headers, work, placed, holders, dueMs }
  pool
    .run(job)
    .then(({ outputs }) => outputs.map(tensorOf))
    .then(
      (outputs) => done(outputs, job.answeredBy),
      (error: unknown) => {
        if (!work.cancelled) failed(error)
      },
    )
}

function tensorOf(output: WireTensor): NamedTensor {
  const tensor = toNamedTensor(output)
  if (tensor) return tensor
  const text = `gateway: output '${output.name}' must be of the type that the metadata says`
  throw new FtError('CORRUPT_DATA', text, {})
}

// Whether an instance may serve: it is ready and has the model that its pool serves. Asked at the start, and again whenever an
// instance comes back, since what comes back may be another model.
import { setMaxListeners } from 'node:events'
import { FtError, isFtError } from '@ft/core'
import type { Code } from '../codes/code.ts'
import type { ModelMetadata } from '../oip/service.ts'
import type { OpenInstance } from './instances.ts'
import type { Instance } from './instance.ts'
import { checkSignature } from './signature.ts'

/** Once every model has an instance, the others are waited for so long; what comes later joins when it is there. */
const STRAGGLER_MS = 2000
const ASK_EVERY_MS = 50

/** @returns whether it may serve; why not is in its `unfit` when it is there */
export type Verify = (instance: Instance, signal: AbortSignal) => Promise<boolean>

export interface Found {
  /** The base model's. */
  readonly metadata: ModelMetadata
  /** Of each pool's model, as its first instance that answered says. */
  readonly signatures: ReadonlyMap<string, ModelMetadata>
  readonly absent: ReadonlySet<Instance>
  readonly verify: Verify
}

/**
 * Waits until all instances are ready, or at least one of each pool is and the others do not come.
 *
 * @throws FtError `IO` when a pool has none in time, `INVALID_ARGUMENT` for an instance that lacks the model, and as
 * `checkSignature`
 */
export async function findInstances(
  pools: ReadonlyMap<string, readonly OpenInstance[]>,
  { code, timeoutMs, signal }: { code: Code | undefined; timeoutMs: number; signal: AbortSignal },
): Promise<Found> {
  const late = new AbortController()
  let timer = setTimeout(() => late.abort(), timeoutMs)
  const stop = AbortSignal.any([signal, late.signal])
  // Every instance listens: more than ten are no leak
  setMaxListeners(0, stop)
  const found = new Map<string, ModelMetadata[]>()
  const absent = new Set<Instance>()
  const failures: Error[] = []
  const wait = async (pool: string, instance: Instance) => {
    try {
      const metadata = await metadataWhenReady(instance, { timeoutMs, signal: stop })
      found.set(pool, [...(found.get(pool) ?? []), metadata])
      if (found.size < pools.size) return
      clearTimeout(timer)
      timer = setTimeout(() => late.abort(), Math.min(STRAGGLER_MS, timeoutMs))
    } catch (error) {
      if (isFtError(error, 'IO')) absent.add(instance)
      // It starts in no case: nobody need be waited for
      else late.abort()
      failures.push(error as Error)
    }
  }
  try {
    await Promise.all([...pools].flatMap(([pool, list]) => list.map(({ instance }) => wait(pool, instance))))
  } finally {
    clearTimeout(timer)
  }
  const [failure] = failures
  if (failure !== undefined && (failures.length > absent.size || found.size < pools.size))
    throw failures.find((error) => !isFtError(error, 'IO')) ?? failure
  const metadata = checkSignature(found, code)
  const signatures = new Map([...found].map(([pool, [first]]) => [pool, first as ModelMetadata]))
  const poolOf = new Map([...pools].flatMap(([pool, list]) => list.map(({ instance }) => [instance, pool])))
  return {
    metadata,
    signatures,
    absent,
    async verify(instance, own) {
      try {
        const now = await metadataOf(instance, own)
        const pool = poolOf.get(instance) as string
        checkSignature(
          pool === 'base'
            ? new Map([[pool, [metadata, now]]])
            : new Map([
                ['base', [metadata]],
                [pool, [now]],
              ]),
          code,
        )
        instance.unfit = undefined
        return true
      } catch (error) {
        if (isFtError(error) && !isUnreachable(error)) instance.unfit = error.message
        return false
      }
    },
  }
}

/** Waits until an instance is ready and has its model. @throws FtError `IO` when it takes too long */
async function metadataWhenReady(
  instance: Instance,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<ModelMetadata> {
  for (;;) {
    try {
      const ready = await instance.client.ready(signal).catch(() => false)
      if (ready) return await metadataOf(instance, signal)
    } catch (error) {
      if (!isUnreachable(error)) throw error
    }
    if (signal.aborted)
      throw new FtError('IO', `createGateway: instance ${instance.name} must be ready within ${timeoutMs} ms`, {
        instance: instance.name,
      })
    await pause(ASK_EVERY_MS, signal)
  }
}

function isUnreachable(error: unknown): boolean {
  return isFtError(error, 'IO') || isFtError(error, 'ABORTED')
}

async function metadataOf({ client, model, name }: Instance, signal: AbortSignal): Promise<ModelMetadata> {
  const metadata = await client.metadata(model, signal)
  if (metadata) return metadata
  throw new FtError('INVALID_ARGUMENT', `createGateway: instance ${name} must have the model '${model}'`, {
    instance: name,
    model,
  })
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(done, ms)
    function done() {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
  })
}

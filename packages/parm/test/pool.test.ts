// What a pool holds against an instance, and what not.
import { expect, it } from 'vitest'
import { FtError } from '@ft/core'
import { OipError, systemClock, type OipClient } from '../src/index.ts'
import { createPool, type Instance } from '../src/gateway/pool.ts'
import { Cancellation } from '../src/serving/cancellation.ts'

function failingWith(error: Error): Instance {
  const client: OipClient = {
    infer: () => Promise.reject(error),
    ready: () => Promise.resolve(true),
    metadata: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  }
  const state = { outstanding: 0, out: false, failuresInRow: 0, answered: 0, failed: 0, latencyMs: 0, judged: 0 }
  return { name: 'a', domain: 'a', model: 'm', concurrency: 1, client, ...state, pauses: 0, answeredAtMs: 0 }
}

it.each([
  ['a refusal of the request', new OipError(400, 'no'), 0],
  ['a failure of its model', new OipError(500, 'no'), 1],
  ['a connection that breaks', new FtError('IO', 'no', {}), 1],
  ['an answer that cannot be read', new FtError('CORRUPT_DATA', 'no', {}), 1],
  ['a mistake on this side', new TypeError('no'), 0],
  ['a package that is missing here', new FtError('MISSING_PEER', 'no', {}), 0],
])('counts against an instance %s or not', async (_what, error, failed) => {
  const instance = failingWith(error)
  const pool = createPool({ instances: [instance], clock: systemClock() })
  const job = { inputs: [], headers: {}, work: new Cancellation(), placed: new Set<string>() }
  await expect(pool.run(job)).rejects.toBe(error)
  expect(instance.failed).toBe(failed)
  pool.close()
})

// What only processes do, and options that are refused; what all kinds of store do is in conformance.test.ts.
import { afterEach, expect, it } from 'vitest'
import { openShards, type ShardOptions, type ShardStore } from '../src/index.ts'
import { base, pushes } from './support/stores.ts'

let open: ShardStore[] = []
async function start(options: Partial<ShardOptions> = {}): Promise<ShardStore> {
  const store = await openShards({ ...base, ...options })
  open.push(store)
  return store
}
afterEach(async () => {
  await Promise.all(open.map((store) => store.close()))
  open = []
})

it.each(['pause', 'isolate'] as const)('silence is found and the server replaced: %s', async (disturb) => {
  const twin = await start({ where: 'memory' })
  await pushes(twin, 20)
  const store = await start({ heartbeat: { interval: 20, missed: 5 } })
  await pushes(store, 20, (step) => step === 5 && store[disturb](2))
  expect(store.replacements).toBeGreaterThan(0)
  expect(await store.snapshot()).toEqual(await twin.snapshot())
})

it('without redundancy a death ends the run with a clear error', async () => {
  const store = await start({ r: 0 })
  store.kill(0)
  await expect(pushes(store, 1_000)).rejects.toThrow(/server 0 died and r is 0/)
})

it.each([
  [{ d: 0 }, /`d`/],
  [{ tables: [] }, /`tables`/],
  [{ k: 4, servers: 4 }, /needs as many servers, got 4/],
  [{ optimizer: { name: 'adagrad', learningRate: NaN } as const }, /learningRate/],
  [{ spares: -1 }, /`spares`/],
])('refuses %j', async (options, message) => {
  await expect(openShards({ ...base, where: 'memory', ...options })).rejects.toThrow(message)
})

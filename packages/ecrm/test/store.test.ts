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

it('a caller may write over its arrays as soon as it has called, also while a piece of a move holds its call up', async () => {
  const optimizer = { name: 'sgd', learningRate: 1 } as const
  const sweep = { stripes: 4, pause: 0, share: 1 }
  const store = await start({ where: 'memory', optimizer, sweep })
  const { words } = await store.snapshot()
  const values = new Float32Array(words.buffer)
  const [ids, gradients] = [new Uint32Array(3), new Float32Array(3 * store.d)]
  const expected = new Uint32Array(store.layout.rows)
  const calls: Promise<unknown>[] = []
  let moving = true
  const move = store.addServer().finally(() => (moving = false))
  for (let step = 0; moving || step < 600; step++) {
    for (let i = 0; i < 3; i++) expected[(ids[i] = (step * 7 + i * 100) % store.layout.rows)]!++
    gradients.fill(1)
    calls.push(store.push(ids, gradients))
    calls.push(store.pull(ids).then((rows) => expect(rows).toHaveLength(3 * store.d)))
    ids.fill(0)
    gradients.fill(1e6)
    // Shards in memory answer without a turn of the event loop: some calls must come within the one of a piece.
    await (step < 500 ? undefined : new Promise((resolve) => setImmediate(resolve)))
  }
  await Promise.all([move, ...calls])
  const after = await store.snapshot()
  expect(after.versions).toEqual(expected)
  for (let id = 0; id < store.layout.rows; id++)
    for (let i = 0; i < expected[id]!; i++) for (let j = 0; j < store.d; j++) values[id * store.d + j]! -= 1
  expect(after.words).toEqual(words)
})

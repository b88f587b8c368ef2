// Processes that stand by: there from the start, and warm.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openShards } from '../src/index.ts'
import { warmUp } from '../src/network/warmUp.ts'
import { lockstep } from './support/lockstep.ts'
import { base, pushes } from './support/stores.ts'

/** Processes that this one has started and that live. */
function children(): string[] {
  const tasks = '/proc/self/task'
  return readdirSync(tasks).flatMap((task) =>
    readFileSync(join(tasks, task, 'children'), 'utf8')
      .split(' ')
      .filter(Boolean),
  )
}

it.skipIf(!existsSync('/proc/self/task'))(
  'one stands by when the store is open, and the next after a recovery',
  async () => {
    const before = children().length
    const store = await openShards({ ...base, spares: 1 })
    try {
      const { servers } = store.layout
      await expect.poll(() => children().length - before).toBe(servers + 1)
      await pushes(store, 10, (step) => step === 3 && store.kill(1))
      await store.recovered()
      expect(store.replacements).toBe(1)
      await expect.poll(() => children().length - before, { timeout: 10_000 }).toBe(servers + 1)
    } finally {
      await store.close()
    }
    expect(children().length).toBe(before)
    const unprotected = await openShards({ ...base, r: 0 })
    expect(children().length - before).toBe(unprotected.layout.servers)
    await unprotected.close()
  },
)

it('a warm-up goes through, at paths and at ports, and leaves nothing behind', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ft-warm-'))
  try {
    await warmUp({ path: join(folder, '0'), signal: new AbortController().signal })
    expect(readdirSync(folder)).toEqual([])
    await warmUp({ signal: new AbortController().signal })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('a warm-up ends when there is something to do', async () => {
  const busy = new AbortController()
  const running = warmUp({ signal: busy.signal })
  busy.abort()
  await running
})

it('a server that hears of several later lives at once asks every peer once', () => {
  const net = lockstep({ k: 4, servers: 5, ranges: [{ rows: 200, scale: 1 }] })
  net.push(0, 1, [1, 2])
  net.run()
  net.crash(0)
  // Before it knows its peers: what it asks reaches nobody.
  net.shards[0]!.step(8)
  net.said = []
  net.announce([0])
  const asked = net.said.filter(({ message }) => message.type === 'hot').map(({ to }) => to)
  expect(asked).toEqual([1, 2, 3, 4])
  expect(net.recover()).toBe(true)
})

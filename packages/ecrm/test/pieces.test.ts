// Whatever is asked for at once, no message grows with it: an answer that no frame may hold would look like a dead server.
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createClient } from '../src/client.ts'
import { encodeFrame, headerBytes } from '../src/network/codec.ts'
import { memoryKind } from '../src/network/memory.ts'
import type { Message } from '../src/shard/messages.ts'
import { resolveSpec } from '../src/shard/spec.ts'
import { createStore } from '../src/shardStore.ts'
import { openShards, type ShardStore } from '../src/index.ts'

const rows = 1_500
const d = 8
const optimizer = { name: 'adagrad', learningRate: 0.1 } as const
const messageBytes = 4_096
/** Numbers of a message, lengths of its arrays, and facts of updates: six words each, of few rows here. */
const fixedBytes = 1_024
const sweep = { stripes: 1_000_000, pause: 0, share: 1 }

async function watched(): Promise<{ store: ShardStore; largest: Map<string, number> }> {
  const largest = new Map<string, number>()
  const said = (message: Message): void => {
    const { length } = encodeFrame(copyOf(message))
    largest.set(message.type, Math.max(largest.get(message.type) ?? 0, length))
  }
  const spec = {
    ...{ k: 2, r: 2, servers: 5, d, ranges: [{ rows, scale: 0.1 }], optimizer, seed: 3, messageBytes },
    ...({ acknowledgement: 'sync', logBytes: 2 ** 24 } as const),
  }
  return { store: await createStore({ spec, kind: memoryKind(sweep, said), sweep }), largest }
}

/** Encoding writes around arrays that are laid out for it, once: what is only weighed must stay as it was. */
const copyOf = (message: Message): Message =>
  Object.fromEntries(
    Object.entries(message).map(([name, value]) => [name, value instanceof Uint32Array ? value.slice() : value]),
  ) as unknown as Message

const all = Uint32Array.from({ length: rows }, (_, id) => id)
const gradients = Float32Array.from({ length: rows * d }, (_, i) => (i % 17) - 8)

it('pulls, pushes, snapshots, restores, scrubs, recoveries and moves of all rows go in pieces, to the same bits', async () => {
  const { store, largest } = await watched()
  const twin = await openShards({
    tables: [{ rows, scale: 0.1 }],
    ...{ k: 2, r: 2, servers: 5, d, optimizer, seed: 3, where: 'memory' },
  })
  for (const one of [store, twin]) {
    // Nobody waits: the pull sees the push all the same.
    const pushed = one.push(all, gradients)
    const values = await one.pull(all)
    await pushed
    expect(values).toEqual(await one.pull(all))
  }
  const before = await store.snapshot({ mark: true })
  expect(before).toEqual(await twin.snapshot())
  expect(Array.from(before.versions)).toEqual(Array.from(all, () => 1))
  store.kill(1)
  // Every row of it is wanted at once.
  expect(await store.pull(all)).toEqual(await twin.pull(all))
  store.kill(2)
  store.kill(3)
  expect(await store.recovered()).toEqual([])
  await store.push(all, gradients)
  expect((await store.changed()).ids).toHaveLength(rows)
  await store.restore(before)
  expect((await store.scrub({ stripes: 65_536 })).corrupt).toEqual([])
  await store.addServer()
  expect((await store.snapshot()).words).toEqual(before.words)
  const words = ['pull', 'rows', 'push', 'write', 'deltas', 'snapshot', 'rowBits', 'read', 'stripes']
  expect(words.filter((type) => !largest.has(type))).toEqual([])
  expect([...largest].filter(([, bytes]) => bytes > messageBytes + fixedBytes)).toEqual([])
  await store.close()
  await twin.close()
})

describe('a message that no frame holds', () => {
  it('is refused where it is said', () => {
    const message = { type: 'read', id: 1, urgent: 0, stripes: new Uint32Array(100) } as const
    const { length } = encodeFrame(message)
    expect(encodeFrame(message, { largest: length - headerBytes })).toHaveLength(length)
    expect(() => encodeFrame(message, { largest: length - headerBytes - 4 })).toThrow(
      /a read of \d+ bytes is more than/,
    )
  })

  it('rejects its call, and the next one is sent', async () => {
    const spec = resolveSpec({
      ...{ k: 1, r: 0, servers: 1, d: 2, ranges: [{ rows: 4, scale: 1 }], optimizer, seed: 0 },
      ...({ acknowledgement: 'sync', logBytes: 1024 } as const),
    })
    const sent: Message[] = []
    const client = createClient({
      spec,
      send(_, message) {
        encodeFrame(message, { largest: 34 })
        sent.push(message)
      },
    })
    const refused = expect.toSatisfy((error) => isFtError(error, 'UNSUPPORTED'))
    await expect(client.push(Uint32Array.of(0, 1, 2), new Float32Array(6))).rejects.toThrow(refused)
    await expect(client.pull(Uint32Array.of(0, 1, 2, 3, 0, 1, 2))).rejects.toThrow(refused)
    const next = client.push(Uint32Array.of(3), new Float32Array(2))
    client.receive(0, { type: 'pushed', id: 2, rejected: 0 })
    await next
    // What was refused is not said again to a replacement.
    client.renewed(0)
    expect(sent).toHaveLength(1)
  })
})

// Rows that a trainer says it reads next are decoded before it reads them: by shards one message at a time, and in training.
import { expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { createDenseModel, openShards, train, type Samples } from '../src/index.ts'
import { lookAhead } from '../src/dlrm/lookAhead.ts'
import { memoryKind } from '../src/network/memory.ts'
import type { Message } from '../src/shard/messages.ts'
import { live, lost } from '../src/shard/storage.ts'
import { createStore } from '../src/shardStore.ts'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { lockstep } from './support/lockstep.ts'

it('lost rows that are expected are decoded, those that are not stay lost until the sweep', () => {
  const net = lockstep({ ranges: [{ rows: 120, scale: 1 }] })
  net.push(0, 1, [3, 7])
  net.run()
  const before = Array.from(net.shards[0]!.storage.words)
  net.crash(0)
  net.announce()
  net.pass({ from: 3, life: 1, to: 0, message: { type: 'expect', rows: Uint32Array.of(7, 3, 7) } })
  net.run()
  const { dataState, words } = net.shards[0]!.storage
  expect([dataState[3], dataState[7], dataState[5]]).toEqual([live, live, lost])
  expect([words[3], words[7]]).toEqual([before[3], before[7]])
  // A pull of what is there is answered without another word between servers.
  net.pass({ from: 3, life: 1, to: 0, message: { type: 'pull', id: 1, rows: Uint32Array.of(3, 7) } })
  expect(net.said.map(({ message }) => message.type)).toEqual(['rows'])
})

it('a server that lacks nothing asks nobody, and one that is told of rows that it cannot have refuses', () => {
  const net = lockstep({})
  net.pass({ from: 3, life: 1, to: 0, message: { type: 'expect', rows: Uint32Array.of(1) } })
  expect(net.said).toEqual([])
  const far: Message = { type: 'expect', rows: Uint32Array.of(1000) }
  expect(() => net.pass({ from: 3, life: 1, to: 0, message: far })).toThrow('must name rows below')
})

const samples = (rows: number): Samples => {
  const random = createRandom(4)
  const ids = Int32Array.from({ length: rows }, () => random.integer(0, 799))
  return {
    dense: random.fillNormal(new Float32Array(rows * 3)),
    categorical: [{ size: 800, ids }],
    label: Uint8Array.from(ids, (id) => Number(id % 3 === 0)),
  }
}

it.each([1, 2])(
  'training with workers (%i) says so while rows are missing, in time and only then, and has the bits of a calm run',
  async (workers) => {
    const data = samples(1600)
    const run = async (kills: Readonly<Record<number, number>>, r = 1, mode: 'sync' | 'async' = 'sync') => {
      const said: Message[] = []
      // A sweep that hardly does anything: what comes back comes back because it is wanted.
      const sweep = { stripes: 1, pause: 1000, share: 0.01 }
      const optimizer = { name: 'adagrad', learningRate: 0.05 } as const
      const spec = { k: 2, r, servers: 2 + r, d: 4, ranges: [{ rows: 800, scale: 0.1 }], optimizer, seed: 2 }
      const rest = { acknowledgement: 'sync', logBytes: 1 << 20 } as const
      const store = await createStore({
        spec: { ...spec, ...rest },
        kind: memoryKind(sweep, (one) => said.push(one)),
        sweep,
      })
      const marks: number[] = []
      const onStep = ({ step }: { step: number }): void => {
        if (kills[step] !== undefined) store.kill(kills[step])
        marks.push(said.length)
      }
      const model = createDenseModel({
        engine: createWasmEngine({ threads: 1 }),
        features: 3,
        tables: 1,
        d: 4,
        optimizer: { name: 'sgd', learningRate: 0.1 },
        seed: 1,
      })
      const { history } = await train(data, { store, model, batch: 100, onStep, workers, mode })
      const end = said.length
      const rows = await store.pull(Uint32Array.from({ length: 800 }, (_, id) => id))
      await store.close()
      const count = (type: Message['type'], from: number, to: number): number =>
        said.slice(from, to).filter((one) => one.type === type).length
      return { rows, losses: history.map(({ loss }) => loss), marks, end, count }
    }
    const [calm, killed] = [await run({}), await run({ 4: 1 })]
    expect(calm.count('expect', 0, Infinity)).toBe(0)
    expect(killed.count('expect', 0, killed.marks[4]!)).toBe(0)
    // One to the server that lacks rows, in step 5 of the rows of 6 to 13, and in step 13 of those of 14 and 15; nothing follows on 15.
    for (let step = 5; step < 15; step++)
      expect(killed.count('expect', killed.marks[step - 1]!, killed.marks[step]!)).toBe(
        step === 5 || step === 13 ? 1 : 0,
      )
    expect(killed.count('expect', killed.marks[14]!, killed.end)).toBe(0)
    expect(killed.losses).toEqual(calm.losses)
    expect(killed.rows).toEqual(calm.rows)
    // A second server is lost at step 7: in step 8 both hear of 9 to 15, and nothing is left to be said.
    const twice = await run({ 4: 1, 7: 2 }, 2)
    for (let step = 5; step < 16; step++)
      expect(twice.count('expect', twice.marks[step - 1]!, twice.marks[step] ?? twice.end)).toBe(
        step === 5 ? 1 : step === 8 ? 2 : 0,
      )
    expect(twice.losses).toEqual(calm.losses)
    expect(twice.rows).toEqual(calm.rows)
    if (workers === 1) return
    // Each by itself: which step is told of first is chance, but not that it is, and when.
    expect((await run({}, 1, 'async')).count('expect', 0, Infinity)).toBe(0)
    const apart = await run({ 4: 1 }, 1, 'async')
    expect(apart.count('expect', 0, apart.marks[4]!)).toBe(0)
    expect(apart.count('expect', apart.marks[4]!, apart.end)).toBeGreaterThan(0)
  },
)

it('is a hint that checks its ids, and needs no rows to be missing', async () => {
  const store = await openShards({ tables: [{ rows: 60 }], d: 2, k: 2, r: 1, where: 'memory' })
  let asked = 0
  const ids = (list: number[]) => () => {
    asked++
    return Uint32Array.from(list)
  }
  store.expect(ids([99]))
  expect(asked).toBe(0)
  store.kill(0)
  expect(() => store.expect(ids([99]))).toThrow('below 60')
  store.expect(ids([0, 5, 5]))
  expect(await store.pull(Uint32Array.of(5))).toHaveLength(2)
  await store.close()
})

it('looks ahead, makes each item once, and only when it is wanted', () => {
  const made: number[] = []
  const make = (item: number) => (made.push(item), item * 10)
  const out = [...lookAhead([1, 2, 3, 4], { depth: 2, make })].map(({ one, following }) => [
    one,
    ...following.map((next) => next()),
  ])
  expect(out).toEqual([[10, 20, 30], [20, 30, 40], [30, 40], [40]])
  expect(made).toEqual([1, 2, 3, 4])
  const lazy = lookAhead([1, 2, 3], { depth: 2, make })
  lazy.next()
  expect(made).toEqual([1, 2, 3, 4, 1])
  expect([...lookAhead([], { depth: 2, make })]).toEqual([])
})

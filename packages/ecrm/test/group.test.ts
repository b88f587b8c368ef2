// Parity of plain arrays: any element type, any length, every pattern of losses; and the choice of what to protect how.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import {
  chooseProtection,
  createDenseModel,
  createParityGroup,
  openShards,
  train,
  updatesAStep,
  type ChooseOptions,
  type GroupBuffer,
} from '../src/index.ts'
import { memoryKind } from '../src/network/memory.ts'
import { openStore } from '../src/tables/openStore.ts'
import { resolveOptions } from '../src/resolveOptions.ts'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { plantedSamples } from './support/made.ts'

const kinds = [Float32Array, Float64Array, Uint8Array, Int16Array, BigInt64Array] as const
const refuses = expect.toSatisfy((error) => isFtError(error, 'INVALID_ARGUMENT'))

function made(seed: number, count: number): GroupBuffer[] {
  const random = createRandom(seed)
  return Array.from({ length: count }, () => {
    const one = new (random.pick(kinds))(random.integer(1, 40))
    scramble(one, random.integer(0, 1e6))
    return one
  })
}

function scramble(buffer: GroupBuffer, seed: number, start = 0, end = buffer.length): void {
  const random = createRandom(seed)
  const size = buffer.byteLength / buffer.length
  const bytes = new Uint8Array(buffer.buffer, buffer.byteOffset + start * size, (end - start) * size)
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.integer(0, 255)
}

const bytesOf = (buffer: GroupBuffer): number[] =>
  Array.from(new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength))

describe('createParityGroup', () => {
  it('gives back every buffer bit for bit after any updates and any losses of up to r a stripe', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e6 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        (seed, r, k) => {
          const random = createRandom(seed)
          const buffers = made(seed, random.integer(1, 9))
          const group = createParityGroup(buffers, { k, r })
          for (let update = 0; update < 6; update++) {
            const index = random.integer(0, buffers.length - 1)
            const { length } = buffers[index]!
            const start = random.integer(0, length)
            const end = random.integer(start, length)
            group.update(index, (buffer) => scramble(buffer, seed + update, start, end), { start, end })
          }
          expect(group.scrub()).toEqual([])
          const before = buffers.map(bytesOf)
          for (let stripe = 0; stripe * k < buffers.length; stripe++) {
            const here = Math.min(k, buffers.length - stripe * k)
            for (const i of random.sample(here, Math.min(r, here))) {
              scramble(buffers[stripe * k + i]!, seed + i)
              group.lose(stripe * k + i)
            }
          }
          expect(group.recover()).toEqual([])
          expect(buffers.map(bytesOf)).toEqual(before)
        },
      ),
      { numRuns: 150, seed: 1 },
    )
  })

  it('names what cannot be recovered, and a stripe that was written past it', () => {
    const buffers = made(3, 6)
    const group = createParityGroup(buffers, { k: 3, r: 1 })
    group.lose(0)
    group.lose(2)
    group.lose(4)
    expect(group.recover()).toEqual([0, 2])
    expect(() => group.update(0, () => undefined)).toThrow(refuses)
    const other = createParityGroup(buffers, { k: 3 })
    scramble(buffers[5]!, 99)
    expect(other.scrub()).toEqual([1])
  })

  it('an update that throws changes nothing', () => {
    const buffers = made(5, 3)
    const group = createParityGroup(buffers)
    const before = buffers.map(bytesOf)
    const fails = (): void =>
      group.update(1, (buffer) => {
        scramble(buffer, 7)
        throw new Error('stop')
      })
    expect(fails).toThrow('stop')
    expect(buffers.map(bytesOf)).toEqual(before)
    expect(group.scrub()).toEqual([])
    expect(group.versions).toEqual([0, 0, 0])
  })

  it('refuses a change that has not ended when it returns, and puts back what it wrote', async () => {
    const buffers = made(5, 3)
    const group = createParityGroup(buffers)
    const before = buffers.map(bytesOf)
    const writes = async (buffer: GroupBuffer): Promise<void> => {
      scramble(buffer, 7)
      await Promise.reject(new Error('later'))
    }
    expect(() => group.update(1, writes)).toThrow(refuses)
    await new Promise((resolve) => setImmediate(resolve))
    expect(buffers.map(bytesOf)).toEqual(before)
    expect(group.scrub()).toEqual([])
    expect(group.versions).toEqual([0, 0, 0])
  })

  it('refuses buffers that share memory, and takes those that lie side by side in it', () => {
    const memory = new ArrayBuffer(64)
    const parts = (...at: readonly (readonly [number, number])[]) =>
      at.map(([start, length]) => new Uint8Array(memory, start, length))
    expect(() => createParityGroup(parts([32, 8], [0, 33]))).toThrow(/`buffers` 1 and 0 share memory/)
    expect(() => createParityGroup(parts([0, 40], [8, 4], [20, 4]))).toThrow(refuses)
    const whole = new Float64Array(memory)
    expect(() => createParityGroup([whole, whole])).toThrow(refuses)
    expect(createParityGroup(parts([32, 32], [0, 32], [32, 0])).scrub()).toEqual([])
  })

  it('refuses what it cannot protect', () => {
    expect(() => createParityGroup([])).toThrow(refuses)
    expect(() => createParityGroup(made(1, 2), { r: 255 })).toThrow(refuses)
    const group = createParityGroup(made(1, 2))
    expect(() => group.update(2, () => undefined)).toThrow(refuses)
    expect(() => group.update(0, () => undefined, { start: 3, end: 1 })).toThrow(refuses)
  })
})

describe('chooseProtection', () => {
  it('predicts the memory and the traffic that shards then count, within 10 %', async () => {
    const tables = [
      { rows: 4_000, d: 8, updates: 100 },
      { rows: 1_000, d: 8, updates: 40 },
    ]
    const sizes = { k: 4, r: 1, servers: 5, replicateEvery: 0, replicaBytes: 0 }
    const { parts, bytes, redundantBytes, trafficBytes } = chooseProtection(tables, sizes)
    expect(parts.map(({ protection }) => protection)).toEqual(['encode', 'encode'])
    const store = await openShards({ tables, d: 8, k: 4, r: 1, where: 'memory' })
    const random = createRandom(1)
    for (let step = 0; step < 20; step++) {
      const ids = Uint32Array.from([
        ...random.sample(4_000, 100),
        ...Array.from(random.sample(1_000, 40), (id) => 4_000 + id),
      ])
      await store.push(ids, random.fillNormal(new Float32Array(ids.length * 8)))
    }
    const reports = await store.report()
    const total = (of: (one: (typeof reports)[number]) => number): number =>
      reports.reduce((sum, one) => sum + of(one), 0)
    expect(Math.abs(total((one) => one.dataBytes) / bytes - 1)).toBeLessThan(0.1)
    expect(Math.abs(total((one) => one.parityBytes) / redundantBytes - 1)).toBeLessThan(0.1)
    expect(Math.abs(total((one) => one.deltaBytes) / 20 / trafficBytes - 1)).toBeLessThan(0.1)
    await store.close()
  })

  it.each([
    ['a version a step', 1, 'replicate'],
    ['a version every three steps', 3, 'replicate'],
    ['no versions', 0, 'replicate'],
    ['a version a step, a table expendable', 1, 'leave'],
    ['no versions, a table expendable', 0, 'leave'],
  ] as const)('predicts what replicas and versions take, within 10 %%: %s', async (_, replicateEvery, protection) => {
    const batch = 100
    const data = plantedSamples(2_000, 3)
    const updates = updatesAStep(data, { batch, seed: 4 })
    const dense = createDenseModel({
      ...{ engine: createWasmEngine({ threads: 1 }), features: 3, tables: 2, d: 8, bottom: [16], top: [16], seed: 4 },
      optimizer: { name: 'adagrad', learningRate: 0.01 },
    })
    const parameters = dense.parameters.reduce((sum, { length }) => sum + length, 0)
    const { tables, parts, trafficBytes } = chooseProtection(
      data.categorical.map(({ size }, t) => ({
        rows: size,
        d: 8,
        updates: updates[t]!,
        expendable: t === 1 && protection === 'leave',
      })),
      { k: 2, r: 1, servers: 3, dense: { parameters }, replicateEvery },
    )
    expect(tables).toEqual([
      { rows: 40, protection: 'encode' },
      { rows: 25, protection },
    ])
    expect(parts.map(({ name }) => name)).toEqual(['table 0', 'table 1', 'dense network'])
    let sent = 0
    const spec = resolveOptions({ tables, d: 8, k: 2, r: 1, where: 'memory' })
    const kind = memoryKind(spec.sweep, (message) => {
      if (message.type === 'keep') sent += message.words.byteLength
      if (message.type === 'deltas') sent += message.heads.byteLength + message.words.byteLength
    })
    const store = await openStore(spec, kind)
    await train(data, { store, model: dense, batch, seed: 4, replicateEvery })
    await store.recovered()
    // Text at the head of a version is not predicted.
    expect(Math.abs(sent / 20 / trafficBytes - 1)).toBeLessThan(0.1)
    await store.close()
  })

  it('replicates what sends no more than encoding, small ones first, and never the largest', () => {
    const choose = (updates: number, options: Partial<ChooseOptions> = {}) => {
      const large = { rows: 1_000, d: 16, updates: 10 }
      const hot = { rows: 100, d: 16, updates }
      const { parts, tables } = chooseProtection([large, hot], { k: 4, r: 1, servers: 5, ...options })
      expect(parts.map(({ protection }) => protection)).toEqual(tables.map(({ protection }) => protection))
      expect(parts[0]).toMatchObject({ protection: 'encode', reason: 'the largest table' })
      return [parts[1]!.protection, parts[1]!.reason]
    }
    // A version a step: two copies of 100 rows of 32 words and a counter, 6,600 words. By encoding 32 + 6 words of difference a row,
    // and 17 down and 17 up: 72.
    expect(choose(91)).toEqual(['encode', expect.stringContaining('few rows')])
    expect(choose(92)).toEqual(['replicate', expect.stringContaining('less travels')])
    expect(choose(46, { replicateEvery: 2 })[0]).toBe('replicate')
    expect(choose(1, { replicateEvery: 0 })[0]).toBe('replicate')
    expect(choose(100, { replicaBytes: 13_199 })).toEqual(['encode', expect.stringContaining('too large')])
    expect(choose(100, { replicaBytes: 13_200 })[0]).toBe('replicate')
  })

  it('replicates what is small and hot, leaves what may go', () => {
    const choose = (replicateEvery: number) =>
      chooseProtection(
        [
          { rows: 500, d: 16, updates: 50 },
          { rows: 12, d: 16, updates: 12 },
          { rows: 1e6, d: 16, updates: 900, expendable: true },
        ],
        { k: 4, r: 2, servers: 6, dense: { parameters: 1_000 }, replicateEvery },
      )
    const { parts, tables } = choose(1)
    expect(tables).toEqual([
      { rows: 500, protection: 'encode' },
      { rows: 12, protection: 'replicate' },
      { rows: 1e6, protection: 'leave' },
    ])
    expect(parts.map(({ protection }) => protection)).toEqual(['encode', 'replicate', 'leave', 'replicate'])
    // Three servers keep the push that follows a version, whichever table its rows are of.
    expect(parts[2]).toMatchObject({ redundantBytes: 3 * 900 * 17 * 4, trafficBytes: 3 * 900 * 17 * 4 })
    expect(choose(0).parts[2]).toMatchObject({ protection: 'leave', redundantBytes: 0, trafficBytes: 0 })
    expect(() => chooseProtection([], { k: 4, r: 2, servers: 5 })).toThrow(refuses)
  })
})

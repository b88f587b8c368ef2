// Parity of plain arrays: any element type, any length, every pattern of losses; and the choice of what to protect how.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { chooseProtection, createParityGroup, openShards, type GroupBuffer } from '../src/index.ts'

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
    const { parts, bytes, redundantBytes, trafficBytes } = chooseProtection(tables, { k: 4, r: 1, servers: 5 })
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

  it('encodes below half of the rows a step, and a hot table whose replicas would be too large', () => {
    const choose = (updates: number, replicaAllowance?: number) => {
      const allowance = replicaAllowance === undefined ? {} : { replicaAllowance }
      const { parts } = chooseProtection([{ rows: 100, d: 16, updates }], { k: 4, r: 1, servers: 5, ...allowance })
      return [parts[0]!.protection, parts[0]!.reason]
    }
    expect(choose(49)).toEqual(['encode', expect.stringContaining('few rows')])
    expect(choose(50)).toEqual(['replicate', expect.stringContaining('half of its rows')])
    // One copy is 100 rows of 32 words and a counter, 3,300 words; parity 25 rows of 32 words and 4 counters, 900.
    expect(choose(100, 3.6)).toEqual(['encode', expect.stringContaining('too much memory')])
    expect(choose(100, 3.7)[0]).toBe('replicate')
  })

  it('replicates what is small and hot, leaves what may go', () => {
    const { parts } = chooseProtection(
      [
        { rows: 12, d: 16, updates: 12 },
        { rows: 1e6, d: 16, updates: 900, expendable: true },
      ],
      { k: 4, r: 2, servers: 6, dense: { parameters: 1_000 } },
    )
    expect(parts.map(({ protection, redundantBytes }) => [protection, redundantBytes > 0])).toEqual([
      ['replicate', true],
      ['leave', false],
      ['replicate', true],
    ])
    expect(() => chooseProtection([], { k: 4, r: 2, servers: 5 })).toThrow(refuses)
  })
})

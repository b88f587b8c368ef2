// Rows in WebAssembly memory and rows in arrays are the same rows: after any pushes, crashes and recoveries shards of both kinds have the
// same bits and have said the same, message by message.
import { describe, expect, it } from 'vitest'
import { createRandom } from '@ft/core/random'
import { deltaAt, headWords, type Message } from '../../src/shard/messages.ts'
import { optimizerNames } from '../../src/shard/optimizers.ts'
import { createRowKernels } from '../../src/shard/rowKernels.ts'
import type { ShardSpec } from '../../src/shard/spec.ts'
import { lockstep, type Lockstep, type Said } from '../support/lockstep.ts'

/** Arrays as texts, which are compared many times faster. */
const text = ({ buffer, byteOffset, byteLength }: Uint32Array | Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64')

/** What a server has, and what is said. */
const stateOf = (net: Lockstep) => ({
  shards: net.shards.map(({ storage }) => {
    const { words, parity, versions, seen, dataState, parityState } = storage
    return [words, parity, versions, seen, dataState, parityState].map(text)
  }),
  answers: JSON.stringify(net.answers, (_, value: unknown) => (value instanceof Uint32Array ? text(value) : value)),
})

/** A message of differences as a set of them: with r of 2 and more their order in it is another one. */
function unordered({ message, ...way }: Said): unknown {
  if (message.type !== 'deltas') return { message, ...way }
  const { heads, words, ...rest } = message
  const all = Array.from({ length: heads.length / headWords }, (_, i) => {
    const { words: own, ...head } = deltaAt(heads, words, i)
    return [...Object.values(head), ...own].join(' ')
  })
  return { ...way, ...rest, all: all.sort() }
}

/** Both kinds side by side; every message that the one says the other must say. */
function twins(spec: Partial<ShardSpec>): { both: readonly Lockstep[]; same(): void } {
  const both = [lockstep(spec), lockstep(spec, { fast: true })]
  expect(both.map(({ shards }) => shards[0]!.storage.kernels !== undefined)).toEqual([false, true])
  return {
    both,
    same() {
      const [plain, fast] = both
      expect(fast!.said.map(unordered)).toEqual(plain!.said.map(unordered))
      expect(stateOf(fast!)).toEqual(stateOf(plain!))
    },
  }
}

const gradientsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer)

describe.each(optimizerNames)('%s', (name) => {
  it.each([
    [1, 0],
    [1, 1],
    [3, 1],
    [16, 1],
    [17, 2],
    [4, 3],
  ])('d = %i, r = %i', (d, r) => {
    const rows = 240
    const k = 3
    const servers = Math.max(4, k + r)
    const optimizer = { name, learningRate: 0.05 }
    const net = twins({ k, r, servers, d, ranges: [{ rows, scale: 0.3 }], bare: 70, optimizer })
    const random = createRandom(d * 10 + r).stream(name)
    const { dataRows } = net.both[0]!.spec.layout
    const ids = new Array<number>(servers).fill(0)
    for (let round = 0; round < 12; round++) {
      const server = random.integer(0, servers - 1)
      // The same row several times in a push, too.
      const count = random.integer(0, 60)
      const list = Uint32Array.from({ length: count }, () => random.integer(0, dataRows - 1))
      const values = random.fillNormal(new Float32Array(count * d))
      if (round === 9) values[0] = Number.NaN
      const message: Message = {
        type: 'push',
        id: ++ids[server]!,
        readsNext: 0,
        pushesNext: 0,
        rows: list,
        gradients: gradientsOf(values),
      }
      const pull: Message = { type: 'pull', id: round, rows: list }
      for (const one of net.both) {
        one.pass({ from: servers, life: 1, to: server, message })
        one.pass({ from: servers, life: 1, to: server, message: pull })
        // Said again, as after a replacement: it counts once.
        if (round % 3 === 0) one.pass({ from: servers, life: 1, to: server, message })
      }
      if (round % 4 === 3) net.same()
      if (round % 2 === 1) for (const one of net.both) one.run()
      if (r > 0 && round === 7) {
        for (const one of net.both) {
          one.crash(1)
          one.announce()
          // The push that it had not answered comes again to its replacement, whose rows come back meanwhile.
          one.pass({ from: servers, life: 1, to: server, message })
          expect(one.recover()).toBe(true)
        }
      }
    }
    for (const one of net.both) one.run()
    net.same()
    expect(net.both[1]!.shards.every(({ storage }) => storage.missing === 0)).toBe(true)
  })
})

it('pushes of more rows than the kernels take at once', () => {
  const rows = 9_000
  const net = twins({
    k: 2,
    r: 2,
    servers: 4,
    d: 2,
    ranges: [{ rows, scale: 1 }],
    bare: 2_000,
    optimizer: { name: 'adagrad', learningRate: 0.1 },
  })
  const { spec, shards } = net.both[1]!
  const most = shards[0]!.storage.kernels!.most
  const random = createRandom(3)
  for (const [id, count] of [most - 1, most, most + 1, 3 * most + 7].entries()) {
    const list = Uint32Array.from({ length: count }, () => random.integer(0, spec.layout.dataRows - 1))
    const gradients = gradientsOf(random.fillNormal(new Float32Array(count * spec.d)))
    const message: Message = { type: 'push', id: id + 1, readsNext: 0, pushesNext: 0, rows: list, gradients }
    for (const one of net.both) {
      one.pass({ from: 4, life: 1, to: 0, message })
      one.pass({ from: 4, life: 1, to: 0, message: { type: 'pull', id, rows: list } })
      one.run()
    }
    net.same()
  }
})

it('rows that do not fit in one memory lie in arrays', () => {
  const { spec } = lockstep({})
  const layout = { ...spec.layout, dataRows: 2 ** 30 }
  expect(createRowKernels({ ...spec, layout })).toBe(undefined)
})

// Frames: every message comes back, in any pieces; a damaged frame is an error and never a message.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { createFrameReader, encodeFrame, headerBytes } from '../src/network/codec.ts'
import { schema, type Message, type MessageType } from '../src/shard/messages.ts'
import { roomFor } from '../src/shard/room.ts'

const word = fc.integer({ min: 0, max: 2 ** 32 - 1 })
const anyMessage: fc.Arbitrary<Message> = fc.constantFrom(...(Object.keys(schema) as MessageType[])).chain((type) => {
  const { numbers, arrays } = schema[type]
  return fc.record({
    type: fc.constant(type),
    ...Object.fromEntries(numbers.map((name) => [name, word])),
    ...Object.fromEntries(arrays.map((name) => [name, fc.uint32Array({ maxLength: 40 })])),
  }) as unknown as fc.Arbitrary<Message>
})
const readAll = (bytes: Uint8Array): Message[] => [...createFrameReader().read(bytes)]
const plain = (messages: readonly Message[]): unknown => JSON.parse(JSON.stringify(messages)) as unknown

it('carries every message, whatever pieces the stream comes in', () => {
  fc.assert(
    fc.property(
      fc.array(anyMessage, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
      (messages, cuts) => {
        const stream = Buffer.concat(messages.map((message) => encodeFrame(message)))
        const reader = createFrameReader()
        const got: Message[] = []
        for (let at = 0, i = 0; at < stream.length; i++) {
          const end = at + cuts[i % cuts.length]!
          got.push(...reader.read(stream.subarray(at, end)))
          at = end
        }
        expect(plain(got)).toEqual(plain(messages))
      },
    ),
    { seed: 1, numRuns: 300 },
  )
})

it('leaves the bytes that it was given to the caller: messages have memory of their own, but for rows while they pass', () => {
  fc.assert(
    fc.property(
      fc.array(anyMessage, { maxLength: 6 }),
      fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
      (messages, cuts) => {
        const stream = Buffer.concat(messages.map((message) => encodeFrame(message)))
        const landing = Buffer.alloc(300)
        const reader = createFrameReader()
        const [kept, passing]: [Message[], unknown[]] = [[], []]
        for (let at = 0, i = 0; at < stream.length; i++) {
          const size = Math.min(cuts[i % cuts.length]!, stream.length - at)
          stream.copy(landing, 0, at, at + size)
          for (const message of reader.read(landing.subarray(0, size), { kept: false })) {
            kept.push(message)
            passing.push(plain([message]))
          }
          landing.fill(0xff)
          at += size
        }
        const lasting = (list: readonly Message[]) => plain(list.filter(({ type }) => type !== 'rows'))
        expect(passing.flat()).toEqual(plain(messages))
        expect(lasting(kept)).toEqual(lasting(messages))
      },
    ),
    { seed: 2, numRuns: 300 },
  )
})

it('sends what lies in room for it from where it lies, once', () => {
  const [heads, words] = roomFor('deltas', [6, 4]) as [Uint32Array, Uint32Array]
  heads.fill(7)
  words.set([1, 2, 3, 4])
  const message = { type: 'deltas', batch: 5, complete: 2, soon: 1, acked: 0, life: 0, heads, words } as const
  const first = encodeFrame(message)
  expect(first.buffer).toBe(words.buffer)
  const copied = encodeFrame({ ...message, heads: heads.slice(), words: words.slice() })
  expect(first).toEqual(copied)
  // A socket may still hold the first: said again with another number, it is written elsewhere.
  const again = encodeFrame({ ...message, complete: 3 })
  expect(again.buffer).not.toBe(words.buffer)
  expect(first).toEqual(copied)
  expect(plain(readAll(again))).toEqual(plain([{ ...message, complete: 3 }]))
  // Part of the room is a message like any other.
  const part = { ...message, words: words.subarray(0, 2) }
  expect(plain(readAll(encodeFrame(part)))).toEqual(plain([part]))
})

it('gives no other message when a bit is flipped or the end is cut', () => {
  fc.assert(
    fc.property(anyMessage, fc.nat(), fc.boolean(), (message, where, cut) => {
      const frame = encodeFrame(message).slice()
      if (cut) {
        expect(readAll(frame.subarray(0, where % frame.length))).toEqual([])
        return
      }
      const bit = where % (frame.length * 8)
      frame[bit >> 3]! ^= 1 << (bit & 7)
      try {
        // A length made larger waits for more; everything else is found at once (CRC-32 finds every single flip).
        expect(readAll(frame)).toEqual([])
      } catch (error) {
        if (!isFtError(error, 'CORRUPT_DATA')) throw error
      }
    }),
    { seed: 2, numRuns: 3_000 },
  )
})

it('throws nothing but CORRUPT_DATA at random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: headerBytes, maxLength: 400 }), (bytes) => {
      try {
        expect(readAll(bytes)).toEqual([])
      } catch (error) {
        if (!isFtError(error, 'CORRUPT_DATA')) throw error
      }
    }),
    { seed: 3, numRuns: 3_000 },
  )
})

it('refuses a body larger than allowed before it arrives', () => {
  const frame = encodeFrame({ type: 'read', id: 1, urgent: 0, stripes: new Uint32Array(100) })
  expect(() => [...createFrameReader({ largest: 64 }).read(frame.subarray(0, headerBytes))]).toThrow(/a body of/)
})

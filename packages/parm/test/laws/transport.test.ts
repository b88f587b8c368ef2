// Laws of the reader of answers on a local socket: however the bytes are cut, the same answers come; damaged bytes give a
// refusal or a whole answer, never a hang on bytes that are there and never another error.
import { isFtError } from '@ft/core'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createAnswerReader, type HttpAnswer } from '../../src/oip/transport.ts'

const answer = (body: Uint8Array, headerLength?: number) =>
  Buffer.concat([
    Buffer.from(
      `HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n${headerLength === undefined ? '' : `Inference-Header-Content-Length: ${headerLength}\r\n`}Content-Length: ${body.length}\r\n\r\n`,
      'latin1',
    ),
    body,
  ])

it('reads the same answer however its bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.option(fc.nat(60)),
      fc.array(fc.nat(300), { maxLength: 8 }),
      (body, headerLength, cuts) => {
        const bytes = answer(body, headerLength ?? undefined)
        const reader = createAnswerReader(1000)
        const ends = [...new Set([...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b)
        const got: HttpAnswer[] = []
        let at = 0
        for (const end of ends) {
          const one = reader.push(bytes.subarray(at, end))
          if (one) got.push(one)
          at = end
        }
        expect(got).toHaveLength(1)
        expect([...(got[0]?.bytes ?? [])]).toEqual([...body])
        expect(got[0]).toMatchObject({
          status: 200,
          headerLength: headerLength === null ? undefined : String(headerLength),
        })
      },
    ),
  )
})

it('reads answers of one head and of others in turn, however their bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.nat(200)), { minLength: 2, maxLength: 8 }),
      (answers) => {
        const reader = createAnswerReader(1000)
        for (const [body, cut] of answers) {
          const bytes = answer(body, body.length)
          const at = Math.min(cut, bytes.length - 1)
          const early = at > 0 ? reader.push(bytes.subarray(0, at)) : undefined
          expect(early).toBeUndefined()
          expect([...(reader.push(bytes.subarray(at))?.bytes ?? [])]).toEqual([...body])
        }
      },
    ),
  )
})

it('refuses damage with a reason, or reads as many bytes as the head says', () => {
  const good = answer(Uint8Array.of(1, 2, 3, 4), 2)
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      fc.nat(good.length),
      (changes, cut) => {
        const bytes = Buffer.from(good)
        for (const [at, value] of changes) bytes[at] = value
        const reader = createAnswerReader(1000)
        try {
          reader.push(bytes.subarray(0, cut))
          const read = reader.push(bytes.subarray(cut))
          if (read) expect(read.bytes.length).toBeLessThanOrEqual(4)
        } catch (error) {
          expect(isFtError(error, 'CORRUPT_DATA'), String(error)).toBe(true)
        }
      },
    ),
  )
})

it.each([
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nContent-Length: 2\r\n\r\n'],
  ['no length', 'HTTP/1.1 200 OK\r\n\r\n'],
  ['chunks', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['too much', 'HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n'],
  ['more than it says', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab'],
  ['an endless head', `HTTP/1.1 200 OK\r\n${'a'.repeat(20_000)}`],
])('refuses %s', (_, text) => {
  expect(() => createAnswerReader(1000).push(Buffer.from(text, 'latin1'))).toThrowError(/an answer must be HTTP/)
})

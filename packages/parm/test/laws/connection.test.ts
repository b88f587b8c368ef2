// Laws of the front's own reader of requests. Bytes that come at once are its business, a head that comes in pieces is that of
// Node's server: both must give the same answers to the same bytes, and every request its own.
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startOipServer, type OipServer } from '../../src/index.ts'
import { readRequestHead } from '../../src/oip/requestHead.ts'
import { tripleService } from '../support/echo.ts'

let server: OipServer
beforeAll(async () => {
  server = await startOipServer(
    // Answers after a turn of the event loop: requests behind it have to wait
    tripleService({ before: () => new Promise((resolve) => setImmediate(resolve)) }),
    { maxBodyBytes: 4096 },
  )
})
afterAll(() => server.destroy())

interface Answer {
  readonly status: number
  readonly close: boolean
  readonly body: string
}

/** What the server sends back to these pieces, each sent in a write and a packet of its own, until nothing more is expected. */
function exchange(pieces: readonly Buffer[], expected: number): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1', noDelay: true })
    let got = Buffer.alloc(0)
    const end = () => {
      socket.destroy()
      resolve(answersIn(got))
    }
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk])
      const answers = answersIn(got)
      if (answers.length >= expected) end()
    })
    socket.on('close', end)
    socket.on('error', reject)
    void (async () => {
      for (const piece of pieces) {
        if (socket.destroyed) return
        socket.write(piece)
        if (pieces.length > 1) await new Promise((next) => setTimeout(next, 1))
      }
    })()
  })
}

function answersIn(bytes: Buffer): Answer[] {
  const answers: Answer[] = []
  let text = bytes.toString('latin1')
  for (;;) {
    const end = text.indexOf('\r\n\r\n')
    if (end < 0) return answers
    const head = text.slice(0, end)
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1])
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
    if (text.length < end + 4 + length) return answers
    if (status !== 100)
      answers.push({
        status,
        close: /\r\nconnection: close/i.test(head),
        body: text.slice(end + 4, end + 4 + length),
      })
    text = text.slice(end + 4 + length)
  }
}

const query = (value: number) =>
  JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [value, 0] }] })
const post = (body: string, fields = '', path = '/v2/models/triple/infer') =>
  Buffer.from(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: ${body.length}\r\n${fields}\r\n${body}`, 'latin1')
const get = (path: string) => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`, 'latin1')
const cutAt = (bytes: Buffer, at: number) => [bytes.subarray(0, at), bytes.subarray(at)]

it('answers requests behind each other in their order, however their bytes are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.nat(999), fc.constant('ready' as const), fc.constant('nowhere' as const)), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.array(fc.nat(1500), { maxLength: 5 }),
      async (requests, cuts) => {
        const bytes = Buffer.concat(
          requests.map((one) => (typeof one === 'number' ? post(query(one)) : get(`/v2/health/${one}`))),
        )
        const ends = [...new Set([...cuts.filter((cut) => cut > 0 && cut < bytes.length), bytes.length])]
        ends.sort((a, b) => a - b)
        const pieces = ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
        const answers = await exchange(pieces, requests.length)
        expect(answers.map(({ status }) => status)).toEqual(requests.map((one) => (one === 'nowhere' ? 404 : 200)))
        requests.forEach((one, i) => {
          if (typeof one === 'number') expect(answers[i]?.body).toContain(`"data":[${3 * one},0]`)
        })
      },
    ),
    { numRuns: 60 },
  )
})

const strange: [string, Buffer, number][] = [
  [
    'a body in chunks',
    Buffer.from(
      `POST /v2/models/triple/infer HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${query(7).length.toString(16)}\r\n${query(7)}\r\n0\r\n\r\n`,
    ),
    1,
  ],
  ['a request to go on', post(query(7), 'Expect: 100-continue\r\n'), 1],
  ['a last request', post(query(7), 'Connection: close\r\n'), 1],
  ['the older protocol', Buffer.from('GET /v2 HTTP/1.0\r\n\r\n'), 1],
  ['no host', Buffer.from('GET /v2 HTTP/1.1\r\n\r\n'), 1],
  ['two lengths', post(query(7), `Content-Length: ${query(7).length + 1}\r\n`), 1],
  ['a length and chunks', post(query(7), 'Transfer-Encoding: chunked\r\n'), 1],
  ['a length that is none', post(query(7), 'Content-Length: +5\r\n'), 1],
  ['a lone line feed', Buffer.from('GET /v2 HTTP/1.1\r\nHost: h\nX-A: b\r\n\r\n'), 1],
  ['a field without a name', Buffer.from('GET /v2 HTTP/1.1\r\nHost: h\r\n: b\r\n\r\n'), 1],
  ['a name with a space', Buffer.from('GET /v2 HTTP/1.1\r\nHost: h\r\nX-A : b\r\n\r\n'), 1],
  ['a folded field', Buffer.from('GET /v2 HTTP/1.1\r\nHost: h\r\nX-A: b\r\n c\r\n\r\n'), 1],
  ['a control character', Buffer.from('GET /v2 HTTP/1.1\r\nHost: h\r\nX-A: b\x01\r\n\r\n'), 1],
  ['another method', Buffer.from('PUT /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n'), 1],
  ['no path', Buffer.from('GET v2 HTTP/1.1\r\nHost: h\r\n\r\n'), 1],
  ['a field twice', post(query(7), 'X-A: b\r\nX-A: c\r\n'), 1],
  ['a body over the limit', post(' '.repeat(5000)), 1],
  [
    'a plain request and a strange one behind it',
    Buffer.concat([post(query(1)), get('/v2'), post(query(7), 'Expect: 100-continue\r\n')]),
    3,
  ],
]

describe.each(strange)('%s', (_what, bytes, expected) => {
  it("is answered as Node's own server answers it", async () => {
    // In pieces from the first line on: never read here
    const wanted = await exchange(cutAt(bytes, 5), expected)
    const got = await exchange([bytes], expected)
    expect(got).toEqual(wanted)
    expect(got.length).toBeGreaterThan(0)
    // And the server is well
    expect((await exchange([get('/v2/health/ready')], 1))[0]?.status).toBe(200)
  })
})

it('says of damaged heads only what they say', () => {
  const good = post('abc', 'X-A: b \t\r\ntraceparent: 00-ab\r\n')
  expect(readRequestHead(good)).toMatchObject({
    method: 'POST',
    url: '/v2/models/triple/infer',
    headers: { host: 'h', 'content-length': '3', 'x-a': 'b', traceparent: '00-ab' },
    travelling: { 'x-a': 'b', traceparent: '00-ab' },
    length: 3,
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
      const bytes = Buffer.from(good)
      for (const [at, value] of changes) bytes[at] = value
      const head = readRequestHead(bytes)
      if (!head) return
      // What was read is written the same way again
      const text = head.bytes.toString('latin1')
      expect(text.startsWith(`${head.method} ${head.url} HTTP/1.1\r\n`)).toBe(true)
      const fields = text.split('\r\n').slice(1, -2)
      expect(Object.keys(head.headers)).toEqual(fields.map((field) => field.slice(0, field.indexOf(':')).toLowerCase()))
      const isPrintable = (c: string) => c === '\t' || (c >= ' ' && c !== '\x7f')
      for (const value of Object.values(head.headers)) expect([...(value as string)].every(isPrintable)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

it('closes a connection that is idle, and one in progress after its answer', async () => {
  let release = () => undefined as void
  const held = new Promise<void>((resolve) => (release = resolve))
  let entered = () => undefined as void
  const inside = new Promise<void>((resolve) => (entered = resolve))
  const own = await startOipServer(
    tripleService({
      before() {
        entered()
        return held
      },
    }),
  )
  const { port } = new URL(own.url)
  const idle = connect({ port: Number(port), host: '127.0.0.1' })
  const idleClosed = new Promise((resolve) => idle.once('close', resolve))
  const busy = connect({ port: Number(port), host: '127.0.0.1' })
  let got = ''
  const busyClosed = new Promise((resolve) =>
    busy.on('data', (chunk) => (got += chunk.toString())).once('close', resolve),
  )
  busy.write(post(query(2)))
  await inside
  const closed = own.close()
  await idleClosed
  release()
  await Promise.all([busyClosed, closed])
  expect(answersIn(Buffer.from(got))).toMatchObject([{ status: 200, close: true }])
})

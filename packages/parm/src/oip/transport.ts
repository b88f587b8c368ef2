// How a client's bytes reach a server: by undici to any HTTP server, or by a lean HTTP/1.1 of our own to a worker's local
// socket, where both ends are this package and every microsecond is the gateway's.
import { connect, type Socket } from 'node:net'
import { Pool } from 'undici'
import { FtError } from '@ft/core'
import { room } from './room.ts'
import { createWriter, type Outgoing } from './writer.ts'

export interface HttpCall {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent in order. Empty for GET. */
  readonly body: readonly Uint8Array[]
  readonly signal?: AbortSignal | undefined
  /** Hands over how to cut the call off. */
  readonly started?: ((cut: (reason: unknown) => void) => void) | undefined
}

export interface HttpAnswer {
  readonly status: number
  /** Value of Inference-Header-Content-Length, when the answer has one. */
  readonly headerLength: string | undefined
  readonly bytes: Uint8Array
  /** Says that it is no answer to its request: nothing that comes where it came from belongs to what is asked there. */
  readonly discard: () => void
}

export interface Transport {
  /** Rejects with whatever went wrong: the caller knows the address. */
  send(call: HttpCall): Promise<HttpAnswer>
  close(): Promise<void>
}

export interface TransportOptions {
  readonly connections: number
  readonly maxBodyBytes: number
}

/** To 'http://host:port' or 'https://host:port'. */
export function remoteTransport(origin: string, { connections, maxBodyBytes }: TransportOptions): Transport {
  const open = () =>
    new Pool(origin, { connections, pipelining: 1, bodyTimeout: 0, headersTimeout: 0, maxResponseSize: maxBodyBytes })
  let pool = open()
  /** Pools with a connection that is not to be used again, while requests on others of their connections last. */
  const left = new Set<Pool>()
  function leave(own: Pool): void {
    if (own !== pool) return
    pool = open()
    left.add(own)
    // Its requests are answered or cut off; a bare connection takes no more
    void own.close().then(
      () => left.delete(own),
      () => left.delete(own),
    )
  }
  return {
    async send({ method, path, headers, body, signal, started }) {
      const cutter = started ? new AbortController() : undefined
      if (cutter) started?.((reason) => cutter.abort(reason))
      const own = pool
      const response = await own.request({
        path,
        method,
        headers,
        ...(body.length === 0 ? {} : { body: body.length === 1 ? (body[0] as Uint8Array) : Buffer.concat(body) }),
        signal: signal && cutter ? AbortSignal.any([signal, cutter.signal]) : (signal ?? cutter?.signal ?? null),
      })
      const headerLength = response.headers['inference-header-content-length']
      return {
        status: response.statusCode,
        headerLength: Array.isArray(headerLength) ? headerLength.join() : headerLength,
        bytes: new Uint8Array(await response.body.arrayBuffer()),
        discard: () => leave(own),
      }
    },
    close: async () => void (await Promise.all([pool, ...left].map((own) => own.destroy()))),
  }
}

interface Exchange {
  readonly call: HttpCall
  resolve: (answer: HttpAnswer) => void
  reject: (error: unknown) => void
}

/** Cuts an exchange off on abort, for as long as it lasts. */
function listen(signal: AbortSignal, { exchange, cut }: { exchange: Exchange; cut: (reason: unknown) => void }): void {
  const aborted = () => cut(signal.reason)
  const { resolve, reject } = exchange
  signal.addEventListener('abort', aborted, { once: true })
  exchange.resolve = (answer) => {
    signal.removeEventListener('abort', aborted)
    resolve(answer)
  }
  exchange.reject = (error) => {
    signal.removeEventListener('abort', aborted)
    reject(error)
  }
}

/** A call that has no connection yet. */
interface Waiting {
  readonly exchange: Exchange
  use(connection: Connection): void
}

/** Longest head of an answer. */
const MAX_HEAD = 16 << 10
const READ_BYTES = 64 << 10

/**
 * To a local socket whose server answers every request with a Content-Length, as `startOipServer` does.
 *
 * Guarantees: an answer belongs to the request before it on its connection; a connection on which anything else happened
 * is destroyed, never used again.
 * Cost: one write and one read a request.
 */
export function localTransport(socketPath: string, { connections, maxBodyBytes }: TransportOptions): Transport {
  const idle: Connection[] = []
  const open = new Set<Connection>()
  const waiting: Waiting[] = []
  let closed = false

  function release(connection: Connection): void {
    const next = waiting.shift()
    if (next) next.use(connection)
    else idle.push(connection)
  }

  /** It is closing: nothing more is asked on it. */
  function broken(connection: Connection): void {
    const at = idle.indexOf(connection)
    if (at >= 0) idle.splice(at, 1)
  }

  function lost(connection: Connection): void {
    open.delete(connection)
    broken(connection)
    // Somebody may have waited for the place that it held
    const next = closed ? undefined : waiting.shift()
    if (next) next.use(openOne())
  }

  function openOne(): Connection {
    const connection = createConnection(socketPath, { maxBodyBytes, release, broken, lost })
    open.add(connection)
    return connection
  }

  function acquire(call: Waiting): void {
    const connection = idle.pop()
    if (connection) call.use(connection)
    else if (open.size < connections) call.use(openOne())
    else waiting.push(call)
  }

  return {
    send(call) {
      return new Promise((resolve, reject) => {
        const { signal } = call
        if (closed) return reject(new FtError('ABORTED', 'oip client: closed', {}))
        if (signal?.aborted) return reject(signal.reason)
        const exchange: Exchange = { call, resolve, reject }
        let found: Connection | undefined
        const own: Waiting = {
          exchange,
          use(connection) {
            found = connection
            connection.exchange(exchange)
          },
        }
        const cut = (reason: unknown) => {
          if (found) return found.cut(exchange, reason)
          const at = waiting.indexOf(own)
          if (at >= 0) waiting.splice(at, 1)
          exchange.reject(reason)
        }
        call.started?.(cut)
        if (signal) listen(signal, { exchange, cut })
        acquire(own)
      })
    },
    close() {
      closed = true
      const reason = new FtError('ABORTED', 'oip client: closed', {})
      for (const { exchange } of waiting.splice(0)) exchange.reject(reason)
      for (const connection of open) connection.destroy(reason)
      return Promise.resolve()
    },
  }
}

interface Connection {
  exchange(exchange: Exchange): void
  /** Destroys the connection while it serves this exchange. */
  cut(exchange: Exchange, reason: unknown): void
  destroy(reason: unknown): void
}

function createConnection(
  socketPath: string,
  o: { maxBodyBytes: number } & Record<'release' | 'broken' | 'lost', (connection: Connection) => void>,
): Connection {
  const reader = createAnswerReader(o.maxBodyBytes, () => connection.destroy(wrong))
  let current: Exchange | undefined
  let reason: unknown
  const socket: Socket = connect({
    path: socketPath,
    // Reads go into one buffer again and again: one of its own for each would keep the garbage collector busy
    onread: {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback(length, buffer) {
        take(Buffer.from(buffer.buffer, buffer.byteOffset, length))
        return true
      },
    },
  })
  const write = createWriter(socket)
  function take(chunk: Buffer): void {
    try {
      // An answer that nobody asked for ends the connection
      const answer = current ? reader.push(chunk) : unasked()
      if (!answer) return
      const { resolve } = current as Exchange
      current = undefined
      o.release(connection)
      resolve(answer)
    } catch (error) {
      connection.destroy(error)
    }
  }
  socket.on('error', (error) => (reason ??= error))
  socket.on('end', () => socket.destroy())
  socket.on('close', () => {
    o.lost(connection)
    current?.reject(reason ?? new Error('the connection was closed'))
    current = undefined
  })
  const connection: Connection = {
    exchange(exchange) {
      current = exchange
      write(messageOf(exchange.call))
    },
    cut(exchange, why) {
      if (current === exchange) connection.destroy(why)
    },
    destroy(why) {
      reason ??= why
      o.broken(connection)
      socket.destroy()
    },
  }
  return connection
}

const wrong = new FtError('CORRUPT_DATA', 'oip client: an answer to another request', {})

function unasked(): never {
  throw new FtError('CORRUPT_DATA', 'oip client: an answer without a request', {})
}

function messageOf({ method, path, headers, body }: HttpCall): Outgoing {
  let length = 0
  for (const part of body) length += part.length
  let head = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n`
  // Values come from node's own parser or from this package: no line ends in them
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`
  head += method === 'POST' ? `content-length: ${length}\r\n\r\n` : '\r\n'
  return { head, parts: body, length }
}

/**
 * Reads answers off a stream of chunks: `push` gives the answer that a chunk completes. Chunks are copied, their memory may
 * be used again.
 *
 * @throws FtError `CORRUPT_DATA` for anything but a status line, headers with one Content-Length, and so many bytes
 */
export function createAnswerReader(
  maxBodyBytes: number,
  discard = () => undefined as void,
): { push(chunk: Buffer): HttpAnswer | undefined } {
  let pending: Buffer | undefined
  let head: Head | undefined
  // A server's answers have the same head again and again
  let last: Known | undefined
  let body: Buffer | undefined
  let filled = 0

  function start(bytes: Buffer, known: Known): HttpAnswer | undefined {
    pending = undefined
    head = known.head
    body = room(head.length, head.tensorsAt)
    return take(bytes.subarray(known.bytes.length))
  }

  function take(chunk: Buffer): HttpAnswer | undefined {
    if (!head || !body) return undefined
    if (filled + chunk.length > body.length) throw corrupt('more bytes than its Content-Length')
    body.set(chunk, filled)
    filled += chunk.length
    return filled === body.length ? finish(body) : undefined
  }

  function finish(bytes: Buffer): HttpAnswer {
    const { status, headerLength } = head as NonNullable<typeof head>
    head = undefined
    body = undefined
    filled = 0
    return { status, headerLength, bytes, discard }
  }

  return {
    push(chunk) {
      if (head) return take(chunk)
      const bytes = pending ? Buffer.concat([pending, chunk]) : chunk
      const known = last?.bytes
      if (last && known && bytes.length >= known.length && known.compare(bytes, 0, known.length) === 0)
        return start(bytes, last)
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) {
        if (bytes.length > MAX_HEAD) throw corrupt('a head that is too long')
        pending = Buffer.from(bytes)
        return undefined
      }
      last = {
        bytes: Buffer.from(bytes.subarray(0, end + 4)),
        head: parseHead(bytes.toString('latin1', 0, end), maxBodyBytes),
      }
      return start(bytes, last)
    },
  }
}

interface Known {
  readonly bytes: Buffer
  readonly head: Head
}

interface Head {
  readonly status: number
  readonly headerLength: string | undefined
  readonly length: number
  /** Where tensors begin in the body, so that it can lie where their elements can be used as they are. */
  readonly tensorsAt: number
}

function parseHead(text: string, maxBodyBytes: number): Head {
  const status = /^HTTP\/1\.1 ([2-5]\d\d)(?: |\r|$)/.exec(text)?.[1]
  if (status === undefined) throw corrupt('no status line')
  let length: number | undefined
  let headerLength: string | undefined
  for (let at = text.indexOf('\r\n'); at >= 0;) {
    const start = at + 2
    at = text.indexOf('\r\n', start)
    const line = at < 0 ? text.slice(start) : text.slice(start, at)
    const colon = line.indexOf(':')
    if (colon < 1) throw corrupt('a header without a name')
    const name = line.slice(0, colon).toLowerCase()
    if (name === 'content-length') {
      const value = line.slice(colon + 1).trim()
      if (length !== undefined || !/^\d{1,15}$/.test(value)) throw corrupt('no single Content-Length')
      length = Number(value)
    } else if (name === 'inference-header-content-length') headerLength = line.slice(colon + 1).trim()
    else if (name === 'transfer-encoding') throw corrupt('a transfer encoding')
  }
  if (length === undefined) throw corrupt('no Content-Length')
  if (length > maxBodyBytes) throw corrupt(`a body of ${length} bytes, more than ${maxBodyBytes}`)
  const tensorsAt = headerLength !== undefined && /^\d{1,9}$/.test(headerLength) ? Number(headerLength) : 0
  return { status: Number(status), headerLength, length, tensorsAt }
}

function corrupt(what: string): FtError {
  return new FtError('CORRUPT_DATA', `oip client: an answer must be HTTP/1.1 with a Content-Length, got ${what}`, {})
}

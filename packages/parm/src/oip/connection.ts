// A connection of a client that speaks plain HTTP/1.1: its requests are read and answered here, with one read and one write each.
// At the first request that is not plain (chunks, a head in several pieces, a body over the limit, anything unusual) the
// connection goes to Node's server, for good.
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { Cancellation } from '../serving/cancellation.ts'
import { createHeadReader, type RequestHead } from './requestHead.ts'
import { respond, type Reply } from './respond.ts'
import type { OipService } from './service.ts'
import { createWriter } from './writer.ts'

export interface ConnectionOptions {
  readonly service: OipService
  readonly maxBodyBytes: number
  /** Milliseconds that it may be idle, which clients are told; 0: for ever. */
  readonly keepAliveMs: number
  /** Whether answers carry the date. */
  readonly date: boolean
  /** Takes the connection over, with bytes that were read and not used. */
  readonly handOver: (socket: Socket, bytes: Buffer) => void
  /** It was closed or handed over. */
  readonly left: (connection: PlainConnection) => void
}

export interface PlainConnection {
  /** Closes it when it is idle, otherwise after the answer, which says so. */
  close(): void
  destroy(): void
  /** Called every so often: closes it when it has done nothing for too long. */
  tick(nowMs: number): void
}

/** Bytes that may wait behind a request in progress before the client is made to wait. */
const MOST_PENDING = 64 << 10
/** A body takes no longer than that. */
const LONGEST_READ_MS = 300_000

export function serveConnection(socket: Socket, o: ConnectionOptions): PlainConnection {
  const { service, maxBodyBytes, keepAliveMs } = o
  const read = createHeadReader()
  const send = createWriter(socket)
  const kept = keepAliveMs > 0 ? `Keep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n` : ''
  /** A request whose body is not whole, with what there is of it. */
  let reading: { readonly head: RequestHead; readonly body: Buffer; filled: number } | undefined
  /** Of the request in progress. */
  let gone: Cancellation | undefined
  let pending: Buffer | undefined
  let closing = false
  let activeMs = performance.now()

  function take(chunk: Buffer): void {
    if (gone) {
      pending = pending ? Buffer.concat([pending, chunk]) : chunk
      if (pending.length > MOST_PENDING) socket.pause()
    } else if (reading) fill(reading, chunk)
    else begin(chunk)
  }

  function begin(bytes: Buffer): void {
    activeMs = performance.now()
    const head = read(bytes)
    if (!head || head.length > maxBodyBytes) return leave(bytes)
    const from = head.bytes.length
    if (bytes.length - from < head.length) {
      reading = { head, body: Buffer.allocUnsafe(head.length), filled: 0 }
      return fill(reading, bytes.subarray(from))
    }
    const end = from + head.length
    if (bytes.length > end) pending = bytes.subarray(end)
    void answer(head, bytes.subarray(from, end))
  }

  function fill(request: NonNullable<typeof reading>, chunk: Buffer): void {
    const { head, body } = request
    const used = Math.min(chunk.length, body.length - request.filled)
    body.set(used === chunk.length ? chunk : chunk.subarray(0, used), request.filled)
    request.filled += used
    if (request.filled < body.length) return
    reading = undefined
    if (used < chunk.length) pending = chunk.subarray(used)
    void answer(head, body)
  }

  async function answer({ method, url, headers, travelling }: RequestHead, body: Buffer): Promise<void> {
    const own = new Cancellation()
    gone = own
    const reply = await respond(service, { method, url, headers, travelling, gone: own, body: () => body })
    gone = undefined
    if (socket.destroyed) return
    if (!reply) return void socket.destroy()
    activeMs = performance.now()
    write(reply)
    if (closing || reply.headers['Connection'] === 'close') return void socket.end()
    if (!pending) return
    const next = pending
    pending = undefined
    socket.resume()
    begin(next)
  }

  function write({ status, headers, parts }: Reply): void {
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`
    if (o.date) head += `Date: ${dateOfNow()}\r\n`
    if (headers['Connection'] === undefined)
      head += closing ? 'Connection: close\r\n' : `Connection: keep-alive\r\n${kept}`
    send({ head: `${head}\r\n`, parts, length: Number(headers['Content-Length']) })
  }

  function leave(bytes: Buffer): void {
    socket.off('data', take).off('end', ended).off('error', failed).off('close', closed)
    o.left(connection)
    o.handOver(socket, bytes)
  }

  // A client that ends its side has left, as Node's server takes it
  const ended = () => void socket.destroy()
  const failed = () => undefined
  const closed = () => {
    o.left(connection)
    gone?.cancel()
  }
  const connection: PlainConnection = {
    close() {
      closing = true
      if (!gone && !reading) socket.destroy()
    },
    destroy: () => void socket.destroy(),
    tick(nowMs) {
      const quietMs = nowMs - activeMs
      if (reading ? quietMs > LONGEST_READ_MS : !gone && keepAliveMs > 0 && quietMs > keepAliveMs) socket.destroy()
    },
  }
  socket.on('data', take).on('end', ended).on('error', failed).on('close', closed)
  return connection
}

let date = { second: 0, text: '' }

function dateOfNow(): string {
  const second = Math.floor(Date.now() / 1000)
  if (date.second !== second) date = { second, text: new Date(1000 * second).toUTCString() }
  return date.text
}

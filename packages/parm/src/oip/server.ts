// The Open Inference Protocol v2 over HTTP/1.1, on a TCP port or a local socket: in front of the gateway and inside every worker
// process. Plain requests are read by `connection.ts`; connections with any other are Node's own server's.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { FtError } from '@ft/core'
import { Cancellation } from '../serving/cancellation.ts'
import { serveConnection, type PlainConnection } from './connection.ts'
import { DRAIN_MS, drained } from './drain.ts'
import { decompress } from './decompress.ts'
import { OipError } from './error.ts'
import { respond, travelling, type Reply } from './respond.ts'
import type { OipService } from './service.ts'

export interface OipServerOptions {
  /** Default '127.0.0.1'. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
  /** A local socket instead of host and port. */
  readonly socketPath?: string
  /** Longest body in bytes. Default 16 MiB. */
  readonly maxBodyBytes?: number
  /** Milliseconds that an idle connection is kept; 0: for ever. Default 60,000. */
  readonly keepAliveMs?: number
  /** Milliseconds after which `close` destroys the connections that are left. Default 30,000. */
  readonly drainMs?: number
  /** Serves HTTPS. */
  readonly tls?: TlsOptions
}

/** PEM texts. */
export interface TlsOptions {
  readonly cert: string
  readonly key: string
  /** Clients must show a certificate that it signed. Default: anybody may ask. */
  readonly ca?: string
}

export interface OipServer {
  /** Where it listens, such as 'http://127.0.0.1:41234'; the socket's path for a local socket. */
  readonly url: string
  /** Stops taking connections; resolves when requests in progress are answered, or after `drainMs` without those that are not. */
  close(): Promise<void>
  /** Closes with all its connections, at once. */
  destroy(): void
}

const TICK_MS = 5000

/** Serves until closed. @throws FtError `IO` when the address cannot be used, `INVALID_ARGUMENT` for `tls` that is no PEM */
export async function startOipServer(service: OipService, options: OipServerOptions = {}): Promise<OipServer> {
  const { host = '127.0.0.1', port = 0, socketPath, maxBodyBytes = 16 << 20, keepAliveMs = 60_000, tls } = options
  const { drainMs = DRAIN_MS } = options
  // Between processes of one machine a date says nothing, and heads without it are the same again and again
  const date = socketPath === undefined
  /** Of all connections, those too that have not shaken hands over TLS. */
  const sockets = new Set<Socket>()
  const plain = new Set<PlainConnection>()
  const { http, closeAfterAnswers } = createHttpServer({ service, maxBodyBytes, keepAliveMs, date })

  function serve(socket: Socket): void {
    const connection = serveConnection(socket, {
      service,
      maxBodyBytes,
      keepAliveMs,
      date,
      handOver(own, bytes) {
        own.pause()
        own.unshift(bytes)
        http.emit('connection', own)
        own.resume()
      },
      left: (gone) => plain.delete(gone),
    })
    plain.add(connection)
  }

  const server: Server = tls ? createSecureServer(tls, serve) : createTcpServer({ noDelay: true }, serve)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  if (tls) server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
  const ticking = setInterval(() => {
    const now = performance.now()
    for (const connection of plain) connection.tick(now)
  }, TICK_MS)
  ticking.unref()
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      clearInterval(ticking)
      reject(new FtError('IO', `startOipServer: cannot listen on ${socketPath ?? `${host}:${port}`}`, {}, { cause }))
    })
    if (socketPath === undefined) server.listen(port, host, resolve)
    else server.listen(socketPath, resolve)
  })
  const shown = host.includes(':') ? `[${host}]` : host
  const stop = () => {
    clearInterval(ticking)
    closeAfterAnswers()
  }
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: socketPath ?? `${tls ? 'https' : 'http'}://${shown}:${(server.address() as AddressInfo).port}`,
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      stop()
      for (const connection of plain) connection.close()
      return drained(closed, { drainMs, destroy: cut })
    },
    destroy() {
      server.close()
      stop()
      cut()
    },
  }
}

function createSecureServer(tls: TlsOptions, serve: (socket: Socket) => void): Server {
  const mutual = tls.ca === undefined ? {} : { requestCert: true, rejectUnauthorized: true }
  try {
    return createTlsServer({ noDelay: true, ALPNProtocols: ['http/1.1'], ...tls, ...mutual }, serve)
  } catch (cause) {
    throw new FtError(
      'INVALID_ARGUMENT',
      'startOipServer: `tls` must be a certificate and its key in PEM',
      {},
      { cause },
    )
  }
}

/** Node's server, which is given its connections; after `closeAfterAnswers` each is closed when it is idle. */
function createHttpServer(o: {
  readonly service: OipService
  readonly maxBodyBytes: number
  readonly keepAliveMs: number
  readonly date: boolean
}) {
  const { service, maxBodyBytes } = o
  const responses = new Set<ServerResponse>()
  let closing = false
  const http = createServer({ keepAliveTimeout: o.keepAliveMs }, (request, response) => {
    responses.add(response)
    response.sendDate = o.date
    if (closing) response.setHeader('Connection', 'close')
    response.once('close', () => {
      responses.delete(response)
      // Its head may have left before the server was told to close; its connection is idle after this turn
      if (closing) setImmediate(() => http.closeIdleConnections())
    })
    void answer({ service, request, response, maxBodyBytes })
  })
  // It listens nowhere itself; from this event on it looks after the time limits of the connections that it is given
  http.emit('listening')
  return {
    http,
    closeAfterAnswers() {
      // A client that keeps asking on one connection must be told, or it keeps the server up
      closing = true
      for (const response of responses) if (!response.headersSent) response.setHeader('Connection', 'close')
      http.closeIdleConnections()
      // That it does not listen is no news
      http.close(() => undefined)
    },
  }
}

async function answer(o: {
  readonly service: OipService
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly maxBodyBytes: number
}): Promise<void> {
  const { service, request, response, maxBodyBytes } = o
  const gone = new Cancellation()
  response.once('close', () => {
    if (!response.writableFinished) gone.cancel()
  })
  const { method: asked = '', url = '', headers } = request
  // Node's server leaves out the body of what answers HEAD, which some balancers ask a health path with
  const method = asked === 'HEAD' ? 'GET' : asked
  const encoding = headers['content-encoding']
  const body = async () => decompress(await readBody(request, maxBodyBytes), { encoding, maxBodyBytes })
  const reply = await respond(service, { method, url, headers, travelling: travelling(headers), gone, body })
  if (!reply) response.destroy()
  else if (!response.destroyed) send(response, reply)
}

function send(response: ServerResponse, { status, headers, parts }: Reply): void {
  response.writeHead(status, headers)
  response.end(parts.length === 1 ? parts[0] : Buffer.concat(parts))
}

/** @throws OipError 413 as soon as the body is known to be too long */
function readBody(request: IncomingMessage, maxBodyBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const tooLong = () => reject(new OipError(413, `the body must be at most ${maxBodyBytes} bytes`))
    if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return tooLong()
    const chunks: Buffer[] = []
    let length = 0
    const take = (chunk: Buffer) => {
      length += chunk.length
      if (length <= maxBodyBytes) return void chunks.push(chunk)
      request.off('data', take)
      tooLong()
    }
    request.on('data', take)
    request.once('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length)))
    request.once('error', (cause) => reject(new OipError(400, 'the body was cut off', { cause })))
  })
}

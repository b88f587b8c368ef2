// The Open Inference Protocol v2 over node:http, on a TCP port or a local socket: in front of the gateway and inside every
// worker process.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { FtError } from '@ft/core'
import { Cancellation } from '../serving/cancellation.ts'
import { OipError, toOipError } from './error.ts'
import type { InferRequest, InferResponse } from './message.ts'
import { parseRequest } from './parse.ts'
import { wantsBinary, writeResponse } from './serialise.ts'

/** A tensor of a model's signature; -1 for a size that varies. */
export interface TensorMetadata {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
}

export interface ModelMetadata {
  readonly name: string
  readonly versions?: readonly string[]
  readonly platform: string
  readonly inputs: readonly TensorMetadata[]
  readonly outputs: readonly TensorMetadata[]
  /** Further facts; the gateway reads 'ft.fingerprint', 'ft.baseFingerprint' and 'ft.code'. */
  readonly properties?: Readonly<Record<string, string>>
}

export interface InferContext {
  readonly version: string | undefined
  /** Headers of the request that travel on: tracing and the user's own. */
  readonly headers: Readonly<Record<string, string>>
  /** Says when the client has gone; `signal` is the same, made when it is asked for. */
  readonly gone: Pick<Cancellation, 'cancelled' | 'onCancel'>
  readonly signal: AbortSignal
}

/** What a server serves. Unknown models: `metadata` gives undefined. */
export interface OipService {
  readonly name: string
  readonly version: string
  ready(): boolean
  metadata(model: string): ModelMetadata | undefined
  infer(model: string, call: { request: InferRequest; context: InferContext }): Promise<InferResponse>
  /** Answers paths that the protocol does not have; undefined for a path that is not there either. */
  other?(request: OtherRequest): Promise<OtherReply | undefined>
  /** Body of `GET /metrics`. Absent: 404. */
  metrics?(): Promise<{ readonly contentType: string; readonly text: string }>
}

/** A request for another path than the protocol's. */
export interface OtherRequest {
  readonly method: string
  /** Without the query string. */
  readonly path: string
  readonly headers: IncomingMessage['headers']
  /** What travels on with a query, and whether the client has gone. */
  readonly context: Omit<InferContext, 'version'>
  body(): Promise<Uint8Array>
}

export interface OtherReply {
  readonly contentType: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Thrown by a service: the connection is closed without an answer. For tests of those who ask. */
export class DropConnection extends Error {}

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
  /** PEM texts: serves HTTPS. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string }
}

export interface OipServer {
  /** Where it listens, such as 'http://127.0.0.1:41234'; the socket's path for a local socket. */
  readonly url: string
  /** Stops taking connections; resolves when requests in progress are answered. */
  close(): Promise<void>
  /** Closes with all its connections, at once. */
  destroy(): void
}

/** Serves until closed. @throws FtError `IO` when the address cannot be used */
export async function startOipServer(service: OipService, options: OipServerOptions = {}): Promise<OipServer> {
  const { host = '127.0.0.1', port = 0, socketPath, maxBodyBytes = 16 << 20, keepAliveMs = 60_000, tls } = options
  const responses = new Set<ServerResponse>()
  let closing = false
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    responses.add(response)
    // Between processes of one machine a date says nothing, and heads without it are the same again and again
    if (socketPath !== undefined) response.sendDate = false
    if (closing) response.setHeader('Connection', 'close')
    response.once('close', () => {
      responses.delete(response)
      // Its head may have left before the server was told to close; its connection is idle after this turn
      if (closing) setImmediate(() => server.closeIdleConnections())
    })
    void handle({ service, request, response, maxBodyBytes })
  }
  const common = { keepAliveTimeout: keepAliveMs, noDelay: true }
  const server = tls ? createTlsServer({ ...common, ...tls }, listener) : createServer(common, listener)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new FtError('IO', `startOipServer: cannot listen on ${socketPath ?? `${host}:${port}`}`, {}, { cause })),
    )
    if (socketPath === undefined) server.listen(port, host, resolve)
    else server.listen(socketPath, resolve)
  })
  const shown = host.includes(':') ? `[${host}]` : host
  return {
    url: socketPath ?? `${tls ? 'https' : 'http'}://${shown}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        // A client that keeps asking on one connection must be told, or it keeps the server up
        closing = true
        for (const response of responses) if (!response.headersSent) response.setHeader('Connection', 'close')
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
    destroy() {
      server.close()
      server.closeAllConnections()
    },
  }
}

interface Exchange {
  readonly service: OipService
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly maxBodyBytes: number
}

async function handle(exchange: Exchange): Promise<void> {
  try {
    await route(exchange)
  } catch (thrown) {
    if (thrown instanceof DropConnection) return void exchange.response.destroy()
    const error = toOipError(thrown)
    if (error.retryAfter !== undefined) exchange.response.setHeader('Retry-After', String(error.retryAfter))
    if (error.status === 413) exchange.response.setHeader('Connection', 'close')
    sendJson(exchange.response, { status: error.status, body: { error: error.message } })
  }
}

const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer))?$/

async function route(exchange: Exchange): Promise<void> {
  const { service, request, response } = exchange
  const path = (request.url ?? '').split('?', 1)[0] as string
  const reading = request.method === 'GET'
  const state = (ready: boolean, body: object) => sendJson(response, { status: ready ? 200 : 503, body })
  if (reading && path === '/v2/health/live') return state(true, { live: true })
  if (reading && path === '/v2/health/ready') return state(service.ready(), { ready: service.ready() })
  if (reading && (path === '/v2' || path === '/v2/'))
    return state(true, { name: service.name, version: service.version, extensions: ['binary_tensor_data'] })
  if (reading && path === '/metrics' && service.metrics) {
    const { contentType, text } = await service.metrics()
    response.writeHead(200, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text) })
    return void response.end(text)
  }

  const [, encoded, version, action] = modelPath.exec(path) ?? []
  if (encoded === undefined && service.other && (await answerOther(exchange, path))) return
  if (encoded === undefined) throw new OipError(404, `no such path: ${path.slice(0, 100)}`)
  const model = decode(encoded)
  const metadata = service.metadata(model)
  if (!metadata || (version !== undefined && !metadata.versions?.includes(version)))
    throw new OipError(
      404,
      `no such model: ${model.slice(0, 100)}${version === undefined ? '' : ` version ${version.slice(0, 20)}`}`,
    )
  if (action === 'infer') {
    if (request.method !== 'POST') throw new OipError(405, 'infer must be called with POST')
    return infer(exchange, { model, version })
  }
  if (!reading) throw new OipError(405, 'this path must be called with GET')
  if (action === 'ready') return state(service.ready(), { name: model, ready: service.ready() })
  return state(true, metadata)
}

/** Whether the service answered a path of its own. */
async function answerOther({ service, request, response, maxBodyBytes }: Exchange, path: string): Promise<boolean> {
  const gone = goneWith(response)
  const reply = await service.other?.({
    method: request.method ?? '',
    path,
    headers: request.headers,
    context: contextOf(request, gone),
    body: () => readBody(request, maxBodyBytes),
  })
  if (!reply) return false
  if (response.destroyed) return true
  const { contentType, text, headers = {} } = reply
  response.writeHead(200, { ...headers, 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
  return true
}

function goneWith(response: ServerResponse): Cancellation {
  const gone = new Cancellation()
  response.once('close', () => {
    if (!response.writableFinished) gone.cancel()
  })
  return gone
}

function contextOf(request: IncomingMessage, gone: Cancellation): Omit<InferContext, 'version'> {
  return {
    headers: travelling(request),
    gone,
    get signal() {
      return gone.signal
    },
  }
}

async function infer(
  { service, request, response, maxBodyBytes }: Exchange,
  call: { model: string; version: string | undefined },
): Promise<void> {
  const gone = goneWith(response)
  const headerLength = request.headers['inference-header-content-length']
  const parsed = parseRequest({
    bytes: await readBody(request, maxBodyBytes),
    headerLength: Array.isArray(headerLength) ? headerLength.join() : headerLength,
  })
  const context: InferContext = {
    version: call.version,
    headers: travelling(request),
    gone,
    get signal() {
      return gone.signal
    },
  }
  const answer = await service.infer(call.model, { request: parsed, context })
  if (response.destroyed) return
  const outputs = selectOutputs(answer, parsed)
  const written = writeResponse({ ...answer, outputs }, { binary: wantsBinary(parsed) })
  const type = written.headerLength === undefined ? 'application/json' : 'application/octet-stream'
  const headers: Record<string, string | number> = { 'Content-Type': type, 'Content-Length': written.length }
  if (written.headerLength !== undefined) headers['Inference-Header-Content-Length'] = written.headerLength
  response.writeHead(200, headers)
  // One piece, one write. Short ones as characters of a byte each, which leave together with the head
  if (written.length <= ONE_WRITE) response.end(charactersOf(written.parts), 'latin1')
  else response.end(written.parts.length === 1 ? written.parts[0] : Buffer.concat(written.parts, written.length))
}

const ONE_WRITE = 16 << 10

function charactersOf(parts: readonly Uint8Array[]): string {
  let text = ''
  for (const { buffer, byteOffset, byteLength } of parts)
    text += Buffer.from(buffer, byteOffset, byteLength).toString('latin1')
  return text
}

function selectOutputs(answer: InferResponse, { outputs }: InferRequest): InferResponse['outputs'] {
  if (!outputs || outputs.length === 0) return answer.outputs
  return outputs.map(({ name }) => {
    const found = answer.outputs.find((output) => output.name === name)
    if (!found) throw new OipError(400, `outputs: the model has no output '${name.slice(0, 100)}'`)
    return found
  })
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

/** Tracing and x- headers; not those of the connection. */
function travelling({ headers }: IncomingMessage): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name in headers) {
    if (!name.startsWith('x-') && name !== 'traceparent' && name !== 'tracestate' && name !== 'baggage') continue
    const value = headers[name]
    if (typeof value === 'string') kept[name] = value
  }
  return kept
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new OipError(400, 'the model name must be a valid URL part', { cause })
  }
}

function sendJson(response: ServerResponse, { status, body }: { status: number; body: object }): void {
  if (response.headersSent || response.destroyed) return
  const text = JSON.stringify(body)
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
}

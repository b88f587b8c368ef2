// What a request is answered with: routes of the protocol, refusals with their status. Reading requests off a connection and
// writing answers to it is not its business.
import type { IncomingHttpHeaders } from 'node:http'
import type { Cancellation } from '../serving/cancellation.ts'
import { OipError, toOipError } from './error.ts'
import { parseRequest } from './parse.ts'
import { selectOutputs } from './select.ts'
import { wantsBinary, writeResponse } from './serialise.ts'
import { DropConnection, RequestContext, type InferContext, type OipService } from './service.ts'

/** A request, however its bytes were read. */
export interface Received {
  readonly method: string
  /** Path and query as they came. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** `travelling(headers)`, which who reads the same head again and again need not find again. */
  readonly travelling: Readonly<Record<string, string>>
  /** Cancelled when the client has gone. */
  readonly gone: Cancellation
  /** @throws OipError 413 as soon as the body is known to be too long, 400 when it is cut off */
  body(): Uint8Array | Promise<Uint8Array>
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | number>>
  /** In order, of `Content-Length` bytes together. */
  readonly parts: readonly Uint8Array[]
}

/** Never rejects; undefined: the connection is to be closed without an answer. */
export async function respond(service: OipService, request: Received): Promise<Reply | undefined> {
  try {
    return await route(service, request)
  } catch (thrown) {
    if (thrown instanceof DropConnection) return undefined
    const error = toOipError(thrown)
    service.refused?.({ status: error.status, thrown, headers: request.travelling })
    return json(
      error.status,
      { error: error.message },
      {
        ...(error.retryAfter === undefined ? {} : { 'Retry-After': String(error.retryAfter) }),
        // The rest of the body is not read
        ...(error.status === 413 ? { Connection: 'close' } : {}),
      },
    )
  }
}

/** Tracing and x- headers; not those of the connection. */
export function travelling(headers: IncomingHttpHeaders): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name in headers) {
    if (!name.startsWith('x-') && name !== 'traceparent' && name !== 'tracestate' && name !== 'baggage') continue
    const value = headers[name]
    if (typeof value === 'string') kept[name] = value
  }
  return kept
}

const modelPath = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(ready|infer))?$/

function route(service: OipService, request: Received): Reply | Promise<Reply> {
  const { method, url } = request
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  const [, encoded, version, action] = modelPath.exec(path) ?? []
  if (encoded === undefined) return routeOther(service, request, path)
  const model = decode(encoded)
  const metadata = service.metadata(model)
  if (!metadata || (version !== undefined && !metadata.versions?.includes(version)))
    throw new OipError(
      404,
      `no such model: ${model.slice(0, 100)}${version === undefined ? '' : ` version ${version.slice(0, 20)}`}`,
    )
  if (action === 'infer') {
    if (method !== 'POST') throw new OipError(405, 'infer must be called with POST')
    return infer(service, request, { model, version })
  }
  if (method !== 'GET') throw new OipError(405, 'this path must be called with GET')
  if (action === 'ready') return state(service.ready(), { name: model, ready: service.ready() })
  return state(true, metadata)
}

async function routeOther(service: OipService, request: Received, path: string): Promise<Reply> {
  if (request.method === 'GET') {
    if (path === '/v2/health/live') return state(true, { live: true })
    if (path === '/v2/health/ready') return state(service.ready(), { ready: service.ready() })
    if (path === '/v2' || path === '/v2/')
      return state(true, { name: service.name, version: service.version, extensions: ['binary_tensor_data'] })
    if (path === '/metrics' && service.metrics) return textReply(await service.metrics())
  }
  const { method, headers } = request
  const reply = await service.other?.({
    method,
    path,
    headers,
    context: contextOf(request),
    body: async () => request.body(),
  })
  if (!reply) throw new OipError(404, `no such path: ${path.slice(0, 100)}`)
  return textReply(reply)
}

function contextOf({ travelling: headers, gone }: Received, version?: string): InferContext {
  return new RequestContext({ version, headers, gone })
}

async function infer(
  service: OipService,
  request: Received,
  { model, version }: { model: string; version: string | undefined },
): Promise<Reply> {
  const headerLength = request.headers['inference-header-content-length']
  const body = request.body()
  const parsed = parseRequest(
    {
      bytes: body instanceof Uint8Array ? body : await body,
      headerLength: Array.isArray(headerLength) ? headerLength.join() : headerLength,
    },
    service.checkInput ? (input) => service.checkInput?.(model, input) : undefined,
  )
  const answer = await service.infer(model, { request: parsed, context: contextOf(request, version) })
  const outputs = selectOutputs(answer, parsed)
  const { parts, length, headerLength: own } = writeResponse({ ...answer, outputs }, { binary: wantsBinary(parsed) })
  const headers =
    own === undefined
      ? { 'Content-Type': 'application/json', 'Content-Length': length }
      : { 'Content-Type': 'application/octet-stream', 'Content-Length': length, 'Inference-Header-Content-Length': own }
  return { status: 200, headers, parts }
}

function decode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new OipError(400, 'the model name must be a valid URL part', { cause })
  }
}

const state = (ready: boolean, body: object) => json(ready ? 200 : 503, body)

function json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): Reply {
  const bytes = Buffer.from(JSON.stringify(body))
  return {
    status,
    headers: { ...headers, 'Content-Type': 'application/json', 'Content-Length': bytes.length },
    parts: [bytes],
  }
}

function textReply(o: {
  readonly contentType: string
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}): Reply {
  const bytes = Buffer.from(o.text)
  const headers = { ...o.headers, 'Content-Type': o.contentType, 'Content-Length': bytes.length }
  return { status: 200, headers, parts: [bytes] }
}

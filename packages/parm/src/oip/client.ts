// A client of any Open Inference Protocol server, over TCP or a local socket. Connections are kept and shared.
import { FtError, isFtError } from '@ft/core'
import { errors } from 'undici'
import { OipError } from './error.ts'
import type { InferRequest, InferResponse } from './message.ts'
import { parseResponse } from './parse.ts'
import type { ModelMetadata, TensorMetadata } from './service.ts'
import { writeRequest } from './serialise.ts'
import { localTransport, remoteTransport } from './transport.ts'

export interface OipClientOptions {
  /** Most connections. Default 64. */
  readonly connections?: number
  /** Tensors as bytes rather than JSON. Default: asked of the server, once. */
  readonly binary?: boolean
  /** Longest answer accepted, in bytes. Default 64 MiB. */
  readonly maxBodyBytes?: number
}

export interface OipClient {
  infer(
    model: string,
    call: {
      request: InferRequest
      /** Of the model. Default: the server's own choice. */
      version?: string | undefined
      headers?: Readonly<Record<string, string>>
      signal?: AbortSignal
      /** Hands over how to cut the call off, cheaper than a signal for one call. */
      started?: (cut: (reason: unknown) => void) => void
    },
  ): Promise<InferResponse>
  ready(signal?: AbortSignal): Promise<boolean>
  /** undefined when the server does not have the model. Rejects with `CORRUPT_DATA` for what is no signature. */
  metadata(model: string, signal?: AbortSignal): Promise<ModelMetadata | undefined>
  close(): Promise<void>
}

/**
 * Guarantees: an answer is the one to its request where the server says ids again, as the protocol asks of it: every request has
 * one of its own. Where it does not, as far as its connections carry one answer a request.
 *
 * @param address - 'http://host:port' with an optional path before '/v2', or the path of a local socket
 * @throws FtError `INVALID_ARGUMENT` for another address; calls reject with `OipError` for the server's refusals (its
 * status, 400 to 599), with `IO` when it cannot be reached, `CORRUPT_DATA` when its answer cannot be read
 */
export function createOipClient(address: string, options: OipClientOptions = {}): OipClient {
  const { connections = 64, maxBodyBytes = 64 << 20 } = options
  const local = address.startsWith('/') || address.startsWith('\\\\')
  const url = local ? new URL('http://localhost') : parseAddress(address)
  const base = url.pathname.replace(/\/$/, '')
  const transport = local
    ? localTransport(address, { connections, maxBodyBytes })
    : remoteTransport(url.origin, { connections, maxBodyBytes })
  let binary = options.binary
  /** Of models without a version. */
  const paths = new Map<string, string>()
  /** Whether the server has said an id again: then it must. */
  let echoes = false
  let tags = FIRST_TAG

  /** An id that no request before had, on any connection that may still be there; of one length, so that heads are alike. */
  function nextTag(): string {
    tags = tags === LAST_TAG ? FIRST_TAG : tags + 1
    return String(tags)
  }

  /** Of a model, made once where it has no version. */
  function pathOf(model: string, version: string | undefined): string {
    const known = version === undefined ? paths.get(model) : undefined
    if (known !== undefined) return known
    const name = `/v2/models/${encodeURIComponent(model)}`
    if (version !== undefined) return `${name}/versions/${encodeURIComponent(version)}/infer`
    const path = `${name}/infer`
    if (paths.size < MOST_PATHS) paths.set(model, path)
    return path
  }

  function call(o: {
    path: string
    body?: readonly Uint8Array[]
    headers?: Record<string, string>
    signal?: AbortSignal | undefined
    started?: ((cut: (reason: unknown) => void) => void) | undefined
  }) {
    const { path, body = [], headers = {}, signal, started } = o
    const method = body.length > 0 ? 'POST' : 'GET'
    return transport.send({ path: base + path, method, headers, body, signal, started }).catch((cause: unknown) => {
      if (signal?.aborted) throw new FtError('ABORTED', 'oip client: aborted by its signal', {}, { cause })
      if (isFtError(cause, 'CORRUPT_DATA')) throw unreadable('what is no answer', cause)
      // The server is there: it is not to be probed, as one that cannot be reached is
      if (cause instanceof errors.ResponseExceededMaxSizeError) throw unreadable('an answer that is too long', cause)
      throw new FtError('IO', `oip client: ${address} cannot be reached`, { address }, { cause })
    })
  }

  function unreadable(what: string, cause?: unknown): FtError {
    return new FtError('CORRUPT_DATA', `oip client: ${address} sent ${what}`, { address }, { cause })
  }

  async function readJson(
    path: string,
    signal?: AbortSignal,
  ): Promise<{ status: number; json: Record<string, unknown> }> {
    const { status, bytes } = await call({ path, signal })
    try {
      const json: unknown = JSON.parse(new TextDecoder().decode(bytes))
      return { status, json: typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {} }
    } catch {
      return { status, json: {} }
    }
  }

  async function speaksBinary(signal?: AbortSignal): Promise<boolean> {
    const { json } = await readJson('/v2', signal)
    const extensions = json['extensions']
    return Array.isArray(extensions) && extensions.includes('binary_tensor_data')
  }

  return {
    async infer(model, { request, version, headers = {}, signal, started }) {
      binary ??= await speaksBinary(signal)
      const tag = request.id ?? nextTag()
      const written = writeRequest(request, { binary, tag })
      const response = await call({
        path: pathOf(model, version),
        body: written.parts,
        headers: {
          ...headers,
          'content-type': written.headerLength === undefined ? 'application/json' : 'application/octet-stream',
          ...(written.headerLength === undefined
            ? {}
            : { 'inference-header-content-length': String(written.headerLength) }),
        },
        signal,
        started,
      })
      const { status } = response
      if (status >= 400 && status < 600) throw new OipError(status, errorText(response.bytes))
      if (status !== 200) throw unreadable(`status ${status}`)
      let answer: InferResponse
      try {
        answer = parseResponse(response)
      } catch (cause) {
        throw unreadable('an answer that cannot be read', cause)
      }
      const { id, ...own } = answer
      if (id === tag) echoes = true
      else if (echoes || (id !== undefined && id !== '')) {
        response.discard()
        throw unreadable('the answer to another request')
      }
      return request.id === undefined || id === undefined ? own : answer
    },
    async ready(signal) {
      return (await call({ path: '/v2/health/ready', signal })).status === 200
    },
    async metadata(model, signal) {
      // Asked of a server that has come back, which may be another one
      echoes = false
      const { status, json } = await readJson(`/v2/models/${encodeURIComponent(model)}`, signal)
      if (status !== 200) return undefined
      const inputs = tensorsOf(json['inputs'])
      const outputs = tensorsOf(json['outputs'])
      if (!inputs || !outputs) throw unreadable('metadata without inputs and outputs')
      return { ...(json as unknown as ModelMetadata), inputs, outputs }
    },
    close: () => transport.close(),
  }
}

/** Tensors of a signature as a server says them; undefined for anything else. */
function tensorsOf(value: unknown): TensorMetadata[] | undefined {
  if (!Array.isArray(value)) return undefined
  const tensors: TensorMetadata[] = []
  for (const entry of value as (Partial<TensorMetadata> | null)[]) {
    const { name, datatype, shape } = entry ?? {}
    if (typeof name !== 'string' || typeof datatype !== 'string' || !Array.isArray(shape)) return undefined
    if (!shape.every((size) => Number.isSafeInteger(size))) return undefined
    tensors.push({ name, datatype, shape })
  }
  return tensors
}

const MOST_PATHS = 64
const FIRST_TAG = 1_000_000_000
const LAST_TAG = 2_000_000_000

function parseAddress(address: string): URL {
  if (/^https?:\/\//.test(address) && URL.canParse(address)) return new URL(address)
  throw new FtError(
    'INVALID_ARGUMENT',
    `createOipClient: \`address\` must be an http URL or a socket's path, got '${address.slice(0, 100)}'`,
    {
      address,
    },
  )
}

function errorText(bytes: Uint8Array): string {
  try {
    const json = JSON.parse(new TextDecoder().decode(bytes)) as { error?: unknown }
    if (typeof json.error === 'string') return json.error.slice(0, 500)
  } catch {
    // Not the protocol's form: only the status is known
  }
  return 'refused without a reason'
}

// What a server serves, whoever carries the bytes: REST, gRPC, or TensorFlow Serving's routes.
import type { IncomingHttpHeaders } from 'node:http'
import type { Cancellation } from '../serving/cancellation.ts'
import type { InferRequest, InferResponse } from './message.ts'

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

/**
 * The context of a request whose client leaves by a `Cancellation`. A class, since every object with an accessor of its own is a
 * kind of its own to the engine, and slow.
 */
export class RequestContext implements InferContext {
  readonly version: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly gone: Cancellation

  constructor({ version, headers, gone }: Pick<RequestContext, 'version' | 'headers' | 'gone'>) {
    this.version = version
    this.headers = headers
    this.gone = gone
  }

  get signal(): AbortSignal {
    return this.gone.signal
  }
}

/** What a server serves. Unknown models: `metadata` gives undefined. */
export interface OipService {
  readonly name: string
  readonly version: string
  ready(): boolean
  metadata(model: string): ModelMetadata | undefined
  /**
   * Called with name, type and shape of an input before its contents are read, which cost much more. May be left out, and
   * is where a header is known already: `infer` checks what it is given.
   *
   * @throws OipError to refuse it
   */
  checkInput?(model: string, input: TensorMetadata): void
  infer(model: string, call: { request: InferRequest; context: InferContext }): Promise<InferResponse>
  /** Answers paths that the protocol does not have; undefined for a path that is not there either. */
  other?(request: OtherRequest): Promise<OtherReply | undefined>
  /** Body of `GET /metrics`. Absent: 404. */
  metrics?(): Promise<{ readonly contentType: string; readonly text: string }>
  /** Told of each request that fails or is refused, whichever part of the front refuses it. */
  refused?(refusal: Refusal): void
}

export interface Refusal {
  /** That its client gets; by gRPC the one that its code stands for. */
  readonly status: number
  /** What was thrown; an error that `infer` rejected with is that one. */
  readonly thrown: unknown
  /** Of the request, that travel on. */
  readonly headers: Readonly<Record<string, string>>
}

/** A request for another path than the protocol's. */
export interface OtherRequest {
  readonly method: string
  /** Without the query string. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
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

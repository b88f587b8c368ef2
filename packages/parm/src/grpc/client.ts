// A client of any Open Inference Protocol server over gRPC, with the face of the REST client.
import type * as Grpc from '@grpc/grpc-js'
import { FtError } from '@ft/core'
import type { OipClient, OipClientOptions } from '../oip/client.ts'
import { OipError } from '../oip/error.ts'
import { inferRequest, inferResponse, loadGrpc, service as definition } from './peer.ts'

type Call = (
  request: unknown,
  metadata: Grpc.Metadata,
  callback: (error: Grpc.ServiceError | null, response: unknown) => void,
) => Grpc.ClientUnaryCall

/**
 * @param address - 'grpc://host:port', or 'grpcs://host:port' for TLS
 * @throws FtError `MISSING_PEER` at the first call without @grpc/grpc-js; otherwise as `createOipClient`
 */
export function createGrpcClient(address: string, { maxBodyBytes = 64 << 20 }: OipClientOptions = {}): OipClient {
  const [, secure, target] = /^grpc(s?):\/\/([^/]+)$/.exec(address) ?? []
  if (target === undefined)
    throw new FtError('INVALID_ARGUMENT', `createGrpcClient: \`address\` must be grpc://host:port, got '${address}'`, {
      address,
    })
  let opened: Promise<{ grpc: typeof Grpc; client: Grpc.Client }> | undefined
  const open = () =>
    (opened ??= loadGrpc().then((grpc) => {
      const Client = grpc.makeGenericClientConstructor(definition, 'GRPCInferenceService')
      const credentials = secure === 's' ? grpc.credentials.createSsl() : grpc.credentials.createInsecure()
      return { grpc, client: new Client(target, credentials, { 'grpc.max_receive_message_length': maxBodyBytes }) }
    }))

  async function call<Response>(
    method: keyof typeof definition,
    o: {
      message: unknown
      headers?: Readonly<Record<string, string>> | undefined
      signal?: AbortSignal | undefined
      started?: ((cut: (reason: unknown) => void) => void) | undefined
    },
  ): Promise<Response> {
    const { grpc, client } = await open()
    const { signal } = o
    const metadata = new grpc.Metadata()
    for (const [name, value] of Object.entries(o.headers ?? {})) if (isCarried(name, value)) metadata.set(name, value)
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(aborted(signal))
      const run = (client as unknown as Record<string, Call>)[method] as Call
      const running = run.call(client, o.message, metadata, (error, response) => {
        signal?.removeEventListener('abort', cancel)
        if (!error) resolve(response as Response)
        else if (signal?.aborted) reject(aborted(signal))
        else reject(failure(grpc, { error, address, sent: o.message }))
      })
      const cancel = () => running.cancel()
      signal?.addEventListener('abort', cancel, { once: true })
      o.started?.(cancel)
    })
  }

  return {
    async infer(model, { request, version = '', headers, signal, started }) {
      const message = inferRequest.write({ model, version, request })
      const bytes = await call<Buffer>('ModelInfer', { message, headers, signal, started })
      try {
        return inferResponse.read(bytes)
      } catch (cause) {
        const text = `grpc client: ${address} sent an answer that cannot be read`
        throw new FtError('CORRUPT_DATA', text, { address }, { cause })
      }
    },
    ready: async (signal) => (await call<{ ready: boolean }>('ServerReady', { message: {}, signal })).ready,
    async metadata(model, signal) {
      try {
        return await call('ModelMetadata', { message: { model, version: '' }, signal })
      } catch (error) {
        if (error instanceof OipError && error.status === 404) return undefined
        throw error
      }
    },
    async close() {
      if (opened) (await opened).client.close()
    },
  }
}

/** Whether gRPC has a place for a header: HTTP allows more names and values, and '-bin' promises bytes as base64. */
function isCarried(name: string, value: string): boolean {
  return /^[0-9a-z_.-]+$/i.test(name) && !/-bin$/i.test(name) && /^[ -~]*$/.test(value)
}

function aborted(signal: AbortSignal): FtError {
  return new FtError('ABORTED', 'grpc client: aborted by its signal', {}, { cause: signal.reason })
}

/**
 * The library tells an answer over the limit as what a server that is busy says, and servers say the same of a request over
 * theirs: only the text and the length in it tell the three apart.
 */
function overLimit({ details }: Grpc.ServiceError, o: { sent: unknown; address: string }): Error | undefined {
  if (!/larger than|exceeds maximum size/i.test(details)) return undefined
  const { sent, address } = o
  const length = Buffer.isBuffer(sent) ? sent.length : undefined
  if (length !== undefined && new RegExp(`\\b${length}\\b`).test(details))
    return new OipError(413, `the request of ${length} bytes is longer than an instance takes`)
  if (!/^Received message/.test(details)) return undefined
  return new FtError('CORRUPT_DATA', `grpc client: ${address} sent an answer that is too long`, { address })
}

function failure({ status }: typeof Grpc, o: { error: Grpc.ServiceError; address: string; sent: unknown }): Error {
  const { error, address } = o
  const gone = (why: Grpc.ServiceError) =>
    new FtError('IO', `grpc client: ${address} cannot be reached`, { address }, { cause: why })
  // The stream ended without a status of the server's: the model has failed nothing. Only the text says so
  if (error.code === status.INTERNAL && error.details.startsWith('Received RST_STREAM')) return gone(error)
  const tooLong = error.code === status.RESOURCE_EXHAUSTED ? overLimit(error, o) : undefined
  if (tooLong) return tooLong
  // What a server that is there answers, as REST would say it; only the others mean that none is there
  const known: Partial<Record<Grpc.status, number>> = {
    [status.INVALID_ARGUMENT]: 400,
    [status.OUT_OF_RANGE]: 400,
    [status.UNAUTHENTICATED]: 401,
    [status.PERMISSION_DENIED]: 403,
    [status.ALREADY_EXISTS]: 409,
    [status.ABORTED]: 409,
    [status.FAILED_PRECONDITION]: 412,
    [status.NOT_FOUND]: 404,
    [status.RESOURCE_EXHAUSTED]: 429,
    [status.DEADLINE_EXCEEDED]: 504,
    [status.INTERNAL]: 500,
    [status.UNKNOWN]: 500,
    [status.DATA_LOSS]: 500,
    [status.UNIMPLEMENTED]: 501,
  }
  const http = known[error.code]
  if (http !== undefined) return new OipError(http, error.details.slice(0, 500), { cause: error })
  return gone(error)
}

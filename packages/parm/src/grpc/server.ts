// The protocol over gRPC, in front of the same service as REST.
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type * as Grpc from '@grpc/grpc-js'
import { FtError } from '@ft/core'
import { DRAIN_MS, drained } from '../oip/drain.ts'
import { OipError, toOipError } from '../oip/error.ts'
import type { TlsOptions } from '../oip/server.ts'
import { selectOutputs } from '../oip/select.ts'
import { RequestContext, type OipService } from '../oip/service.ts'
import { Cancellation } from '../serving/cancellation.ts'
import type { ModelName } from './messages.ts'
import { inferRequest, inferResponse, loadGrpc, modelName, service as definition } from './peer.ts'

export interface GrpcServerOptions {
  /** Default '127.0.0.1'. */
  readonly host?: string
  /** Default 0: any free port. */
  readonly port?: number
  /** Longest message in bytes. Default 16 MiB. */
  readonly maxBodyBytes?: number
  /** Milliseconds after which `close` destroys the connections that are left. Default 30,000. */
  readonly drainMs?: number
  /** Serves TLS. */
  readonly tls?: TlsOptions
}

export interface GrpcServer {
  /** 'grpc://127.0.0.1:41234', or 'grpcs://' with TLS. */
  readonly url: string
  /** Resolves when calls in progress are answered, or after `drainMs` without those that are not. */
  close(): Promise<void>
}

/** @throws FtError `MISSING_PEER` without @grpc/grpc-js, `IO` when the address cannot be used */
export async function startGrpcServer(service: OipService, options: GrpcServerOptions = {}): Promise<GrpcServer> {
  const { host = '127.0.0.1', port = 0, maxBodyBytes = 16 << 20, drainMs = DRAIN_MS, tls } = options
  const grpc = await loadGrpc()
  const server = new grpc.Server({ 'grpc.max_receive_message_length': maxBodyBytes })
  const refuse = (thrown: unknown, metadata: Grpc.Metadata): Partial<Grpc.StatusObject> => {
    const error = toOipError(thrown)
    service.refused?.({ status: error.status, thrown, headers: travelling(metadata) })
    return { code: codeOf(grpc, error), details: error.message }
  }
  const known = ({ model, version }: ModelName) => {
    const found = service.metadata(model)
    if (!found || (version !== '' && !found.versions?.includes(version)))
      throw new OipError(404, `no such model: ${model.slice(0, 100)}`)
    return found
  }
  const answer =
    <Response>(run: (call: Grpc.ServerUnaryCall<Buffer, Response>) => Response | Promise<Response>) =>
    (call: Grpc.ServerUnaryCall<Buffer, Response>, callback: Grpc.sendUnaryData<Response>) => {
      Promise.resolve()
        .then(() => run(call))
        .then(
          (response) => callback(null, response),
          (thrown: unknown) => callback(refuse(thrown, call.metadata)),
        )
    }
  server.addService(definition, {
    ServerLive: answer(() => ({ ready: true })),
    ServerReady: answer(() => ({ ready: service.ready() })),
    ModelReady: answer(({ request }) => {
      known(modelName.read(request))
      return { ready: service.ready() }
    }),
    ServerMetadata: answer(() => ({ name: service.name, version: service.version })),
    ModelMetadata: answer(({ request }) => known(modelName.read(request))),
    ModelInfer: answer<Buffer>(async (call) => {
      const { model, version, request } = inferRequest.read(call.request)
      if (request.inputs.length === 0) throw new OipError(400, 'inputs must be there')
      known({ model, version })
      const gone = new Cancellation()
      call.on('cancelled', () => gone.cancel())
      const response = await service.infer(model, {
        request,
        context: new RequestContext({
          version: version === '' ? undefined : version,
          headers: travelling(call.metadata),
          gone,
        }),
      })
      return inferResponse.write({ ...response, outputs: selectOutputs(response, request) })
    }),
  })
  const credentials = tls
    ? grpc.ServerCredentials.createSsl(
        tls.ca === undefined ? null : Buffer.from(tls.ca),
        [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
        tls.ca !== undefined,
      )
    : grpc.ServerCredentials.createInsecure()
  // It listens nowhere itself: a connection that has sent nothing is nothing to it, and could not be destroyed
  const { injectConnection } = server.createConnectionInjector(credentials)
  const sockets = new Set<Socket>()
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    injectConnection(socket)
  })
  await new Promise<void>((resolve, reject) => {
    listener.once('error', (cause) => {
      server.forceShutdown()
      reject(new FtError('IO', `startGrpcServer: cannot listen on ${host}:${port}`, {}, { cause }))
    })
    listener.listen(port, host, resolve)
  })
  const shown = host.includes(':') ? `[${host}]` : host
  return {
    url: `${tls ? 'grpcs' : 'grpc'}://${shown}:${(listener.address() as AddressInfo).port}`,
    close() {
      const closed = new Promise<void>((resolve) => {
        listener.close(() => resolve())
        server.tryShutdown(() => undefined)
      })
      return drained(closed, {
        drainMs,
        destroy() {
          server.forceShutdown()
          for (const socket of sockets) socket.destroy()
        },
      })
    },
  }
}

function travelling(metadata: Grpc.Metadata): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(metadata.getMap()))
    if (typeof value === 'string' && (/^(traceparent|tracestate|baggage)$/.test(name) || name.startsWith('x-')))
      kept[name] = value
  return kept
}

/**
 * The code of a failure, as `createGrpcClient` reads it back.
 *
 * Source: the HTTP statuses that google.rpc.Code names beside its codes. Of a request that is too long for good (413) it is not said that
 * something is exhausted: clients would say it again.
 */
function codeOf({ status }: typeof Grpc, { status: http }: OipError): Grpc.status {
  const codes: Readonly<Record<number, Grpc.status>> = {
    401: status.UNAUTHENTICATED,
    403: status.PERMISSION_DENIED,
    404: status.NOT_FOUND,
    409: status.ABORTED,
    412: status.FAILED_PRECONDITION,
    429: status.RESOURCE_EXHAUSTED,
    499: status.CANCELLED,
    501: status.UNIMPLEMENTED,
    503: status.UNAVAILABLE,
    504: status.DEADLINE_EXCEEDED,
  }
  return codes[http] ?? (http < 500 ? status.INVALID_ARGUMENT : status.INTERNAL)
}

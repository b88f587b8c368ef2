// The gRPC library, an optional peer, and the service as it wants to be told.
import type * as Grpc from '@grpc/grpc-js'
import { FtError } from '@ft/core'
import { empty, inferRequest, inferResponse, metadata, modelName, ready, serverFacts } from './messages.ts'

/** @throws FtError `MISSING_PEER` with the name of the package to install */
export async function loadGrpc(): Promise<typeof Grpc> {
  try {
    return await import('@grpc/grpc-js')
  } catch (cause) {
    throw new FtError('MISSING_PEER', 'gRPC: needs @grpc/grpc-js; npm install @grpc/grpc-js', {}, { cause })
  }
}

interface Codec<T> {
  write(message: T): Buffer
  read(bytes: Uint8Array): T
}

const method = <Request, Response>(name: string, request: Codec<Request>, response: Codec<Response>) => ({
  path: `/inference.GRPCInferenceService/${name}`,
  requestStream: false as const,
  responseStream: false as const,
  requestSerialize: request.write,
  requestDeserialize: request.read,
  responseSerialize: response.write,
  responseDeserialize: response.read,
})

// Bytes in front of the service itself: a damaged request must be refused with its reason, which a codec that throws
// inside the library would hide
const bytes: Codec<Buffer> = { write: (message) => message, read: (message) => Buffer.from(message) }

export const service = {
  ServerLive: method('ServerLive', empty as Codec<object>, ready),
  ServerReady: method('ServerReady', empty as Codec<object>, ready),
  ModelReady: method('ModelReady', modelName, ready),
  ServerMetadata: method('ServerMetadata', empty as Codec<object>, serverFacts),
  ModelMetadata: method('ModelMetadata', modelName, metadata),
  ModelInfer: method('ModelInfer', bytes, bytes),
}

export { inferRequest, inferResponse }

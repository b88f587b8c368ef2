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

/** What a service reads are bytes: a codec that throws inside the library would hide why a damaged request is refused. */
const method = <Request, Response>(name: string, write: (message: Request) => Buffer, response: Codec<Response>) => ({
  path: `/inference.GRPCInferenceService/${name}`,
  requestStream: false as const,
  responseStream: false as const,
  requestSerialize: write,
  requestDeserialize: (message: Buffer) => message,
  responseSerialize: response.write,
  responseDeserialize: response.read,
})

const bytes: Codec<Buffer> = { write: (message) => message, read: (message) => Buffer.from(message) }

export const service = {
  ServerLive: method('ServerLive', empty.write, ready),
  ServerReady: method('ServerReady', empty.write, ready),
  ModelReady: method('ModelReady', modelName.write, ready),
  ServerMetadata: method('ServerMetadata', empty.write, serverFacts),
  ModelMetadata: method('ModelMetadata', modelName.write, metadata),
  ModelInfer: method('ModelInfer', bytes.write, bytes),
}

export { inferRequest, inferResponse, modelName }

// Requests and responses in memory. Every tensor is kept as the bytes of the binary extension, so that what the gateway
// does not code passes through it bit by bit.
import type { NamedTensor } from '../named.ts'
import { bytesOf, datatypeOf, datatypes, viewAs, type Datatype } from './datatypes.ts'

export type Parameters = Readonly<Record<string, string | number | boolean>>

export interface WireTensor {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

export interface InferRequest {
  readonly id?: string
  readonly parameters: Parameters
  readonly inputs: readonly WireTensor[]
  /** Requested outputs; all when absent. */
  readonly outputs?: readonly { readonly name: string; readonly binary?: boolean }[]
  /** Whether outputs that do not say otherwise are wanted as bytes. */
  readonly binaryOutput: boolean
}

export interface InferResponse {
  readonly modelName: string
  readonly modelVersion?: string
  readonly id?: string
  readonly parameters?: Parameters
  readonly outputs: readonly WireTensor[]
}

/** The tensor behind wire bytes; undefined for the types that no code can sum (BYTES, 64-bit integers). */
export function toNamedTensor({ name, datatype, shape, bytes }: WireTensor): NamedTensor | undefined {
  const { dtype } = datatypes[datatype]
  return dtype === undefined ? undefined : { name, shape, dtype, data: viewAs(dtype, bytes) }
}

export function toWireTensor({ name, shape, dtype, data }: NamedTensor): WireTensor {
  return { name, shape, datatype: datatypeOf(dtype), bytes: bytesOf(data) }
}

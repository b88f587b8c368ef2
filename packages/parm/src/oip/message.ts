// Requests and responses in memory. Every tensor is kept as the bytes of the binary extension, so that what the gateway
// does not code passes through it bit by bit.
import type { DType, TypedArray } from '@ft/core'
import type { NamedTensor } from '../named.ts'
import { bytesOf, datatypeOf, datatypes, viewAs, type Datatype } from './datatypes.ts'

/** Integers beyond 2^53, as sequence ids can be, are bigints. */
export type Parameters = Readonly<Record<string, string | number | boolean | bigint>>

export interface WireTensor {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
  /** What is said of it besides, such as a `content_type`; nothing about how it is written. Absent: nothing. */
  readonly parameters?: Parameters
}

/** An output that a client asks for. */
export interface RequestedOutput {
  readonly name: string
  /** Whether it is wanted as bytes. */
  readonly binary?: boolean
  /** What is said of it besides, such as Triton's `classification`. Absent: nothing. */
  readonly parameters?: Parameters
}

export interface InferRequest {
  readonly id?: string
  readonly parameters: Parameters
  readonly inputs: readonly WireTensor[]
  /** Requested outputs; all when absent. */
  readonly outputs?: readonly RequestedOutput[]
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

/**
 * A tensor whose elements are still the bytes that came: most outputs and inputs pass through a gateway without anybody
 * looking at an element, and elements off a socket are not aligned, so that looking costs a copy.
 */
class WireBacked implements NamedTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly bytes: Uint8Array
  #data: TypedArray | undefined

  constructor({ name, shape, bytes }: WireTensor, dtype: DType) {
    this.name = name
    this.shape = shape
    this.dtype = dtype
    this.bytes = bytes
  }

  get data(): TypedArray {
    return (this.#data ??= viewAs(this.dtype, this.bytes))
  }
}

/** The tensor behind wire bytes; undefined for the types that no code can sum (BYTES, 64-bit integers). */
export function toNamedTensor(tensor: WireTensor): NamedTensor | undefined {
  const { dtype } = datatypes[tensor.datatype]
  return dtype === undefined ? undefined : new WireBacked(tensor, dtype)
}

export function toWireTensor(tensor: NamedTensor): WireTensor {
  const { name, shape, dtype } = tensor
  const bytes = tensor instanceof WireBacked ? tensor.bytes : bytesOf(tensor.data)
  return { name, shape, datatype: datatypeOf(dtype), bytes }
}
